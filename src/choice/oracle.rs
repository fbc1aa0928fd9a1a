//! The questions of the kernel, and where each answer comes from: the strategy, a stream, a log that is followed, or the plainest course. What is
//! watched is taken down on the way.

use super::guide::{Departure, Lens};
use super::{Choices, Decision};
use crate::explore;
use crate::kernel::{Domain, Oracle, Pick, Touch};

impl Choices {
    fn choose(&mut self, pick: Pick<'_>) -> usize {
        if let Some((after, seed, strategy)) = self.turn
            && self.points == after
        {
            self.streams.turn(Domain::Schedule, seed);
            self.strategy = strategy;
            self.begun = false;
        }
        self.points += 1;
        let (strategy, stream) = self.strategist();
        let index = strategy.pick(pick, stream);
        assert!(
            index < pick.runnable.len(),
            "squall bug: strategy {} picked entity {index} of {}",
            self.strategy,
            pick.runnable.len()
        );
        index
    }

    fn decided(&mut self, domain: Domain, decision: Decision) {
        self.decisions += 1;
        if let Some((course, follower)) = &mut self.course {
            follower.follow(course, domain, decision);
        }
        if let Some(tape) = &mut self.tape {
            tape.push(domain, decision);
        }
    }

    fn departed(&mut self, departure: Option<Departure>) {
        if let (Some(departure), Some(tape)) = (departure, &mut self.tape) {
            tape.depart(departure);
        }
    }

    /// Whether a guide answers every question.
    fn guided(&self) -> bool {
        self.lens.as_ref().is_some_and(Lens::follows)
    }

    /// Who goes on, where somebody looks on or answers instead of the strategy.
    #[cold]
    fn pick_watched(&mut self, pick: Pick<'_>) -> usize {
        let guided = self.lens.as_mut().map(|lens| lens.pick(pick));
        let index = match guided {
            Some(index) if self.guided() => index,
            _ => {
                // The strategy is asked even where a log answers: it and its stream must be where they would have been
                // if the log ends here.
                let drawn = self.choose(pick);
                let replay = self.replay.as_mut();
                let logged = replay.and_then(|replay| replay.pick(self.decisions, pick));
                logged.unwrap_or(drawn)
            }
        };
        if let Some(lens) = &mut self.lens {
            let departure = lens.picked(pick, index);
            self.departed(departure);
        }
        let decision = Decision::Pick {
            of: pick.runnable.len() as u32,
            index: index as u32,
            thread: pick.runnable[index],
        };
        self.decided(Domain::Schedule, decision);
        if let Some(profiler) = &mut self.profiler {
            profiler.picked(pick, index);
        }
        index
    }

    /// Which task is polled, where somebody looks on or answers instead of the strategy, which would have taken `drawn`.
    #[cold]
    fn task_watched(&mut self, tasks: u32, who: Option<Pick<'_>>, drawn: u32) -> u32 {
        let n = u64::from(tasks);
        let guided = self.lens.as_mut().map(|lens| lens.task(tasks, who));
        let index = match guided {
            Some(index) if self.guided() => index,
            _ => {
                let replay = self.replay.as_mut();
                let logged =
                    replay.and_then(|replay| replay.below(self.decisions, Domain::Schedule, n));
                logged.map_or(drawn, |index| index as u32)
            }
        };
        if let Some(lens) = &mut self.lens {
            let departure = lens.tasked(tasks, index, who);
            self.departed(departure);
        }
        let value = u64::from(index);
        self.decided(Domain::Schedule, Decision::Below { n, value });
        index
    }

    /// A number, where somebody looks on or answers instead of the stream, which would have given `drawn`.
    #[cold]
    fn number_watched(&mut self, domain: Domain, label: Option<u32>, n: u64, drawn: u64) -> u64 {
        let guided = self.lens.as_mut().map(|lens| lens.number(domain, label, n));
        let value = match guided {
            Some(value) if self.guided() => value,
            _ => {
                let replay = self.replay.as_mut();
                let logged = replay.and_then(|replay| replay.below(self.decisions, domain, n));
                logged.unwrap_or(drawn)
            }
        };
        if let Some(lens) = &self.lens {
            let departure = lens.counted(n, value);
            self.departed(departure);
        }
        self.decided(domain, Decision::Below { n, value });
        value
    }
}

