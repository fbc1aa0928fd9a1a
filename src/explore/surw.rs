//! Selectively uniform random walk. [`super::Portfolio`] owns it.
//!
//! Of the shared objects that the profile knows, a run chooses one, and takes every interleaving of the events on it with about
//! the same probability: who is to make the next such event is drawn in proportion to how many each has left. All other
//! events go by random priorities. Zhao, Huang and others: Selectively Uniform Concurrency Testing, ASPLOS 2025. Where the profile
//! names no object, every event counts.

use super::{Profile, Strategy, Target};
use crate::choice::Stream;
use crate::kernel::{NOBODY, Pick};

/// A priority that is not drawn yet.
const NONE: u32 = 0;

/// Uniform over the interleavings of the events on one object.
#[derive(Debug, Default)]
pub struct Surw {
    /// Whether it is the events at `sites` that count. Otherwise every event does.
    selective: bool,
    sites: Vec<u64>,
    /// How many events that count each entity is still expected to make, or to have made by what it creates.
    left: Vec<u32>,
    priorities: Vec<u32>,
    /// Who is to make the next event that counts.
    intended: Option<u32>,
    /// Entities that wait for it to do so.
    held: Vec<u32>,
    /// How many entities were known at the last pick.
    known: usize,
}

impl Surw {
    #[inline]
    fn counts(&self, pick: &Pick<'_>, entity: u32) -> bool {
        let site = pick.entities[entity as usize].touch.site;
        self.counts_at(site) && !self.left.is_empty()
    }

    #[inline]
    fn counts_at(&self, site: u64) -> bool {
        !self.selective || self.sites.binary_search(&site).is_ok()
    }

    fn left(&self, entity: u32) -> u64 {
        u64::from(self.left.get(entity as usize).copied().unwrap_or(0))
    }

    /// What an entity has left covers what it will create; a new one takes its share along.
    fn born(&mut self, pick: &Pick<'_>, stream: &mut Stream) {
        for child in self.known.max(1)..pick.entities.len() {
            let parent = pick.entities[child].parent;
            if parent == NOBODY {
                continue;
            }
            let (mine, its) = (self.left(child as u32), self.left(parent));
            if self.intended == Some(parent) && stream.below(its.max(1)) < mine {
                self.intended = Some(child as u32);
            }
            if let Some(left) = self.left.get_mut(parent as usize) {
                *left = its.saturating_sub(mine) as u32;
            }
        }
        self.known = pick.entities.len();
    }

    fn intend(&self, pick: &Pick<'_>, stream: &mut Stream) -> u32 {
        let free = || {
            let entities = pick.runnable.iter().copied();
            entities.filter(|entity| !self.held.contains(entity))
        };
        let total = free().map(|entity| self.left(entity)).sum();
        let mut drawn = stream.below(total);
        for entity in free() {
            let left = self.left(entity);
            if drawn < left {
                return entity;
            }
            drawn -= left;
        }
        panic!("squall bug: SURW drew past its weights")
    }

    fn highest(&mut self, pick: &Pick<'_>, stream: &mut Stream) -> Option<usize> {
        let mut best = None;
        let mut highest = NONE;
        for (i, entity) in pick.runnable.iter().enumerate() {
            if self.held.contains(entity) {
                continue;
            }
            let priority = &mut self.priorities[*entity as usize];
            if *priority == NONE {
                *priority = 1 + stream.below(1 << 16) as u32;
            }
            if *priority > highest {
                (best, highest) = (Some(i), *priority);
            }
        }
        best
    }
}

impl Strategy for Surw {
    fn begin(&mut self, profile: &Profile, stream: &mut Stream) {
        let weight = |target: &Target| u64::from(target.counts.first().copied().unwrap_or(0));
        let total: u64 = profile.targets.iter().map(weight).sum();
        self.selective = false;
        self.left.clone_from(&profile.all);
        let mut drawn = stream.below(total);
        for target in &profile.targets {
            if drawn < weight(target) {
                self.selective = true;
                self.sites.clone_from(&target.sites);
                self.left.clone_from(&target.counts);
                break;
            }
            drawn -= weight(target);
        }
        self.priorities.clear();
        self.held.clear();
        self.intended = None;
        self.known = 0;
    }

    fn sees_tasks(&self) -> bool {
        true
    }

    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        if self.known < pick.entities.len() {
            self.born(&pick, stream);
            self.priorities.resize(pick.entities.len(), NONE);
        }
        loop {
            let Some(index) = self.highest(&pick, stream) else {
                // Whoever was intended cannot go on.
                self.held.clear();
                self.intended = None;
                continue;
            };
            let entity = pick.runnable[index];
            if self.counts(&pick, entity) {
                if self.left(entity) == 0 {
                    // It does more than in the profile.
                    if self.left.len() <= entity as usize {
                        self.left.resize(entity as usize + 1, 0);
                    }
                    self.left[entity as usize] = 1;
                }
                let intended = match self.intended {
                    Some(intended) => intended,
                    None => *self.intended.insert(self.intend(&pick, stream)),
                };
                if intended != entity {
                    self.held.push(entity);
                    continue;
                }
                self.left[entity as usize] -= 1;
                self.intended = None;
                self.held.clear();
            }
            self.priorities[entity as usize] = NONE;
            return index;
        }
    }

    fn alone(&mut self, entity: u32, touch: crate::kernel::Touch) {
        if self.counts_at(touch.site)
            && let Some(left) = self.left.get_mut(entity as usize)
        {
            *left = left.saturating_sub(1);
        }
    }
}
