//! A slice: one test, for a while.

use super::super::part::Came;
use super::super::record::{Sighting, What};
use super::super::seeds::{self, Spans};
use super::{LEAST, LONGEST, Night, SHORTEST};
use crate::events::{Mark, Word};
use anyhow::Result;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// What a test has come to in its slice, and has not been written down.
#[derive(Default)]
pub(super) struct Slice {
    seeds: Spans,
    simulated: u64,
    marks: Vec<Mark>,
    pub(super) failures: Vec<Sighting>,
    /// How much of its time has been, in milliseconds.
    told: u64,
}

impl Slice {
    fn marked(&mut self, marks: &[Mark]) {
        for mark in marks {
            let same = |known: &&mut Mark| (&known.kind, &known.name) == (&mark.kind, &mark.name);
            match self.marks.iter_mut().find(same) {
                Some(known) => known.hits += mark.hits,
                None => self.marks.push(mark.clone()),
            }
        }
    }
}

impl Night {
    /// Runs a test for a while.
    pub(super) fn slice(&mut self, at: usize) -> Result<()> {
        let waiting = self.tests.iter().filter(|task| !task.over).count() as u32;
        let share = match self.limits.budget {
            Some(budget) => budget / (4 * waiting),
            None => LONGEST,
        };
        let time = share
            .clamp(SHORTEST, LONGEST)
            .max(self.tests[at].least)
            .min(self.left());
        let begun = Instant::now();
        let mut slice = Slice::default();
        loop {
            let name = self.tests[at].name.clone();
            let known = self.joined.totals(&self.commit, &name);
            let mut done = known.map_or_else(Spans::default, |totals| totals.seeds.clone());
            done.join(&slice.seeds);
            let base = seeds::base(&self.commit);
            let next = seeds::next(base, self.limits.seeds, self.limits.shard, &done);
            let Some((first, count)) = next else {
                self.tests[at].over = true;
                break;
            };
            let left = time.saturating_sub(begun.elapsed());
            if left < LEAST {
                break;
            }
            let came = self.seeds(at, first, count, left)?;
            slice.simulated += came.simulated;
            slice.marked(&came.marks);
            let failure = came.failure.as_ref();
            match (came.word, failure.and_then(|failure| failure.seed)) {
                (Word::Held, _) if came.runs > 0 => {
                    slice.seeds.add(first, came.runs.min(count));
                    if came.runs < count {
                        break;
                    }
                }
                (Word::Failed | Word::Trouble, Some(seed)) => {
                    let failure = failure.expect("it has a seed");
                    let run = match (first..first + count).contains(&seed) {
                        true => seed - first + 1,
                        // A seed that begins as another's run: those before it have run.
                        false => came.runs.clamp(1, count),
                    };
                    slice.seeds.add(first, run);
                    self.failed(at, &mut slice, begun, failure, came.word)?;
                }
                _ => {
                    self.unusable(at, &came, time)?;
                    break;
                }
            }
        }
        self.finish(at, &mut slice, begun)
    }

    pub(super) fn seeds(&self, at: usize, first: u64, count: u64, time: Duration) -> Result<Came> {
        let failures = self.bench.scratch.join("failures");
        // What was saved there has been looked at.
        let _ = std::fs::remove_dir_all(&failures);
        let mut variables: Vec<(&str, OsString)> = vec![
            ("SQUALL_FIRST", first.to_string().into()),
            ("SQUALL_SEEDS", count.to_string().into()),
            (
                "SQUALL_BUDGET",
                format!("{}ms", time.as_millis().max(1)).into(),
            ),
            ("SQUALL_FAILURES", failures.into()),
            ("SQUALL_SHRINK", "off".into()),
            ("SQUALL_REPORT", "off".into()),
        ];
        if std::env::var_os("SQUALL_JOBS").is_none() {
            let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(1024));
            variables.push(("SQUALL_JOBS", cpus.to_string().into()));
        }
        self.bench.run(&self.tests[at].test, time, &variables)
    }

    /// Writes down what a slice has come to so far.
    pub(super) fn finish(&mut self, at: usize, slice: &mut Slice, begun: Instant) -> Result<()> {
        let now = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let took = now - slice.told;
        let next = Slice {
            told: now,
            ..Slice::default()
        };
        let done = std::mem::replace(slice, next);
        self.tests[at].took += took;
        let runs = done.seeds.len();
        if runs == 0 {
            return Ok(());
        }
        let test = self.tests[at].name.clone();
        let rate = runs as f64 * 1e3 / (took.max(1)) as f64;
        self.say(&format!(
            "{test}: {runs} seeds, {rate:.0}/s, {} failures",
            done.failures.len()
        ));
        self.write(What::Slice {
            test,
            seeds: done.seeds,
            took,
            simulated: done.simulated,
            marks: done.marks,
            failures: done.failures,
        })
    }
}
