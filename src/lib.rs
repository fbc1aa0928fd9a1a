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
//! - [`Sim`] is the simulated world as the test's body sees it: hosts, virtual time.
//! - `docs/contract.md` in the repository has the environment variables, verdicts and what scripts may rely on;
//!   `docs/determinism.md` says what follows from the seed and what does not.
//!
//! The kernel runs on x86-64 Linux with glibc. Elsewhere this crate compiles, and a test says that the platform needs the
//! portable engine.

// In a build for madsim, what the library itself does with tokio is done with madsim's.
#[cfg(squall_madsim)]
extern crate madsim_tokio as tokio;

#[doc(hidden)]
pub mod kernel;

pub mod audit;
mod check;
#[doc(hidden)]
pub mod choice;
pub mod draw;
#[doc(hidden)]
pub mod explore;
mod fault;
#[cfg(any(
    squall_madsim,
    all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu",
        not(squall_portable)
    )
))]
mod report;
mod run;
#[cfg(feature = "scenario")]
mod scenario;
mod sim;
mod telling;
#[cfg(feature = "tracing")]
pub mod tracing;
pub mod traffic;
mod units;

pub use check::history;
pub use check::{Allowed, Check, Condition, Look, Mark, Monitor, Property};
pub use explore::Selection as Strategy;
pub use fault::{
    Breakable, Fault, FaultKind, FaultWindow, HostRanges, LinkRanges, Nemesis, NemesisOptions,
    Plan, UnknownFault,
};
pub use fault::{
    CancelAtSomeAwait, CancelEachAwait, CancelEachAwaitOf, Cancelled, Disturbance, FaultPoint,
    Faults, Stress, SweepError, Swept, cancel_at_every_await, cancel_at_every_await_of,
    cancel_at_some_await, cancellable, stress, stress_with,
};
pub use kernel::{Detector, Detectors};
#[doc(hidden)]
pub use run::private as __private;
#[cfg(feature = "scenario")]
pub use run::scenario;
pub use run::{
    Builder, Error, Failure, Flavor, Isolation, Result, Returned, Settings, Summary, test,
};
#[cfg(feature = "schema")]
pub use scenario::schema;
#[cfg(feature = "scenario")]
pub use scenario::{Scenario, ScenarioError};
pub use sim::dependency::{self, Behaviour, Dependency, FailureMode};
pub use sim::{
    Host, HostOutcome, HostState, Hosts, Latency, Link, Parameter, Partition, Shape, Sim, Storage,
};
pub use sim::{Settle, Unsettled};
pub use squall_points::{
    always, buggify, fault_point, gauge, never, reachable, sometimes, unreachable_point,
};

/// The snippets of the documents, compiled.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/nemesis.md")]
    struct Nemesis;

    #[cfg(feature = "scenario")]
    #[doc = include_str!("../docs/scenario-files.md")]
    struct ScenarioFiles;

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
