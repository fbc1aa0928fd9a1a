//! A run that failed: what is kept of it, and what is said of it. Whoever ran it comes here once it is known how it fails: `verify`, `differ` and
//! `shrinking` for the kernel, `in_process` for madsim.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::Failure;
use super::origin::{Origin, quoted};
use super::page;
use super::ran::RunReport;
use super::render::{self, Told};
use super::saved::Saved;
use super::settings::{Resolved, Which};
use crate::choice::{Course, Decision, Guide, Header, Log, guide};
use crate::explore::Profile;
use crate::kernel::{Domain, Output};
use crate::sim::parameter::{PARAMETERS, Parameters};

/// What begins a command that runs a test again on this engine.
const BUILD: &str = if cfg!(squall_madsim) {
    "RUSTFLAGS=\"--cfg madsim\" "
} else {
    ""
};
/// Who has a log shrunk.
const SHRINKS: &str = if cfg!(squall_madsim) {
    "SQUALL_SHRINK"
} else {
    "SQUALL_SHRINK or `cargo squall shrink`"
};

/// What shrinking a run came to.
pub(super) enum Shrunk {
    /// A simpler run fails the same way.
    Simpler(Box<Simpler>),
    /// None was found, or none was looked for, for this reason.
    Not(String),
}

impl Shrunk {
    /// What came of a run that was made simpler and then run twice, with everything taken down: it must fail with this signature, and do the same
    /// both times. `where_` says where it ran, in words, for a reason.
    pub(super) fn confirmed(
        log: Log,
        [first, second]: [RunReport; 2],
        output: Output,
        signature: &str,
        where_: &str,
    ) -> Shrunk {
        let same =
            |one: &RunReport| one.verdict.signature() == signature && one.divergence.is_none();
        if !same(&first) || !same(&second) || first.digest != second.digest {
            return Shrunk::Not(format!(
                "not shrunk: {where_}the simpler run does not fail the same way each time"
            ));
        }
        Shrunk::Simpler(Box::new(Simpler {
            log,
            report: second,
            output,
        }))
    }
}

/// Puts into a shrunk log what its first run came to, and the decisions that were taken down of it, `omitted` of which are missing.
pub(super) fn settle(
    log: &mut Log,
    first: &RunReport,
    decisions: &[(Domain, Decision)],
    omitted: u64,
) {
    log.header.digest = first.digest;
    if let Some(guide) = &mut log.guide {
        guide.course = Course::of(decisions, omitted);
        guide.after = guide::size(decisions.iter().map(|(_, decision)| decision), omitted);
    }
}

/// A simpler run that fails the same way.
pub(super) struct Simpler {
    pub(super) log: Log,
    pub(super) report: RunReport,
    /// What it printed.
    pub(super) output: Output,
}

impl Simpler {
    /// What it came to, for people.
    pub(super) fn remark(&self) -> String {
        self.log.guide.as_ref().map(told).unwrap_or_default()
    }
}

/// What a run was shrunk from and to, for people.
fn told(guide: &Guide) -> String {
    let Guide { before, after, .. } = guide;
    let left = guide.departures.len() as u64;
    // On madsim nothing of the seed's decisions switches.
    let switches = |switches: u64, unit: &str| match cfg!(squall_madsim) {
        true => String::new(),
        false => format!(" with {switches}{unit}"),
    };
    format!(
        "shrunk from {} decisions{} to {left}{}; its other {} are the plainest there are",
        before.decisions,
        switches(before.switches, " switches"),
        switches(after.switches, ""),
        after.decisions.saturating_sub(left),
    )
}

/// What a report says besides the run itself.
#[derive(Default)]
pub(super) struct Setting {
    pub(super) remarks: Vec<String>,
    /// The variables of the replay line.
    pub(super) variables: String,
    /// Those that replay the run as it was before it was shrunk.
    pub(super) unshrunk: Option<String>,
    /// What to say about the log.
    pub(super) log: Option<String>,
    pub(super) path: Option<PathBuf>,
    /// What the run printed.
    pub(super) output: Output,
}

/// The test whose run it is.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) origin: &'a Origin,
    pub(super) settings: &'a Resolved,
    /// Those that its runs have now.
    pub(super) parameters: &'a Parameters,
}

