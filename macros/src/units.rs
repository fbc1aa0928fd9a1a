//! Durations and sizes in quotes, as `squall` itself reads them from the environment: `30s`, `8GiB`.

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

/// Nanoseconds of a duration.
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

/// Bytes of a size.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(nanoseconds("30s"), Some(30_000_000_000));
        assert_eq!(nanoseconds("2d"), Some(172_800_000_000_000));
        assert_eq!(bytes("8GiB"), Some(8 << 30));
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
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
