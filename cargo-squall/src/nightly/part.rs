//! Runs one test of a built binary as a part of the night's search, and reads what it tells of itself.

use crate::events::{self, Event, Failure, Mark, REPORT_VARIABLE, Word};
use crate::list::Listed;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Tells a test that it is a part of this process' search, and ends with it.
const PART_VARIABLE: &str = "CARGO_SQUALL_PART";
/// Tells it to fail.
pub const CANARY_VARIABLE: &str = "CARGO_SQUALL_CANARY";

/// What of the environment would be about other runs than those that are asked for here.
const OTHERS: [&str; 10] = [
    "SQUALL_SEEDS",
    "SQUALL_FIRST",
    "SQUALL_BUDGET",
    "SQUALL_SEED",
    "SQUALL_REPLAY",
    "SQUALL_BATCH",
    "SQUALL_SHRINK",
    "SQUALL_EXPLAIN",
    "SQUALL_FAILURES",
    CANARY_VARIABLE,
];

/// Beyond what it was given a test may take this long: for the last seed, for a failure that is looked at closer.
const GRACE: Duration = Duration::from_secs(900);

/// Where the parts of a night run.
pub struct Bench {
    /// What cargo and the command would tell the tests.
    pub variables: Vec<(&'static str, String)>,
    /// A directory of its own.
    pub scratch: PathBuf,
}

/// What came of a part.
pub struct Came {
    pub word: Word,
    pub failure: Option<Failure>,
    pub runs: u64,
    pub simulated: u64,
    pub marks: Vec<Mark>,
    /// What it printed, if it matters.
    pub output: String,
}

impl Bench {
    /// Runs the test with these variables; `time` is what it was given.
    pub fn run(
        &self,
        test: &Listed,
        time: Duration,
        variables: &[(&str, OsString)],
    ) -> Result<Came> {
        let report = self.scratch.join("events");
        let printed = self.scratch.join("output");
        let _ = std::fs::remove_file(&report);
        let output =
            File::create(&printed).with_context(|| format!("cannot make {}", printed.display()))?;
        let mut command = test.command(&test.executable);
        command
            .args([&test.name, "--exact", "--nocapture", "--test-threads=1"])
            .arg("--include-ignored")
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share a file")?)
            .stderr(output);
        for name in OTHERS {
            command.env_remove(name);
        }
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(PART_VARIABLE, std::process::id().to_string())
            .env(REPORT_VARIABLE, &report)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let begun = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", test.executable.display()))?;
        let ended = loop {
            if let Some(ended) = child.try_wait().context("cannot wait for a test")? {
                break Some(ended);
            }
            if begun.elapsed() > time + GRACE {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let told = std::fs::read_to_string(&report).unwrap_or_default();
        let output = std::fs::read(&printed).unwrap_or_default();
        Ok(came(&told, &output, ended))
    }
}

fn came(told: &str, output: &[u8], ended: Option<ExitStatus>) -> Came {
    let mut came = Came {
        word: Word::Trouble,
        failure: None,
        runs: 0,
        simulated: 0,
        marks: Vec::new(),
        output: String::from_utf8_lossy(output).into_owned(),
    };
    let mut verdict = None;
    for event in events::read(told) {
        match event {
            Event::Progress { .. } | Event::Places { .. } | Event::Explored { .. } => {}
            // Nights do not sweep.
            Event::Parameter { .. } | Event::Traffic(_) | Event::Failed { .. } => {}
            Event::Part {
                runs,
                simulated,
                marks,
                ..
            } => {
                came.runs = runs;
                came.simulated = simulated;
                came.marks = marks;
            }
            Event::Ended { word, failure, .. } => {
                verdict = verdict.max(Some(word));
                came.failure = failure.or(came.failure);
            }
        }
    }
    match (verdict, ended) {
        (Some(word), _) => came.word = word,
        (None, Some(ended)) => came.output.push_str(&format!(
            "\nsquall: the test ended without a verdict ({ended})\n"
        )),
        (None, None) => came
            .output
            .push_str("\nsquall: the test did not come to an end and was killed\n"),
    }
    came
}
