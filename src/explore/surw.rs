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
    /// Entities that wait for it to do so: those that have the present number here.
    held: Vec<u32>,
    holding: u32,
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
            entities.filter(|entity| !self.is_held(*entity))
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

    #[inline]
    fn is_held(&self, entity: u32) -> bool {
        self.held[entity as usize] == self.holding
    }

    /// Nobody waits for another any more.
    fn release(&mut self) {
        self.intended = None;
        self.holding = match self.holding.checked_add(1) {
            Some(next) => next,
            None => {
                self.held.fill(0);
                1
            }
        };
    }

    /// The place of the entity with the highest priority among those that are not held; `None` if all are.
    #[inline]
    fn highest(&mut self, pick: &Pick<'_>, stream: &mut Stream) -> Option<usize> {
        let mut best = None;
        let mut highest = NONE;
        for (i, entity) in pick.runnable.iter().enumerate() {
            if self.is_held(*entity) {
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

    /// Who goes on where an event that counts is next and `intended` is to make it: the highest of those that make none, and
    /// of `intended`. All above wait; `None` if that is everybody.
    fn highest_but(&mut self, pick: &Pick<'_>, intended: u32) -> Option<usize> {
        let mut best = None;
        let mut highest = NONE;
        for (i, &entity) in pick.runnable.iter().enumerate() {
            let priority = self.priorities[entity as usize];
            if priority > highest
                && !self.is_held(entity)
                && (entity == intended || !self.counts(pick, entity))
            {
                (best, highest) = (Some(i), priority);
            }
        }
        for (i, &entity) in pick.runnable.iter().enumerate() {
            let priority = self.priorities[entity as usize];
            let above = priority > highest || priority == highest && best.is_some_and(|b| i < b);
            if above && !self.is_held(entity) {
                self.held[entity as usize] = self.holding;
                self.expect(entity);
            }
        }
        best
    }

    /// The entity is about to make an event that counts, even if it does more than in the profile.
    #[inline]
    fn expect(&mut self, entity: u32) {
        if self.left(entity) == 0 {
            if self.left.len() <= entity as usize {
                self.left.resize(entity as usize + 1, 0);
            }
            self.left[entity as usize] = 1;
        }
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
        (self.holding, self.intended) = (1, None);
        self.known = 0;
    }

    fn sees_tasks(&self) -> bool {
        true
    }

    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        if self.known < pick.entities.len() {
            self.born(&pick, stream);
            self.priorities.resize(pick.entities.len(), NONE);
            self.held.resize(pick.entities.len(), 0);
        }
        loop {
            let Some(mut index) = self.highest(&pick, stream) else {
                // Whoever was intended cannot go on.
                self.release();
                continue;
            };
            let mut entity = pick.runnable[index];
            if self.counts(&pick, entity) {
                self.expect(entity);
                let intended = match self.intended {
                    Some(intended) => intended,
                    None => *self.intended.insert(self.intend(&pick, stream)),
                };
                if intended != entity {
                    let Some(other) = self.highest_but(&pick, intended) else {
                        continue;
                    };
                    index = other;
                    entity = pick.runnable[index];
                }
                if intended == entity && self.counts(&pick, entity) {
                    self.expect(entity);
                    self.left[entity as usize] -= 1;
                    self.release();
                }
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

#[cfg(test)]
mod tests {
    use super::super::{Profile, Strategy as _, Target};
    use super::{NONE, Surw};
    use crate::choice::{Stream, Streams};
    use crate::kernel::{Domain, Entity, NOBODY, Pick, Touch};
    use proptest::prelude::*;

    /// The same in as many passes as there are entities to be held: the description in the paper, word by word.
    fn plainly(surw: &mut Surw, pick: Pick<'_>, stream: &mut Stream) -> usize {
        if surw.known < pick.entities.len() {
            surw.born(&pick, stream);
            surw.priorities.resize(pick.entities.len(), NONE);
            surw.held.resize(pick.entities.len(), 0);
        }
        loop {
            let Some(index) = surw.highest(&pick, stream) else {
                surw.release();
                continue;
            };
            let entity = pick.runnable[index];
            if surw.counts(&pick, entity) {
                surw.expect(entity);
                let intended = match surw.intended {
                    Some(intended) => intended,
                    None => *surw.intended.insert(surw.intend(&pick, stream)),
                };
                if intended != entity {
                    surw.held[entity as usize] = surw.holding;
                    continue;
                }
                surw.left[entity as usize] -= 1;
                surw.release();
            }
            surw.priorities[entity as usize] = NONE;
            return index;
        }
    }

    proptest! {
        #[test]
        fn one_pass_picks_as_many_do(
            seed: u64,
            counts in proptest::collection::vec(0u32..6, 0..9),
            selective: bool,
            picks in proptest::collection::vec((1u32..256, any::<[bool; 8]>()), 1..60),
        ) {
            let targets = if selective {
                vec![Target { sites: vec![1], counts: counts.clone() }]
            } else {
                Vec::new()
            };
            let profile = Profile { points: 1, targets, all: counts, sites: Vec::new() };
            let (mut one, mut other) = (Surw::default(), Surw::default());
            let (mut ones, mut others) = (Streams::new(seed), Streams::new(seed));
            one.begin(&profile, ones.of(Domain::Schedule));
            other.begin(&profile, others.of(Domain::Schedule));
            for (born, (set, at)) in picks.into_iter().enumerate() {
                let entities: Vec<Entity> = (0..8.min(2 + born))
                    .map(|i| Entity {
                        parent: if i == 0 { NOBODY } else { i as u32 / 2 },
                        group: 0,
                        touch: Touch { site: u64::from(at[i]), ..Touch::UNKNOWN },
                    })
                    .collect();
                let able = |i: &u32| set >> i & 1 == 1;
                let mut runnable: Vec<u32> = (0..entities.len() as u32).filter(able).collect();
                if runnable.is_empty() {
                    runnable.push(0);
                }
                let pick = Pick {
                    runnable: &runnable,
                    current: None,
                    yielded: false,
                    entities: &entities,
                    now: 0,
                };
                let picked = one.pick(pick, ones.of(Domain::Schedule));
                prop_assert_eq!(picked, plainly(&mut other, pick, others.of(Domain::Schedule)));
                prop_assert_eq!(&one.left, &other.left);
                prop_assert_eq!(one.intended, other.intended);
            }
        }
    }
}
