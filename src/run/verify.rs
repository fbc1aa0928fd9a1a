//! From a failure at first sight to what is reported: run again alone, with everything taken down, and compared.

use std::path::{Path, PathBuf};

use super::coordinator::{Behind, Coordinator, Trouble};
use super::failure::Failure;
use super::judge::{Ended, Failed, How};
use super::protocol::{Explain, Job, RunReport};
use super::render::{self, Told};
use super::verdict::{Difference, Verdict};
use crate::choice::{Header, Log};
use crate::kernel::Event;

/// Runs longer than so many kernel entries are not traced: the text of their events would not fit the memory.
const TRACED: u64 = 1_000_000;
/// How often a seed is traced in search of the event that differs.
const ATTEMPTS: usize = 4;

/// What a report says besides the run itself.
struct Setting {
    remarks: Vec<String>,
    /// The variables of the replay line.
    variables: String,
    /// What to say about the log.
    log: Option<String>,
    path: Option<PathBuf>,
}

impl Coordinator<'_> {
    /// Runs a seed that failed once more, alone, and reports it.
    pub(crate) fn verify(&mut self, ended: Ended) -> Result<Failure, Trouble> {
        let failed = ended.failed.expect("squall bug: a failure without one");
        let Failed { seed, how, steps } = failed;
        let there = match how {
            How::Mismatch(digests) => {
                let outcomes = digests.map(|digest| format!("passed with digest {digest:016x}"));
                return self.nondeterministic(seed, steps, outcomes);
            }
            How::Run(report) => report,
        };
        let explained = self.alone(explain(seed, 1, trace_of(steps)))?;
        let report = explained
            .explained
            .expect("squall bug: no report of an explained run");
        if report.verdict.signature() == there.verdict.signature() {
            return self.confirmed(report);
        }
        // It had the process to itself and still fails otherwise now.
        if !ended.job.batch || ended.job.first == seed {
            let outcomes = [there.verdict.headline(), report.verdict.headline()];
            return self.nondeterministic(seed, steps, outcomes);
        }
        let first = ended.job.first;
        let mut again = explain(first, seed - first + 1, trace_of(steps));
        again.batch = true;
        again.audit = ended.job.audit;
        let again = self.alone(again)?;
        match again.explained {
            Some(again)
                if again.seed == seed && again.verdict.signature() == there.verdict.signature() =>
            {
                self.leaked(first, again)
            }
            _ => {
                let outcomes = [there.verdict.headline(), report.verdict.headline()];
                self.nondeterministic(seed, steps, outcomes)
            }
        }
    }

    /// A failure that every run of the seed shows.
    fn confirmed(&mut self, report: RunReport) -> Result<Failure, Trouble> {
        let mut log = Log::new(self.header(&report));
        self.take_decisions(&mut log);
        let (path, log) = self.keep(&log);
        let setting = Setting {
            remarks: Vec::new(),
            variables: self.seed_variables(report.seed),
            log,
            path,
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
            config: self.settings.describe(),
            digest: report.digest,
            signature: report.verdict.signature(),
        }
    }

    fn seed_variables(&self, seed: u64) -> String {
        let strategy = match self.settings.strategy_from_env {
            true => format!(" SQUALL_STRATEGY={}", self.settings.strategy),
            false => String::new(),
        };
        format!("SQUALL_SEED={seed:#x}{strategy}")
    }

    /// The failure of a report, rendered with the output of the run that was last.
    fn failure(&self, report: RunReport, setting: Setting) -> Failure {
        let Setting {
            remarks,
            variables,
            log,
            path,
        } = setting;
        let output = self.output();
        let told = Told {
            test: &self.origin.test,
            report: &report,
            output: &output,
            remarks,
            replay: self.origin.command(&variables),
            log,
        };
        Failure {
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
        Ok(self.failure(
            report,
            Setting {
                remarks,
                variables,
                log: None,
                path: None,
            },
        ))
    }

    /// Two outcomes of one seed: traces it until two traces differ, and reports where.
    fn nondeterministic(
        &mut self,
        seed: u64,
        steps: u64,
        outcomes: [String; 2],
    ) -> Result<Failure, Trouble> {
        let mut reports: Vec<RunReport> = Vec::new();
        let mut difference = Difference {
            outcomes,
            events: None,
            common: 0,
            backtrace: None,
        };
        for _ in 0..if steps <= TRACED { ATTEMPTS } else { 1 } {
            let ended = self.alone(explain(seed, 1, trace_of(steps)))?;
            let report = ended
                .explained
                .expect("squall bug: no report of an explained run");
            let other = reports
                .first()
                .and_then(|first| first_difference(first, &report));
            reports.push(report);
            if let Some((common, events)) = other {
                difference.events = Some(events);
                difference.common = common;
                difference.backtrace = self.backtrace_at(seed, common)?;
                break;
            }
        }
        let mut report = reports.pop().expect("squall bug: no traced run");
        report.trace = None;
        report.verdict = Verdict::Nondeterministic(difference);
        let remarks = vec![
            "something that the seed does not decide reached the program; docs/determinism.md lists what can".to_owned(),
        ];
        let variables = format!("{} SQUALL_AUDIT=100", self.seed_variables(seed));
        Ok(self.failure(
            report,
            Setting {
                remarks,
                variables,
                log: None,
                path: None,
            },
        ))
    }

    /// Where the program is at an event of a seed; or at the one before, if no run gets so far any more.
    fn backtrace_at(&mut self, seed: u64, event: u64) -> Result<Option<String>, Trouble> {
        let before = event.saturating_sub(1);
        for at in [event, event, event, before] {
            let how = Explain {
                trace: true,
                backtrace_at: Some(at),
            };
            let ended = self.alone(explain(seed, 1, how))?;
            if let Some(backtrace) = ended.explained.and_then(|report| report.backtrace) {
                return Ok(Some(backtrace));
            }
        }
        Ok(None)
    }

    /// A seed that passes, but takes another course behind others in its process than alone.
    pub(crate) fn drifted(&mut self, behind: &Behind, alone: u64) -> Result<Failure, Trouble> {
        let &Behind {
            first,
            seed,
            digest,
            steps,
        } = behind;
        let outcomes = [
            format!("passed behind the seeds from {first:#x} on with digest {digest:016x}"),
            format!("passed alone with digest {alone:016x}"),
        ];
        let mut difference = Difference {
            outcomes,
            events: None,
            common: 0,
            backtrace: None,
        };
        let mut job = explain(first, seed - first + 1, trace_of(steps));
        job.batch = true;
        job.audit = self.settings.audit;
        let there = self.alone(job)?.explained;
        let ended = self.alone(explain(seed, 1, trace_of(steps)))?;
        let mut report = ended
            .explained
            .expect("squall bug: no report of an explained run");
        let events = there.filter(|there| there.seed == seed);
        if let Some((common, events)) = events.and_then(|there| first_difference(&there, &report)) {
            difference.events = Some(events);
            difference.common = common;
            difference.backtrace = self.backtrace_at(seed, common)?;
        }
        report.trace = None;
        report.verdict = Verdict::Drift { first, difference };
        let setting = Setting {
            remarks: leak_remarks(),
            variables: format!("SQUALL_BATCH={first:#x}..={seed:#x}"),
            log: None,
            path: None,
        };
        Ok(self.failure(report, setting))
    }

    /// Runs a saved log; reports it if it fails.
    pub(crate) fn replay(&mut self, path: &Path, log: &Log) -> Result<Option<Failure>, Trouble> {
        let mut job = explain(
            log.header.seed,
            1,
            Explain {
                trace: true,
                backtrace_at: None,
            },
        );
        job.log = Some(path.to_owned());
        let ended = self.alone(job)?;
        self.count(&ended);
        let report = ended
            .explained
            .expect("squall bug: no report of an explained run");
        let asked_for = matches!(self.settings.which, super::settings::Which::Replay(_));
        let shown = self.origin.relative(path).display().to_string();
        if report.verdict.passed() {
            if asked_for {
                eprintln!("squall: {}: the log {shown} passes now", self.origin.test);
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
        let setting = Setting {
            remarks,
            variables: format!("SQUALL_REPLAY={shown}"),
            log: Some(said),
            path: Some(path.to_owned()),
        };
        Ok(Some(self.failure(report, setting)))
    }
}

fn leak_remarks() -> Vec<String> {
    [
        "something outside the program's own statics remembers earlier runs: what the body captures, a file, or the data of a \
         library",
        "with SQUALL_ISOLATION=process, or isolation = \"process\" on the test, each seed has its own process",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn trace_of(steps: u64) -> Explain {
    Explain {
        trace: steps <= TRACED,
        backtrace_at: None,
    }
}

/// A job that explains the last of its seeds.
fn explain(first: u64, count: u64, explain: Explain) -> Job {
    Job {
        first,
        count,
        batch: false,
        audit: 0,
        explain: Some(explain),
        log: None,
    }
}

/// The first event in which two traces differ, and how many come before it.
fn first_difference(one: &RunReport, other: &RunReport) -> Option<(u64, [Option<Event>; 2])> {
    let (a, b) = (one.trace.as_ref()?, other.trace.as_ref()?);
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    if common == a.len() && common == b.len() {
        return None;
    }
    Some((
        common as u64,
        [a.get(common).cloned(), b.get(common).cloned()],
    ))
}
