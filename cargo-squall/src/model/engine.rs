//! Runs one model under one engine, in a process of its own, and reads what it tells. An execution that fails under loom is run again alone: for a
//! checkpoint that it can be replayed from, and to have it told step by step.

use super::loom;
use crate::events::{self, Event, Failure, REPORT_VARIABLE, Word};
use crate::list::Listed;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

/// Has the library tell an execution step by step; its value is the execution's number.
const STEPS_VARIABLE: &str = "CARGO_SQUALL_STEPS";

/// What runs models.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    Kernel,
    Loom,
}

impl Engine {
    /// As the attribute calls it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Kernel => "kernel",
            Engine::Loom => "loom",
        }
    }

    /// What it runs so many of.
    fn unit(self) -> &'static str {
        match self {
            Engine::Kernel => "schedule",
            Engine::Loom => "execution",
        }
    }
}

/// What a model came to.
#[derive(Debug)]
pub enum Came {
    /// Its attribute leaves the engine out.
    LeftOut,
    /// The test does not compile for the engine.
    NotBuilt,
    /// It ran, or tried to.
    Ran(Box<Ran>),
}

/// What a run of a model came to.
#[derive(Debug)]
pub struct Ran {
    pub word: Word,
    /// It failed, and is there to fail: `#[should_panic]`.
    pub as_stated: bool,
    /// Different schedules or executions.
    pub executions: Option<u64>,
    /// Every one that was asked for.
    pub exhausted: bool,
    /// Every one with at most so many preemptions.
    pub bound: Option<u64>,
    /// Wall time in milliseconds.
    pub millis: u64,
    pub failure: Option<Failure>,
    /// What it printed, where it said nothing of what it came to.
    pub output: String,
    ended: ExitStatus,
}

impl Came {
    /// What to say of it, in a cell of the table.
    pub fn told(&self, engine: Engine) -> String {
        let ran = match self {
            Came::LeftOut => return format!("not run: {} = false", engine.name()),
            Came::NotBuilt => return "does not compile".to_owned(),
            Came::Ran(ran) => ran,
        };
        let (number, unit) = (ran.executions.unwrap_or(0), engine.unit());
        let units = if number == 1 { "" } else { "s" };
        match ran.word {
            Word::Held => {
                let end = match (ran.exhausted, ran.bound) {
                    (true, Some(bound)) => format!("exhausted at bound {bound}"),
                    (true, None) => "exhausted".to_owned(),
                    (false, Some(bound)) => format!("not exhausted beyond bound {bound}"),
                    (false, None) => "not exhausted".to_owned(),
                };
                format!("held, {number} {unit}{units}, {end}")
            }
            Word::Failed if ran.executions.is_none() => "FAILED".to_owned(),
            Word::Failed if ran.as_stated => format!("failed in {unit} {number}, as stated"),
            Word::Failed => format!("FAILED in {unit} {number}"),
            Word::Unusable => "cannot be run".to_owned(),
            Word::Trouble => "TROUBLE".to_owned(),
        }
    }

    /// Why it was to run, and could not.
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Came::LeftOut => None,
            Came::NotBuilt => Some("its target does not compile with --cfg loom"),
            Came::Ran(ran) => {
                let failure = ran.failure.as_ref();
                let failure = failure.filter(|_| ran.word == Word::Unusable);
                failure.map(|failure| failure.headline.as_str())
            }
        }
    }

    /// The exit status of a command that is ended by Ctrl-C.
    pub fn interrupted(&self) -> Option<u8> {
        let Came::Ran(ran) = self else {
            return None;
        };
        let interrupted = ran.ended.code() == Some(130) || ran.ended.signal() == Some(2);
        interrupted.then_some(130)
    }
}

