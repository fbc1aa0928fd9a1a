//! The baton that OS threads pass when each simulated thread has an OS thread of its own.
//!
//! Whoever holds the baton runs; passing it to another thread publishes everything written before (release), receiving it
//! makes that visible (acquire). One word for each thread: 1 means "yours". This is all the lock-free code there is.

use crate::kernel::abi::raw;
use std::sync::atomic::{AtomicU32, Ordering};

/// One thread's end of the baton.
#[derive(Debug, Default)]
pub(super) struct Baton {
    word: AtomicU32,
}

impl Baton {
    /// Hands the baton to the thread that waits here.
    pub(super) fn pass(&self) {
        self.word.store(1, Ordering::Release);
        raw::futex_wake(&self.word);
    }

    /// Waits until the baton is handed over.
    pub(super) fn wait(&self) {
        while self.word.swap(0, Ordering::Acquire) == 0 {
            raw::futex_wait(&self.word, 0);
        }
    }
}
