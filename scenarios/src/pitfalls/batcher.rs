//! Writes that are cheaper together: a batcher collects them and stores a batch when it is full, or when some time has passed.
//!
//! The broken batcher waits for the next item *or* for 20 ms, anew after each item. A quiet system flushes after 20 ms, a very busy one fills its
//! batches. In between, with an item every 10 ms, neither ever happens, and callers wait for a batch of a hundred to come together. The repaired one
//! sets its deadline when the first item of a batch comes.

use super::{Variant, lines};
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// A batch is stored when it has so many items,
const FULL: usize = 100;
/// or after so long.
const WAIT: Duration = Duration::from_millis(20);

struct Write {
    item: String,
    stored: oneshot::Sender<()>,
}

/// Serves `WRITE item` at `address`: `OK` when it is stored.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, variant: Variant) -> io::Result<()> {
    let (writes, queue) = mpsc::channel(1024);
    tokio::spawn(collect(queue, variant));
    lines::serve(address, move |request| {
        let writes = writes.clone();
        async move {
            let Some(item) = request.strip_prefix("WRITE ") else {
                return "WHAT".to_owned();
            };
            let (stored, done) = oneshot::channel();
            let item = item.to_owned();
            if writes.send(Write { item, stored }).await.is_err() || done.await.is_err() {
                return "FAILED".to_owned();
            }
            "OK".to_owned()
        }
    })
    .await
}

async fn collect(mut queue: mpsc::Receiver<Write>, variant: Variant) {
    while let Some(first) = queue.recv().await {
        let mut batch = vec![first];
        let mut deadline = Instant::now() + WAIT;
        while batch.len() < FULL {
            tokio::select! {
                write = queue.recv() => match write {
                    Some(write) => batch.push(write),
                    None => break,
                },
                () = sleep_until(deadline) => break,
            }
            // The bug: usually it hides in a `sleep(WAIT)` inside the `select!`, which the loop makes anew.
            if variant == Variant::Broken {
                deadline = Instant::now() + WAIT;
            }
        }
        store(batch).await;
    }
}

/// One write for all of them.
async fn store(batch: Vec<Write>) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    for write in batch {
        drop(write.item);
        // Who asked may have gone.
        let _ = write.stored.send(());
    }
}
