//! The baton that OS threads pass when each simulated thread has an OS thread of its own, and with which a new OS thread says that it
//! is there.
//!
//! Whoever holds the baton runs; passing it to another thread publishes everything written before (release), receiving it
//! makes that visible (acquire). One word for each thread: 1 means "yours". This is all the lock-free code by which threads of one process wait
//! for each other here. The package `loom/` compiles this very file with loom's atomics and goes through every order and every reading that
//! the memory model allows, so it names its atomics and futexes through `word` and nothing else.

use super::word::{AtomicU32, Ordering, futex_wait, futex_wake, futex_wake_unfiltered};

/// One thread's end of the baton.
#[derive(Debug, Default)]
pub(super) struct Baton {
    word: AtomicU32,
}

impl Baton {
    /// Hands the baton to the thread that waits here.
    pub(super) fn pass(&self) {
        self.word.store(1, Ordering::Release);
        futex_wake(&self.word);
    }

    /// The same from a thread that traps no calls, while another that does may be running.
    pub(super) fn pass_unfiltered(&self) {
        self.word.store(1, Ordering::Release);
        futex_wake_unfiltered(&self.word);
    }

    /// Waits until the baton is handed over.
    pub(super) fn wait(&self) {
        while self.word.load(Ordering::Acquire) == 0 {
            futex_wait(&self.word, 0);
        }
        // Whoever passes it here again has got it from this thread since.
        self.word.store(0, Ordering::Relaxed);
    }
}
