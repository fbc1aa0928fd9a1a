//! What instrumented code has reached: edges of its control flow, and pairs of accesses that met. `coordinator` tells of each
//! run that reached something new, and asks which seeds such runs are worth.
//!
//! A pair is two places in the program, the second of which came to a word of memory right after the first, on another thread. Seeds
//! that met a new one, or took a new edge, are kept, and some of the further runs begin as theirs (`explore/mutation.rs`).

use std::collections::HashSet;

use crate::explore::{Mutation, PROFILE_SEED};
use crate::kernel::Reached;

/// Of all runs, one in so many begins as another's.
const SHARE: u64 = 3;
/// Fewer of them are not worth a process while there are other seeds to run.
const FEW: u64 = 16;
/// The most that begin as one seed's run, before it is another's turn.
const MANY: u64 = 256;
/// How many seeds are kept; the oldest make room.
const KEPT: usize = 256;

/// A seed that reached something new.
#[derive(Debug)]
struct Kept {
    seed: u64,
    /// Scheduling points of its run.
    points: u64,
    /// How many have begun as it.
    used: u64,
}

/// What all runs of a test have reached.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    edges: HashSet<u32>,
    pairs: HashSet<u16>,
    /// The last seed that reached something new.
    last: Option<u64>,
    kept: Vec<Kept>,
    turn: usize,
    /// Runs so far that begin as no other's, and those that do.
    plain: u64,
    mutated: u64,
}

impl Coverage {
    /// A run reached what no other run of its process had.
    pub(crate) fn add(&mut self, seed: u64, points: u64, reached: &Reached) {
        let before = self.edges.len() + self.pairs.len();
        self.edges.extend(&reached.edges);
        self.pairs.extend(&reached.pairs);
        if self.edges.len() + self.pairs.len() == before {
            return;
        }
        self.last = Some(seed);
        // The run of the profile's seed has other points than the rest.
        if seed != PROFILE_SEED && seed < Mutation::BASES && points > 0 {
            if self.kept.len() == KEPT {
                self.kept.remove(0);
            }
            self.kept.push(Kept {
                seed,
                points,
                used: 0,
            });
        }
    }

    /// So many seeds from `first` on have run.
    pub(crate) fn ran(&mut self, first: u64, count: u64) {
        match Mutation::of(first) {
            Some(_) => self.mutated += count,
            None => self.plain += count,
        }
    }

    /// Seeds to run next that begin as one that was kept: the first and how many. `all`: however few they are.
    pub(crate) fn mutations(&mut self, all: bool) -> Option<(u64, u64)> {
        let due = (self.plain / (SHARE - 1)).checked_sub(self.mutated)?;
        if due == 0 || (due < FEW && !all) {
            return None;
        }
        // The latest first, then back in time, and round again.
        let length = self.kept.len();
        let kept = self
            .kept
            .get_mut((length.checked_sub(1)? + length - self.turn % length) % length)?;
        self.turn += 1;
        let count = due.min(MANY).min(Mutation::EACH - kept.used);
        let first = Mutation::seed(kept.seed, kept.points, kept.used)?;
        kept.used += count;
        (count > 0).then_some((first, count))
    }

    /// In a line, for a program with so many edges.
    pub(crate) fn told(&self, edges: u32) -> String {
        let last = match self.last {
            Some(seed) => format!("last new at seed {seed:#x}"),
            None => "nothing new".to_owned(),
        };
        format!(
            "{} of {edges} edges, {} interleaving pairs, {last}; {} of {} runs began as that of a seed which reached something new",
            self.edges.len(),
            self.pairs.len(),
            self.mutated,
            self.plain + self.mutated
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(edges: &[u32], pairs: &[u16]) -> Reached {
        Reached {
            edges: edges.to_vec(),
            pairs: pairs.to_vec(),
        }
    }

    #[test]
    fn seeds_that_reach_something_new_are_begun_as_and_others_are_not() {
        let mut coverage = Coverage::default();
        coverage.add(0, 9, &reached(&[1, 2], &[7]));
        coverage.ran(0, 1);
        assert_eq!(coverage.mutations(true), None, "only seed 0 so far");
        coverage.add(3, 20, &reached(&[2], &[8]));
        coverage.add(4, 20, &reached(&[2], &[7, 8]));
        coverage.ran(1, 99);
        let (first, count) = coverage.mutations(false).unwrap();
        assert_eq!(count, 50, "one in three");
        assert_eq!(Mutation::of(first).unwrap().base, 3);
        coverage.ran(first, count);
        assert_eq!(coverage.mutations(true), None);
        assert!(coverage.told(12).starts_with(
            "2 of 12 edges, 2 interleaving pairs, last new at seed 0x3; 50 of 150 runs"
        ));
    }

    #[test]
    fn kept_seeds_take_turns() {
        let mut coverage = Coverage::default();
        for seed in 1..4 {
            coverage.add(seed, 20, &reached(&[seed as u32], &[]));
        }
        coverage.ran(0, 10_000);
        let bases: Vec<u64> = (0..4)
            .map(|_| {
                let (first, count) = coverage.mutations(false).unwrap();
                coverage.ran(first, count);
                Mutation::of(first).unwrap().base
            })
            .collect();
        assert_eq!(bases, [3, 2, 1, 3]);
    }
}
