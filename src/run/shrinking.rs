//! Shrinks a failing run: hands candidates to the zygote, and confirms what comes out of it. `verify` calls it for each
//! failure that a run shows alone.

use std::time::{Duration, Instant};

use super::case::{self, Shrunk};
use super::coordinator::{Coordinator, Trouble};
use super::judge::How;
use super::protocol::{Candidate, Job, RunReport, Trials};
use super::trial;
use super::verdict::Verdict;
use super::verify::{explain, trace_of};
use crate::choice::shrink::{self, Edit, Run, Tries};
use crate::choice::{Course, Departure, Guide, Log, Offer, guide};
use crate::explore::Profile;
use crate::kernel::Domain;

/// The most candidates that a child gets at a time.
const BATCH: usize = 512;
/// How long a child goes on with them.
const SLICE: Duration = Duration::from_millis(500);
/// How long a candidate may be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// A candidate may take so many times the kernel entries of the run that is shrunk, and some more.
const LONGER: u64 = 4;
const MORE_STEPS: u64 = 20_000;

/// A run without any departure is not made simpler if it costs no more.
const SIMPLE: u64 = 12;

impl Coordinator<'_> {
    /// Looks for a simpler run that fails as the one in `log` does, for at most `time`.
    pub(super) fn shrink(
        &mut self,
        log: &Log,
        report: &RunReport,
        time: Duration,
    ) -> Result<Shrunk, Trouble> {
        if let Verdict::Stuck { .. } = report.verdict {
            let why = "not shrunk: each candidate would take the watchdog's time";
            return Ok(Shrunk::Not(why.to_owned()));
        }
        let max_steps = match report.verdict {
            Verdict::StepLimit { .. } | Verdict::Livelock { .. } | Verdict::TimeLimit { .. } => {
                self.settings.max_steps
            }
            _ => (report.steps * LONGER + MORE_STEPS).min(self.settings.max_steps),
        };
        let mut header = log.header.clone();
        // Where no strategy is asked, none needs to know anything; memory points still follow from it.
        header.profile = Profile {
            sites: std::mem::take(&mut header.profile.sites),
            ..Profile::default()
        };
        // Which of the two ways of telling is the simpler one depends on the bug, so both are tried; a log that is shrunk
        // already has chosen.
        let offers: &[Offer] = match &log.guide {
            Some(guide) => &[guide.offer],
            None => &[Offer::Taken, Offer::Left],
        };
        let end = Instant::now() + time;
        let before = match &log.guide {
            Some(guide) => guide.before,
            None => {
                let picks = log.decisions(Domain::Schedule);
                let others = (log.len() - picks.len()) as u64 + log.omitted;
                guide::size(picks.iter(), others)
            }
        };
        let mut found: Option<(Offer, Run)> = None;
        let mut untold = Untold::Late;
        let mut shrunk = log.guide.is_some();
        for (i, &offer) in offers.iter().enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            let mut driver = Driver {
                coordinator: self,
                frame: Log::new(header.clone()),
                offer,
                max_steps,
                deadline: Instant::now() + left / (offers.len() - i) as u32,
            };
            let start = match driver.start(log)? {
                Ok(start) => start,
                Err(why) => {
                    untold = why;
                    continue;
                }
            };
            let plain = start.departures.is_empty();
            let (best, accepted) = match plain {
                true => (start, 0),
                false => shrink::shrink(start, &mut driver)?,
            };
            shrunk |= accepted > 0 || plain;
            if found
                .as_ref()
                .is_none_or(|(_, found)| best.cost() < found.cost())
            {
                found = Some((offer, best));
            }
            if found.as_ref().is_some_and(|(_, found)| found.cost() == 0) {
                break;
            }
        }
        let Some((offer, best)) = found else {
            return Ok(Shrunk::Not(format!("not shrunk: {untold}")));
        };
        if !shrunk {
            let why = match Instant::now() >= end {
                true => "not shrunk: the time for it was over before a simpler run was found",
                false => "not shrunk: no simpler run fails the same way",
            };
            return Ok(Shrunk::Not(why.to_owned()));
        }
        let mut log = Log::new(header);
        log.guide = Some(Guide {
            offer,
            departures: best.departures,
            course: Course::default(),
            before,
            after: best.size,
        });
        self.confirm(log, report)
    }

    /// Runs what was found twice in processes of their own, with everything taken down.
    fn confirm(&mut self, mut log: Log, report: &RunReport) -> Result<Shrunk, Trouble> {
        let signature = report.verdict.signature();
        let job = |log: &Log, steps: u64| Job {
            log: Some(log.to_text()),
            ..explain(log.header.seed, 1, trace_of(steps))
        };
        let first = self.explained(job(&log, report.steps))?;
        let (decisions, omitted) = self.taken_decisions();
        case::settle(&mut log, &first, &decisions, omitted);
        let second = self.explained(job(&log, first.steps))?;
        let (runs, output) = ([first, second], self.output());
        let where_ = "in a process of its own ";
        Ok(Shrunk::confirmed(log, runs, output, &signature, where_))
    }
}

