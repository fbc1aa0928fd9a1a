//! Bounded exhaustive search: runs instead of seeds. `coordinator` comes here when that is the strategy.
//!
//! Which schedule comes next follows from all runs before it, so one process makes all of them, from the first on, and a run
//! is known by its number. A failing one is reached again through those before it; its saved log replays by itself.

use std::time::Duration;

use super::command::{self, Event};
use super::coordinator::{Coordinator, Trouble};
use super::failure::Failure;
use super::judge::Ended;
use super::protocol::{Explain, Job, RunReport};
use super::slot::SlotError;
use super::verify::behind;
use crate::explore::{BOUND, Progress};

impl Coordinator<'_> {
    /// Runs every schedule within the bound, or as many as were asked for.
    pub(crate) fn exhaust(
        &mut self,
        runs: Option<u64>,
        budget: Option<Duration>,
    ) -> Result<Option<Failure>, Trouble> {
        let ended = self.numbered(runs.unwrap_or(u64::MAX), budget)?;
        let progress = self.progress.unwrap_or_default();
        command::tell(&Event::Explored {
            test: self.origin.name(),
            engine: "kernel",
            executions: ended
                .failed
                .as_ref()
                .map_or(ended.passed, |failed| failed.seed + 1),
            exhausted: ended.failed.is_none() && progress.bound > BOUND && !progress.lost,
            bound: progress.exhausted().map(u64::from),
        });
        if ended.failed.is_some() {
            return self.verify(ended).map(|found| Some(found.failure));
        }
        if let Some(progress) = self.progress {
            eprintln!("squall: {}: {}", self.origin.test, told(progress));
        }
        Ok(None)
    }

    /// The first so many runs, in one process.
    pub(crate) fn numbered(
        &mut self,
        count: u64,
        budget: Option<Duration>,
    ) -> Result<Ended, Trouble> {
        self.come_up()?;
        if let Some(why) = &self.slots[0].unbatched {
            let text = format!(
                "the strategy exhaustive needs all runs in one process, and they cannot share one: {why}"
            );
            return Err(SlotError::Trouble(text).into());
        }
        let job = Job {
            batch: true,
            budget,
            ..Job::new(0, count)
        };
        let ended = self.alone(job)?;
        self.count(&ended);
        Ok(ended)
    }

    /// Runs up to a run that failed, and reports that one.
    pub(super) fn numbered_again(
        &mut self,
        job: &Job,
        run: u64,
        how: Explain,
    ) -> Result<RunReport, Trouble> {
        self.explained(behind(job, run, how))
    }
}

/// How far a search came, in words.
fn told(progress: Progress) -> String {
    let Progress { ran, bound, lost } = progress;
    let total: u64 = ran.iter().sum();
    let each = ran.iter().enumerate().filter(|(_, count)| **count > 0);
    let each: Vec<String> = each
        .map(|(preemptions, count)| format!("{count} with {preemptions}"))
        .collect();
    let end = match (lost, bound) {
        (true, _) => "more are left than can be remembered".to_owned(),
        (false, 0) => "not exhausted".to_owned(),
        (false, bound) if bound > BOUND => format!("exhausted at bound {BOUND}"),
        (false, bound) => format!("exhausted at bound {}, not at bound {bound}", bound - 1),
    };
    format!(
        "{total} distinct schedules, by preemptions {}; {end}",
        each.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exhausted_is_told() {
        let text = |ran, bound| {
            told(Progress {
                ran,
                bound,
                lost: false,
            })
        };
        assert_eq!(
            text([2, 10, 44], 3),
            "56 distinct schedules, by preemptions 2 with 0, 10 with 1, 44 with 2; exhausted at bound 2"
        );
        assert_eq!(
            text([2, 8, 0], 1),
            "10 distinct schedules, by preemptions 2 with 0, 8 with 1; exhausted at bound 0, not at bound 1"
        );
    }
}
