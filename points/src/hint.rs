//! What a loop says that waits for another thread.

/// `std::hint::spin_loop`; under `--cfg loom` it has loom let another thread go on, without which a model that spins does not end.
#[cfg(not(loom))]
pub use std::hint::spin_loop;

#[cfg(loom)]
pub use loom::hint::spin_loop;
