//! Squall: deterministic concurrency testing for async Rust.

#[doc(hidden)]
pub mod kernel;

#[doc(hidden)]
pub mod choice;
#[doc(hidden)]
pub mod explore;
mod run;
mod sim;

pub use explore::Selection as Strategy;
#[doc(hidden)]
pub use run::private as __private;
pub use run::{
    Builder, Error, Failure, Flavor, Isolation, Result, Returned, Settings, Summary, test,
};
pub use sim::{Host, HostOutcome, Sim};
