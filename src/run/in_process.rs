//! One test in a build for madsim: its seeds run one after the other in this process, each on a thread of its own, and are judged and
//! reported as the coordinator does it for the kernel. `refusals` names what cannot be had so, `shrinking` makes a failing run simpler.
//!
//! A run that brings the process down (an abort, a segmentation fault, a stack that overflows) brings the tests down with it.

mod refusals;
mod runner;
mod shrinking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::case::{self, Case, Setting, Shrunk};
use super::command;
use super::env::Environment;
use super::failure::{Failure, Summary};
use super::origin::Origin;
use super::render;
use super::searched::Searched;
use super::settings::{Resolved, Settings, Which, audited};
use super::start::Body;
use super::unusable;
use super::verdict::{Difference, Verdict};
use crate::choice::Log;
use crate::explore::Profile;
use crate::kernel::{self, Output, Tallies};
use crate::sim::parameter::Parameters;
use runner::{Ran, Runner};

/// Runs a test.
pub(super) fn execute(
    origin: &Origin,
    settings: &Settings,
    body: Box<Body>,
) -> Result<Summary, Failure> {
    let since = Instant::now();
    let result = run(origin, settings, body);
    command::ended(origin.name(), since.elapsed(), &result);
    result
}

fn run(origin: &Origin, settings: &Settings, body: Box<Body>) -> Result<Summary, Failure> {
    let unusable = |why: &dyn std::fmt::Display| unusable(&origin.test, why);
    if kernel::in_simulation() {
        return Err(unusable(
            &"a squall test cannot be started inside another's simulation",
        ));
    }
    let environment = Environment::read().map_err(|error| unusable(&error))?;
    refusals::check(settings, &environment).map_err(|refused| unusable(&refused))?;
    let resolved = Resolved::new(settings, &environment, origin.failures())
        .map_err(|error| unusable(&error))?;
    let body: Arc<Body> = command::canary().unwrap_or(body).into();
    let mut search = Search {
        origin,
        runner: Runner::new(resolved, body, &origin.test),
        tallies: Tallies::default(),
        runs: 0,
        simulated: 0,
        parameters: None,
    };
    let result = search.run();
    let searched = search.searched();
    searched.tell_places();
    match result {
        Ok(failure) => {
            let missed = searched.missed();
            failure
                .or(missed)
                .map_or_else(|| Ok(searched.summary(None)), Err)
        }
        Err(trouble) => Err(unusable(&trouble)),
    }
}

/// Why a test could not be run to an end, in words.
type Trouble = String;

/// The runs of one test.
struct Search<'a> {
    origin: &'a Origin,
    runner: Runner,
    tallies: Tallies,
    runs: u64,
    /// Virtual nanoseconds of runs that passed, in all.
    simulated: u64,
    /// Those of the log that is run again, while it is.
    parameters: Option<&'static Parameters>,
}

