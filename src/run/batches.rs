//! Which seeds come next, and how many of them together. `coordinator` asks whenever a zygote is idle.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The wall time that a job is meant to take: long against a fork, short against a person's patience.
const TARGET: Duration = Duration::from_millis(75);
/// By how much a job may exceed the largest before it: early measurements are rough.
const STEP: u64 = 16;

/// The seeds still to run.
#[derive(Debug)]
pub(crate) struct Batches {
    /// Given back by jobs that ended early.
    returned: VecDeque<(u64, u64)>,
    first: u64,
    next: u64,
    /// The first seed that is not wanted; `None` if only the budget ends the search.
    end: Option<u64>,
    deadline: Option<Instant>,
    jobs: u64,
    largest: u64,
    /// Seconds per seed, as measured; `None` before the first job.
    pace: Option<f64>,
}

impl Batches {
    pub(crate) fn new(first: u64, seeds: Option<u64>, budget: Option<Duration>, jobs: u32) -> Self {
        Batches {
            returned: VecDeque::new(),
            first,
            next: first,
            end: seeds.map(|seeds| first.saturating_add(seeds)),
            deadline: budget.map(|budget| Instant::now() + budget),
            jobs: u64::from(jobs),
            largest: 0,
            pace: None,
        }
    }

    /// Whether the budget is spent.
    pub(crate) fn late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The next job: its first seed and how many. The first one is always given, however small the budget.
    pub(crate) fn next(&mut self) -> Option<(u64, u64)> {
        if self.late() && self.next > self.first {
            return None;
        }
        let size = self.size();
        if let Some((first, count)) = self.returned.pop_front() {
            let now = count.min(size);
            if now < count {
                self.returned.push_front((first + now, count - now));
            }
            return Some((first, now));
        }
        let left = self.end.unwrap_or(u64::MAX).checked_sub(self.next)?;
        // The last seeds are shared out, so that no process idles while another has many.
        let share = left.div_ceil(self.jobs);
        let count = size.min(share);
        if count == 0 {
            return None;
        }
        let first = self.next;
        self.next += count;
        Some((first, count))
    }

    fn size(&self) -> u64 {
        let Some(pace) = self.pace else { return 1 };
        let mut target = TARGET;
        if let Some(deadline) = self.deadline {
            target = target.min(deadline.saturating_duration_since(Instant::now()));
        }
        let fitting = (target.as_secs_f64() / pace.max(1e-9)) as u64;
        fitting.clamp(1, self.largest.saturating_mul(STEP).max(1))
    }

    /// A job has run `done` of its `count` seeds from `first` on in this time.
    pub(crate) fn done(&mut self, first: u64, count: u64, done: u64, took: Duration) {
        if done < count {
            self.returned.push_back((first + done, count - done));
        }
        if done == 0 {
            return;
        }
        let pace = took.as_secs_f64() / done as f64;
        // A larger job tells more than the smaller ones before it, of which the fork was most.
        self.pace = match self.pace {
            Some(before) if done < self.largest => Some((before + pace) / 2.0),
            _ => Some(pace),
        };
        self.largest = self.largest.max(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(batches: &mut Batches, per_seed: Duration) -> Vec<(u64, u64)> {
        let mut jobs = Vec::new();
        while let Some((first, count)) = batches.next() {
            jobs.push((first, count));
            batches.done(
                first,
                count,
                count,
                per_seed * count as u32 + Duration::from_millis(1),
            );
        }
        jobs
    }

    #[test]
    fn every_seed_is_given_once_and_jobs_grow() {
        let mut batches = Batches::new(0, Some(10_000), None, 1);
        let jobs = drain(&mut batches, Duration::from_micros(10));
        assert_eq!(jobs[0], (0, 1));
        assert!(jobs.len() < 12, "{jobs:?}");
        let mut next = 0;
        for (first, count) in jobs {
            assert_eq!(first, next);
            next += count;
        }
        assert_eq!(next, 10_000);
    }

    #[test]
    fn slow_seeds_run_one_by_one() {
        let mut batches = Batches::new(0, Some(5), None, 1);
        assert_eq!(drain(&mut batches, Duration::from_secs(1)).len(), 5);
    }

    #[test]
    fn what_a_job_leaves_is_given_again() {
        let mut batches = Batches::new(0, Some(1), None, 1);
        let (first, count) = batches.next().unwrap();
        batches.done(first, count, 0, Duration::from_millis(1));
        assert_eq!(batches.next(), Some((0, 1)));
        assert_eq!(batches.next(), None);
    }

    #[test]
    fn a_spent_budget_still_gives_one_seed() {
        let mut batches = Batches::new(0, None, Some(Duration::from_nanos(1)), 1);
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(batches.next(), Some((0, 1)));
        assert_eq!(batches.next(), None);
    }
}
