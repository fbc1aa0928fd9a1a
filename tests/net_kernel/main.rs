//! The network under the kernel: real std and tokio code, on one host and between hosts, under many seeds, each run twice.
#![cfg(squall_kernel)]

mod blocking;
#[path = "../common/echo.rs"]
mod echo;
mod hosts;
mod messages;
mod tasks;

/// Runs a body that is not asynchronous under so many seeds, each twice.
pub fn seeds<F: Fn() + Send + Sync + 'static>(n: u64, body: F) {
    squall::Builder::new()
        .seeds(n)
        .audit(100)
        .check_blocking(move |_| body());
}