impl Search<'_> {
    fn settings(&self) -> &'static Resolved {
        self.runner.settings
    }

    fn case(&self) -> Case<'_> {
        Case {
            origin: self.origin,
            settings: self.settings(),
            parameters: self.parameters.unwrap_or(&self.settings().parameters),
        }
    }

    fn searched(&self) -> Searched<'_> {
        Searched {
            origin: self.origin,
            settings: self.settings(),
            tallies: &self.tallies,
            runs: self.runs,
            simulated: self.simulated,
        }
    }

    fn run(&mut self) -> Result<Option<Failure>, Trouble> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        match self.settings().which.clone() {
            Which::Replay(path) => {
                let (path, log) = self
                    .case()
                    .kept()
                    .load(&path)
                    .map_err(|error| words(&error))?;
                self.replay(&path, &log)
            }
            Which::Seed(seed) => self.seeds(seed, Some(1), None),
            Which::Batch(first, last) => {
                self.seeds(first, Some((last - first).saturating_add(1)), None)
            }
            Which::Explore {
                first,
                seeds,
                budget,
            } => {
                // Read before anything runs: a damaged log must not be found out after an hour.
                for (path, log) in self.case().kept().all().map_err(|error| words(&error))? {
                    if let Some(failure) = self.replay(&path, &log)? {
                        return Ok(Some(failure));
                    }
                }
                self.seeds(first, seeds, budget)
            }
        }
    }

    /// Runs seeds until one fails, or none is left.
    fn seeds(
        &mut self,
        first: u64,
        count: Option<u64>,
        budget: Option<Duration>,
    ) -> Result<Option<Failure>, Trouble> {
        let since = Instant::now();
        let mut told = since;
        for (ran, seed) in (0..).zip(first..=u64::MAX) {
            let late = budget.is_some_and(|budget| since.elapsed() >= budget);
            if late || count.is_some_and(|count| ran >= count) {
                break;
            }
            if let Some(failure) = self.seed(seed)? {
                return Ok(Some(failure));
            }
            if told.elapsed() >= TELL && command::listens() {
                told = Instant::now();
                self.searched().tell_progress(count, &BTreeMap::new());
            }
        }
        match self.runs {
            0 => Err("no seed was run, so nothing is known about the test; give it a larger SQUALL_BUDGET or at least one seed".to_owned()),
            _ => Ok(None),
        }
    }

    /// Runs a seed, and once more if it is audited.
    fn seed(&mut self, seed: u64) -> Result<Option<Failure>, Trouble> {
        let mut ran = self.runner.seed(seed, false)?;
        self.runs += 1;
        self.tallies.add(std::mem::take(&mut ran.tallies));
        if !ran.report.verdict.passed() {
            if command::sweeps() {
                let verdict = &ran.report.verdict;
                let (signature, headline) = (verdict.signature(), render::headline(verdict));
                self.searched().tell_failed(seed, &signature, &headline);
                return Ok(None);
            }
            return self.verify(ran).map(Some);
        }
        self.simulated += ran.report.virtual_ns;
        if self.settings().digests {
            println!("squall digest {seed:#x} {:016x}", ran.report.digest);
        }
        if audited(seed, self.settings().audit) {
            let again = self.runner.seed(seed, true)?;
            if again.report.digest != ran.report.digest || !again.report.verdict.passed() {
                let passed = |ran: &Ran| format!("passed with digest {:016x}", ran.report.digest);
                let outcomes = match again.report.verdict.passed() {
                    true => [passed(&ran), passed(&again)],
                    false => [passed(&ran), again.report.verdict.headline()],
                };
                return self.nondeterministic(seed, outcomes).map(Some);
            }
        }
        Ok(None)
    }

    /// Runs a seed that failed once more, with everything taken down, and reports it.
    fn verify(&mut self, there: Ran) -> Result<Failure, Trouble> {
        let seed = there.report.seed;
        if let Verdict::Stuck { .. } | Verdict::Livelock { .. } = there.report.verdict {
            // It runs still, and would again.
            let setting = Setting {
                remarks: vec![
                    "its thread cannot be stopped, and runs until the process ends".to_owned(),
                ],
                variables: self.case().seed_variables(seed),
                ..Setting::default()
            };
            return Ok(self.case().failure(there.report, setting));
        }
        let again = self.runner.seed(seed, true)?;
        let same = again.report.verdict.signature() == there.report.verdict.signature();
        if !same || again.report.digest != there.report.digest {
            let outcomes = [&there.report, &again.report].map(|report| {
                format!(
                    "{} (digest {:016x})",
                    report.verdict.headline(),
                    report.digest
                )
            });
            return self.nondeterministic(seed, outcomes);
        }
        self.confirmed(again)
    }

    /// A failure that each run of the seed shows.
    fn confirmed(&mut self, ran: Ran) -> Result<Failure, Trouble> {
        let mut log = Log::new(self.case().header(&ran.report, Profile::default()));
        for (domain, decision) in &ran.decisions {
            log.push(*domain, *decision);
        }
        let shrunk = match self.case().shrinks() {
            Ok(time) => shrinking::shrink(&self.runner, &log, &ran.report, time)?,
            Err(not) => not,
        };
        let run = (log, ran.report, printed());
        Ok(self.case().confirmed(run, shrunk, None, self.runs))
    }

    /// Two runs of a seed took two courses.
    fn nondeterministic(&mut self, seed: u64, outcomes: [String; 2]) -> Result<Failure, Trouble> {
        let mut difference = Difference {
            outcomes,
            events: None,
            common: 0,
            backtrace: None,
        };
        let mut report = self.runner.seed(seed, true)?.report;
        for _ in 0..ATTEMPTS {
            let other = self.runner.seed(seed, true)?.report;
            if let Some((common, events)) = report.parts_from(&other) {
                difference.common = common;
                difference.events = Some(events);
                break;
            }
        }
        report.verdict = Verdict::Nondeterministic(difference);
        let setting = Setting {
            remarks: vec![
                "something that the seed does not decide reached the program: docs/madsim.md lists what can on madsim".to_owned(),
            ],
            variables: format!("{} SQUALL_AUDIT=100", self.case().seed_variables(seed)),
            ..Setting::default()
        };
        Ok(self.case().failure(report, setting))
    }

    /// Runs a saved log; reports it if it fails.
    fn replay(&mut self, path: &std::path::Path, log: &Log) -> Result<Option<Failure>, Trouble> {
        // It has the parameters that it was taken with, whatever is set now.
        let parameters = command::parameters(&log.header.config);
        let parameters: &'static Parameters = Box::leak(Box::new(parameters));
        self.parameters = Some(parameters);
        let replayed = self.replay_so(path, log, parameters);
        self.parameters = None;
        replayed
    }

    fn replay_so(
        &mut self,
        path: &std::path::Path,
        log: &Log,
        parameters: &'static Parameters,
    ) -> Result<Option<Failure>, Trouble> {
        let mut ran = self.runner.log(log, parameters)?;
        self.runs += 1;
        self.tallies.add(std::mem::take(&mut ran.tallies));
        let mut report = ran.report;
        if report.verdict.passed() {
            self.simulated += report.virtual_ns;
            self.case().passes_now(path, &report);
            return Ok(None);
        }
        let mut remarks: Vec<String> = case::departed(log, &report).into_iter().collect();
        match self.case().shrinks_log() {
            Some(time) => {
                let mut log = log.clone();
                log.header.signature = report.verdict.signature();
                match shrinking::shrink(&self.runner, &log, &report, time)? {
                    Shrunk::Simpler(simpler) => {
                        remarks.push(simpler.remark());
                        simpler.log.save(path).map_err(|error| error.to_string())?;
                        report = simpler.report;
                    }
                    Shrunk::Not(why) => remarks.push(why),
                }
            }
            None => remarks.push(case::as_it_was(log)),
        }
        Ok(Some(self.case().replayed(path, report, printed(), remarks)))
    }
}

/// How often the command is told how far a test is, at the most.
const TELL: Duration = Duration::from_millis(200);
/// How often a seed is run again in search of the event that differs.
const ATTEMPTS: usize = 4;

/// Nothing of what a run printed is kept: it was printed.
fn printed() -> Output {
    Output::default()
}
