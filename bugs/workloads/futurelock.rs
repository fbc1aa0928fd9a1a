//! RFD 609: two operations that need the same lock, one of them kept alive by reference in a `select!` while the other branch
//! goes for the lock itself.
//!
//! Property: nobody waits for ever.

use crate::support::{self, draw, up_to};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// Writes to the shared log.
async fn log(shared: Arc<Mutex<u64>>) {
    let mut log = shared.lock().await;
    sleep(up_to(3)).await;
    *log += 1;
}

/// A request that is logged, with a note if that takes long. `keeping` keeps the first operation while it makes the note, which
/// is the fault; the repaired handler gives it a task of its own.
async fn request(shared: Arc<Mutex<u64>>, keeping: bool) {
    let patience = up_to(5);
    if keeping {
        let mut write = Box::pin(log(shared.clone()));
        tokio::select! {
            _ = &mut write => return,
            _ = sleep(patience) => {}
        }
        log(shared).await;
        write.await;
    } else {
        let mut write = tokio::spawn(log(shared.clone()));
        tokio::select! {
            _ = &mut write => return,
            _ = sleep(patience) => {}
        }
        log(shared).await;
        let _ = write.await;
    }
}

async fn clients() -> Result<(), String> {
    let shared = Arc::new(Mutex::new(0));
    let mut requests = Vec::new();
    for _ in 0..3 {
        sleep(Duration::from_micros(draw(3_000))).await;
        requests.push(tokio::spawn(request(
            shared.clone(),
            crate::crates::FUTURELOCK,
        )));
    }
    for request in requests {
        match timeout(Duration::from_secs(60), request).await {
            Ok(ended) => ended.map_err(|error| error.to_string())?,
            Err(_) => return Err("a request hangs for a minute".to_owned()),
        }
    }
    Ok(())
}

#[squall::test]
async fn slow_log(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
