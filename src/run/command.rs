//! Between a test and `cargo squall`, if that is what runs it: what the command says of itself, and what it is told of the
//! test. `origin`, `settings`, `saved` and `entry` ask and tell here.

use std::fs::OpenOptions;
use std::io::Write;

use super::failure::{Failure, Summary};

/// Set by the command where the tests are built against an instrumented tokio: its own subcommand, `test` or `nextest run`.
const COMMAND: &str = "CARGO_SQUALL";
/// Set by the command: where runs may switch.
const POINTS: &str = "CARGO_SQUALL_POINTS";
/// Set by the command: a file that takes a line for each test that came to an end.
const REPORT: &str = "CARGO_SQUALL_REPORT";
/// In a log's description of its run: the order of tasks was decided by squall.
pub(crate) const TASKS: &str = "tasks=chosen";
/// Begins the word that says where the run could switch.
const SWITCHES: &str = "points=";

/// The subcommand of `cargo` that builds these tests against an instrumented tokio and runs them.
pub(crate) fn subcommand() -> Option<String> {
    std::env::var(COMMAND)
        .ok()
        .map(|verb| format!("squall {verb}"))
}

/// In a log's description of its run: where it could switch, unless that is what the command does without being told.
pub(crate) fn points() -> Option<String> {
    let points = std::env::var(POINTS)
        .ok()
        .filter(|points| points != "polls")?;
    Some(format!("{SWITCHES}{points}"))
}

/// What of a log's description tells how its run was started: a run that was started otherwise takes other decisions.
pub(crate) fn kind(config: &str) -> Vec<&str> {
    let told = |word: &&str| *word == TASKS || word.starts_with(SWITCHES);
    config.split(' ').filter(told).collect()
}

/// Tells the command what a test came to, in one word: the exit status follows from the gravest.
pub(crate) fn tell(test: &str, result: &Result<Summary, Failure>) {
    let Some(path) = std::env::var_os(REPORT) else {
        return;
    };
    let (word, runs) = match result {
        Ok(summary) => ("held", summary.runs),
        Err(failure) => (gravity(failure), 0),
    };
    // One write, so that lines of tests that end at the same time do not mix. The command counts what is there: a line
    // that cannot be written is missed there.
    let line = format!("{word} {runs} {test}\n");
    let file = OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!(
            "squall: cannot tell `cargo squall` of {test}: {}: {error}",
            path.display()
        );
    }
}

/// What a failure weighs, in a word.
pub(super) fn gravity(failure: &Failure) -> &'static str {
    let ours = ["nondeterministic", "state between runs", "refused "];
    match failure {
        Failure { seed: None, .. } => "unusable",
        Failure { signature, .. } if ours.iter().any(|start| signature.starts_with(start)) => {
            "trouble"
        }
        _ => "failed",
    }
}
