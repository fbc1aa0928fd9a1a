//! From a failure at first sight to what is reported: run again alone, with everything taken down, and compared.

use std::path::{Path, PathBuf};

use super::coordinator::{Coordinator, Trouble};
use super::failure::Failure;
use super::judge::{Ended, Failed, How};
use super::origin::quoted;
use super::page;
use super::protocol::{Explain, Job, RunReport};
use super::render::often;
use super::render::{self, Told};
use super::settings::Which;
use super::shrinking::{Shrunk, Simpler, told};
use super::verdict::Verdict;
use crate::choice::{Header, Log};
use crate::explore::Profile;
use crate::kernel::Output;
use crate::sim::parameter::{PARAMETERS, Parameters};

/// Runs longer than so many kernel entries are not traced: the text of their events would not fit the memory.
const TRACED: u64 = 1_000_000;

/// Of longer runs the places of the last calls only are taken down.
const PLACED: u64 = 30_000;

/// A failure, and whether it takes the company of other seeds in one process.
pub(crate) struct Found {
    pub(crate) failure: Failure,
    /// In a word what happened there; `None` for a failure that the seed shows alone.
    pub(crate) company: Option<String>,
    /// Whether a run failed, rather than pass in another way.
    pub(crate) failed: bool,
}

impl Found {
    pub(super) fn alone(failure: Failure) -> Self {
        Found {
            failure,
            company: None,
            failed: true,
        }
    }
}

/// What a report says besides the run itself.
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

