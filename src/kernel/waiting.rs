//! What a blocked thread waits for, and why it goes on: the words that `abi`, the objects and `sched` have in common. `sched` hands
//! them on; plain data.

use super::clock::Until;
use super::descriptor::ObjectId;
use super::oracle::Touch;

/// What a blocked thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// The clock alone.
    Clock,
    /// A change of one object.
    Object(ObjectId),
    /// A change of any of these objects.
    Objects(Vec<ObjectId>),
    /// A wake on a word of memory, see [`super::futex`].
    Word(Word),
    /// The end of another thread.
    Join(u32),
}

impl On {
    /// What a thread that waited does first when it goes on. That a lock of the same word is what the others want is what
    /// counts, not what is changed in it.
    #[inline]
    pub(super) fn touch(&self) -> Touch {
        let resource = match self {
            On::Word(word) => word.address as u64,
            // Objects are few and addresses large: they do not meet.
            On::Object(object) => 1 + object.number(),
            On::Clock | On::Objects(_) | On::Join(_) => 0,
        };
        Touch {
            resource,
            ..Touch::UNKNOWN
        }
    }
}

/// An address that threads wait on, told apart by what kind of object lives there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word {
    pub(crate) space: Space,
    pub(crate) address: usize,
}

/// The kinds of memory words that can be waited on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    Futex,
    Mutex,
    Condvar,
    RwLock,
    Semaphore,
    Once,
    Barrier,
    /// What a program only reads and writes.
    Memory,
}

/// A thread gives up the processor until something happens or `until` is reached.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) on: On,
    pub(crate) until: Option<Until>,
}

/// Why a blocked thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// It has not blocked yet in this call.
    First,
    /// What it waited for happened, or may have.
    Woken,
    /// Its deadline passed.
    TimedOut,
    /// A signal was handled meanwhile; its call ends with `EINTR`.
    Interrupted,
}
