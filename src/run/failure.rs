//! What a failed test says: to people in its text, to programs in its fields.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A test that did not hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The test's path within its binary.
    pub test: String,
    /// The seed that failed; `None` if no run failed but the test could not be run.
    pub seed: Option<u64>,
    /// What failures of this kind have in common; empty if the test could not be run.
    pub signature: String,
    /// In a line what failed.
    pub headline: String,
    /// The saved choice log.
    pub log: Option<PathBuf>,
    /// The files that tell of it: see `docs/reports.md`.
    pub reports: Vec<PathBuf>,
    /// All that there is to say, as it is printed.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// A test that held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// How many runs there were, saved logs included.
    pub runs: u64,
    /// Virtual time of those, in all.
    pub simulated: Duration,
    /// Under the strategy `exhaustive`: up to how many preemptions every schedule has run. `None` if not even those without
    /// one, and under every other strategy.
    pub exhausted: Option<u32>,
    /// What the runs of an audit found.
    #[serde(default)]
    pub(crate) found: Vec<String>,
}
