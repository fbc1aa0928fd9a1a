//! What there is to say about one run: whoever ran it fills this in, and `render` and `page` tell it.

use serde::{Deserialize, Serialize};

use super::scribe::PanicReport;
use super::verdict::Verdict;
use crate::kernel::{Event, Refused, ThreadReport};
use crate::report::Recorded;

/// Everything about one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunReport {
    pub(crate) seed: u64,
    pub(crate) strategy: String,
    pub(crate) notes: Vec<String>,
    pub(crate) verdict: Verdict,
    pub(crate) digest: u64,
    pub(crate) steps: u64,
    pub(crate) virtual_ns: u64,
    pub(crate) refused: Vec<Refused>,
    pub(crate) panics: Vec<PanicReport>,
    pub(crate) threads_left: Vec<ThreadReport>,
    pub(crate) trace: Option<Recorded>,
    pub(crate) backtrace: Option<String>,
    /// What its process printed past the simulation.
    pub(crate) outside: String,
    /// Where the program left the log that it was to follow.
    pub(crate) divergence: Option<String>,
}

impl RunReport {
    /// The first event in which its trace and another's differ, and how many come before it.
    pub(super) fn parts_from(&self, other: &RunReport) -> Option<(u64, [Option<Event>; 2])> {
        let (one, other) = (self.trace.as_ref()?, other.trace.as_ref()?);
        let mut both = one.events.iter().zip(&other.events);
        let same = both.position(|(a, b)| !a.same(b));
        let common = same.unwrap_or(one.events.len().min(other.events.len()));
        let events = [one, other].map(|trace| trace.events.get(common).cloned());
        (events != [None, None]).then_some((common as u64, events))
    }
}
