//! `std::sync`, or loom's twin of it under `--cfg loom`. Names and signatures are those that both have, so that what compiles with the
//! one compiles with the other.
//!
//! Without `--cfg loom` these are std's own types. What loom lacks is left out here: `Weak`, `Once`, `OnceLock`, `LazyLock`, channels with a
//! bound. Other than std's, loom's `new` is no `const fn`, so a static needs `loom::lazy_static!`, or better an `Arc` that the model makes.

#[cfg(not(loom))]
pub use std::sync::{
    Arc, Barrier, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    WaitTimeoutResult,
};

#[cfg(loom)]
pub use loom::sync::{
    Arc, Barrier, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    WaitTimeoutResult,
};

pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

/// `std::sync::atomic`, or loom's twin of it.
pub mod atomic {
    #[cfg(not(loom))]
    pub use std::sync::atomic::{
        AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8,
        AtomicU16, AtomicU32, AtomicU64, AtomicUsize, fence,
    };

    #[cfg(loom)]
    pub use loom::sync::atomic::{
        AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8,
        AtomicU16, AtomicU32, AtomicU64, AtomicUsize, fence,
    };

    pub use std::sync::atomic::Ordering;
}

/// `std::sync::mpsc` without a bound, or loom's twin of it.
pub mod mpsc {
    #[cfg(not(loom))]
    pub use std::sync::mpsc::{Receiver, Sender, channel};

    #[cfg(loom)]
    pub use loom::sync::mpsc::{Receiver, Sender, channel};

    pub use std::sync::mpsc::{RecvError, SendError, TryRecvError};
}