/// Where models run.
pub struct Bench {
    /// What the command would tell the tests.
    variables: Vec<(&'static str, String)>,
    /// `target/squall`.
    pub home: PathBuf,
    scratch: tempfile::TempDir,
}

impl Bench {
    pub fn new(home: &Path, variables: Vec<(&'static str, String)>) -> Result<Bench> {
        Ok(Bench {
            variables,
            home: home.to_owned(),
            scratch: tempfile::tempdir().context("cannot make a directory for what tests tell")?,
        })
    }

    pub fn under_kernel(&self, model: &Listed) -> Result<Came> {
        let variables: Vec<(&str, String)> = self.variables.clone();
        self.run(model, &model.executable, &variables)
            .map(Came::Ran)
    }

    pub fn under_loom(&self, model: &Listed, executable: &Path) -> Result<Came> {
        let mut ran = self.run(model, executable, &[])?;
        let died = ran.ended.signal().filter(|&signal| signal != 2);
        if let Some(signal) = died.filter(|_| ran.word == Word::Trouble) {
            // An abort or a fault of the program's own.
            ran.word = Word::Failed;
            ran.output.push_str(&format!(
                "\nsquall: {} failed under loom: ended by signal {signal}",
                model.name
            ));
        }
        let own_checkpoint = std::env::var_os("LOOM_CHECKPOINT_FILE").is_some();
        if ran.word != Word::Failed || ran.as_stated || own_checkpoint {
            return Ok(Came::Ran(ran));
        }
        let (Some(failure), Some(number)) = (&mut ran.failure, ran.executions) else {
            return Ok(Came::Ran(ran));
        };
        let checkpoint = self.checkpoint(model)?;
        let path = checkpoint.display().to_string();
        // It writes before each execution whose number the interval divides, and reads what is there already.
        let _ = std::fs::remove_file(&checkpoint);
        let writes = [
            ("LOOM_CHECKPOINT_FILE", path.clone()),
            ("LOOM_CHECKPOINT_INTERVAL", number.to_string()),
        ];
        self.run(model, executable, &writes)?;
        let alone = [
            ("LOOM_CHECKPOINT_FILE", path),
            ("LOOM_LOCATION", "1".to_owned()),
            (STEPS_VARIABLE, number.to_string()),
        ];
        let again = match checkpoint.exists() {
            true => self.run(model, executable, &alone)?.failure,
            false => None,
        };
        match again.filter(|again| again.signature == failure.signature) {
            Some(again) => {
                *failure = Failure {
                    log: Some(checkpoint.clone()),
                    ..again
                };
                let replay = self.replay(model, &checkpoint);
                let _ = writeln!(failure.text, "replay: {replay}");
            }
            None => failure.text.push_str(
                "  it does not fail so again: its body decides by something that loom does not know (std's types, time, random numbers)\n",
            ),
        }
        Ok(Came::Ran(ran))
    }

    /// Where the execution that failed is kept.
    fn checkpoint(&self, model: &Listed) -> Result<PathBuf> {
        let directory = self.home.join("models");
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let target = model.target.replace(' ', "-");
        let name = model.name.replace("::", "-");
        Ok(directory.join(format!("{}-{target}-{name}.json", model.package)))
    }

    /// The command that runs one execution again, with loom's trace.
    fn replay(&self, model: &Listed, checkpoint: &Path) -> String {
        let ignored = if model.ignored {
            " --include-ignored"
        } else {
            ""
        };
        format!(
            "LOOM_CHECKPOINT_FILE={} LOOM_LOG=trace LOOM_LOCATION=1 RUSTFLAGS=\"--cfg loom\" cargo test --target-dir {} --manifest-path {} {} {} -- --exact --nocapture{ignored}",
            checkpoint.display(),
            loom::target_dir(&self.home).display(),
            model.manifest_dir.join("Cargo.toml").display(),
            loom::selector(&model.target).join(" "),
            model.name,
        )
    }

    fn run(
        &self,
        model: &Listed,
        executable: &Path,
        variables: &[(&str, String)],
    ) -> Result<Box<Ran>> {
        let report = self.scratch.path().join("events");
        let _ = std::fs::remove_file(&report);
        let output = model
            .command(executable)
            .args([&model.name, "--exact", "--nocapture", "--test-threads=1"])
            .arg("--include-ignored")
            .stdin(Stdio::null())
            .env(REPORT_VARIABLE, &report)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .output()
            .with_context(|| format!("cannot start {}", executable.display()))?;
        let told = std::fs::read_to_string(&report).unwrap_or_default();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        Ok(Box::new(ran(model, &told, printed, output.status)))
    }
}

fn ran(model: &Listed, told: &str, printed: String, ended: ExitStatus) -> Ran {
    let mut ran = Ran {
        word: Word::Trouble,
        as_stated: false,
        executions: None,
        exhausted: false,
        bound: None,
        millis: 0,
        failure: None,
        output: String::new(),
        ended,
    };
    let mut verdict = None;
    for event in events::read(told) {
        match event {
            Event::Explored {
                executions,
                exhausted,
                bound,
                ..
            } => {
                ran.executions = Some(executions);
                ran.exhausted = exhausted;
                ran.bound = bound;
            }
            Event::Ended {
                word,
                failure,
                millis,
                ..
            } => {
                verdict = verdict.max(Some(word));
                ran.failure = failure.or(ran.failure);
                ran.millis = millis;
            }
            _ => {}
        }
    }
    match verdict {
        // One that is meant to fail has failed if it did not.
        Some(Word::Held) if !ended.success() => {
            ran.word = Word::Failed;
            ran.output = printed;
        }
        Some(word) => {
            ran.word = word;
            ran.as_stated = word == Word::Failed && model.should_panic && ended.success();
        }
        None => {
            ran.output = format!("{printed}\nsquall: the model ended without a verdict ({ended})");
        }
    }
    ran
}
