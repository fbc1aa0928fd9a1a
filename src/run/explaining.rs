//! Explains a failing run, when that is asked for: from which decision on it was inevitable, and how many clean runs will say
//! that it is mended. `verify` calls it for a log that is replayed with `SQUALL_EXPLAIN`.

use std::time::{Duration, Instant};

use super::coordinator::{Coordinator, Trouble};
use super::protocol::{Candidate, RunReport, Trials};
use super::shrinking::Counted;
use super::units::show_nanoseconds;
use super::verdict::Verdict;
use crate::choice::explain::{SUFFIXES, clean_runs, findability, inevitable};
use crate::choice::{Decision, Header, Log, Offer};
use crate::kernel::{Domain, Event, What};

/// The most seeds that are run to see how often the failure shows.
const SEEDS: u64 = 2_000;
/// A run may take so many times the kernel entries of the one that is explained, and some more.
const LONGER: u64 = 16;
const MORE_STEPS: u64 = 100_000;

impl Coordinator<'_> {
    /// What there is to say of the failing run that has just been explained: for at most `time`.
    pub(super) fn insight(
        &mut self,
        header: &Header,
        report: &RunReport,
        time: Duration,
    ) -> Result<Vec<String>, Trouble> {
        if let Verdict::Stuck { .. } = report.verdict {
            let why = "not explained: each further run would take the watchdog's time";
            return Ok(vec![why.to_owned()]);
        }
        let (decisions, omitted) = self.taken_decisions();
        let mut log = Log::new(Header {
            signature: report.verdict.signature(),
            ..header.clone()
        });
        for (domain, decision) in &decisions {
            log.push(*domain, *decision);
        }
        log.omitted = omitted;
        let begun = Instant::now();
        let found = self.bake_in(&log, &decisions, report, begun + time / 2)?;
        let left = (begun + time).saturating_duration_since(Instant::now());
        let often = self.often(&log, report, Instant::now() + left)?;
        Ok(vec![found, often])
    }

    fn bake_in(
        &mut self,
        log: &Log,
        decisions: &[(Domain, Decision)],
        report: &RunReport,
        end: Instant,
    ) -> Result<String, Trouble> {
        let total = decisions.len() as u64;
        let at = inevitable(total, |keep| {
            let branch = |seed| Candidate::Branch(keep, seed);
            let runs = (1..=SUFFIXES).map(branch).collect();
            let counted = self.failing(log, report, runs, end)?;
            Ok::<_, Trouble>((counted.0 == SUFFIXES).then_some(counted.1))
        })?;
        Ok(match at {
            None => "inevitable from: not found within the time".to_owned(),
            Some(0) => "inevitable from the start: whatever is decided, it fails more often than not".to_owned(),
            Some(at) => {
                let place = place(decisions, at, report.trace.as_ref().map(|trace| &trace.events[..]));
                format!("inevitable from decision {at} of {total}{place}")
            }
        })
    }

    /// How often seeds fail the same way.
    fn often(&mut self, log: &Log, report: &RunReport, end: Instant) -> Result<String, Trouble> {
        if self.exhaustive() {
            return Ok("an exhaustive search has no seeds to count".to_owned());
        }
        self.learn(1, 64)?;
        let runs = (0..SEEDS).map(Candidate::Seed).collect();
        let (ran, failed) = self.failing(log, report, runs, end)?;
        Ok(often(failed, ran))
    }

    /// Runs candidates until the time is over: how many ran, and how many of them failed as the log did.
    fn failing(
        &mut self,
        log: &Log,
        report: &RunReport,
        runs: Vec<Candidate>,
        end: Instant,
    ) -> Result<(u64, u64), Trouble> {
        let base = log.to_text();
        let (mut ran, mut failed) = (0, 0);
        let max_steps = match report.verdict {
            Verdict::StepLimit { .. } | Verdict::Livelock { .. } | Verdict::TimeLimit { .. } => self.settings.max_steps,
            _ => (report.steps * LONGER + MORE_STEPS).min(self.settings.max_steps),
        };
        while ran < runs.len() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let trials = Trials {
                base: base.clone(),
                offer: Offer::default(),
                candidates: runs[ran..].to_vec(),
                first: 0,
                signature: log.header.signature.clone(),
                cost: None,
                max_steps,
                patience: Duration::from_secs(2).min(self.settings.watchdog),
                slice: left.min(Duration::from_secs(1)),
            };
            let counted: Counted = self.candidates(log.header.seed, trials)?;
            ran += counted.ran;
            failed += counted.hits.len() as u64;
        }
        Ok((ran as u64, failed))
    }
}

/// How often a failure shows, and what it takes to believe that it is gone.
pub(super) fn often(failed: u64, runs: u64) -> String {
    let p = findability(failed, runs);
    format!(
        "{failed} of {runs} runs failed so: {} clean runs in a row say with 95 % confidence that it is mended",
        clean_runs(p)
    )
}

/// The event of the last switch that these decisions brought about. A pick of the thread that runs already is no switch, and
/// has no event.
fn last_switch<'e>(before: &[(Domain, Decision)], trace: &'e [Event]) -> Option<&'e Event> {
    let mut switches = trace.iter().filter_map(|event| match event.what {
        What::Switch { to, .. } => Some((to, event)),
        _ => None,
    });
    let mut running = 0;
    let mut last = None;
    for (_, decision) in before {
        let Decision::Pick { thread, .. } = *decision else {
            continue;
        };
        if thread != running {
            running = thread;
            last = switches.by_ref().find(|(to, _)| *to == thread).or(last);
        }
    }
    last.map(|(_, event)| event)
}

/// When the decision was taken, and what it was.
fn place(decisions: &[(Domain, Decision)], at: u64, trace: Option<&[Event]>) -> String {
    let before = &decisions[..at as usize];
    let Some((domain, decision)) = before.last() else {
        return String::new();
    };
    let event = last_switch(before, trace.unwrap_or_default());
    let when = event.map_or(String::new(), |event| {
        format!(", after {} on thread {}", show_nanoseconds(event.at), event.thread)
    });
    match (decision, event) {
        (Decision::Pick { .. }, Some(event)) => format!("{when}: {}", event.what),
        (Decision::Pick { of, thread, .. }, None) => format!(": {thread} goes on, of {of} that could"),
        (Decision::Below { n, value }, _) => format!("{when}: {value} of {n} ({domain:?})"),
        (Decision::Fill { len }, _) => format!("{when}: {len} bytes ({domain:?})"),
    }
}
