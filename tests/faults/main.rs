//! Faults that hit futures: each finds the bug that was planted for it, and leaves the repaired twin alone.

#![cfg(squall_kernel)]
#![allow(clippy::unwrap_used)]

mod attribute;
mod cancel;
mod stress;
#[path = "../common/verdict.rs"]
mod verdict;

use squall::Builder;
use verdict::{body, found};

/// A test that expects its seeds to fail keeps no logs.
fn seeds(seeds: u64) -> Builder {
    Builder::new().seeds(seeds).keep_failures(false)
}
