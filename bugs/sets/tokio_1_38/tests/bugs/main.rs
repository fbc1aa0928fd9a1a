//! Workloads on a tokio that has the bugs.

#[path = "../../../../workloads/support.rs"]
mod support;

#[path = "../../../../workloads/tokio_6683.rs"]
mod tokio_6683;
