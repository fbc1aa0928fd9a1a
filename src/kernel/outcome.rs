//! What goes into a run and what comes out of it: [`Config`], [`Outcome`], [`End`]. Used by `run`, which turns an outcome
//! into a verdict.

use super::record::Record;
use super::{Detectors, Errno};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Receives what simulated threads write to descriptors 1 and 2.
pub type Sink = Box<dyn FnMut(i32, &[u8]) + Send>;

/// The settings of one run.
pub struct Config {
    /// Simulated processors of the test's host. Default 4.
    pub cpus: u32,
    /// Virtual nanoseconds after which the run ends with [`End::TimeLimit`]. Default 24 hours.
    pub max_virtual: u64,
    /// Kernel entries after which the run ends with [`End::StepLimit`]. Default 50 million.
    pub max_steps: u64,
    /// Kernel entries in a row without progress, and with nothing pending, that make an [`End::Livelock`]. Default 5 million.
    pub livelock_after: u64,
    /// Simulated descriptors that a host may have open. Default 1024.
    pub descriptors: u32,
    /// Bytes of stack of the first thread, at least. Default: what std gives the threads that it starts, 2 MiB.
    pub stack: usize,
    /// The program's own code takes time: between two readings of a clock lies a microsecond at least. Default: only calls
    /// do.
    pub slow_code: bool,
    /// One OS thread for each simulated thread instead of contexts. Default: only where contexts are not possible.
    pub os_threads: bool,
    /// Record every event.
    pub trace: bool,
    /// In a recorded run, the kernel entry from which on the places of calls are taken down too; they cost some ten
    /// microseconds each. Default 0.
    pub stacks_from: u64,
    /// The index of the event whose backtrace is wanted.
    pub backtrace_at: Option<u64>,
    /// Capture backtraces of blocked threads when the run does not end by itself.
    pub backtraces: bool,
    /// Tasks keep tokio's own budget: polls end where they do by themselves. Default: a poll may end early, at an await on a
    /// tokio resource, where the program's tokio asks.
    pub whole_polls: bool,
    /// Places in the program that come to memory that threads contend for, ascending: scheduling points from the beginning.
    /// From [`Outcome::contended_sites`] of an earlier run.
    pub contended_sites: Arc<[u64]>,
    /// What is looked for. Default: nothing.
    pub detectors: Detectors,
    /// Whether such places are taken down in this run.
    pub take_sites: bool,
    /// Where the kernel stores its step count, for a watchdog in another process.
    pub progress: Option<&'static AtomicU64>,
    /// Where output goes; `None` writes for real.
    pub sink: Option<Sink>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            cpus: 4,
            max_virtual: 24 * 3600 * 1_000_000_000,
            max_steps: 50_000_000,
            livelock_after: 5_000_000,
            descriptors: 1024,
            stack: 0,
            slow_code: false,
            os_threads: false,
            trace: false,
            stacks_from: 0,
            backtrace_at: None,
            backtraces: false,
            whole_polls: false,
            contended_sites: Arc::default(),
            detectors: Detectors::NONE,
            take_sites: false,
            progress: None,
            sink: None,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The body returned.
    Returned,
    /// Some thread called `exit`.
    Exited(i32),
    /// Some thread called `abort`.
    Aborted {
        /// Where.
        backtrace: String,
    },
    /// The main thread of a host panicked or returned an error.
    HostFailed {
        /// The host.
        host: String,
        /// The panic's message or the error.
        message: String,
    },
    /// A property does not hold.
    Violated(Box<Violation>),
    /// No thread can run and nothing is pending.
    Deadlock(Vec<ThreadReport>),
    /// Threads run without doing anything.
    Livelock(Vec<ThreadReport>),
    /// The virtual time limit was reached.
    TimeLimit(Vec<ThreadReport>),
    /// The step limit was reached.
    StepLimit(Vec<ThreadReport>),
}

/// What a thread was doing when the run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadReport {
    /// Its number, in order of birth; 0 runs the body.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// The call that it is blocked in, or `runnable`.
    pub call: String,
    /// What it waits for.
    pub waits_for: String,
    /// Where it is, if asked for.
    pub backtrace: Option<String>,
}

/// A task of an instrumented tokio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Its number: tasks and threads are counted together, in order of birth, from 0, the thread that runs the body.
    pub entity: u32,
    /// The number of the thread or task that spawned it.
    pub parent: u32,
    /// Its name, if `tokio::task::Builder` gave it one.
    pub name: Option<String>,
    /// The host that it was spawned on.
    pub host: String,
    /// Where it was spawned: file, line and column of the call into tokio.
    pub spawned_at: String,
    /// How often it was polled.
    pub polls: u64,
    /// Whether it has finished, panicked or been cancelled.
    pub done: bool,
    /// The thread, by its own number, that was polling it when the run ended.
    pub polled_by: Option<u32>,
}

/// A call that the kernel does not simulate and did not let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The call.
    pub call: String,
    /// What it returned.
    pub errno: Errno,
    /// The host that made it.
    pub host: String,
    /// The thread that made it.
    pub thread: String,
    /// Where.
    pub backtrace: String,
    /// Programs are known to go on without it (`io_uring_setup`, say).
    pub tolerated: bool,
}

/// A host by number, as the rest of the crate sees it.
#[derive(Clone, Debug)]
pub struct HostInfo {
    /// Its number, counted from 0, the test's own host.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// Its IPv4 address.
    pub v4: std::net::Ipv4Addr,
    /// Its IPv6 address.
    pub v6: std::net::Ipv6Addr,
}

