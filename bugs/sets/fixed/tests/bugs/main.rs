//! Each workload on the version that no longer has the bug.

/// What the workloads run on, where the two sets differ.
mod crates {
    pub use tokio as tokio_03;
    pub use {bb8_queued, bb8_raced, tokio_util_token};

    pub use http_body_util::Full;
    pub use hyper_util::rt::TokioIo;

    /// hyper has traits of its own for what it reads and writes.
    pub fn hyper_io<T>(socket: T) -> TokioIo<T> {
        TokioIo::new(socket)
    }

    /// Whether the handlers of `futurelock` have the fault.
    pub const FUTURELOCK: bool = false;

    /// A connection that knows which request each reply belongs to; it has taken the place of the other kind.
    pub async fn redis_connection(
        url: &str,
    ) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        redis::Client::open(url)?
            .get_multiplexed_async_connection()
            .await
    }
}

#[path = "../../../../workloads/support.rs"]
mod support;

#[path = "../../../../workloads/bb8_122.rs"]
mod bb8_122;
#[path = "../../../../workloads/bb8_67.rs"]
mod bb8_67;
#[path = "../../../../workloads/futurelock.rs"]
mod futurelock;
#[path = "../../../../workloads/hyper_3261.rs"]
mod hyper_3261;
#[path = "../../../../workloads/moka_195.rs"]
mod moka_195;
#[path = "../../../../workloads/redis_489.rs"]
mod redis_489;
#[path = "../../../../workloads/tokio_3652.rs"]
mod tokio_3652;
#[path = "../../../../workloads/tokio_4624.rs"]
mod tokio_4624;
#[path = "../../../../workloads/tokio_4867.rs"]
mod tokio_4867;
#[path = "../../../../workloads/tokio_6683.rs"]
mod tokio_6683;
#[path = "../../../../workloads/tokio_8260.rs"]
mod tokio_8260;
#[path = "../../../../workloads/tokio_util_4497.rs"]
mod tokio_util_4497;
#[path = "../../../../workloads/tokio_util_6752.rs"]
mod tokio_util_6752;
