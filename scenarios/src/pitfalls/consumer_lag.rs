//! A log of events and a consumer that follows it.
//!
//! The broken consumer fetches up to five events every 250 ms, twenty in a second at most, and usually there are fewer. It cannot hurry: after
//! a spike it is behind by the whole of it, and what it can do more than what comes in is next to nothing. The repaired one fetches again at once
//! as long as it gets full batches, and takes its pause when there is nothing left.

use super::{Variant, lines};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// The most events in one fetch.
const FETCH: usize = 5;
/// Between fetches.
const PAUSE: Duration = Duration::from_millis(250);
/// What an event takes to be processed.
const WORK: Duration = Duration::from_millis(5);

/// The log: events that are not processed, with the time when they came.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<VecDeque<Instant>>>);

impl Log {
    /// How old the oldest event is that is not processed.
    pub fn lag(&self) -> Duration {
        let events = self.0.lock().expect("no panic");
        events.front().map_or(Duration::ZERO, Instant::elapsed)
    }

    fn fetch(&self) -> usize {
        self.0.lock().expect("no panic").len().min(FETCH)
    }

    /// One event is processed.
    fn done(&self) {
        self.0.lock().expect("no panic").pop_front();
    }
}

/// Serves `EVENT` at `address`: `OK` when it is in the log. The consumer runs beside it.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, log: Log, variant: Variant) -> io::Result<()> {
    tokio::spawn(consume(log.clone(), variant));
    lines::serve(address, move |_| {
        let log = log.clone();
        async move {
            let mut events = log.0.lock().expect("no panic");
            events.push_back(Instant::now());
            "OK".to_owned()
        }
    })
    .await
}

async fn consume(log: Log, variant: Variant) {
    loop {
        let fetched = log.fetch();
        for _ in 0..fetched {
            tokio::time::sleep(WORK).await;
            log.done();
        }
        // The repair: a full batch means that there may be more.
        if variant == Variant::Repaired && fetched == FETCH {
            continue;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
