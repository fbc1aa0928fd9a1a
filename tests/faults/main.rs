//! Faults that hit futures: each finds the bug that was planted for it, and leaves the repaired twin alone.

#![cfg(squall_kernel)]
#![allow(clippy::unwrap_used)]

mod attribute;
mod cancel;
mod stress;

use squall::{Builder, Failure, Sim, Summary};

/// A test that expects its seeds to fail keeps no logs.
fn seeds(seeds: u64) -> Builder {
    Builder::new().seeds(seeds).keep_failures(false)
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
