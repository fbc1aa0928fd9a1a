//! Code as it ships, on `squall_points::sync`: std's types, and loom's where it is checked. Each type has the orderings that it was written with and
//! those that it needs; `tests/planted.rs` has the models that fail, `tests/repaired.rs` their twins.

mod door;
mod readers;
mod spin;

pub use door::{Between, Door, Fence, No};
pub use readers::{Count, FourBits, Readers, Word};
pub use spin::{Ordered, Relaxed, SpinLock, Unlock};
