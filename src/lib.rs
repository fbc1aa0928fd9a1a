//! Squall: deterministic concurrency testing for async Rust.

#[doc(hidden)]
pub mod kernel;
