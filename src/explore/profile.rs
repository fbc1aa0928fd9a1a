//! What strategies may know of a test before a run: how long its runs are, and what its entities touch.
//!
//! Some strategies need it (SURW), others do better with it (PCT, delay-bounded). It is always taken from the run of seed 0,
//! which has none itself; so it follows from the test's program alone, and a seed replays by itself, whatever ran before. A
//! saved log carries the profile of its run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kernel::{NOBODY, Pick, Touch};

/// The seed whose run is the profile of all others.
pub const SEED: u64 = 0;

/// What is known of a test's runs. The default: nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Scheduling points with something to choose; 0 if not known.
    pub points: u64,
    /// Shared objects, those that are touched most first.
    pub targets: Vec<Target>,
    /// How many events each entity had, its offspring's included, by its number.
    pub all: Vec<u32>,
    /// Places in the program, ascending, that came to memory that threads contend for; empty unless its code is instrumented.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<u64>,
}

/// An object that several entities touch, and at least one of them to change it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Target {
    /// The places in the program that touch it, ascending.
    pub sites: Vec<u64>,
    /// How often each entity did, its offspring included, by its number.
    pub counts: Vec<u32>,
}

/// The most objects that a profile names, as in the paper on SURW.
const TARGETS: usize = 20;
/// The most entities whose counts it keeps.
const ENTITIES: usize = 256;
/// The most places that it keeps for an object.
const SITES: usize = 16;
/// Objects beyond this number are not looked at: the profile is to cost little.
const OBJECTS: usize = 1 << 14;

/// Takes a profile from a run.
#[derive(Debug, Default)]
pub(crate) struct Profiler {
    points: u64,
    all: Object,
    /// By resource.
    objects: BTreeMap<u64, Object>,
    /// Of each entity.
    parents: Vec<u32>,
}

#[derive(Debug, Default)]
struct Object {
    sites: Vec<u64>,
    counts: Vec<u32>,
    written: bool,
}

impl Object {
    fn add(&mut self, entity: u32, touch: Touch) {
        let entity = entity as usize;
        if entity >= ENTITIES {
            return;
        }
        if self.counts.len() <= entity {
            self.counts.resize(entity + 1, 0);
        }
        self.counts[entity] += 1;
        self.written |= touch.write;
        if self.sites.len() < SITES
            && let Err(at) = self.sites.binary_search(&touch.site)
        {
            self.sites.insert(at, touch.site);
        }
    }

    fn shared(&self) -> bool {
        self.written && self.counts.iter().filter(|&&count| count > 0).count() > 1
    }

    /// What the entities count with all that they created, which come after them.
    fn with_offspring(&self, parents: &[u32]) -> Vec<u32> {
        let mut counts = self.counts.clone();
        for entity in (0..counts.len()).rev() {
            let parent = parents.get(entity).copied().unwrap_or(NOBODY) as usize;
            if parent < entity {
                counts[parent] += counts[entity];
            }
        }
        counts
    }
}

impl Profiler {
    /// `pick` was answered with `index`.
    pub(crate) fn picked(&mut self, pick: Pick<'_>, index: usize) {
        self.points += 1;
        let known = self.parents.len();
        let new = pick.entities.iter().skip(known);
        self.parents.extend(new.map(|entity| entity.parent));
        let entity = pick.runnable[index];
        self.touched(entity, pick.entities[entity as usize].touch);
    }

    /// An entity did something.
    pub(crate) fn touched(&mut self, entity: u32, touch: Touch) {
        self.all.add(entity, Touch { site: 0, ..touch });
        if touch.resource == 0 || touch.site == 0 {
            return;
        }
        if self.objects.len() < OBJECTS || self.objects.contains_key(&touch.resource) {
            let object = self.objects.entry(touch.resource).or_default();
            object.add(entity, touch);
        }
    }

    /// What the run, which is over, comes to.
    pub(crate) fn finish(self) -> Profile {
        // Objects that the same places touch cannot be told apart in another run.
        let mut by_sites: BTreeMap<Vec<u64>, Vec<u32>> = BTreeMap::new();
        for object in self.objects.values().filter(|object| object.shared()) {
            let counts = by_sites.entry(object.sites.clone()).or_default();
            for (entity, count) in object.with_offspring(&self.parents).iter().enumerate() {
                if counts.len() <= entity {
                    counts.resize(entity + 1, 0);
                }
                counts[entity] += count;
            }
        }
        let target = |(sites, counts)| Target { sites, counts };
        let mut targets: Vec<Target> = by_sites.into_iter().map(target).collect();
        let weight = |target: &Target| target.counts.first().copied().unwrap_or(0);
        targets.sort_by_key(|target| std::cmp::Reverse(weight(target)));
        targets.truncate(TARGETS);
        Profile {
            points: self.points,
            targets,
            all: self.all.with_offspring(&self.parents),
            sites: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(resource: u64, site: u64, write: bool) -> Touch {
        Touch {
            resource,
            site,
            write,
        }
    }

    #[test]
    fn only_shared_and_changed_objects_are_targets_and_parents_count_for_their_children() {
        let mut profiler = Profiler {
            parents: vec![NOBODY, 0, 0],
            ..Profiler::default()
        };
        for (entity, resource, site, write) in [
            (1, 100, 7, true),
            (2, 100, 8, false),
            (2, 100, 8, false),
            // Read by both, written by nobody.
            (1, 200, 9, false),
            (2, 200, 9, false),
            // Written by one alone.
            (1, 300, 5, true),
            // Nobody knows what, nobody knows where.
            (1, 0, 4, true),
            (2, 400, 0, true),
            (1, 400, 0, true),
        ] {
            profiler.touched(entity, touch(resource, site, write));
        }
        let profile = profiler.finish();
        let target = Target {
            sites: vec![7, 8],
            counts: vec![3, 1, 2],
        };
        assert_eq!(profile.targets, [target]);
        assert_eq!(profile.all, [9, 5, 4]);
    }
}
