//! What there is to say about one run: whoever ran it fills this in, and `render` and `page` tell it.

use serde::{Deserialize, Serialize};

use super::scribe::PanicReport;
use super::verdict::Verdict;
use crate::kernel::{Refused, ThreadReport};
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
