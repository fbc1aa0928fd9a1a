//! Traffic, vital signs and verdicts: shapes of load as a service sees them, planted faults that thresholds must find, and
//! repaired twins that they must leave alone. Each seed runs twice.

#![cfg(squall_kernel)]
#![allow(clippy::unwrap_used)]

mod clients;
mod signs;
mod verdicts;

use squall::{Builder, Failure, Sim, Summary};

/// A test that expects its seeds to fail keeps no logs.
fn seeds(seeds: u64) -> Builder {
    Builder::new().seeds(seeds).keep_failures(false).audit(100)
}

/// The failure of a test that must not hold, with these words in its report.
#[track_caller]
fn found(held: Result<Summary, Failure>, words: &[&str]) {
    let failure = held.expect_err("the planted bug was not found").to_string();
    for words in words {
        assert!(
            failure.contains(words),
            "`{words}` is missing in:\n{failure}"
        );
    }
}

/// Keeps the closures of this file from having to name the type.
fn body<F, Fut>(f: F) -> F
where
    F: Fn(Sim) -> Fut,
{
    f
}
