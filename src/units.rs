//! Durations and sizes as people write them: `30s`, `1h`, `8GiB`. `run/env.rs` reads variables with it, `sim/dependency` files; the
//! attribute macro, in a crate of its own, reads literals alike.

/// How a duration is written, for messages.
pub(crate) const DURATION_FORM: &str =
    "a whole number and a unit (ns, us, ms, s, m, h or d), such as 30s";
/// How a size is written, for messages.
pub(crate) const SIZE_FORM: &str = "a whole number and a unit (KiB, MiB, GiB or TiB), such as 8GiB";

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(*scale)
        .filter(|&value| value > 0)
}

/// Nanoseconds of a duration such as `30s`; `None` if it is not written so, is zero, or exceeds 584 years.
pub(crate) fn nanoseconds(text: &str) -> Option<u64> {
    const S: u64 = 1_000_000_000;
    let units = [
        ("ns", 1),
        ("us", 1000),
        ("ms", S / 1000),
        ("s", S),
        ("m", 60 * S),
        ("h", 3600 * S),
        ("d", 86400 * S),
    ];
    scaled(text, &units)
}

/// As [`nanoseconds`], zero included.
pub(crate) fn time(text: &str) -> Option<u64> {
    let unit = text.trim_start_matches('0');
    if unit.len() < text.len() && matches!(unit, "ns" | "us" | "ms" | "s" | "m" | "h" | "d") {
        return Some(0);
    }
    nanoseconds(text)
}

/// Bytes of a size such as `8GiB`; `None` if it is not written so, is zero, or exceeds 64 bits.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    scaled(
        text,
        &[
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
        ],
    )
}

/// A duration for people: three digits and the unit that fits.
#[allow(dead_code, reason = "nothing is told where the kernel does not run")]
pub(crate) fn show_nanoseconds(ns: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    for (unit, name) in UNITS {
        if ns >= unit {
            let value = ns as f64 / unit as f64;
            let digits = if value < 10.0 {
                2
            } else {
                usize::from(value < 100.0)
            };
            let number = format!("{value:.digits$}");
            let number = if number.contains('.') {
                number.trim_end_matches('0').trim_end_matches('.')
            } else {
                &number
            };
            return format!("{number} {name}");
        }
    }
    format!("{ns} ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(nanoseconds("30s"), Some(30_000_000_000));
        assert_eq!(nanoseconds("1500us"), Some(1_500_000));
        assert_eq!(nanoseconds("2d"), Some(172_800_000_000_000));
        for wrong in [
            "",
            "s",
            "30",
            "0s",
            "1.5s",
            "-1s",
            "30 s",
            "30sec",
            "99999999999999999999s",
            "300000d",
        ] {
            assert_eq!(nanoseconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("8GiB"), Some(8 << 30));
        assert_eq!(bytes("512MiB"), Some(512 << 20));
        for wrong in ["8", "8GB", "GiB", "0MiB", "99999999999TiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_for_people() {
        let shown = [
            0,
            999,
            1_500,
            26_200_000_000,
            3_600_000_000_000,
            59_000_000_000,
            500_000_000,
        ]
        .map(show_nanoseconds);
        assert_eq!(
            shown,
            [
                "0 ns", "999 ns", "1.5 us", "26.2 s", "1 h", "59 s", "500 ms"
            ]
        );
    }
}
