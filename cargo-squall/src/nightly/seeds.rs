//! Seeds of a nightly run: which of them are a commit's, which of those a shard's, and which have been run.
//!
//! The commit's name picks one of 2^31 ranges of 2^32 seeds, so that two nights hardly ever share a seed unless they are of the same
//! commit, and then the records tell what has been run. Shards share a range in blocks, or, where it is known how many seeds there
//! are, in equal parts.

use super::shard::Shard;
use serde::{Deserialize, Serialize};

/// How many seeds a commit has for each test.
pub const RANGE: u64 = 1 << 32;
/// How many seeds in a row are one shard's.
const BLOCK: u64 = 1 << 16;

/// The first seed of a commit's range.
pub fn base(commit: &str) -> u64 {
    (fnv(commit.as_bytes()) >> 33) * RANGE
}

/// FNV-1a with a last stir, so that all bits of the text reach the high ones.
pub fn fnv(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

/// The next seeds of a shard that have not been run: the first, and how many there are in a row. `total` is how many there are
/// for all shards together, if that is limited.
pub fn next(base: u64, total: Option<u64>, shard: Shard, done: &Spans) -> Option<(u64, u64)> {
    let parts: Box<dyn Iterator<Item = (u64, u64)>> = match total {
        Some(total) => {
            let part = |i| (u128::from(total) * u128::from(i) / u128::from(shard.of)) as u64;
            Box::new(std::iter::once((part(shard.index), part(shard.index + 1))))
        }
        None => {
            let blocks = (shard.index..RANGE / BLOCK).step_by(shard.of as usize);
            Box::new(blocks.map(|block| (block * BLOCK, (block + 1) * BLOCK)))
        }
    };
    for (first, end) in parts {
        if let Some(found) = done.first_gap(base + first, base + end) {
            return Some(found);
        }
    }
    None
}

/// A set of seeds, as ranges: each from its first seed to before its end, in order, and none touching the next.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Adds seeds.
    pub fn add(&mut self, first: u64, count: u64) {
        let mut new = (first, first.saturating_add(count));
        if count == 0 {
            return;
        }
        let from = self.0.partition_point(|&(_, end)| end < new.0);
        let to = self.0.partition_point(|&(first, _)| first <= new.1);
        for &(first, end) in &self.0[from..to] {
            new = (new.0.min(first), new.1.max(end));
        }
        self.0.splice(from..to, [new]);
    }

    /// Adds all of another's.
    pub fn join(&mut self, other: &Spans) {
        for &(first, end) in &other.0 {
            self.add(first, end.saturating_sub(first));
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, end)| end - first).sum()
    }

    /// The first seeds between these two that are not among them, and how many in a row.
    fn first_gap(&self, first: u64, end: u64) -> Option<(u64, u64)> {
        let mut at = first;
        for &(from, to) in &self.0 {
            if to <= at {
                continue;
            }
            if from > at {
                return (at < end).then(|| (at, from.min(end) - at));
            }
            at = to;
        }
        (at < end).then(|| (at, end - at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_commits_are_apart_and_low_enough() {
        let mut bases: Vec<u64> = (0..10_000).map(|i| base(&format!("{i:040x}"))).collect();
        bases.sort_unstable();
        bases.dedup();
        assert!(bases.len() > 9_990, "{}", bases.len());
        for base in bases {
            assert!(base.is_multiple_of(RANGE) && base + RANGE <= 1 << 63);
        }
    }

    #[test]
    fn spans_join_what_touches() {
        let mut spans = Spans::default();
        spans.add(10, 5);
        spans.add(20, 5);
        spans.add(30, 0);
        assert_eq!(spans.0, [(10, 15), (20, 25)]);
        assert_eq!(spans.first_gap(0, 100), Some((0, 10)));
        assert_eq!(spans.first_gap(10, 100), Some((15, 5)));
        assert_eq!(spans.first_gap(22, 24), None);
        spans.add(15, 5);
        assert_eq!(spans.0, [(10, 25)]);
        spans.add(0, 100);
        assert_eq!(spans.0, [(0, 100)]);
        assert_eq!(spans.len(), 100);
        let mut other = Spans::default();
        other.add(50, 100);
        spans.join(&other);
        assert_eq!(spans.0, [(0, 150)]);
    }

    /// Runs everything that is a shard's, in steps.
    fn all(total: Option<u64>, shard: Shard, steps: usize) -> Spans {
        let mut done = Spans::default();
        for step in 0..steps {
            let Some((first, count)) = next(1 << 40, total, shard, &done) else {
                break;
            };
            done.add(first, count.min(step as u64 * 1000 + 7));
        }
        done
    }

    #[test]
    fn shards_share_the_seeds_and_never_overlap() {
        for total in [1, 7, 800, 12_345] {
            let mut joined = Spans::default();
            let mut sum = 0;
            for index in 0..8 {
                let part = all(Some(total), Shard { index, of: 8 }, 100);
                sum += part.len();
                joined.join(&part);
            }
            assert_eq!(sum, total);
            assert_eq!(joined.0, [(1 << 40, (1 << 40) + total)]);
        }
        let mut joined = Spans::default();
        let mut sum = 0;
        for index in 0..8 {
            let part = all(None, Shard { index, of: 8 }, 60);
            sum += part.len();
            joined.join(&part);
        }
        assert!(sum > 8 * BLOCK);
        assert_eq!(joined.len(), sum);
    }
}
