//! Traffic, vital signs and verdicts: shapes of load as a service sees them, planted faults that thresholds must find, and
//! repaired twins that they must leave alone. Each seed runs twice.

#![cfg(squall_kernel)]
#![allow(clippy::unwrap_used)]

mod clients;
mod signs;
#[path = "../common/verdict.rs"]
mod verdict;
mod verdicts;

use squall::Builder;
use verdict::{body, found};

/// A test that expects its seeds to fail keeps no logs.
fn seeds(seeds: u64) -> Builder {
    Builder::new().seeds(seeds).keep_failures(false).audit(100)
}
