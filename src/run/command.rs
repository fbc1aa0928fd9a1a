//! Between a test and `cargo squall`, if that is what runs it: what the command says of itself, and what it is told of the
//! test. `origin`, `settings`, `saved` and `entry` ask and tell here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::failure::{Failure, Summary};
use super::start::Body;
use crate::sim::parameter::Parameters;
#[cfg_attr(not(squall_kernel), allow(unused_imports, reason = "the kernel asks"))]
pub(super) use crate::telling::{listens, sweeps, tell};

/// Set by the command where the tests are built against an instrumented tokio: its own subcommand, `test` or `nextest run`.
const COMMAND: &str = "CARGO_SQUALL";
/// Set by the command: where runs may switch.
const POINTS: &str = "CARGO_SQUALL_POINTS";
/// Set by the command: its own process, of whose longer search this run is a part.
const PART: &str = "CARGO_SQUALL_PART";
/// Set by the command: the test is to fail whatever it does, so that it shows whether failures are reported.
const CANARY: &str = "CARGO_SQUALL_CANARY";
/// In a log's description of its run: the order of tasks was decided by squall.
pub(crate) const TASKS: &str = "tasks=chosen";
/// Begins the word that says which parameters were set.
const SET: &str = "parameters=";
/// Begins the word that says where the run could switch.
const SWITCHES: &str = "points=";

/// The subcommand of `cargo` that builds these tests against an instrumented tokio and runs them.
pub(crate) fn subcommand() -> Option<String> {
    std::env::var(COMMAND)
        .ok()
        .map(|verb| format!("squall {verb}"))
}

/// The command's process, if this run is a part of a longer search: what only the whole can show is left to the command.
pub(crate) fn part() -> Option<u32> {
    std::env::var(PART).ok()?.parse().ok()
}

/// The body to run in place of the test's own, if the command asks for one that must fail.
pub(super) fn canary() -> Option<Box<Body>> {
    std::env::var_os(CANARY)?;
    Some(Box::new(|_| Err("the canary fails, as it must".to_owned())))
}

/// In a log's description of its run: where it could switch, unless that is what the command does without being told.
pub(crate) fn points() -> Option<String> {
    let points = std::env::var(POINTS)
        .ok()
        .filter(|points| points != "polls")?;
    Some(format!("{SWITCHES}{points}"))
}

/// In a log's description of its run: the parameters that were set.
pub(crate) fn told_parameters(set: &Parameters) -> Option<String> {
    (!set.is_empty()).then(|| format!("{SET}{set}"))
}

/// The parameters that a log was taken with, by its description.
pub(crate) fn parameters(config: &str) -> Parameters {
    let mut words = config.split(' ');
    let set = words.find_map(|word| word.strip_prefix(SET));
    // Made by `told_parameters`; one that somebody wrote otherwise by hand sets nothing.
    set.and_then(Parameters::read).unwrap_or_default()
}

/// In a log's description of its run: the engine, where it is not the kernel.
pub(crate) const ENGINE: Option<&str> = if cfg!(squall_madsim) {
    Some("engine=madsim")
} else {
    None
};

/// What of a log's description tells how its run was started: a run that was started otherwise takes other decisions.
pub(crate) fn kind(config: &str) -> Vec<&str> {
    let told =
        |word: &&str| *word == TASKS || word.starts_with(SWITCHES) || word.starts_with("engine=");
    config.split(' ').filter(told).collect()
}

/// Where a test is to be found.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Name<'a> {
    pub(crate) package: &'a str,
    /// `lib`, `test NAME` or `bin NAME`.
    pub(crate) target: &'a str,
    /// Its path within the target.
    pub(crate) name: &'a str,
}

/// What a test states that some run must come to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Mark<'a> {
    /// `sometimes` or `reachable`.
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) site: &'a str,
    /// How often, in all runs.
    pub(crate) hits: u64,
}

/// What the command is told, an object of JSON a line.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// How far a test is.
    Progress {
        test: Name<'a>,
        runs: u64,
        /// Of so many, if that is known.
        total: Option<u64>,
        /// Virtual nanoseconds of the runs, in all.
        simulated: u64,
        /// Of so many things that some run must come to, so many were met.
        met: u64,
        marks: u64,
        /// Runs that failed: the first ends the search, and is looked into.
        failures: u32,
        /// Those, by signature.
        signatures: &'a BTreeMap<String, u32>,
    },
    /// What a part of a longer search came to, besides how it ended.
    Part {
        test: Name<'a>,
        runs: u64,
        simulated: u64,
        marks: Vec<Mark<'a>>,
    },
    /// How often a test's search came to each `sometimes!` and `reachable!` in the program that it is part of.
    Places {
        test: Name<'a>,
        places: Vec<Mark<'a>>,
    },
    /// How far a search came that goes through all schedules.
    Explored {
        test: Name<'a>,
        /// `kernel`; loom's own are told by `model/under_loom.rs`.
        engine: &'a str,
        executions: u64,
        /// Every one that was asked for.
        exhausted: bool,
        /// Every one with at most so many preemptions.
        bound: Option<u64>,
    },
    /// Where the command sweeps: a run failed, and the search goes on.
    Failed {
        test: Name<'a>,
        seed: u64,
        signature: &'a str,
        headline: &'a str,
    },
    /// A test is over.
    Ended {
        test: Name<'a>,
        /// The exit status follows from the gravest.
        word: &'a str,
        runs: u64,
        simulated: u64,
        /// Wall time in milliseconds.
        millis: u64,
        failure: Option<&'a Failure>,
    },
}

/// Tells the command what a test came to.
pub(crate) fn ended(test: Name<'_>, took: Duration, result: &Result<Summary, Failure>) {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tell(&match result {
        Ok(summary) => Event::Ended {
            test,
            word: "held",
            runs: summary.runs,
            simulated: u64::try_from(summary.simulated.as_nanos()).unwrap_or(u64::MAX),
            millis,
            failure: None,
        },
        Err(failure) => Event::Ended {
            test,
            word: gravity(failure),
            runs: 0,
            simulated: 0,
            millis,
            failure: Some(failure),
        },
    });
}

/// What a failure weighs, in a word.
pub(super) fn gravity(failure: &Failure) -> &'static str {
    let ours = ["nondeterministic", "state between runs", "refused "];
    match failure {
        Failure {
            seed: None,
            signature,
            ..
        } if signature.is_empty() => "unusable",
        Failure { signature, .. } if ours.iter().any(|start| signature.starts_with(start)) => {
            "trouble"
        }
        _ => "failed",
    }
}
