//! From a failure at first sight to what is reported: run again alone, with everything taken down, and compared.

use std::path::Path;

use super::case::{self, Case, Setting, Shrunk};
use super::coordinator::{Coordinator, Trouble};
use super::failure::Failure;
use super::judge::{Ended, Failed, How};
use super::protocol::{Explain, Job, RunReport};
use super::verdict::Verdict;
use crate::choice::Log;
use crate::explore::Profile;

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
        let report = match self.settings.exhaustive() {
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
        if there == report.digest
            || !known(there)
            || !known(report.digest)
            || self.settings.exhaustive()
        {
            return Ok(None);
        }
        // In the company of others it may have gone otherwise for that reason; what counts is the run alone.
        let alone = self
            .alone(Job::new(report.seed, 1))?
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
        let profile = match self.settings.needs_profile(report.seed) {
            true => self.profile.clone().unwrap_or_default(),
            false => Profile::default(),
        };
        let mut log = Log::new(self.case().header(&report, profile));
        let (decisions, omitted) = self.taken_decisions();
        for (domain, decision) in decisions {
            log.push(domain, decision);
        }
        log.omitted += omitted;
        let shrunk = match self.case().shrinks() {
            Ok(time) => self.shrink(&log, &report, time)?,
            Err(not) => not,
        };
        let run = (log, report, output);
        Ok(self.case().confirmed(run, shrunk, remark, self.runs))
    }

    /// Whose runs they are.
    pub(super) fn case(&self) -> Case<'_> {
        let set = self.parameters.as_ref();
        Case {
            origin: self.origin,
            settings: self.settings,
            parameters: set.unwrap_or(&self.settings.parameters),
        }
    }

    /// State in statics that the image does not cover, most likely.
    fn leaked(&mut self, first: u64, mut report: RunReport) -> Result<Failure, Trouble> {
        let seed = report.seed;
        report.verdict = Verdict::Leak {
            first,
            there: Box::new(report.verdict),
        };
        let setting = Setting {
            remarks: leak_remarks(),
            variables: format!("SQUALL_BATCH={first:#x}..={seed:#x}"),
            output: self.output(),
            ..Setting::default()
        };
        Ok(self.case().failure(report, setting))
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
        if report.verdict.passed() {
            self.case().passes_now(path, &report);
            return Ok(None);
        }
        let mut remarks: Vec<String> = case::departed(log, &report).into_iter().collect();
        let mut output = self.output();
        let mut report = report;
        let mut header = log.header.clone();
        header.signature = report.verdict.signature();
        if let Some(time) = self.settings.explain.filter(|_| self.case().asked_for()) {
            remarks.extend(self.insight(&header, &report, time)?);
        }
        match self.case().shrinks_log() {
            Some(time) => {
                let mut log = log.clone();
                log.header = header;
                match self.shrink(&log, &report, time)? {
                    Shrunk::Simpler(simpler) => {
                        remarks.push(simpler.remark());
                        simpler.log.save(path)?;
                        (report, output) = (simpler.report, simpler.output);
                    }
                    Shrunk::Not(why) => remarks.push(why),
                }
            }
            None => remarks.push(case::as_it_was(log)),
        }
        let failure = self.case().replayed(path, report, output, remarks);
        Ok(Some(failure))
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
        explain: Some(explain),
        ..Job::new(first, count)
    }
}
