//! What tests tell of themselves while they run: lines of JSON in a file that the command names. The library's side is
//! `src/run/command.rs`, and for what runs tell in a sweep `src/sim/parameter.rs` and `src/traffic/told.rs`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Names the file.
pub const REPORT_VARIABLE: &str = "CARGO_SQUALL_REPORT";

/// Where a test is to be found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
pub struct Name {
    pub package: String,
    /// `lib`, `test NAME` or `bin NAME`; empty if nobody knows.
    pub target: String,
    /// Its path within the target.
    pub name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name {
            package,
            target,
            name,
        } = self;
        match target.is_empty() {
            true => write!(f, "{package} {name}"),
            false => write!(f, "{package} {target} {name}"),
        }
    }
}

/// A failure as a test tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub test: String,
    pub seed: Option<u64>,
    pub signature: String,
    pub headline: String,
    pub log: Option<PathBuf>,
    pub reports: Vec<PathBuf>,
    pub text: String,
}

/// What a test states that some run must come to, and how often the runs did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// `sometimes` or `reachable`.
    pub kind: String,
    pub name: String,
    pub site: String,
    pub hits: u64,
}

/// What a traffic of one run came to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Traffic {
    pub seed: u64,
    pub traffic: String,
    /// When it began, in virtual nanoseconds: a run may have several of a name.
    pub start: u64,
    /// The length that counts.
    pub seconds: f64,
    pub all: Figures,
    pub operations: Vec<Figures>,
    pub recoveries: Vec<Recovery>,
}

/// The figures of a traffic, or of an operation of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub name: String,
    pub arrived: u64,
    pub ok: u64,
    pub errors: u64,
    pub dropped: u64,
    pub retries: u64,
    /// Nanoseconds.
    pub longest: Option<u64>,
    /// Nanoseconds, and how many requests took about so long.
    pub latencies: Vec<(u64, u64)>,
}

/// How long it took to recover from a disturbance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recovery {
    pub what: String,
    /// Nanoseconds; `None` if it did not.
    pub took: Option<u64>,
}

/// A line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// How far a test is.
    Progress {
        test: Name,
        runs: u64,
        total: Option<u64>,
        /// Virtual nanoseconds of the runs, in all.
        simulated: u64,
        /// Of so many things that some run must come to, so many were met.
        #[serde(default)]
        met: u64,
        #[serde(default)]
        marks: u64,
        /// Runs that failed: the first ends the search, and is looked into.
        #[serde(default)]
        failures: u32,
        /// Those, by signature.
        #[serde(default)]
        signatures: BTreeMap<String, u32>,
    },
    /// What a part of a longer search came to, besides how it ended.
    Part {
        test: Name,
        runs: u64,
        simulated: u64,
        marks: Vec<Mark>,
    },
    /// How often a test's search came to each `sometimes!` and `reachable!` in the program that it is part of.
    Places { test: Name, places: Vec<Mark> },
    /// How far a search came that goes through all schedules, or executions of loom's.
    Explored {
        test: Name,
        /// `kernel` or `loom`.
        engine: String,
        executions: u64,
        /// Every one that was asked for.
        exhausted: bool,
        /// Every one with at most so many preemptions.
        bound: Option<u64>,
    },
    /// In a sweep: a run asked for a parameter.
    Parameter {
        name: String,
        /// What is wrong with the value that it was given.
        refused: Option<String>,
    },
    /// In a sweep: what a traffic of a run came to.
    Traffic(Traffic),
    /// In a sweep: a run failed, and the search went on.
    Failed {
        test: Name,
        seed: u64,
        signature: String,
        headline: String,
    },
    /// A test is over.
    Ended {
        test: Name,
        word: Word,
        runs: u64,
        simulated: u64,
        /// Wall time in milliseconds.
        #[serde(default)]
        millis: u64,
        failure: Option<Failure>,
    },
}

/// What a test came to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Held,
    Unusable,
    Failed,
    Trouble,
}

/// The events in a file's text. What cannot be read is not one: the last line may be half written.
pub fn read(text: &str) -> impl Iterator<Item = Event> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}
