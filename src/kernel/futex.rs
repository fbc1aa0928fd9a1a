//! futex(2), and the same queue for the words of pthread mutexes, condition variables and their kin.
//!
//! Waiters of one word are woken first in, first out, as Linux does for threads of equal priority. The value of the word
//! is read by `abi`, which alone may touch user memory.

use super::sched::{Resume, Space, Word};
use super::{Errno, Kernel, Result};

/// Matches every waiter.
pub(crate) const ANY: u32 = u32::MAX;

struct Waiter {
    word: Word,
    thread: u32,
    mask: u32,
}

/// Who waits on which word.
#[derive(Default)]
pub(crate) struct Futexes {
    waiters: Vec<Waiter>,
}

impl Futexes {
    pub(crate) fn clear(&mut self) {
        self.waiters.clear();
    }

    /// The running thread is about to block on `word`.
    pub(crate) fn add(&mut self, word: Word, thread: u32, mask: u32) {
        self.waiters.push(Waiter { word, thread, mask });
    }

    /// A thread no longer waits.
    pub(crate) fn forget(&mut self, thread: u32) {
        if let Some(i) = self.waiters.iter().position(|w| w.thread == thread) {
            self.waiters.remove(i);
        }
    }

    fn take_first(&mut self, word: Word, mask: u32) -> Option<u32> {
        let i = self
            .waiters
            .iter()
            .position(|w| w.word == word && w.mask & mask != 0)?;
        Some(self.waiters.remove(i).thread)
    }
}

impl Kernel {
    /// Wakes at most `n` waiters of `word` whose mask meets `mask`; returns how many.
    pub(crate) fn wake_word(&mut self, word: Word, n: u32, mask: u32) -> u32 {
        self.trace.about_word(word);
        let mut woken = 0;
        while woken < n {
            let Some(thread) = self.futexes.take_first(word, mask) else {
                break;
            };
            self.wake(thread, Resume::Woken);
            woken += 1;
        }
        woken
    }

    /// Wakes at most `wake` waiters of `from` and moves at most `requeue` others to `to`. Returns (woken, moved).
    pub(crate) fn requeue_word(
        &mut self,
        from: Word,
        to: Word,
        wake: u32,
        requeue: u32,
    ) -> (u32, u32) {
        let woken = self.wake_word(from, wake, ANY);
        let mut moved = 0;
        for w in self.futexes.waiters.iter_mut() {
            if moved < requeue && w.word == from {
                w.word = to;
                moved += 1;
            }
        }
        (woken, moved)
    }

    /// The place of a futex word, refused when it is not aligned.
    pub(crate) fn futex_word(address: usize) -> Result<Word> {
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        Ok(Word {
            space: Space::Futex,
            address,
        })
    }
}
