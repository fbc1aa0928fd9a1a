//! Each workload on the version that has the bug.

/// What the workloads run on, where the two sets differ.
mod crates {
    pub use {bb8_raced, tokio_util_token};

    pub use http_body_util::Full;

    /// hyper took what tokio reads and writes.
    pub fn hyper_io<T>(socket: T) -> T {
        socket
    }

    /// Whether the handlers of `futurelock` have the fault.
    pub const FUTURELOCK: bool = true;

    /// A connection that sends a request and then reads the reply.
    pub async fn redis_connection(url: &str) -> redis::RedisResult<redis::aio::Connection> {
        redis::Client::open(url)?.get_async_connection().await
    }
}

#[path = "../../../../workloads/support.rs"]
mod support;

#[path = "../../../../workloads/bb8_122.rs"]
mod bb8_122;
#[path = "../../../../workloads/futurelock.rs"]
mod futurelock;
#[path = "../../../../workloads/hyper_3261.rs"]
mod hyper_3261;
#[path = "../../../../workloads/moka_195.rs"]
mod moka_195;
#[path = "../../../../workloads/redis_489.rs"]
mod redis_489;
#[path = "../../../../workloads/tokio_8260.rs"]
mod tokio_8260;
#[path = "../../../../workloads/tokio_util_4497.rs"]
mod tokio_util_4497;
#[path = "../../../../workloads/tokio_util_6752.rs"]
mod tokio_util_6752;