impl Case<'_> {
    /// How a log of the run begins. `profile` is what its strategy knew of the test.
    pub(super) fn header(&self, report: &RunReport, profile: Profile) -> Header {
        Header {
            package: self.origin.package.clone(),
            target: self.origin.target.clone(),
            test: self.origin.test.clone(),
            seed: report.seed,
            strategy: self.settings.strategy.of(report.seed),
            profile,
            config: self.settings.describe(self.parameters),
            digest: report.digest,
            signature: report.verdict.signature(),
        }
    }

    /// The variables that run a seed again.
    pub(super) fn seed_variables(&self, seed: u64) -> String {
        let strategy = match self.settings.strategy_from_env {
            true => format!(" SQUALL_STRATEGY={}", self.settings.strategy),
            false => String::new(),
        };
        // What a scenario file says is read there again.
        let parameters = match self.parameters {
            all if *all == self.settings.filed => String::new(),
            all => format!(" {PARAMETERS}={}", quoted(&all.to_string())),
        };
        format!("SQUALL_SEED={seed:#x}{strategy}{parameters}")
    }

    /// How long to look for a simpler run, or why not at all.
    pub(super) fn shrinks(&self) -> Result<Duration, Shrunk> {
        let why = match self.settings.shrink {
            _ if self.origin.should_panic => "not shrunk: the test is meant to panic",
            Some(time) => return Ok(time),
            None => "not shrunk: that is switched off",
        };
        Err(Shrunk::Not(why.to_owned()))
    }

    /// The failure that every run of the seed shows. `log` is the whole run, `remark` says what else was noticed, and it was the last of so
    /// many `runs`.
    pub(super) fn confirmed(
        &self,
        (log, report, output): (Log, RunReport, Output),
        shrunk: Shrunk,
        remark: Option<String>,
        runs: u64,
    ) -> Failure {
        let seed = self.seed_variables(report.seed);
        let (log, report, output, said, simpler) = match shrunk {
            Shrunk::Simpler(simpler) => {
                let said = simpler.remark();
                let Simpler {
                    log,
                    report,
                    output,
                } = *simpler;
                (log, report, output, said, true)
            }
            Shrunk::Not(why) => (log, report, output, why, false),
        };
        let numbered = self.settings.exhaustive();
        let mut remarks = vec![said];
        remarks.extend(remark);
        if matches!(self.settings.which, Which::Explore { .. }) && !numbered {
            remarks.push(render::often(1, runs));
        }
        let (path, kept) = self.kept().keep(&log);
        // The number of a run of an exhaustive search stands for all runs before it, and a seed for the run as it was.
        let direct = path.as_ref().filter(|_| simpler || numbered);
        let (variables, unshrunk) = match direct {
            Some(path) => {
                let path = self.origin.relative(path).display();
                (format!("SQUALL_REPLAY={path}"), simpler.then_some(seed))
            }
            None => (seed, None),
        };
        let setting = Setting {
            remarks,
            variables,
            unshrunk,
            log: kept,
            path,
            output,
        };
        self.failure(report, setting)
    }

    /// Where the logs of the test are.
    pub(super) fn kept(&self) -> Saved<'_> {
        Saved {
            origin: self.origin,
            settings: self.settings,
        }
    }

    /// Whether the log that runs again is the one that was asked for, and not one of those that run first.
    pub(super) fn asked_for(&self) -> bool {
        matches!(self.settings.which, Which::Replay(_))
    }

    /// How long to look for a simpler run than a log that was asked for, if that was asked for too.
    pub(super) fn shrinks_log(&self) -> Option<Duration> {
        let asked = self.asked_for() && self.settings.shrink_asked;
        self.settings.shrink.filter(|_| asked)
    }

    /// A log that was asked for fails no more.
    pub(super) fn passes_now(&self, path: &Path, report: &RunReport) {
        if !self.asked_for() {
            return;
        }
        eprintln!(
            "squall: {}: the log {} passes now; keep it as a regression test, or delete it",
            self.origin.test,
            self.origin.relative(path).display()
        );
        if let Some(divergence) = &report.divergence {
            eprintln!("squall: {divergence}");
        }
    }

    /// The failure of a log that was run again.
    pub(super) fn replayed(
        &self,
        path: &Path,
        report: RunReport,
        output: Output,
        remarks: Vec<String>,
    ) -> Failure {
        let shown = self.origin.relative(path).display().to_string();
        let said = match self.asked_for() {
            true => shown.clone(),
            false => format!(
                "{shown} (saved earlier, fails still; delete it when it is no longer of interest)"
            ),
        };
        let setting = Setting {
            remarks,
            variables: format!("SQUALL_REPLAY={shown}"),
            unshrunk: None,
            log: Some(said),
            path: Some(path.to_owned()),
            output,
        };
        self.failure(report, setting)
    }

    /// The failure of a report, rendered.
    pub(super) fn failure(&self, report: RunReport, setting: Setting) -> Failure {
        let Setting {
            remarks,
            variables,
            unshrunk,
            log,
            path,
            output,
        } = setting;
        let command = |variables: &str| format!("{BUILD}{}", self.origin.command(variables));
        let mut told = Told {
            test: &self.origin.test,
            report: &report,
            output: &output,
            remarks,
            replay: command(&variables),
            unshrunk: unshrunk.map(|variables| command(&variables)),
            log,
            reports: Vec::new(),
        };
        let written = page::write(self.origin, self.settings, &told);
        told.reports = written.said;
        Failure {
            headline: render::headline(&report.verdict),
            reports: written.paths,
            test: self.origin.test.clone(),
            seed: Some(report.seed),
            signature: report.verdict.signature(),
            log: path,
            text: render::failure(&told),
        }
    }
}

/// What to say where a log does not do again what it did when it was taken.
pub(super) fn departed(log: &Log, report: &RunReport) -> Option<String> {
    let taken = &log.header;
    if report.verdict.signature() != taken.signature {
        return Some(format!(
            "the log failed otherwise when it was taken: {}",
            taken.signature
        ));
    }
    let differs = report.divergence.is_none() && taken.digest != 0 && report.digest != taken.digest;
    differs.then(|| {
        format!(
            "the run follows the log and fails the same way, but what it did differs (digest {:016x}, in the log {:016x})",
            report.digest, taken.digest
        )
    })
}

/// What to say of a log that nobody asked to have shrunk.
pub(super) fn as_it_was(log: &Log) -> String {
    match &log.guide {
        Some(guide) => told(guide),
        None => format!("not shrunk: a log is where {SHRINKS} asks for it"),
    }
}
