//! sqlx's workload on the version that has the bug.

#[path = "../../../../workloads/postgres.rs"]
mod postgres;
#[path = "../../../../workloads/support.rs"]
mod support;

#[path = "../../../../workloads/sqlx_83.rs"]
mod sqlx_83;
