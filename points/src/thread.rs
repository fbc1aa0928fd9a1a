//! `std::thread`, or loom's twin of it under `--cfg loom`: the names that both have. `scope`, `sleep` and `park_timeout` are not among
//! them: loom knows no time. Of threads it allows four beside the model's own.

#[cfg(not(loom))]
pub use std::thread::{
    AccessError, Builder, JoinHandle, LocalKey, Thread, ThreadId, current, panicking, park, spawn,
    yield_now,
};

#[cfg(loom)]
pub use loom::thread::{
    AccessError, Builder, JoinHandle, LocalKey, Thread, ThreadId, current, panicking, park, spawn,
    yield_now,
};
