//! Durations and sizes as people write them: `30s`, `1h`, `8GiB`. `env` reads variables with it, and the attribute macro
//! has its literals read while the test is compiled, hence `const fn`.

/// How a duration is written, for messages.
pub(crate) const DURATION_FORM: &str =
    "a whole number and a unit (ns, us, ms, s, m, h or d), such as 30s";
/// How a size is written, for messages.
pub(crate) const SIZE_FORM: &str = "a whole number and a unit (KiB, MiB, GiB or TiB), such as 8GiB";

const fn split(text: &str) -> Option<(u64, &[u8])> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut number: u64 = 0;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        let digit = (bytes[at] - b'0') as u64;
        number = match number.checked_mul(10) {
            Some(tens) => match tens.checked_add(digit) {
                Some(number) => number,
                None => return None,
            },
            None => return None,
        };
        at += 1;
    }
    if at == 0 {
        None
    } else {
        Some((number, bytes.split_at(at).1))
    }
}

/// Nanoseconds of a duration such as `30s`; `None` if it is not written so, is zero, or exceeds 584 years.
pub(crate) const fn nanoseconds(text: &str) -> Option<u64> {
    let Some((number, unit)) = split(text) else {
        return None;
    };
    let unit: u64 = match unit {
        b"ns" => 1,
        b"us" => 1_000,
        b"ms" => 1_000_000,
        b"s" => 1_000_000_000,
        b"m" => 60 * 1_000_000_000,
        b"h" => 3_600 * 1_000_000_000,
        b"d" => 86_400 * 1_000_000_000,
        _ => return None,
    };
    match number.checked_mul(unit) {
        Some(0) | None => None,
        some => some,
    }
}

/// Bytes of a size such as `8GiB`; `None` if it is not written so, is zero, or exceeds 64 bits.
pub(crate) const fn bytes(text: &str) -> Option<u64> {
    let Some((number, unit)) = split(text) else {
        return None;
    };
    let shift = match unit {
        b"KiB" => 10,
        b"MiB" => 20,
        b"GiB" => 30,
        b"TiB" => 40,
        _ => return None,
    };
    match number.checked_mul(1 << shift) {
        Some(0) | None => None,
        some => some,
    }
}

/// A duration for people: three digits and the unit that fits.
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