impl Coordinator<'_> {
    /// Runs a seed that failed once more, alone, and reports it.
    pub(crate) fn verify(&mut self, ended: Ended) -> Result<Found, Trouble> {
        let failed = ended.failed.expect("squall bug: a failure without one");
        let Failed { seed, how, steps } = failed;
        let there = match how {
            How::Mismatch(digests) => {
                let outcomes = digests.map(|digest| format!("passed with digest {digest:016x}"));
                return self.nondeterministic(&ended.job, seed, steps, outcomes, false);
            }
            How::Run(report) => report,
        };
        let report = match self.exhaustive() {
            true => self.numbered_again(&ended.job, seed, trace_of(steps))?,
            false => self.explained(explain(seed, 1, trace_of(steps)))?,
        };
        if report.verdict.signature() == there.verdict.signature() {
            let remark = self.differs(there.digest, &report)?;
            return Ok(Found::alone(self.confirmed(report, remark)?));
        }
        // It had the process to itself and still fails otherwise now.
        if !ended.job.batch || ended.job.first == seed {
            let outcomes = [there.verdict.headline(), report.verdict.headline()];
            return self.nondeterministic(&ended.job, seed, steps, outcomes, true);
        }
        let again = self.explained(behind(&ended.job, seed, trace_of(steps)))?;
        if again.seed == seed && again.verdict.signature() == there.verdict.signature() {
            let word = again.verdict.headline();
            let failure = self.leaked(ended.job.first, again)?;
            return Ok(Found {
                failure,
                company: Some(word),
                failed: true,
            });
        }
        let outcomes = [there.verdict.headline(), report.verdict.headline()];
        self.nondeterministic(&ended.job, seed, steps, outcomes, true)
    }

    /// What to say of a failure that is the same each time, where what led to it is not: the run that found it has this digest.
    fn differs(&mut self, there: u64, report: &RunReport) -> Result<Option<String>, Trouble> {
        // A run that took its process along has no digest.
        let known = |digest: u64| digest != 0;
        if there == report.digest || !known(there) || !known(report.digest) || self.exhaustive() {
            return Ok(None);
        }
        // In the company of others it may have gone otherwise for that reason; what counts is the run alone.
        let plain = Job {
            explain: None,
            ..explain(report.seed, 1, Explain::default())
        };
        let alone = self
            .alone(plain)?
            .failed
            .and_then(|failed| match failed.how {
                How::Run(report) => Some(report.digest),
                How::Mismatch(_) => None,
            });
        Ok(alone.filter(|alone| *alone != report.digest).map(|alone| {
            format!(
                "it fails so each time, but not all that it does is the same (digests {alone:016x} and {:016x}): something that the \
                 seed does not decide reached the program; docs/determinism.md lists what can",
                report.digest
            )
        }))
    }

    /// The report of a job's last run.
    pub(super) fn explained(&mut self, job: Job) -> Result<RunReport, Trouble> {
        let report = self.alone(job)?.explained.pop();
        Ok(report.expect("squall bug: no report of an explained run"))
    }

    /// A failure that every run of the seed shows.
    fn confirmed(&mut self, report: RunReport, remark: Option<String>) -> Result<Failure, Trouble> {
        let output = self.output();
        let mut log = Log::new(self.header(&report));
        let (decisions, omitted) = self.taken_decisions();
        for (domain, decision) in decisions {
            log.push(domain, decision);
        }
        log.omitted += omitted;
        let seed = self.seed_variables(report.seed);
        let shrunk = match self.settings.shrink {
            _ if self.origin.should_panic => {
                Shrunk::Not("not shrunk: the test is meant to panic".to_owned())
            }
            Some(time) => self.shrink(&log, &report, time)?,
            None => Shrunk::Not("not shrunk: that is switched off".to_owned()),
        };
        let (log, report, output, mut remarks, simpler): (_, _, _, Vec<String>, _) = match shrunk {
            Shrunk::Simpler(simpler) => {
                let remarks = vec![simpler.remark()];
                let Simpler {
                    log,
                    report,
                    output,
                    ..
                } = *simpler;
                (log, report, output, remarks, true)
            }
            Shrunk::Not(why) => (log, report, output, vec![why], false),
        };
        remarks.extend(remark);
        if matches!(self.settings.which, Which::Explore { .. }) && !self.exhaustive() {
            remarks.push(often(1, self.runs));
        }
        let (path, kept) = self.kept().keep(&log);
        // The number of a run of an exhaustive search stands for all runs before it, and a seed for the run as it was.
        let direct = path.as_ref().filter(|_| simpler || self.exhaustive());
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
        Ok(self.failure(report, setting))
    }

    fn header(&self, report: &RunReport) -> Header {
        Header {
            package: self.origin.package.clone(),
            target: self.origin.target.clone(),
            test: self.origin.test.clone(),
            seed: report.seed,
            strategy: self.settings.strategy.of(report.seed),
            profile: match self.settings.needs_profile(report.seed) {
                true => self.profile.clone().unwrap_or_default(),
                false => Profile::default(),
            },
            config: self.settings.describe(self.parameters()),
            digest: report.digest,
            signature: report.verdict.signature(),
        }
    }

    pub(super) fn seed_variables(&self, seed: u64) -> String {
        let strategy = match self.settings.strategy_from_env {
            true => format!(" SQUALL_STRATEGY={}", self.settings.strategy),
            false => String::new(),
        };
        // What a scenario file says is read there again.
        let parameters = match self.parameters() {
            all if *all == self.settings.filed => String::new(),
            all => format!(" {PARAMETERS}={}", quoted(&all.to_string())),
        };
        format!("SQUALL_SEED={seed:#x}{strategy}{parameters}")
    }

    /// The parameters that runs have now.
    fn parameters(&self) -> &Parameters {
        self.parameters
            .as_ref()
            .unwrap_or(&self.settings.parameters)
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
        let mut told = Told {
            test: &self.origin.test,
            report: &report,
            output: &output,
            remarks,
            replay: self.origin.command(&variables),
            unshrunk: unshrunk.map(|variables| self.origin.command(&variables)),
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

    /// State in statics that the image does not cover, most likely.
    fn leaked(&mut self, first: u64, mut report: RunReport) -> Result<Failure, Trouble> {
        let seed = report.seed;
        report.verdict = Verdict::Leak {
            first,
            there: Box::new(report.verdict),
        };
        let remarks = leak_remarks();
        let variables = format!("SQUALL_BATCH={first:#x}..={seed:#x}");
        let setting = Setting {
            remarks,
            variables,
            unshrunk: None,
            log: None,
            path: None,
            output: self.output(),
        };
        Ok(self.failure(report, setting))
    }

    /// Runs a saved log; reports it if it fails.
    pub(crate) fn replay(&mut self, path: &Path, log: &Log) -> Result<Option<Failure>, Trouble> {
        // It has the parameters that it was taken with, whatever is set now.
        self.parameters = Some(super::command::parameters(&log.header.config));
        let replayed = self.replay_so(path, log);
        self.parameters = None;
        replayed
    }

    fn replay_so(&mut self, path: &Path, log: &Log) -> Result<Option<Failure>, Trouble> {
        let mut job = explain(
            log.header.seed,
            1,
            Explain {
                trace: true,
                ..Explain::default()
            },
        );
        job.log = Some(log.to_text());
        let mut ended = self.alone(job)?;
        self.count(&ended);
        let report = ended.explained.pop();
        let report = report.expect("squall bug: no report of an explained run");
        let asked_for = matches!(self.settings.which, Which::Replay(_));
        let shown = self.origin.relative(path).display().to_string();
        if report.verdict.passed() {
            if asked_for {
                eprintln!(
                    "squall: {}: the log {shown} passes now; keep it as a regression test, or delete it",
                    self.origin.test
                );
                if let Some(divergence) = &report.divergence {
                    eprintln!("squall: {divergence}");
                }
            }
            return Ok(None);
        }
        let signature = report.verdict.signature();
        let mut remarks = Vec::new();
        if signature != log.header.signature {
            remarks.push(format!(
                "the log failed otherwise when it was taken: {}",
                log.header.signature
            ));
        } else if report.divergence.is_none()
            && log.header.digest != 0
            && report.digest != log.header.digest
        {
            remarks.push(format!(
                "the run follows the log and fails the same way, but what it did differs (digest {:016x}, in the log {:016x})",
                report.digest, log.header.digest
            ));
        }
        let said = match asked_for {
            true => shown.clone(),
            false => format!(
                "{shown} (saved earlier, fails still; delete it when it is no longer of interest)"
            ),
        };
        let mut output = self.output();
        let mut report = report;
        let mut asked = false;
        if asked_for {
            let mut log = log.clone();
            log.header.signature = signature;
            if let Some(time) = self.settings.explain {
                remarks.extend(self.insight(&log.header, &report, time)?);
            }
            if let Some(time) = self.settings.shrink.filter(|_| self.settings.shrink_asked) {
                match self.shrink(&log, &report, time)? {
                    Shrunk::Simpler(simpler) => {
                        remarks.push(simpler.remark());
                        simpler.log.save(path)?;
                        (report, output) = (simpler.report, simpler.output);
                    }
                    Shrunk::Not(why) => remarks.push(why),
                }
                asked = true;
            }
        }
        if !asked {
            remarks.push(match &log.guide {
                Some(guide) => told(guide),
                None => {
                    "not shrunk: a log is where SQUALL_SHRINK or `cargo squall shrink` asks for it"
                        .to_owned()
                }
            });
        }
        let setting = Setting {
            remarks,
            variables: format!("SQUALL_REPLAY={shown}"),
            unshrunk: None,
            log: Some(said),
            path: Some(path.to_owned()),
            output,
        };
        Ok(Some(self.failure(report, setting)))
    }
}

/// A job that explains a seed behind the same others as in a job before.
pub(super) fn behind(job: &Job, seed: u64, how: Explain) -> Job {
    Job {
        batch: true,
        audit: job.audit,
        ..explain(job.first, seed - job.first + 1, how)
    }
}

pub(super) fn leak_remarks() -> Vec<String> {
    [
        "something outside the program's own statics remembers earlier runs: what the body captures, a file, or the data of a \
         library",
        "with SQUALL_ISOLATION=process, or isolation = \"process\" on the test, each seed has its own process",
        "not shrunk: it takes the company of other seeds",
    ]
    .map(str::to_owned)
    .to_vec()
}

pub(super) fn trace_of(steps: u64) -> Explain {
    Explain {
        trace: steps <= TRACED,
        stacks_from: steps.saturating_sub(PLACED),
        ..Explain::default()
    }
}

/// A job that explains the last of its seeds.
pub(super) fn explain(first: u64, count: u64, explain: Explain) -> Job {
    Job {
        first,
        count,
        batch: false,
        audit: 0,
        explain: Some(explain),
        log: None,
        budget: None,
        profile: None,
        parameters: None,
        trials: None,
    }
}
