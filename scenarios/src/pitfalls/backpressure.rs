//! Events that come in over TCP and are written to a store, one at a time.
//!
//! The broken service takes each event into an unbounded channel and says that it has it. As long as the store keeps up, nobody sees the
//! difference. When it does not, events wait longer and longer, memory grows, and a restart loses all of it. The repaired service has
//! room for so many; when that is full it says so at once, and the sender can wait, or send elsewhere.

use super::{Variant, lines};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How many events may wait.
const ROOM: usize = 32;

/// How many events have come in and are not stored.
#[derive(Clone, Default)]
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// One more, or one less.
    fn count(&self, by: isize) {
        let before = self.0.fetch_add(by.cast_unsigned(), Ordering::Relaxed);
        squall_points::gauge!("events", before.wrapping_add_signed(by));
    }
}

enum Queue {
    /// The bug.
    Unbounded(mpsc::UnboundedSender<String>),
    /// The repair.
    Bounded(mpsc::Sender<String>),
}

/// Serves `EVENT text` at `address`: `OK`, or `BUSY` if it has no room. An event is stored by a line `PUT text` to `store`.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, store: &str, variant: Variant) -> io::Result<()> {
    let waiting = Waiting::default();
    let queue = match variant {
        Variant::Broken => {
            let (queue, mut events) = mpsc::unbounded_channel();
            let writer = write(store.to_owned(), waiting.clone(), async move || {
                events.recv().await
            });
            tokio::spawn(writer);
            Queue::Unbounded(queue)
        }
        Variant::Repaired => {
            let (queue, mut events) = mpsc::channel(ROOM);
            let writer = write(store.to_owned(), waiting.clone(), async move || {
                events.recv().await
            });
            tokio::spawn(writer);
            Queue::Bounded(queue)
        }
    };
    let queue = Arc::new(queue);
    lines::serve(address, move |request| {
        let (queue, waiting) = (queue.clone(), waiting.clone());
        async move {
            let Some(event) = request.strip_prefix("EVENT ") else {
                return "WHAT".to_owned();
            };
            waiting.count(1);
            let taken = match &*queue {
                Queue::Unbounded(queue) => queue.send(event.to_owned()).is_ok(),
                Queue::Bounded(queue) => queue.try_send(event.to_owned()).is_ok(),
            };
            if !taken {
                waiting.count(-1);
                return "BUSY".to_owned();
            }
            "OK".to_owned()
        }
    })
    .await
}

/// Stores one event after the other, each however often that fails.
async fn write(store: String, waiting: Waiting, mut next: impl AsyncFnMut() -> Option<String>) {
    while let Some(event) = next().await {
        let put = format!("PUT {event}");
        while lines::ask(&store, &put).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        waiting.count(-1);
    }
}
