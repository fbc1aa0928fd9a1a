//! A gateway in front of a backend that is slow for a while.
//!
//! The broken gateway tries again at once, up to four times, whatever fails. The backend works off requests that nobody waits for any more; those
//! that somebody waits for come behind them, run into their time limit too, and are sent again. When the brown-out is
//! over the retries alone are more than the backend can do, so it stays down. The repaired gateway has a circuit breaker, which gives
//! the backend time to empty its queue and finds out by single requests whether it is well, and its only retry comes after a pause that is
//! drawn.

use super::{Variant, lines};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// For how long the gateway waits for the backend.
const LIMIT: Duration = Duration::from_millis(300);
/// So many failures in a row open the breaker,
const FAILURES: u32 = 5;
/// for so long.
const OPEN: Duration = Duration::from_secs(1);

struct Gateway {
    backend: String,
    breaker: Mutex<Breaker>,
    variant: Variant,
}

#[derive(Default)]
struct Breaker {
    failures: u32,
    /// Nothing is sent before that, and then one request.
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may be sent now.
    fn admits(&mut self) -> bool {
        match self.open_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                // Half open: this one finds out; the others wait for what becomes of it.
                self.open_until = Some(Instant::now() + OPEN);
                true
            }
            None => true,
        }
    }

    fn learn(&mut self, well: bool) {
        if well {
            *self = Breaker::default();
            return;
        }
        self.failures += 1;
        if self.failures >= FAILURES {
            self.open_until = Some(Instant::now() + OPEN);
        }
    }
}

/// Serves `GET` at `address` by asking `backend` the same: its answer, or `ERROR`.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, backend: &str, variant: Variant) -> io::Result<()> {
    let gateway = Arc::new(Gateway {
        backend: backend.to_owned(),
        breaker: Mutex::default(),
        variant,
    });
    lines::serve(address, move |request| {
        let gateway = gateway.clone();
        async move {
            let answer = match gateway.variant {
                Variant::Broken => gateway.get_stubbornly(&request).await,
                Variant::Repaired => gateway.get(&request).await,
            };
            answer.unwrap_or_else(|_| "ERROR".to_owned())
        }
    })
    .await
}

impl Gateway {
    async fn attempt(&self, request: &str) -> io::Result<String> {
        let answer = lines::ask_within(LIMIT, &self.backend, request).await?;
        match answer.starts_with("ERR") {
            true => Err(io::Error::other(answer)),
            false => Ok(answer),
        }
    }

    /// The bug: each request becomes five when the backend can least do with it.
    async fn get_stubbornly(&self, request: &str) -> io::Result<String> {
        for _ in 0..4 {
            if let Ok(answer) = self.attempt(request).await {
                return Ok(answer);
            }
        }
        self.attempt(request).await
    }

    /// The repair.
    async fn get(&self, request: &str) -> io::Result<String> {
        match self.guarded(request).await {
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                tokio::time::sleep(Duration::from_millis(100 + random(200))).await;
                self.guarded(request).await
            }
            answer => answer,
        }
    }

    async fn guarded(&self, request: &str) -> io::Result<String> {
        if !self.breaker.lock().expect("no panic").admits() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let answer = self.attempt(request).await;
        self.breaker.lock().expect("no panic").learn(answer.is_ok());
        answer
    }
}

/// A number below `n`.
fn random(n: u64) -> u64 {
    RandomState::new().build_hasher().finish() % n
}
