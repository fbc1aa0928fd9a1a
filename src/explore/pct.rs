//! Probabilistic concurrency testing. [`super::Portfolio`] owns it.
//!
//! Every entity gets a random priority, and the highest runnable one goes on; at d-1 random points of the run the one that
//! would go on drops below all others. A bug that needs d orderings among n entities and k points is met with a probability
//! of at least 1/(n k^(d-1)) per run. Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic
//! Guarantees of Finding Bugs, ASPLOS 2010. The operation groups and the fair end are Coyote's.

use super::points::{Due, Points};
use super::{FAIR_AFTER, Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::{Entity, Pick};

/// The depths that runs draw from.
const DEPTHS: [usize; 4] = [2, 3, 4, 10];
/// Initial priorities begin here; what was lowered lies below.
const LOWEST: u32 = 1 << 20;
/// Stands for a priority that is not drawn yet.
const NONE: u32 = 0;

/// Priorities with a few changes.
#[derive(Debug, Default)]
pub struct Pct {
    /// The depth of every run; 0 where each draws its own.
    depth: usize,
    points: Points,
    /// Whether priorities are those of operation groups in this run. Half of the runs: within a group the order is random
    /// then, which keeps a program's many short-lived helpers from using up the changes, but gives up the guarantee there.
    grouped: bool,
    /// By the number of the entity, or of its group's head.
    priorities: Vec<u32>,
    /// The changed priorities of the present stretch lie just above this.
    low: u32,
}

impl Pct {
    /// PCT for bugs of one depth, at least 1.
    pub fn of_depth(depth: usize) -> Self {
        Pct {
            depth,
            ..Pct::default()
        }
    }

    #[inline]
    fn rank(&self, pick: &Pick<'_>, entity: u32) -> usize {
        match (self.grouped, pick.entities.get(entity as usize)) {
            (true, Some(Entity { group, .. })) => *group as usize,
            _ => entity as usize,
        }
    }

    /// The number whose priority is the highest.
    #[inline]
    fn best(&mut self, pick: &Pick<'_>, stream: &mut Stream) -> usize {
        let mut best = (NONE, 0);
        for &entity in pick.runnable {
            let rank = self.rank(pick, entity);
            if rank >= self.priorities.len() {
                self.priorities.resize(rank + 1, NONE);
            }
            if self.priorities[rank] == NONE {
                self.priorities[rank] =
                    LOWEST + (stream.below(1 << 16) << 12 | stream.below(1 << 12)) as u32;
            }
            if self.priorities[rank] > best.0 {
                best = (self.priorities[rank], rank);
            }
        }
        best.1
    }
}

impl Strategy for Pct {
    fn begin(&mut self, profile: &Profile, stream: &mut Stream) {
        let depth = match self.depth {
            0 => DEPTHS[stream.below(DEPTHS.len() as u64) as usize],
            fixed => fixed,
        };
        self.grouped = stream.below(2) == 0;
        self.points.begin(depth - 1, profile, stream);
        self.priorities.clear();
        self.low = LOWEST;
    }

    fn sees_tasks(&self) -> bool {
        self.points.count < FAIR_AFTER
    }

    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        if self.points.count >= FAIR_AFTER {
            return stream.below(pick.runnable.len() as u64) as usize;
        }
        match self.points.pass(stream) {
            Due::Nothing => {}
            Due::Point(which) => {
                let best = self.best(&pick, stream);
                self.priorities[best] = self.low - 16 + which as u32;
            }
            Due::Stretch => {
                self.low -= 16;
                self.priorities.fill(NONE);
            }
        }
        let best = self.best(&pick, stream);
        if !self.grouped {
            let found = pick.runnable.iter().position(|&e| e as usize == best);
            return found.expect("squall bug: PCT chose an entity that cannot go on");
        }
        let mut chosen = 0;
        let mut seen = 0;
        for (i, &entity) in pick.runnable.iter().enumerate() {
            if self.rank(&pick, entity) == best {
                seen += 1;
                if seen == 1 || stream.below(seen) == 0 {
                    chosen = i;
                }
            }
        }
        chosen
    }
}
