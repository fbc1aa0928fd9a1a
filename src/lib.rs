//! Squall: deterministic concurrency testing for async Rust.
//!
//! A test runs the user's unchanged program, with stock tokio and whatever is built on it, on a deterministic kernel inside
//! the test process: virtual time, a seeded scheduler, a simulated network. It runs under many seeds, and a failure is one
//! seed that replays exactly.
//!
//! ```
//! use std::time::Duration;
//!
//! # // A doctest is no libtest test; the attribute itself is shown in its own documentation.
//! # fn main() {
//! // As a test: #[squall::test] async fn a_day_passes_at_once() { .. }
//! let held = squall::Builder::new().seeds(20).run(|sim: squall::Sim| async move {
//!     sim.host("clock", || async {
//!         let listener = tokio::net::TcpListener::bind("0.0.0.0:37").await?;
//!         loop {
//!             let (_socket, _from) = listener.accept().await?;
//!         }
//!         #[allow(unreachable_code)]
//!         std::io::Result::Ok(())
//!     });
//!     tokio::time::sleep(Duration::from_secs(3600)).await;
//!     tokio::net::TcpStream::connect("clock:37").await.map(|_| ())
//! });
//! assert!(held.is_ok());
//! # }
//! ```
//!
//! - [`macro@test`] is the attribute, [`Builder`] the same without it; [`Settings`] lists what can be set.
//! - [`macro@model`] is for small code whose memory orderings matter: one body under the kernel's exhaustive search and under loom.
//! - [`Sim`] is the simulated world as the test's body sees it: hosts, virtual time.
//! - `docs/contract.md` in the repository has the environment variables, verdicts and what scripts may rely on;
//!   `docs/determinism.md` says what follows from the seed and what does not.
//!
//! The kernel runs on x86-64 Linux with glibc. Elsewhere this crate compiles, and a test says that the platform needs the
//! portable engine: with the feature `madsim` and `--cfg madsim`, simulations of code that is ported to madsim run on its
//! simulator, on any platform that it knows; `docs/madsim.md` in the repository says how.

#[cfg(all(madsim, not(feature = "madsim")))]
compile_error!(
    "in a build with `--cfg madsim` squall needs its feature `madsim`: its kernel and madsim would both stand for libc's functions"
);

// In a build for madsim, what the library itself does with tokio is done with madsim's.
#[cfg(squall_madsim)]
extern crate madsim_tokio as tokio;

/// Declares what exists only where the kernel does.
#[cfg(not(loom))]
macro_rules! where_the_kernel_is {
    ($($item:item)*) => { $(
        #[cfg(squall_kernel)]
        $item
    )* };
}

/// Declares what exists where runs do, on whichever engine.
#[cfg(not(loom))]
macro_rules! where_runs_are {
    ($($item:item)*) => { $(
        #[cfg(any(squall_kernel, squall_madsim))]
        $item
    )* };
}

#[cfg(not(loom))]
#[doc(hidden)]
pub mod kernel;

#[cfg(not(loom))]
pub mod audit;
#[cfg(not(loom))]
mod check;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod choice;
#[cfg(not(loom))]
pub mod draw;
#[cfg(not(loom))]
mod drawn;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod explore;
#[cfg(not(loom))]
mod fault;
mod model;
#[cfg(not(loom))]
mod nearest;
#[cfg(any(squall_kernel, squall_madsim))]
mod report;
#[cfg(not(loom))]
mod run;
#[cfg(not(loom))]
#[cfg(feature = "scenario")]
mod scenario;
#[cfg(not(loom))]
mod sim;
#[cfg_attr(loom, allow(dead_code, reason = "loom does not sweep"))]
mod telling;
#[cfg(not(loom))]
#[cfg(feature = "tracing")]
pub mod tracing;
#[cfg(not(loom))]
pub mod traffic;
#[cfg_attr(loom, allow(dead_code, reason = "models have fewer settings"))]
mod units;

#[cfg(not(loom))]
pub use check::history;
#[cfg(not(loom))]
pub use check::{Allowed, Check, Condition, Look, Mark, Monitor, Property};
#[cfg(not(loom))]
pub use explore::Selection as Strategy;
#[cfg(not(loom))]
pub use fault::{
    Breakable, Fault, FaultKind, FaultWindow, HostRanges, LinkRanges, Nemesis, NemesisOptions,
    Plan, UnknownFault,
};
#[cfg(not(loom))]
pub use fault::{
    CancelAtSomeAwait, CancelEachAwait, CancelEachAwaitOf, Cancelled, Disturbance, FaultPoint,
    Faults, Stress, SweepError, Swept, cancel_at_every_await, cancel_at_every_await_of,
    cancel_at_some_await, cancellable, stress, stress_with,
};
#[cfg(not(loom))]
pub use kernel::{Detector, Detectors};
pub use model::model;
#[cfg(loom)]
#[doc(hidden)]
pub use model::under_loom as __private;
#[cfg(loom)]
pub use model::{scenario, test};
#[cfg(not(loom))]
#[doc(hidden)]
pub use run::private as __private;
#[cfg(not(loom))]
#[cfg(feature = "scenario")]
pub use run::scenario;
#[cfg(not(loom))]
pub use run::{
    Builder, Error, Failure, Flavor, Isolation, Result, Returned, Settings, Summary, test,
};
#[cfg(not(loom))]
#[cfg(feature = "schema")]
pub use scenario::schema;
#[cfg(not(loom))]
#[cfg(feature = "scenario")]
pub use scenario::{Scenario, ScenarioError};
#[cfg(not(loom))]
pub use sim::dependency::{self, Behaviour, Dependency, FailureMode};
#[cfg(not(loom))]
pub use sim::{
    Host, HostOutcome, HostState, Hosts, Latency, Link, Parameter, Partition, Shape, Sim, Storage,
};
#[cfg(not(loom))]
pub use sim::{Settle, Unsettled};
pub use squall_points::{
    always, buggify, fault_point, gauge, never, reachable, sometimes, unreachable_point,
};
pub use squall_points::{cell, hint, sync, thread};

/// The snippets of the documents, compiled.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/nemesis.md")]
    struct Nemesis;

    #[cfg(feature = "scenario")]
    #[doc = include_str!("../docs/scenario-files.md")]
    struct ScenarioFiles;

    #[doc = include_str!("../docs/models.md")]
    struct Models;

    #[doc = include_str!("../docs/sweeps.md")]
    struct Sweeps;

    #[doc = include_str!("../docs/dependencies.md")]
    struct Dependencies;

    #[doc = include_str!("../docs/detectors.md")]
    struct Detectors;

    #[doc = include_str!("../docs/properties.md")]
    struct Properties;

    #[doc = include_str!("../docs/audits.md")]
    struct Audits;

    #[cfg(feature = "proptest")]
    #[doc = include_str!("../docs/draws.md")]
    struct Draws;
}
