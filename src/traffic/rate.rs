//! How often something happens, and short names for rates and times.

use std::fmt;
use std::time::Duration;

/// Requests in a time.
///
/// ```
/// use squall::traffic::{per_minute, rps};
/// assert_eq!(rps(2), per_minute(120));
/// assert_eq!(rps(0.5).per_second(), 0.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// The most requests in a second that a load may have: a billion.
    const MOST: f64 = 1e9;

    fn new(per_second: f64) -> Rate {
        assert!(
            (0.0..=Rate::MOST).contains(&per_second),
            "a rate is a number from 0 to 1,000,000,000 in a second, not {per_second}"
        );
        Rate(per_second)
    }

    /// So many in a second.
    pub fn per_second(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rps", super::table::figure(self.0))
    }
}

/// So many requests in a second.
///
/// # Panics
/// If it is negative, not a number, or more than a billion.
pub fn rps(requests: impl Into<f64>) -> Rate {
    Rate::new(requests.into())
}

/// So many requests in a minute.
///
/// # Panics
/// As [`rps`].
pub fn per_minute(requests: impl Into<f64>) -> Rate {
    Rate::new(requests.into() / 60.0)
}

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
