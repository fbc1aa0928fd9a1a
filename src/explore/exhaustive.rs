//! Bounded exhaustive search: every schedule with no preemption, then every one with a single preemption, then with two.
//! [`super::Portfolio`] owns it; `run` runs it, in one process, until it is exhausted.
//!
//! A preemption is a switch away from an entity that could go on; choosing among the others where it cannot is free. Most
//! bugs need few preemptions (Musuvathi, Qadeer: Iterative Context Bounding for Systematic Testing of Multithreaded Programs,
//! PLDI 2007; dejafu and Lincheck search so by default). A schedule is named by where it departs from a default order,
//! which is how one run finds those that are still to come, each of them once.
//!
//! A thread that waits by looking again and again has a schedule for every number of looks, so a search that lets it stay as often as it likes does
//! not end. Hence a thread that gives way for the second time, while somebody could go on who has not since the first, must let
//! that one go first ([`Fairness`]).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::Pick;

/// How many preemptions a schedule has at most.
pub const BOUND: usize = 2;
/// After so many points in a row it counts no longer as a preemption to leave an entity, and to leave it is the default: it
/// spins.
const PATIENCE: u32 = 1000;
/// The most schedules that are remembered, to be run later.
const REMEMBERED: usize = 1 << 23;

/// Where a schedule departs from the default order; the last place first.
#[derive(Debug)]
struct Departure {
    before: Schedule,
    point: u32,
    index: u32,
}

/// The default order where there is no departure.
type Schedule = Option<Arc<Departure>>;

impl Drop for Departure {
    /// One after the other: a long chain would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(departure) = next.and_then(Arc::into_inner) {
            let mut departure = departure;
            next = departure.before.take();
        }
    }
}

/// How far the search has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// How many different schedules have run, by their number of preemptions.
    pub ran: [u64; BOUND + 1],
    /// Bounds below this one are exhausted; `BOUND + 1` if everything is.
    pub bound: usize,
    /// There were more schedules than can be remembered, and some are lost.
    pub lost: bool,
}

impl Progress {
    /// Up to how many preemptions every schedule has run; `None` if not even those without.
    pub fn exhausted(self) -> Option<u32> {
        let bound = self.bound.checked_sub(1).filter(|_| !self.lost)?;
        Some(bound as u32)
    }
}

/// Every schedule, the simplest first.
#[derive(Debug, Default)]
pub struct Exhaustive {
    progress: Progress,
    begun: bool,
    /// Schedules with as many preemptions as the present bound.
    now: Vec<Schedule>,
    /// Those with one more.
    later: Vec<Schedule>,
    /// The present one, and its departures in order.
    schedule: Schedule,
    departures: Vec<(u32, u32)>,
    /// How many of them lie behind.
    passed: usize,
    point: u32,
    stayed: u32,
    fairness: Fairness,
}

/// Who must let whom go first, which nobody must who gives way once (Musuvathi, Qadeer: Fair Stateless Model Checking, PLDI 2008).
#[derive(Debug, Default)]
struct Fairness {
    /// Of everybody who gave way.
    windows: Vec<Window>,
    /// Who can go on, since which point without a break, and when it last went on.
    runnable: Vec<(u32, u32, Option<u32>)>,
}

/// Of an entity that gave way.
#[derive(Debug)]
struct Window {
    who: u32,
    /// At which point it did so last.
    since: u32,
    /// These go first.
    behind: Vec<u32>,
}

impl Fairness {
    fn clear(&mut self) {
        self.windows.clear();
        self.runnable.clear();
    }

    /// Takes down who can go on now, and that the current one gives way.
    fn look(&mut self, runnable: &[u32], current: u32, point: u32) {
        let before = std::mem::take(&mut self.runnable);
        let now = runnable.iter().map(|&who| {
            let known = before.iter().find(|(known, ..)| *known == who);
            known.copied().unwrap_or((who, point, None))
        });
        self.runnable = now.collect();
        let window = self.windows.iter_mut().find(|window| window.who == current);
        let Some(window) = window else {
            self.windows.push(Window {
                who: current,
                since: point,
                behind: Vec::new(),
            });
            return;
        };
        for &(who, since, ran) in &self.runnable {
            let waited = since <= window.since && ran.is_none_or(|ran| ran < window.since);
            if who != current && waited && !window.behind.contains(&who) {
                window.behind.push(who);
            }
        }
        window.since = point;
    }

