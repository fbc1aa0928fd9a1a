//! The ways in which a dependency fails, and how they are written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::text::{duration, duration_text};

/// One way in which a dependency fails a call, or every call.
///
/// Each has a text form, which scenario files, the names of audits and `FromStr` use: `status 503`, `reset`, `malformed`,
/// `timeout`, `empty`, `drip 16 per 100ms`, `slow 30s`, `refused`.
///
/// ```
/// use squall::FailureMode;
/// use std::time::Duration;
///
/// assert_eq!("status 503".parse(), Ok(FailureMode::Status(503)));
/// let drip = FailureMode::Drip { bytes: 16, every: Duration::from_millis(100) };
/// assert_eq!(drip.to_string(), "drip 16 per 100ms");
/// assert!(FailureMode::ALL.iter().all(|mode| mode.to_string().parse() == Ok(*mode)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FailureMode {
    /// It answers with this HTTP status, 400 to 599. Over other protocols with an error reply that names the number, see
    /// [`Stub::refuse_with`](super::Stub::refuse_with).
    Status(u16),
    /// It resets the connection (a TCP segment with RST) instead of answering: `ECONNRESET`.
    Reset,
    /// It answers with bytes that no parser of the protocol takes.
    Malformed,
    /// It takes the call and never answers. The connection stays open.
    Timeout,
    /// It closes the connection in order (FIN), without a byte of an answer.
    Empty,
    /// It answers so many bytes at a time. A typed double has no bytes; its answer counts as 256.
    Drip {
        /// At a time, at least 1.
        bytes: u32,
        /// The time from one piece to the next, more than 0.
        every: Duration,
    },
    /// It answers so much later than it would.
    Slow(Duration),
    /// It is down: connections are refused (`ECONNREFUSED`), those that were open are reset. A state of the whole dependency, so
    /// it can be no share of an error mix.
    Refused,
}

impl FailureMode {
    /// Every way to fail, with the numbers that an audit starts from.
    pub const ALL: [FailureMode; 10] = [
        FailureMode::Status(500),
        FailureMode::Status(503),
        FailureMode::Status(429),
        FailureMode::Reset,
        FailureMode::Malformed,
        FailureMode::Timeout,
        FailureMode::Empty,
        FailureMode::Drip {
            bytes: 1,
            every: Duration::from_secs(1),
        },
        FailureMode::Slow(Duration::from_secs(30)),
        FailureMode::Refused,
    ];

    /// The kind, without its numbers.
    pub const fn name(self) -> &'static str {
        match self {
            FailureMode::Status(_) => "status",
            FailureMode::Reset => "reset",
            FailureMode::Malformed => "malformed",
            FailureMode::Timeout => "timeout",
            FailureMode::Empty => "empty",
            FailureMode::Drip { .. } => "drip",
            FailureMode::Slow(_) => "slow",
            FailureMode::Refused => "refused",
        }
    }

    /// What is wrong with its numbers, and what would do.
    pub(super) fn problem(self) -> Option<String> {
        match self {
            FailureMode::Status(code) if !(400..=599).contains(&code) => Some(format!(
                "a status that refuses is a number from 400 to 599, not {code}"
            )),
            FailureMode::Drip { bytes: 0, .. } => {
                Some("a drip is at least 1 byte at a time; `timeout` never answers".to_owned())
            }
            FailureMode::Drip { every, .. } if every.is_zero() => {
                Some("a drip takes some time from piece to piece, such as 100ms".to_owned())
            }
            FailureMode::Slow(by) if by.is_zero() => Some(
                "slow by nothing is no failure; say by how much, such as `slow 30s`".to_owned(),
            ),
            _ => None,
        }
    }
}

impl fmt::Display for FailureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureMode::Status(code) => write!(f, "status {code}"),
            FailureMode::Drip { bytes, every } => {
                write!(f, "drip {bytes} per {}", duration_text(*every))
            }
            FailureMode::Slow(by) => write!(f, "slow {}", duration_text(*by)),
            plain => f.write_str(plain.name()),
        }
    }
}

/// Text that names no [`FailureMode`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownMode(String);

impl FromStr for FailureMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<FailureMode, UnknownMode> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mode = match words[..] {
            ["status", code] => code.parse().ok().map(FailureMode::Status),
            ["reset"] => Some(FailureMode::Reset),
            ["malformed"] => Some(FailureMode::Malformed),
            ["timeout"] => Some(FailureMode::Timeout),
            ["empty"] => Some(FailureMode::Empty),
            ["drip", bytes, "per", every] => bytes
                .parse()
                .ok()
                .zip(duration(every))
                .map(|(bytes, every)| FailureMode::Drip { bytes, every }),
            ["slow", by] => duration(by).map(FailureMode::Slow),
            ["refused"] => Some(FailureMode::Refused),
            _ => None,
        };
        let Some(mode) = mode else {
            return Err(UnknownMode(format!(
                "there is no failure {text:?}; the forms are `status 503`, `reset`, `malformed`, `timeout`, `empty`, \
                 `drip 16 per 100ms`, `slow 30s`, `refused`"
            )));
        };
        match mode.problem() {
            Some(problem) => Err(UnknownMode(problem)),
            None => Ok(mode),
        }
    }
}
