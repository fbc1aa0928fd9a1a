//! Dependencies that fail: each behaviour as stock clients (tokio, tokio's codec by hand, reqwest) see it. Each seed runs twice, and
//! the digests must agree.
#![cfg(squall_kernel)]
#![allow(clippy::unwrap_used)]

mod breaking;
mod clients;
mod limits;
mod text;
mod typed;
mod windows;

use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

/// Virtual time since the start of the run.
fn elapsed(sim: &squall::Sim) -> Duration {
    sim.elapsed()
}

async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}