    /// Whether it need not let anybody go first.
    fn may(&self, who: u32, runnable: &[u32]) -> bool {
        let window = self.windows.iter().find(|window| window.who == who);
        window.is_none_or(|window| window.behind.iter().all(|other| !runnable.contains(other)))
    }

    fn goes(&mut self, who: u32, point: u32) {
        for window in &mut self.windows {
            window.behind.retain(|other| *other != who);
        }
        if let Some((.., ran)) = self.runnable.iter_mut().find(|(known, ..)| *known == who) {
            *ran = Some(point);
        }
    }
}

impl Exhaustive {
    /// Whether another run would show something new.
    fn next(&mut self) -> Option<Schedule> {
        if !self.begun {
            self.begun = true;
            return Some(None);
        }
        while self.now.is_empty() && self.progress.bound <= BOUND {
            self.progress.bound += 1;
            std::mem::swap(&mut self.now, &mut self.later);
            self.now.reverse();
        }
        self.now.pop()
    }

    /// One of `total`, and the others for later. `departs` says that each of those is one step further from the default.
    fn decide(&mut self, total: usize, usual: usize, departs: bool) -> usize {
        let index = match self.departures.get(self.passed) {
            Some(&(point, index)) => {
                // Up to its last departure it repeats what an earlier run has seen.
                let here = point == self.point;
                self.passed += usize::from(here);
                // A program that is not deterministic may have fewer to choose from this time.
                match here {
                    true => (index as usize).min(total - 1),
                    false => usual,
                }
            }
            None => {
                for other in (0..total).rev().filter(|&other| other != usual) {
                    self.remember(other, departs);
                }
                usual
            }
        };
        self.point += 1;
        index
    }

    fn remember(&mut self, index: usize, later: bool) {
        if later && self.progress.bound == BOUND {
            return;
        }
        if self.now.len() + self.later.len() >= REMEMBERED {
            self.progress.lost = true;
            return;
        }
        let departure = Departure {
            before: self.schedule.clone(),
            point: self.point,
            index: index as u32,
        };
        let list = if later {
            &mut self.later
        } else {
            &mut self.now
        };
        list.push(Some(Arc::new(departure)));
    }
}

impl Strategy for Exhaustive {
    fn begin(&mut self, _: &Profile, _: &mut Stream) {
        // After the last schedule there is nothing left but the default order.
        self.schedule = self.next().flatten();
        if let Some(ran) = self.progress.ran.get_mut(self.progress.bound) {
            *ran += 1;
        }
        self.departures.clear();
        let mut link = &self.schedule;
        while let Some(departure) = link {
            self.departures.push((departure.point, departure.index));
            link = &departure.before;
        }
        self.departures.reverse();
        self.passed = 0;
        self.point = 0;
        self.stayed = 0;
        self.fairness.clear();
    }

    fn pick(&mut self, pick: Pick<'_>, _: &mut Stream) -> usize {
        let free = pick.yielded || self.stayed >= PATIENCE;
        let Pick {
            runnable, current, ..
        } = pick;
        let usual = match current {
            Some(current) if !free => current,
            // Whoever gives way stands at the end, whoever spins at the beginning.
            Some(0) => 1,
            _ => 0,
        };
        let preempts = current.is_some() && !free;
        let gives_way = current.filter(|_| free);
        if let Some(current) = gives_way {
            self.fairness.look(runnable, runnable[current], self.point);
            // The next time comes after as many points.
            self.stayed = 0;
        }
        let index = if self.fairness.windows.is_empty() {
            self.decide(runnable.len(), usual, preempts)
        } else {
            let may = |&at: &usize| {
                self.fairness.may(runnable[at], runnable) || preempts && current == Some(at)
            };
            let mut may: Vec<usize> = (0..runnable.len()).filter(may).collect();
            if may.is_empty() {
                may = (0..runnable.len()).collect();
            }
            let usual = may.iter().position(|&at| at == usual).unwrap_or(0);
            let point = self.point;
            let index = may[self.decide(may.len(), usual, preempts)];
            self.fairness.goes(runnable[index], point);
            index
        };
        self.stayed = if current == Some(index) {
            self.stayed + 1
        } else {
            0
        };
        index
    }

    /// Another order of tasks than first in, first out counts as a preemption: at every poll there is a choice.
    fn pick_task(&mut self, tasks: u32, _: &mut Stream) -> u32 {
        self.decide(tasks as usize, 0, true) as u32
    }

