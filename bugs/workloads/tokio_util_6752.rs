//! tokio-util's `DelayQueue`: sessions that expire unless they are used again or logged out of. One task waits for what expires;
//! users come and go beside it.
//!
//! Property: once nobody is left, the task that waits learns it, and not an hour later.

use crate::support::{self, draw, up_to};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::time::DelayQueue;

const LIFE: Duration = Duration::from_secs(3600);

async fn clients() -> Result<(), String> {
    let sessions = Arc::new(Mutex::new(DelayQueue::new()));
    let mut users = Vec::new();
    for user in 0..4 {
        let key = sessions.lock().unwrap().insert(user, LIFE);
        let sessions = sessions.clone();
        users.push(tokio::spawn(async move {
            for _ in 0..draw(3) {
                sleep(up_to(10)).await;
                sessions.lock().unwrap().reset(&key, LIFE);
            }
            sleep(up_to(10)).await;
            sessions.lock().unwrap().remove(&key);
        }));
    }
    let expiry = tokio::spawn(async move {
        while poll_fn(|cx| sessions.lock().unwrap().poll_expired(cx))
            .await
            .is_some()
        {}
    });
    for user in users {
        user.await.map_err(|error| error.to_string())?;
    }
    match timeout(Duration::from_secs(60), expiry).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("all have logged out a minute ago, and expiry still waits".to_owned()),
    }
}

#[squall::test]
async fn sessions_that_log_out(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
