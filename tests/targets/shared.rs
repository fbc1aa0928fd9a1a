//! Memory as the programs see it: every access is a scheduling point that says what it touches, as memory points make it.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use squall::kernel::{Touch, touch};

/// A place in the source, the same in every run.
fn site(at: &Location<'_>) -> u64 {
    u64::from(at.line()) << 16 | u64::from(at.column())
}

fn point<T>(object: *const T, write: bool, at: &Location<'_>) {
    touch(Touch {
        resource: object.addr() as u64,
        site: site(at),
        write,
    });
}

/// A variable that threads share.
#[derive(Default)]
pub struct Shared(AtomicI64);

impl Shared {
    pub fn new(value: i64) -> Self {
        Shared(AtomicI64::new(value))
    }

    #[track_caller]
    pub fn get(&self) -> i64 {
        point(self, false, Location::caller());
        self.0.load(Relaxed)
    }

    #[track_caller]
    pub fn set(&self, value: i64) {
        point(self, true, Location::caller());
        self.0.store(value, Relaxed);
    }
}

/// A lock whose acquisition and release are scheduling points. Whoever releases it gives it to the one that has waited
/// longest, as the scheduler of the published figures does: with a lock that the first comer gets, the bug of `stack`
/// shows in every fourth random walk. Nor do two operations on one lock race there: only accesses to memory do.
#[derive(Default)]
pub struct Lock(Mutex<State>);

#[derive(Default)]
struct State {
    held: bool,
    waiting: VecDeque<(Thread, Arc<AtomicBool>)>,
}

impl Lock {
    #[track_caller]
    pub fn with<R>(&self, body: impl FnOnce() -> R) -> R {
        private(1);
        self.acquire();
        let result = body();
        private(1);
        self.release();
        result
    }

    // The mutex inside is never contended: no scheduling point comes while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acquire(&self) {
        let mut state = self.state();
        if !state.held {
            state.held = true;
            return;
        }
        let given = Arc::new(AtomicBool::new(false));
        state
            .waiting
            .push_back((std::thread::current(), given.clone()));
        drop(state);
        while !given.load(Relaxed) {
            std::thread::park();
        }
    }

    fn release(&self) {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        state.held = next.is_some();
        drop(state);
        if let Some((thread, given)) = next {
            given.store(true, Relaxed);
            thread.unpark();
        }
    }
}

/// So many accesses to variables of the thread's own.
#[track_caller]
pub fn private(accesses: u32) {
    let mine = 0u8;
    for _ in 0..accesses {
        point(&mine, true, Location::caller());
    }
}
