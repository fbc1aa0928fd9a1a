//! Memory as the programs see it: every access is a scheduling point that says what it touches, as memory points make it.

use std::panic::Location;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// A lock whose acquisition and release are scheduling points.
#[derive(Default)]
pub struct Lock(Mutex<()>);

impl Lock {
    #[track_caller]
    pub fn with<R>(&self, body: impl FnOnce(&Held<'_>) -> R) -> R {
        point(self, true, Location::caller());
        let held = Held(self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let result = body(&held);
        point(self, true, Location::caller());
        result
    }
}

/// A lock that is held.
pub struct Held<'a>(#[expect(dead_code, reason = "dropped for its effect")] MutexGuard<'a, ()>);

/// So many accesses to variables of the thread's own.
#[track_caller]
pub fn private(accesses: u32) {
    let mine = 0u8;
    for _ in 0..accesses {
        point(&mine, true, Location::caller());
    }
}