    fn progress(&mut self) -> Option<Progress> {
        let mut progress = self.progress;
        if self.begun && self.now.is_empty() && (self.later.is_empty() || progress.bound == BOUND) {
            progress.bound = BOUND + 1;
        } else if self.begun && self.now.is_empty() {
            progress.bound += 1;
        }
        Some(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Streams;
    use crate::kernel::{Domain, Entity, NOBODY, Touch};

    /// Runs entities until a search ends: calls `run` for each run with the answer to who of those that can run goes on, in place of the one
    /// before, which gave way or did not. Gives what the runs came to, and how far the search came.
    fn searched<T>(
        mut run: impl FnMut(&mut dyn FnMut(&[u32], Option<usize>, bool) -> u32) -> T,
    ) -> (Vec<T>, Progress) {
        let entity = Entity {
            parent: NOBODY,
            group: 0,
            touch: Touch::UNKNOWN,
        };
        let mut strategy = Exhaustive::default();
        let mut streams = Streams::new(0);
        let mut all = Vec::new();
        while strategy
            .progress()
            .is_some_and(|progress| progress.bound <= BOUND)
        {
            strategy.begin(&Profile::default(), streams.of(Domain::Schedule));
            let mut pick = |runnable: &[u32], current, yielded| {
                let pick = Pick {
                    runnable,
                    current,
                    yielded,
                    entities: &[entity; 3],
                    now: 0,
                };
                runnable[strategy.pick(pick, streams.of(Domain::Schedule))]
            };
            all.push(run(&mut pick));
            assert!(all.len() < 10_000, "the search does not end");
        }
        (all, strategy.progress().unwrap())
    }

    /// Runs two entities of so many steps each under every schedule; gives the orders.
    fn orders(steps: [u32; 2]) -> (Vec<Vec<u32>>, Progress) {
        searched(|pick| {
            let mut left = steps;
            let mut current = None;
            let mut order = Vec::new();
            while left != [0, 0] {
                let runnable: Vec<u32> = [0, 1]
                    .into_iter()
                    .filter(|&e| left[e as usize] > 0)
                    .collect();
                let next = match runnable[..] {
                    [only] => only,
                    _ => pick(&runnable, current, false),
                };
                left[next as usize] -= 1;
                order.push(next);
                current = (left[next as usize] > 0).then_some(next as usize);
            }
            order
        })
    }

    /// Switches away from an entity that had steps left.
    fn preemptions(order: &[u32]) -> usize {
        let left = |i: usize| order[i + 1..].contains(&order[i]);
        (0..order.len() - 1)
            .filter(|&i| order[i] != order[i + 1] && left(i))
            .count()
    }

    #[test]
    fn every_order_within_the_bound_comes_once_and_the_simplest_come_first() {
        for steps in [[1, 1], [2, 2], [3, 2], [4, 4]] {
            let (all, progress) = orders(steps);
            let mut expected = Vec::new();
            for bits in 0u32..1 << (steps[0] + steps[1]) {
                let order: Vec<u32> = (0..steps[0] + steps[1]).map(|i| bits >> i & 1).collect();
                if bits.count_ones() == steps[1] && preemptions(&order) <= BOUND {
                    expected.push(order);
                }
            }
            let bounds: Vec<usize> = all.iter().map(|order| preemptions(order)).collect();
            assert!(bounds.is_sorted(), "{bounds:?}");
            for bound in 0..=BOUND {
                let ran = bounds.iter().filter(|&&b| b == bound).count();
                assert_eq!(progress.ran[bound], ran as u64);
            }
            let mut sorted = all.clone();
            sorted.sort();
            expected.sort();
            assert_eq!(sorted, expected, "{steps:?}");
            assert!(!progress.lost);
        }
    }

    #[test]
    fn who_waits_by_looking_does_not_keep_the_search_from_ending() {
        // Two look whether the third is done, and give way each time that it is not.
        let (mut runs, _) = searched(|pick| {
            let (mut left, mut current) = (3, None);
            let mut order = Vec::new();
            while left > 0 {
                let yielded = current.is_some_and(|current| current < 2);
                let next = pick(&[0, 1, 2], current, yielded);
                left -= u32::from(next == 2);
                order.push(next);
                current = Some(next as usize);
            }
            order
        });
        let all = runs.len();
        // Those that give way once need not let anybody go first.
        for seen in [
            &[2, 2, 2][..],
            &[0, 2, 2, 2],
            &[0, 1, 2, 2, 2],
            &[0, 0, 2, 2, 2],
        ] {
            assert!(runs.iter().any(|run| run == seen), "{seen:?}");
        }
        runs.sort();
        runs.dedup();
        assert_eq!(runs.len(), all, "each comes once");
    }
}
