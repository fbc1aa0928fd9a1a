//! tokio's bounded `mpsc`: producers that send batches and lose patience, and a consumer that has enough at some point, closes
//! the channel and takes what is still in it.
//!
//! Property: `recv` comes to an end after `close`.

use crate::support::{self, draw, up_to};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

async fn produce(batches: mpsc::Sender<u64>) {
    for batch in 0..4 {
        let size = 1 + draw(4);
        // Too slow a consumer is no fault: the batch is left out.
        if let Ok(Ok(room)) = timeout(up_to(5), batches.reserve_many(size as usize)).await {
            for permit in room {
                permit.send(batch);
            }
        }
        sleep(up_to(2)).await;
    }
    // Kept for the next burst.
    std::future::pending::<()>().await;
}

async fn clients() -> Result<(), String> {
    let (batches, mut consumer) = mpsc::channel(5);
    for _ in 0..3 {
        tokio::spawn(produce(batches.clone()));
    }
    for _ in 0..2 + draw(12) {
        sleep(up_to(2)).await;
        if timeout(Duration::from_secs(1), consumer.recv())
            .await
            .is_err()
        {
            break;
        }
    }
    consumer.close();
    // In a task of its own: the end of a time limit polls once more, and would make up for a wake that never came.
    let rest = tokio::spawn(async move { while consumer.recv().await.is_some() {} });
    match timeout(Duration::from_secs(60), rest).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("recv still waits a minute after the channel was closed".to_owned()),
    }
}

// Producers keep their ends of the channel.
#[squall::test(allow = "stalled_task")]
async fn batches_until_closed(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