impl Oracle for Choices {
    fn pick(&mut self, pick: Pick<'_>) -> usize {
        match self.plain {
            true => self.choose(pick),
            false => self.pick_watched(pick),
        }
    }

    fn sees_tasks(&self) -> bool {
        let sees = match self.begun {
            true => self.portfolio.get(self.strategy).sees_tasks(),
            // It still knows of the last run.
            false => self.strategy.sees_tasks(),
        };
        // The strategy that a mutated run goes on with may want to know what this one does not.
        let later = |(_, _, name): (u64, u64, explore::Name)| name.sees_tasks();
        // Whoever looks on is to see the same, whether or not the strategy does.
        !self.plain || sees || self.turn.is_some_and(later)
    }

    fn pick_task(&mut self, tasks: u32, who: Option<Pick<'_>>) -> u32 {
        let mut index = 0;
        if !self.guided() {
            let (strategy, stream) = self.strategist();
            index = match who {
                Some(who) if strategy.sees_tasks() => {
                    let shown = who.runnable.len() as u32;
                    let index = strategy.pick(who, stream) as u32;
                    // The middle of a long queue is not shown.
                    let left_out = tasks.saturating_sub(shown);
                    if index < shown / 2 {
                        index
                    } else {
                        index + left_out
                    }
                }
                _ => strategy.pick_task(tasks, stream),
            };
            assert!(
                index < tasks,
                "squall bug: strategy {} picked task {index} of {tasks}",
                self.strategy
            );
        }
        if !self.plain {
            index = self.task_watched(tasks, who, index);
        }
        if let (Some(who), Some(profiler)) = (who, &mut self.profiler) {
            let shown = who.runnable.len() as u32;
            let at = match index < shown / 2 {
                true => index,
                // A log may have taken one that is not shown.
                false => (shown / 2).max(index.saturating_sub(tasks - shown)),
            };
            profiler.picked(who, at as usize);
        }
        index
    }

    /// Counted only with a tape or a replay.
    fn decisions(&self) -> u64 {
        self.decisions
    }

    fn alone(&mut self, entity: u32, touch: Touch) {
        if self.guided() {
            return;
        }
        self.strategist().0.alone(entity, touch);
        if let Some(profiler) = &mut self.profiler {
            profiler.touched(entity, touch);
        }
    }

    #[inline]
    fn below(&mut self, domain: Domain, n: u64) -> u64 {
        let n = n.max(1);
        // Drawn even where the answer comes from elsewhere: bytes of the same stream must be those of the seed.
        let value = self.streams.of(domain).below(n);
        if self.plain {
            return value;
        }
        self.number_watched(domain, None, n, value)
    }

    fn planned(&mut self, domain: Domain, label: u32, n: u64) -> u64 {
        let n = n.max(1);
        let value = self.streams.of(domain).below(n);
        if self.plain {
            return value;
        }
        self.number_watched(domain, Some(label), n, value)
    }

    fn preemption(&mut self, styles: u64) -> u64 {
        let style = self.portfolio.preemption(self.seed());
        assert!(
            style < styles,
            "squall bug: there is no style {style} of preemption"
        );
        if self.plain {
            return style;
        }
        self.number_watched(Domain::Schedule, None, styles, style)
    }

    fn fill(&mut self, domain: Domain, bytes: &mut [u8]) {
        let streams = self.beginning.as_mut().unwrap_or(&mut self.streams);
        streams.of(domain).fill(bytes);
        if !self.plain {
            let len = bytes.len() as u64;
            if let Some(replay) = &mut self.replay {
                replay.fill(self.decisions, domain, len);
            }
            self.decided(domain, Decision::Fill { len });
        }
    }
}
