//! Workloads on a tokio that has the bugs.

#[path = "../../../../workloads/support.rs"]
mod support;

#[path = "../../../../workloads/tokio_3652.rs"]
mod tokio_3652;
#[path = "../../../../workloads/tokio_4624.rs"]
mod tokio_4624;
