//! tokio's `join!`: one task that takes in a stream of readings and answers requests beside it. After an outage there is a backlog
//! of readings.
//!
//! Property: a request that was there before the backlog was taken in is answered before it is.

use crate::support::{self, draw, up_to};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

const BACKLOG: u64 = 1_500;

async fn clients() -> Result<(), String> {
    let (reading, mut readings) = mpsc::unbounded_channel();
    let (request, mut requests) = mpsc::unbounded_channel::<oneshot::Sender<u64>>();
    for value in 0..draw(2 * BACKLOG) {
        let _ = reading.send(value);
    }
    let taken = Arc::new(AtomicU64::new(0));
    let station = taken.clone();
    tokio::spawn(async move {
        let take_in = async {
            while readings.recv().await.is_some() {
                station.fetch_add(1, SeqCst);
            }
        };
        let answer = async {
            while let Some(asked) = requests.recv().await {
                let _ = asked.send(station.load(SeqCst));
            }
        };
        tokio::join!(take_in, answer);
    });
    for value in 0..3 {
        let (ask, answer) = oneshot::channel();
        let _ = request.send(ask);
        let before = taken.load(SeqCst);
        let at = answer.await.map_err(|error| error.to_string())?;
        // A poll does 128 things at most before others get their turn, here and on a worker that was not waited for.
        if at - before > 1_000 {
            return Err(format!(
                "a request waited while {} readings were taken in",
                at - before
            ));
        }
        let _ = reading.send(value);
        sleep(up_to(2)).await;
    }
    Ok(())
}

#[squall::test]
async fn requests_during_a_backlog(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