/// Why a run cannot be told by its departures, of which shrinking leaves some out.
enum Untold {
    Late,
    Long,
    Otherwise,
}

impl std::fmt::Display for Untold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Untold::Late => "the time for it was over before a run was told by its departures",
            Untold::Long => "the run is too long to be told by its departures",
            Untold::Otherwise => {
                "answered from its own log, the run does not fail the same way within the limits of a candidate"
            }
        })
    }
}

/// Runs candidates on the first zygote.
struct Driver<'d, 'c> {
    coordinator: &'d mut Coordinator<'c>,
    /// A log with the header of all candidates.
    frame: Log,
    /// What candidates depart from.
    offer: Offer,
    max_steps: u64,
    deadline: Instant,
}

impl Driver<'_, '_> {
    /// A run without any departure that fails the same way, if that is simple enough; or the run of the log, as departures.
    fn start(&mut self, log: &Log) -> Result<Result<Run, Untold>, Trouble> {
        let nothing = [Edit::Without(Vec::new())];
        let plainest = self.first(&[], &nothing, u64::MAX)?.map(|(_, run)| run);
        if plainest.as_ref().is_some_and(|run| run.cost() <= SIMPLE) {
            return Ok(plainest.ok_or(Untold::Late));
        }
        // What is too long to be told may still fail without any departure.
        let told = self.part(log.to_text(), &nothing, u64::MAX)?.hit;
        let too_long = trial::told(self.coordinator.slots[0].black_box).is_none();
        let untold = match too_long {
            true => Untold::Long,
            false if self.over() => Untold::Late,
            false => Untold::Otherwise,
        };
        Ok(told.map(|(_, run)| run).or(plainest).ok_or(untold))
    }

    fn part(&mut self, base: String, edits: &[Edit], cost: u64) -> Result<Part, Trouble> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let trials = Trials {
            base,
            offer: self.offer,
            candidates: edits.iter().cloned().map(Candidate::Edit).collect(),
            first: 0,
            signature: self.frame.header.signature.clone(),
            cost: Some(cost),
            max_steps: self.max_steps,
            patience: PATIENCE.min(self.coordinator.settings.watchdog),
            slice: SLICE.min(left),
        };
        let seed = self.frame.header.seed;
        let Counted { ran, hits } = self.coordinator.candidates(seed, trials)?;
        let run = trial::told(self.coordinator.slots[0].black_box);
        // One that took its process along could not look at its cost.
        let run = run.filter(|run| run.cost() <= cost);
        let hit = hits.first().map(|&at| at as usize).zip(run);
        Ok(Part { ran, hit })
    }
}

impl Coordinator<'_> {
    /// Runs candidates on the first zygote: how many of them ran, and which of those count.
    pub(super) fn candidates(&mut self, seed: u64, trials: Trials) -> Result<Counted, Trouble> {
        let signature = trials.signature.clone();
        let job = Job {
            batch: self.batches(),
            trials: Some(trials),
            ..Job::new(seed, 1)
        };
        let ended = self.alone(job)?;
        let (mut ran, mut hits) = (ended.passed as usize, ended.hits);
        if let Some(failed) = &ended.failed {
            // It took its process along.
            if let How::Run(report) = &failed.how
                && report.verdict.signature() == signature
            {
                hits.push(ran as u64);
            }
            ran += 1;
        } else if ran == 0 || hits.last() == Some(&(ran as u64)) {
            // The one that counts ended the job.
            ran += 1;
        }
        Ok(Counted { ran, hits })
    }
}

/// What running candidates came to.
pub(super) struct Counted {
    /// How many ran.
    pub(super) ran: usize,
    /// Those that count, by their numbers.
    pub(super) hits: Vec<u64>,
}

/// What a child came to with candidates.
struct Part {
    ran: usize,
    /// The first that counts, by its place.
    hit: Option<(usize, Run)>,
}

impl Tries for Driver<'_, '_> {
    type Error = Trouble;

    fn first(
        &mut self,
        base: &[Departure],
        edits: &[Edit],
        limit: u64,
    ) -> Result<Option<(usize, Run)>, Trouble> {
        let mut log = self.frame.clone();
        log.guide = Some(Guide {
            offer: self.offer,
            departures: base.to_vec(),
            ..Guide::default()
        });
        let text = log.to_text();
        let mut from = 0;
        while from < edits.len() && !self.over() {
            let batch = &edits[from..edits.len().min(from + BATCH)];
            let Part { ran, hit } = self.part(text.clone(), batch, limit)?;
            if let Some((at, run)) = hit {
                return Ok(Some((from + at, run)));
            }
            from += ran;
        }
        Ok(None)
    }

    fn over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}
