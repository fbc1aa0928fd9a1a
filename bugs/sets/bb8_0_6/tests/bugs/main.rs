//! bb8's workload on the version that has the bug.

/// What the workload runs on, where the sets differ.
mod crates {
    pub use {bb8_queued, tokio_03};
}

#[path = "../../../../workloads/support.rs"]
mod support;

#[path = "../../../../workloads/bb8_67.rs"]
mod bb8_67;