/// What a host is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostState {
    /// It runs its program. The test's own host always does.
    Running,
    /// It is up, but its program has ended, was killed, or never began.
    Stopped,
    /// Everything on it stands still.
    Paused,
    /// The machine crashed and is not back.
    Crashed,
}

/// Something that a test does to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostChange {
    /// The machine is gone, at once and without a word.
    Crash,
    /// Its process is gone; the machine closes its descriptors.
    Kill,
    /// The machine does nothing until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// No thread of it runs for so many nanoseconds.
    Stall(u64),
    /// Its process gets a signal.
    Signal(i32),
    /// Its wall clock jumps by so many nanoseconds.
    Jump(i64),
    /// The machine is suspended: as if paused, and its monotonic clock stands still.
    Suspend,
    /// The wall clock gains so many parts in a million.
    Drift(i32),
    /// Its clocks gain so many parts in a million.
    Slew(i32),
    /// Its calls take so many times longer than usual.
    Slow(u32),
    /// So many descriptors may be open on it at once.
    Descriptors(u32),
    /// So many files may be open on it at once.
    Files(u32),
    /// So many ports are handed out on it.
    Ports(u16),
    /// The buffer of a socket takes so many bytes at most.
    Buffers(u32),
}

/// The result of one run.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The digest of everything that happened.
    pub digest: u64,
    /// Kernel entries.
    pub steps: u64,
    /// Switches between threads.
    pub switches: u64,
    /// Virtual nanoseconds that passed.
    pub virtual_ns: u64,
    /// Threads that were still alive, the body's own left out.
    pub threads_left: Vec<ThreadReport>,
    /// Refused calls.
    pub refused: Vec<Refused>,
    /// The record, if asked for.
    pub trace: Option<Record>,
    /// The backtrace at `Config::backtrace_at`.
    pub backtrace: Option<String>,
    /// What there is to say about the run as a whole; empty unless a record was asked for.
    pub remarks: Vec<String>,
    /// The most simulated threads that were alive at once.
    pub contexts: u32,
    /// The tasks of the run, in the order of their births; only of a run that is recorded, under an instrumented tokio.
    pub tasks: Vec<TaskReport>,
    /// Places in the program that came to memory that threads contend for, ascending; `None` unless `Config::take_sites`
    /// asked for them.
    pub contended_sites: Option<Vec<u64>>,
    /// What the run reached that no run of this process had before.
    pub reached: Reached,
    /// Where the tasks were spawned that were polled shortly before a livelock was called; as far as tasks are known.
    pub spinning: Vec<String>,
    /// What was counted.
    pub tallies: Tallies,
}

/// A property that does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Violation {
    /// Its name, by which the failure is known.
    pub property: String,
    /// What does not hold, in a line or more.
    pub detail: String,
    /// What was captured: names and texts.
    pub values: Vec<(String, String)>,
    /// The place in the test or the program that states it: file, line and column.
    pub site: String,
    /// When, in virtual nanoseconds; [`violate`](super::violate) fills it in.
    pub at: u64,
    /// Where, in a run that is told; [`violate`](super::violate) fills it in. An empty one says that the place is of no interest.
    pub backtrace: Option<String>,
}

impl Violation {
    /// What the story is told of it: the data of a note `property`.
    #[cfg_attr(not(any(squall_kernel, squall_madsim)), allow(dead_code))]
    pub(crate) fn noted(&self) -> String {
        serde_json::json!({
            "name": self.property,
            "state": "violated",
            "detail": self.detail,
            "values": self.values,
        })
        .to_string()
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.property, self.detail)?;
        for (name, value) in &self.values {
            write!(f, "\n{name} = {value}")?;
        }
        Ok(())
    }
}

/// Something that runs count.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The place in the test or the program that counts it.
    pub site: String,
    /// How often, in all runs.
    pub hits: u64,
    /// The runs in which it was counted at all.
    pub runs: u64,
}

/// What runs count, by kind and name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tallies(BTreeMap<Cow<'static, str>, BTreeMap<String, Tally>>);

impl Tallies {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts within one run.
    pub fn count(&mut self, kind: &'static str, name: &str, site: &str, hits: u64) {
        let of = self.0.entry(kind.into()).or_default();
        let tally = match of.get_mut(name) {
            Some(tally) => tally,
            None => of.entry(name.to_owned()).or_insert_with(|| Tally {
                site: site.to_owned(),
                ..Tally::default()
            }),
        };
        tally.hits += hits;
        tally.runs = u64::from(tally.hits > 0);
    }

    /// Adds what other runs counted.
    pub fn add(&mut self, other: Tallies) {
        for (kind, of) in other.0 {
            let mine = self.0.entry(kind).or_default();
            for (name, tally) in of {
                let sum = mine.entry(name).or_insert_with(|| Tally {
                    site: tally.site.clone(),
                    ..Tally::default()
                });
                sum.hits += tally.hits;
                sum.runs += tally.runs;
            }
        }
    }

    /// All of a kind, by name.
    pub fn of<'a>(&'a self, kind: &str) -> impl Iterator<Item = (&'a str, &'a Tally)> + use<'a> {
        let of = self.0.get(kind).into_iter().flatten();
        of.map(|(name, tally)| (name.as_str(), tally))
    }
}

/// What a run of instrumented code reached.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reached {
    /// Edges of the control flow, by their numbers in the program.
    pub edges: Vec<u32>,
    /// Pairs of places in the program that came to one word of memory after each other, on two threads; hashed.
    pub pairs: Vec<u16>,
}

impl Reached {
    /// Whether there is nothing new.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.pairs.is_empty()
    }
}
