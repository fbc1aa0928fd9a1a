//! The kernel as a program sees it: std threads, locks, clocks, descriptors and randomness inside `simulate`, without the
//! test macro. Each file is one subject.
#![cfg(squall_kernel)]

mod descriptors;
mod entropy;
mod locks;
mod refusals;
mod threads;
mod time;

use squall::kernel::{self, Config, Domain, End, Oracle, Outcome, Pick};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Uniform answers from a seed.
pub struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Oracle for Seeded {
    fn pick(&mut self, pick: Pick<'_>) -> usize {
        (self.next() % pick.runnable.len() as u64) as usize
    }
    fn below(&mut self, _: Domain, n: u64) -> u64 {
        self.next() % n
    }
    fn fill(&mut self, _: Domain, bytes: &mut [u8]) {
        for b in bytes {
            *b = self.next() as u8;
        }
    }
}

/// One process runs one simulation at a time; libtest runs tests in parallel.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `body` under a seed and gives its result, if it returned, and the outcome.
pub fn run_with<R: Send + 'static>(
    config: Config,
    seed: u64,
    body: impl FnOnce() -> R + Send + 'static,
) -> (Option<std::thread::Result<R>>, Outcome) {
    let _guard = one_at_a_time();
    let result = Arc::new(Mutex::new(None));
    let slot = result.clone();
    let body = move || {
        let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        *slot.lock().unwrap() = Some(r);
    };
    let (outcome, _) = kernel::simulate(config, Box::new(Seeded(seed)), Box::new(body));
    let result = result.lock().unwrap().take();
    (result, outcome)
}

/// Runs `body` under a seed, with contexts and with OS threads; it must return normally both times. Gives both results.
pub fn both<R: Send + 'static>(seed: u64, body: impl Fn() -> R + Clone + Send + 'static) -> [R; 2] {
    [false, true].map(|os_threads| {
        let config = Config {
            os_threads,
            ..Config::default()
        };
        let (result, outcome) = run_with(config, seed, body.clone());
        assert_eq!(outcome.end, End::Returned, "os_threads: {os_threads}");
        match result.expect("the body returned") {
            Ok(r) => r,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs `body` under many seeds; it must return normally each time.
pub fn seeds<R: Send + 'static>(n: u64, body: impl Fn() -> R + Clone + Send + 'static) -> Vec<R> {
    (0..n)
        .map(|seed| {
            let (result, outcome) = run_with(Config::default(), seed, body.clone());
            assert_eq!(outcome.end, End::Returned, "seed {seed}");
            match result.expect("the body returned") {
                Ok(r) => r,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
        .collect()
}
