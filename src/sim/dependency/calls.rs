//! The calls that a dependency got, and what became of them.

use std::fmt;
use std::time::Duration;

use super::mode::FailureMode;
use crate::kernel;

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It failed by intention; [`Drip`](FailureMode::Drip) and [`Slow`](FailureMode::Slow) were answered in the end.
    Failed(FailureMode),
    /// It was refused by the rate limit.
    Limited,
    /// It was refused because all slots and the whole queue were taken.
    Overflowed,
    /// It was under way when the dependency went down or was restarted.
    Cut,
    /// The caller went away before the answer.
    Abandoned,
}

/// What tables and reports say: `ok`, `status 503`, `rate limited`, `overflowed`, `cut`, `abandoned`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answered => f.write_str("ok"),
            Outcome::Failed(mode) => mode.fmt(f),
            Outcome::Limited => f.write_str("rate limited"),
            Outcome::Overflowed => f.write_str("overflowed"),
            Outcome::Cut => f.write_str("cut"),
            Outcome::Abandoned => f.write_str("abandoned"),
        }
    }
}

impl Outcome {
    /// Whether the caller got an answer that is one.
    pub fn answered(&self) -> bool {
        matches!(
            self,
            Outcome::Answered | Outcome::Failed(FailureMode::Drip { .. } | FailureMode::Slow(_))
        )
    }
}

/// One call to a dependency. Times count from the start of the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub(super) what: String,
    pub(super) client: u16,
    pub(super) start: u64,
    pub(super) end: Option<(u64, Outcome)>,
}

impl Call {
    /// What was asked: `GET /accounts/7`, the beginning of a line, the size of a frame, or what a typed call was named.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The name of the host that it came from.
    pub fn client(&self) -> String {
        host_name(self.client)
    }

    /// When it arrived.
    pub fn start(&self) -> Duration {
        Duration::from_nanos(self.start)
    }

    /// When the answer had been handed to the connection, or it ended otherwise; `None` while it is under way.
    pub fn end(&self) -> Option<Duration> {
        self.end.map(|(at, _)| Duration::from_nanos(at))
    }

    /// What became of it; `None` while it is under way.
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.map(|(_, outcome)| outcome)
    }

    /// How long it took; `None` while it is under way.
    pub fn took(&self) -> Option<Duration> {
        self.end().map(|end| end.saturating_sub(self.start()))
    }
}

/// The name of the host with this number.
pub(super) fn host_name(id: u16) -> String {
    let host = kernel::hosts().into_iter().find(|h| h.id == id);
    host.map_or_else(|| "?".to_owned(), |h| h.name)
}
