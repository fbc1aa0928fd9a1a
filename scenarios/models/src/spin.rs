//! A lock that spins.

use squall_points::cell::UnsafeCell;
use squall_points::hint::spin_loop;
use squall_points::sync::atomic::{AtomicBool, Ordering};
use std::marker::PhantomData;

/// How the lock is given back.
pub trait Unlock {
    /// The ordering of the store.
    const ORDERING: Ordering;
}

/// Whoever takes the lock next sees what was done under it.
#[derive(Debug, Default)]
pub struct Ordered;

impl Unlock for Ordered {
    const ORDERING: Ordering = Ordering::Release;
}

/// It may see the lock free, and not what was done under it.
#[derive(Debug, Default)]
pub struct Relaxed;

impl Unlock for Relaxed {
    const ORDERING: Ordering = Ordering::Relaxed;
}

/// A value that one thread at a time has.
#[derive(Debug, Default)]
pub struct SpinLock<T, U = Ordered> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
    unlock: PhantomData<fn() -> U>,
}

// SAFETY: the value is reached under the lock alone. Whether that is enough is what the models ask.
unsafe impl<T: Send, U> Sync for SpinLock<T, U> {}

impl<T, U: Unlock> SpinLock<T, U> {
    /// A lock that nobody has.
    pub fn new(value: T) -> Self {
        SpinLock {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
            unlock: PhantomData,
        }
    }

    /// Does something to the value while nobody else can.
    pub fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let take = || {
            let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
            self.taken.compare_exchange(false, true, success, failure)
        };
        while take().is_err() {
            spin_loop();
        }
        // SAFETY: this thread has the lock, so nobody else has a reference.
        let result = self.value.with_mut(|value| change(unsafe { &mut *value }));
        self.taken.store(false, U::ORDERING);
        result
    }
}
