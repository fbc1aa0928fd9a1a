//! Partial order sampling. [`super::Portfolio`] owns it.
//!
//! Each pending event has a random priority, and the highest goes on; after an event, its entity and all whose next event
//! races with it draw anew. So orders that differ in nothing that matters share their probability. Yuan, Yang, Gu: Partial
//! Order Aware Concurrency Sampling, CAV 2018. Where it is not known what an entity does next it may race with everything,
//! so that without memory points this comes close to the random walk.

use super::{Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::{Pick, Touch};

/// A priority that is not drawn yet.
const NONE: u32 = 0;

/// Priorities that last until they are overtaken by an event that races.
#[derive(Debug, Default)]
pub struct Pos {
    /// By entity.
    priorities: Vec<u32>,
}

impl Strategy for Pos {
    fn begin(&mut self, _: &Profile, _: &mut Stream) {
        self.priorities.clear();
    }

    fn sees_tasks(&self) -> bool {
        true
    }

    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        if pick.runnable.iter().all(|&e| touch(&pick, e).resource == 0) {
            // They race with each other, so that each draws anew after whatever any of them does.
            for &entity in pick.runnable {
                if let Some(priority) = self.priorities.get_mut(entity as usize) {
                    *priority = NONE;
                }
            }
            return stream.below(pick.runnable.len() as u64) as usize;
        }
        if self.priorities.len() < pick.entities.len() {
            self.priorities.resize(pick.entities.len(), NONE);
        }
        let (mut best, mut highest) = (0, NONE);
        for (i, &entity) in pick.runnable.iter().enumerate() {
            let priority = &mut self.priorities[entity as usize];
            if *priority == NONE {
                *priority = 1 + stream.below(1 << 16) as u32;
            }
            if *priority > highest {
                (best, highest) = (i, *priority);
            }
        }
        let chosen = pick.runnable[best];
        let event = touch(&pick, chosen);
        for &entity in pick.runnable {
            if entity == chosen || event.races(touch(&pick, entity)) {
                self.priorities[entity as usize] = NONE;
            }
        }
        best
    }
}

#[inline]
fn touch(pick: &Pick<'_>, entity: u32) -> Touch {
    pick.entities[entity as usize].touch
}
