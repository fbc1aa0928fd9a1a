//! The same sequence of libc calls on the real system and under the kernel: results and `errno` must be equal.
//!
//! [`differs`] runs a body twice and compares what it logs. Each family of calls has a file of its own that makes sequences
//! with proptest; a sequence that showed a difference once is kept as a test of its own there.
#![cfg(squall_kernel)]

mod calls;
mod sockets;
mod stories;

use squall::kernel::{Config, Domain, End, Oracle, Pick, simulate};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers that leave everything as it comes: no short reads or writes, nobody is preempted.
struct Calm(u64);

impl Oracle for Calm {
    fn pick(&mut self, pick: Pick<'_>) -> usize {
        pick.current.unwrap_or(0)
    }
    fn below(&mut self, _: Domain, n: u64) -> u64 {
        // Ports of the system's choice come from large ranges; those of two protocols should differ, as they do on Linux.
        if n > 1000 {
            self.0 += 1;
            return self.0 * 7919 % n;
        }
        n - 1
    }
    fn fill(&mut self, _: Domain, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// What a sequence of calls returned, a line each.
pub type Log = Vec<String>;

/// Runs `body` on the real system and in a simulation.
fn both(body: impl Fn() -> Log + Clone + Send + 'static) -> (Log, Log) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let real = body();
    let slot = Arc::new(Mutex::new(Log::new()));
    let out = slot.clone();
    let simulated = move || *out.lock().unwrap() = body();
    let (outcome, _) = simulate(Config::default(), Box::new(Calm(0)), Box::new(simulated));
    assert_eq!(outcome.end, End::Returned);
    let simulated = std::mem::take(&mut *slot.lock().unwrap());
    (real, simulated)
}

/// Compares two logs; the text shows the lines up to the first difference.
fn difference(real: &Log, simulated: &Log) -> Option<String> {
    let at = (0..real.len().max(simulated.len())).find(|i| real.get(*i) != simulated.get(*i))?;
    let before = real[..at].join("\n  ");
    let line = |log: &Log| {
        log.get(at)
            .cloned()
            .unwrap_or_else(|| "(nothing)".to_owned())
    };
    Some(format!(
        "\n  {before}\n  real:      {}\n  simulated: {}",
        line(real),
        line(simulated)
    ))
}

/// Runs a body both ways; `Some` if the logs differ each time. On the real system an acknowledgement that is late now and
/// then shows as one edge more, so a single difference says nothing.
pub fn differs(body: impl Fn() -> Log + Clone + Send + 'static) -> Option<String> {
    let mut text = None;
    for _ in 0..3 {
        let (real, simulated) = both(body.clone());
        text = Some(difference(&real, &simulated)?);
    }
    text
}

/// Runs a body both ways and fails if the logs differ.
pub fn same(body: impl Fn() -> Log + Clone + Send + 'static) {
    if let Some(text) = differs(body) {
        panic!("{text}");
    }
}

/// So many cases unless `PROPTEST_CASES` says otherwise, and the same ones each time unless `PROPTEST_RNG_SEED` does. A
/// failing sequence is kept as a test, not in a file.
pub fn cases(n: u32) -> proptest::test_runner::Config {
    let defaults = proptest::test_runner::Config::default();
    let rng_seed = match std::env::var_os("PROPTEST_RNG_SEED") {
        Some(_) => defaults.rng_seed,
        None => proptest::test_runner::RngSeed::Fixed(1),
    };
    let wanted = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|v| v.parse().ok());
    proptest::test_runner::Config {
        cases: wanted.unwrap_or(n),
        failure_persistence: None,
        max_shrink_iters: 5000,
        rng_seed,
        ..defaults
    }
}
