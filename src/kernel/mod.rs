//! The deterministic kernel: threads, time, descriptors and packets of a simulated world, inside the test process.
//!
//! `abi` decodes the libc calls of simulated threads and calls the kernel; the kernel decides nothing at random but asks
//! its [`Oracle`]. It knows nothing of tokio and nothing of tests. All of it is safe code on `&mut Kernel`, except `abi`
//! (the C boundary) and `thread` (the stack switch). Kernel state is touched only by the thread that runs, so it needs no
//! lock, and kernel code never waits: it says who goes on, and `thread` switches there.
//!
//! The kernel exists on x86-64 Linux with glibc. Elsewhere only its vocabulary is compiled; in a build for madsim `portable` has the
//! functions that the rest of the crate calls.

mod detector;
mod errno;
mod oracle;
mod outcome;
mod path;
mod record;
mod vitals;
mod waits;

where_the_kernel_is! {
    pub(crate) mod abi;
    pub(crate) mod clock;
    pub(crate) mod descriptor;
    mod detect;
    mod entropy;
    mod events;
    pub(crate) mod futex;
    pub(crate) mod host;
    pub(crate) mod identity;
    pub(crate) mod memory;
    pub(crate) mod net;
    mod preempt;
    mod rest;
    pub(crate) mod power;
    pub(crate) mod sched;
    mod tasks;
    #[cfg(test)]
    pub(crate) mod testing;
    pub(crate) mod thread;
    mod threads;
    mod trace;
    mod waiting;
    mod watcher;
    mod words;
    mod world;

    pub use abi::{hook_ended, hook_polled, hook_polls, hook_spawned, preload, touch};
    pub use record::{About, Cause, Record, ThreadFacts, What, Wire};
    pub use thread::doors::*;
    pub use rest::Unrest;
    pub use thread::ledger::{
        RunValue, keep_turn, known_run_value, note, run_value, tally, violate,
    };
    pub use thread::power::*;
    pub use thread::rest::*;
    pub use watcher::{Moment, Watch};
    pub use thread::{Watched, fault, image, prewarm, simulate, trap, watched_waker};
    pub(crate) use world::{Cost, Kernel, Step};
}

#[cfg(not(squall_kernel))]
#[cfg_attr(squall_madsim, allow(dead_code, reason = "most of it madsim has"))]
mod elsewhere;
#[cfg(not(any(squall_kernel, squall_madsim)))]
pub use elsewhere::*;
#[cfg(squall_madsim)]
mod portable;
#[cfg(squall_madsim)]
pub use portable::*;
#[cfg(squall_madsim)]
pub use record::{About, Cause, Record, ThreadFacts, What};

where_runs_are! {
    mod output;
    mod storage;

    pub(crate) use output::Output;
}

pub use detector::{Detector, Detectors};
pub use errno::{Errno, Result};
pub use oracle::{
    Domain, Entity, LABEL_BITS, NOBODY, OCCURRENCE_BITS, Oracle, Pick, SEEDS, TASKS_SEEN, Touch,
    WALK, label_kind,
};
pub use outcome::{
    Config, End, HostChange, HostInfo, HostState, Outcome, Reached, Refused, Sink, Tallies, Tally,
    TaskReport, ThreadReport, Violation,
};
pub use path::{Delay, LinkChange, MILLION};
pub(crate) use path::{exp, ln};
pub use record::Event;
pub use vitals::Vitals;
pub use waits::*;
