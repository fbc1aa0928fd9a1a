//! Makes a failing run simpler: runs candidates one after the other, and confirms what comes of it. What a candidate changes is what the
//! library itself asks the seed for (faults, traffic, the test's draws); madsim's own draws stay those of the seed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Trouble;
use super::runner::{Ran, Runner};
use crate::choice::shrink::{self, Edit, Tries};
use crate::choice::{Choices, Course, Decision, Departure, Guide, Log, Offer, Size, Tape};
use crate::kernel::Domain;
use crate::run::case::{self, Shrunk};
use crate::run::command;
use crate::run::ran::RunReport;
use crate::sim::parameter::Parameters;

/// Looks for a simpler run that fails as the one in `log` does, for at most `time`.
pub(super) fn shrink(
    runner: &Runner,
    log: &Log,
    report: &RunReport,
    time: Duration,
) -> Result<Shrunk, Trouble> {
    if log.omitted > 0 {
        return Ok(Shrunk::Not(
            "not shrunk: the run is too long to be told by its departures".to_owned(),
        ));
    }
    let parameters = command::parameters(&log.header.config);
    let mut driver = Driver {
        runner,
        frame: Log::new(log.header.clone()),
        // A run of candidates each, as long as they take.
        parameters: Box::leak(Box::new(parameters)),
        deadline: Instant::now() + time,
    };
    let before = match &log.guide {
        Some(guide) => guide.before,
        None => Size {
            decisions: log.len() as u64,
            switches: 0,
        },
    };
    // Threads and tasks are not what differs here, so both ways of telling are the same.
    let offer = OFFER;
    let nothing = driver.guided(Vec::new());
    let plainest = driver.attempt(&nothing)?;
    let start = match plainest {
        Some(run) => run,
        None => match driver.attempt(log)? {
            Some(run) => run,
            None => {
                let why =
                    "not shrunk: answered from its own log, the run does not fail the same way";
                return Ok(Shrunk::Not(why.to_owned()));
            }
        },
    };
    let (most, plain) = (start.departures.len(), start.departures.is_empty());
    let (best, accepted) = match plain {
        true => (start, 0),
        false => shrink::shrink(start, &mut driver)?,
    };
    if accepted == 0 && !plain && log.guide.is_none() {
        let why = match driver.over() {
            true => {
                "not shrunk: the time for it was over before a simpler run was found".to_owned()
            }
            false => {
                format!("not shrunk: none of its {most} decisions can be left out or made smaller")
            }
        };
        return Ok(Shrunk::Not(why));
    }
    let mut log = Log::new(log.header.clone());
    log.guide = Some(Guide {
        offer,
        departures: best.departures,
        course: Course::default(),
        before,
        after: best.size,
    });
    driver.confirm(log, report)
}

/// What candidates depart from.
const OFFER: Offer = Offer::Taken;

struct Driver<'a> {
    runner: &'a Runner,
    /// A log with the header of all candidates.
    frame: Log,
    parameters: &'static Parameters,
    deadline: Instant,
}

impl Driver<'_> {
    fn guided(&self, departures: Vec<Departure>) -> Log {
        let mut log = self.frame.clone();
        log.guide = Some(Guide {
            offer: OFFER,
            departures,
            ..Guide::default()
        });
        log
    }

    /// Runs a log; what it came to, told by its departures, if it fails in the way that counts.
    fn attempt(&self, log: &Log) -> Result<Option<shrink::Run>, Trouble> {
        let (seed, strategy) = (log.header.seed, log.header.strategy);
        let (log, teller) = (log.clone(), Teller::default());
        let told = teller.clone();
        let prepare = move |choices: &mut Choices| {
            match &log.guide {
                Some(guide) => choices.follow(seed, strategy, guide.offer, &guide.departures),
                None => choices.replay(log),
            }
            choices.tell_departures(OFFER);
            choices.record(Box::new(told));
        };
        let ran = self
            .runner
            .run(seed, false, true, self.parameters, prepare)?;
        let counts = ran.report.verdict.signature() == self.frame.header.signature;
        Ok(counts.then(|| teller.run()))
    }

    /// Runs what was found twice, with everything taken down.
    fn confirm(&self, mut log: Log, report: &RunReport) -> Result<Shrunk, Trouble> {
        let Ran {
            report: first,
            decisions,
            ..
        } = self.runner.log(&log, self.parameters)?;
        case::settle(&mut log, &first, &decisions, 0);
        let second = self.runner.log(&log, self.parameters)?.report;
        let signature = report.verdict.signature();
        let (runs, output) = ([first, second], super::printed());
        Ok(Shrunk::confirmed(log, runs, output, &signature, ""))
    }
}

impl Tries for Driver<'_> {
    type Error = Trouble;

    fn first(
        &mut self,
        base: &[Departure],
        edits: &[Edit],
        limit: u64,
    ) -> Result<Option<(usize, shrink::Run)>, Trouble> {
        for (at, edit) in edits.iter().enumerate() {
            if self.over() {
                break;
            }
            let found = self.attempt(&self.guided(edit.apply(base)))?;
            if let Some(run) = found.filter(|run| run.cost() <= limit) {
                return Ok(Some((at, run)));
            }
        }
        Ok(None)
    }

    fn over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// Takes the departures of a run down.
#[derive(Clone, Default)]
struct Teller(Arc<Mutex<(Vec<Departure>, u64)>>);

impl Teller {
    fn run(&self) -> shrink::Run {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shrink::Run {
            departures: kept.0.clone(),
            size: Size {
                decisions: kept.1,
                switches: 0,
            },
        }
    }
}

impl Tape for Teller {
    fn push(&mut self, _: Domain, _: Decision) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
    }

    fn depart(&mut self, departure: Departure) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.push(departure);
    }
}
