//! Which seeds run, in which jobs: a search hands them out until one fails or none is left, and looks whether batches can be trusted.
//! `coordinator` comes here for a test that explores.

use std::time::{Duration, Instant};

use super::batches::Batches;
use super::command;
use super::coordinator::{Coordinator, Trouble};
use super::coverage::Coverage;
use super::failure::Failure;
use super::judge::{Ended, Failed, How, Last};
use super::protocol::Job;
use super::render;
use super::settings::{Isolation, Which};
use super::slot::Slot;
use super::verify::Found;
use crate::explore::{Mutation, PROFILE_SEED};
use crate::kernel::{self, Tallies};

impl Coordinator<'_> {
    /// Explores; if seeds turn out to influence each other within a process, once more with a process for each.
    pub(super) fn search(
        &mut self,
        first: u64,
        seeds: Option<u64>,
        budget: Option<Duration>,
    ) -> Result<Option<Failure>, Trouble> {
        let since = Instant::now();
        let jobs = self.settings.jobs;
        // Elsewhere the first job is the one that the profile comes from.
        self.learn(first, u64::MAX)?;
        let failed = self.explore(Batches::new(first, seeds, budget, jobs))?;
        let Some(found) = self.examine(failed)? else {
            return Ok(None);
        };
        let Some(company) = found.company.filter(|_| !self.settings.isolation_asked) else {
            return Ok(Some(found.failure));
        };
        self.apart = true;
        self.runs = 0;
        self.digests.clear();
        self.tallies = Tallies::default();
        // What ran in company says nothing about processes of their own.
        self.behind = None;
        let left = budget.map(|budget| budget.saturating_sub(since.elapsed()));
        let failed = self.explore(Batches::new(first, seeds, left, jobs))?;
        if let Some(found) = self.examine(failed)? {
            return Ok(Some(found.failure));
        }
        if found.failed {
            return Ok(Some(found.failure));
        }
        eprintln!(
            "squall: {}: seeds influence each other within a process ({company}), so each had one of its own; with isolation = \
             \"process\" that is not found out anew each time",
            self.origin.test
        );
        Ok(None)
    }

    /// What is behind a failure at first sight; where there is none, whether batches can be trusted.
    pub(super) fn examine(&mut self, failed: Option<Ended>) -> Result<Option<Found>, Trouble> {
        match failed {
            Some(ended) => self.verify(ended).map(Some),
            None if self.runs == 0 => Err(Trouble::NoSeed),
            None => self.cross_check(),
        }
    }

    /// Runs the last seed that passed behind others once more, in a process of its own. A difference means that batches are
    /// not to be trusted here, and would show as failures that no seed replays.
    fn cross_check(&mut self) -> Result<Option<Found>, Trouble> {
        let Some(behind) = self.behind.take().filter(|_| self.settings.audit > 0) else {
            return Ok(None);
        };
        let Last {
            seed,
            digest,
            steps,
        } = behind.last;
        let ended = self.alone(Job::new(seed, 1))?;
        match &ended.last {
            Some(last) if last.digest != digest => {
                let digests = [digest, last.digest];
                self.drifted(&behind.job, seed, steps, digests).map(Some)
            }
            None => self.verify(ended).map(Some),
            Some(_) => Ok(None),
        }
    }

    /// Hands out seeds until none is left or one fails; of those that fail at a time, the lowest counts.
    fn explore(&mut self, mut batches: Batches) -> Result<Option<Ended>, Trouble> {
        let mut failed: Option<Ended> = None;
        let waits = self.settings.profiled();
        let mut begun = false;
        loop {
            for i in 0..self.slots.len() {
                if failed.is_some() || !self.slots[i].idle() {
                    continue;
                }
                // The first job is the seed that all others take their profile from.
                if waits && self.profile.is_none() && begun {
                    continue;
                }
                let Some((first, count)) = self.seeds(&mut batches) else {
                    continue;
                };
                let mut job = self.job(i, first, count);
                job.profile.clone_from(&self.profile);
                begun = true;
                self.slots[i].give(job)?;
            }
            if self.slots.iter().all(Slot::idle) {
                return Ok(failed);
            }
            for ended in self.wait()? {
                self.count(&ended);
                self.coverage.ran(ended.job.first, ended.passed);
                let lowest = failed
                    .as_ref()
                    .and_then(|failed| failed.failed.as_ref())
                    .map(|failed| failed.seed);
                match &ended.failed {
                    Some(one) if command::sweeps() => {
                        self.tell_failed(one);
                        let Job { first, count, .. } = ended.job;
                        batches.done(first, count, ended.passed + 1, ended.took);
                    }
                    Some(one) if lowest.is_none_or(|seed| one.seed < seed) => failed = Some(ended),
                    Some(_) => {}
                    // What they leave is made anew.
                    None if Mutation::of(ended.job.first).is_some() => {}
                    None => {
                        batches.done(ended.job.first, ended.job.count, ended.passed, ended.took)
                    }
                }
            }
        }
    }

    /// The next seeds: of those that are still to run, or such as begin as one that reached something new.
    fn seeds(&mut self, batches: &mut Batches) -> Option<(u64, u64)> {
        let explores = kernel::instrumented() && !batches.late();
        let mutations = |coverage: &mut Coverage, all| coverage.mutations(all).filter(|_| explores);
        mutations(&mut self.coverage, false)
            .or_else(|| batches.next())
            .or_else(|| mutations(&mut self.coverage, true))
    }

    fn job(&self, slot: usize, first: u64, count: u64) -> Job {
        let asked = self.settings.isolation == Isolation::Batch
            || matches!(self.settings.which, Which::Batch(..));
        let batch = asked && !self.apart && self.slots[slot].unbatched.is_none();
        Job {
            batch,
            audit: self.settings.audit,
            ..Job::new(first, count)
        }
    }

    /// Runs seeds in one job; returns it if a run failed.
    pub(super) fn one_job(&mut self, first: u64, count: u64) -> Result<Option<Ended>, Trouble> {
        self.come_up()?;
        let job = self.job(0, first, count);
        let ended = self.alone(job)?;
        self.count(&ended);
        Ok(ended.failed.is_some().then_some(ended))
    }

    /// Tells a command that sweeps of a run that failed.
    fn tell_failed(&self, failed: &Failed) {
        let signature = failed.how.signature();
        let headline = match &failed.how {
            How::Run(report) => render::headline(&report.verdict),
            How::Mismatch(_) => signature.clone(),
        };
        let searched = self.searched();
        searched.tell_failed(failed.seed, &signature, &headline);
    }

    /// Runs seed 0 for its profile, if one of these seeds needs it and the job that they make would not come by it.
    pub(crate) fn learn(&mut self, first: u64, last: u64) -> Result<(), Trouble> {
        let mut seeds = first..=last;
        let wanted = first != PROFILE_SEED && self.settings.profiled();
        if !wanted || !seeds.any(|seed| self.settings.needs_profile(seed)) {
            return Ok(());
        }
        self.come_up()?;
        // Whether it passes is not asked; a run that takes its process along leaves no profile, here as in a search.
        self.alone(Job::new(PROFILE_SEED, 1)).map(|_| ())
    }
}
