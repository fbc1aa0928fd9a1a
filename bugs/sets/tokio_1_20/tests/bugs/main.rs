//! Workloads on a tokio that has the bugs.

#[path = "../../../../workloads/support.rs"]
mod support;

#[path = "../../../../workloads/tokio_4867.rs"]
mod tokio_4867;
