//! Explains a failing run, when that is asked for: from which decision on it was inevitable, and how many clean runs will say
//! that it is mended. `verify` calls it for a log that is replayed with `SQUALL_EXPLAIN`.

use std::time::{Duration, Instant};

use super::coordinator::{Coordinator, Trouble};
use super::protocol::{Candidate, RunReport, Trials};
use super::render::often;
use super::shrinking::Counted;
use super::verdict::Verdict;
use crate::choice::explain::{SUFFIXES, inevitable};
use crate::choice::{Decision, Header, Log, Offer};
use crate::kernel::{Domain, What};
use crate::report::Recorded;
use crate::units::show_nanoseconds;

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
            Some(0) => {
                "inevitable from the start: whatever is decided, it fails more often than not"
                    .to_owned()
            }
            Some(at) => {
                let decision = decisions.get(at as usize - 1);
                let place = place(at, decision, report.trace.as_ref());
                format!("inevitable from decision {at} of {total}{place}")
            }
        })
    }

    /// How often seeds fail the same way.
    fn often(&mut self, log: &Log, report: &RunReport, end: Instant) -> Result<String, Trouble> {
        if self.settings.exhaustive() {
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
            Verdict::StepLimit { .. } | Verdict::Livelock { .. } | Verdict::TimeLimit { .. } => {
                self.settings.max_steps
            }
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

/// When the decision was taken, by whom, and what it was or led to.
fn place(at: u64, decision: Option<&(Domain, Decision)>, trace: Option<&Recorded>) -> String {
    // Some decisions have an event of their own; the effects of all others show in one that comes soon after.
    let found =
        trace.and_then(|all| Some((all, all.events.iter().find(|event| event.decisions >= at)?)));
    if let Some((all, event)) = found {
        let name = |thread: u32| match all.threads.get(thread as usize) {
            Some(facts) if !facts.name.is_empty() => format!("thread {thread} ({})", facts.name),
            _ => format!("thread {thread}"),
        };
        let what = match (&event.what, decision) {
            (What::Switch { to, .. }, _) => format!("{} goes on", name(*to)),
            (_, Some((_, Decision::Pick { of, .. }))) => format!("it goes on, of {of} that could"),
            (what, _) => what.to_string(),
        };
        let site = all
            .site(event)
            .map_or(String::new(), |site| format!(" at {}", site.place.short()));
        let (time, thread) = (show_nanoseconds(event.at), name(event.thread));
        return format!(", at {time} on {thread}{site}: {what}");
    }
    match decision {
        Some((_, Decision::Pick { of, thread, .. })) => {
            format!(": {thread} goes on, of {of} that could")
        }
        Some((domain, Decision::Below { n, value })) => format!(": {value} of {n} ({domain:?})"),
        Some((domain, Decision::Fill { len })) => format!(": {len} bytes ({domain:?})"),
        None => String::new(),
    }
}
