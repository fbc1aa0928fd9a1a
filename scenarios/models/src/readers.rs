//! Many readers, or one writer, who do not wait.

use squall_points::sync::atomic::{AtomicU32, Ordering};
use std::marker::PhantomData;

/// How readers are counted.
pub trait Count: Default {
    /// The bits of the count. The bit above them is the writer's.
    const BITS: u32;
}

/// In four bits: who needs more than fifteen?
#[derive(Debug, Default)]
pub struct FourBits;

impl Count for FourBits {
    const BITS: u32 = 4;
}

/// In all that a word has left.
#[derive(Debug, Default)]
pub struct Word;

impl Count for Word {
    const BITS: u32 = 31;
}

/// Who is in.
#[derive(Debug, Default)]
pub struct Readers<C = Word> {
    word: AtomicU32,
    count: PhantomData<fn() -> C>,
}

impl<C: Count> Readers<C> {
    const WRITER: u32 = 1 << C::BITS;

    /// Whether one more reader is in now.
    pub fn try_read(&self) -> bool {
        let add = |word: u32| {
            let readers = (word + 1) & (Self::WRITER - 1);
            (word & Self::WRITER == 0).then_some(readers)
        };
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        self.word.fetch_update(success, failure, add).is_ok()
    }

    /// A reader leaves.
    pub fn end_read(&self) {
        self.word.fetch_sub(1, Ordering::Release);
    }

    /// Whether the writer is in now, which takes that nobody else is.
    pub fn try_write(&self) -> bool {
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        let writer = self
            .word
            .compare_exchange(0, Self::WRITER, success, failure);
        writer.is_ok()
    }

    /// The writer leaves.
    pub fn end_write(&self) {
        self.word.store(0, Ordering::Release);
    }
}
