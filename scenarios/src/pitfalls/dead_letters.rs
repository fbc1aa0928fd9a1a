//! A broker that delivers each message until it is acknowledged, a worker, and a place for messages that no worker can
//! do anything with: dead letters.
//!
//! After three failed attempts the worker gives a message up. The broken one acknowledges it and then sends it to the dead letters. If it dies
//! between the two, or the letters cannot be reached, the message is nowhere. The repaired one sends it first: then it may be there twice, which is what at
//! least once means.

use super::{Variant, lines};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// For how long a message that was delivered is not delivered again.
const LEASE: Duration = Duration::from_secs(1);
/// Attempts before a message is given up.
const ATTEMPTS: u32 = 3;
/// What the worker waits for an answer.
const LIMIT: Duration = Duration::from_secs(2);

struct Message {
    body: String,
    attempts: u32,
    leased_until: Instant,
}

/// The broker: `PUT body`; `GET`, answered `MESSAGE id attempts body` or `NONE`; `ACK id`; `COUNT`, how many it still has.
///
/// # Errors
/// If the address cannot be bound.
pub async fn broker(address: &str) -> io::Result<()> {
    let queue = Arc::new(Mutex::new((0_u64, BTreeMap::<u64, Message>::new())));
    lines::serve(address, move |request| {
        let queue = queue.clone();
        async move {
            let (next, messages) = &mut *queue.lock().expect("no panic");
            let now = Instant::now();
            match request.split_once(' ').unwrap_or((&request, "")) {
                ("PUT", body) => {
                    *next += 1;
                    let message = Message {
                        body: body.to_owned(),
                        attempts: 0,
                        leased_until: now,
                    };
                    messages.insert(*next, message);
                    "OK".to_owned()
                }
                ("GET", _) => {
                    let mut waiting = messages.iter_mut().filter(|(_, m)| m.leased_until <= now);
                    let Some((id, message)) = waiting.next() else {
                        return "NONE".to_owned();
                    };
                    message.attempts += 1;
                    message.leased_until = now + LEASE;
                    format!("MESSAGE {id} {} {}", message.attempts, message.body)
                }
                ("ACK", id) => {
                    id.parse().ok().and_then(|id| messages.remove(&id));
                    "OK".to_owned()
                }
                ("COUNT", _) => messages.len().to_string(),
                _ => "WHAT".to_owned(),
            }
        }
    })
    .await
}

/// Where the worker finds the others.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The broker's address.
    pub broker: String,
    /// Takes `PUT body`: the dead letters.
    pub letters: String,
    /// Takes `DO body`, answered `DONE`, or anything else if that cannot be done.
    pub orders: String,
    /// Which of the twins.
    pub variant: Variant,
}

impl Worker {
    /// Works for ever; what fails is tried again when its lease is over.
    pub async fn run(self) {
        loop {
            match self.next().await {
                Ok(true) => {}
                Ok(false) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn next(&self) -> io::Result<bool> {
        let message = lines::ask_within(LIMIT, &self.broker, "GET").await?;
        let words: Vec<&str> = message.splitn(4, ' ').collect();
        let ["MESSAGE", id, attempts, body] = words[..] else {
            return Ok(false);
        };
        let (ack, dead) = (format!("ACK {id}"), format!("PUT {body}"));
        let done = lines::ask_within(LIMIT, &self.orders, &format!("DO {body}")).await?;
        if done == "DONE" {
            lines::ask_within(LIMIT, &self.broker, &ack).await?;
        } else if attempts.parse().is_ok_and(|n: u32| n >= ATTEMPTS) {
            match self.variant {
                Variant::Broken => {
                    // The bug: between these two the message is nowhere but here.
                    lines::ask_within(LIMIT, &self.broker, &ack).await?;
                    lines::ask_within(LIMIT, &self.letters, &dead).await?;
                }
                Variant::Repaired => {
                    lines::ask_within(LIMIT, &self.letters, &dead).await?;
                    lines::ask_within(LIMIT, &self.broker, &ack).await?;
                }
            }
        }
        Ok(true)
    }
}
