//! Squall: deterministic concurrency testing for async Rust.

#[doc(hidden)]
pub mod kernel;

mod sim;
pub use sim::{Host, HostOutcome, Sim};
