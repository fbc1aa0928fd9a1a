//! Seeds that begin as another seed's run and go on otherwise. `run/coverage.rs` makes them of seeds that reached something
//! new; `choice` asks here what a seed means.
//!
//! Such a seed says by itself what it is, so that it replays like any other: twelve bits mark it, twenty have the other seed,
//! eight the length of its run, roughly, and the rest are counted up. Where the one run leaves the other, and how it goes on,
//! follows from all of them.

/// A run that is another's up to a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mutation {
    /// The seed of the run that it begins as.
    pub base: u64,
    /// How many scheduling points it follows that one, at least 1.
    pub follows: u64,
    /// Takes the place of the seed where a strategy is chosen for the rest.
    pub turn: u64,
}

/// The mark, in the highest bits.
const MARK: u64 = 0xc5a;
const MARK_AT: u32 = 52;
const BASE_AT: u32 = 32;
const SPAN_AT: u32 = 24;

impl Mutation {
    /// The first seed beyond those that can be begun with.
    pub const BASES: u64 = 1 << (MARK_AT - BASE_AT);
    /// How many there are of one seed.
    pub const EACH: u64 = 1 << SPAN_AT;

    /// The seed of number `index`, less than [`Mutation::EACH`], that begins as `base`, whose run has about `points`
    /// scheduling points. Those of successive numbers follow each other.
    ///
    /// `None` if `base` is not below [`Mutation::BASES`].
    pub fn seed(base: u64, points: u64, index: u64) -> Option<u64> {
        let fits = base < Self::BASES && index < Self::EACH;
        fits.then(|| MARK << MARK_AT | base << BASE_AT | u64::from(span(points)) << SPAN_AT | index)
    }

    /// The seed as which a seed begins: itself, as a rule.
    #[inline]
    pub fn base_of(seed: u64) -> u64 {
        Mutation::of(seed).map_or(seed, |mutation| mutation.base)
    }

    /// What a seed is; `None` for one that begins as no other.
    #[inline]
    pub fn of(seed: u64) -> Option<Mutation> {
        (seed >> MARK_AT == MARK).then(|| {
            let turn = seed % Self::EACH;
            let mixed = (seed ^ seed >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let length = length((seed >> SPAN_AT) as u8);
            Mutation {
                base: (seed >> BASE_AT) % Self::BASES,
                follows: 1 + ((u128::from(mixed) * u128::from(length)) >> 64) as u64,
                turn,
            }
        })
    }
}

/// A length in eight bits: four of them a power of two, and four what comes after the leading one.
fn span(points: u64) -> u8 {
    (0..=u8::MAX)
        .rev()
        .find(|code| length(*code) <= points)
        .unwrap_or(0)
}

fn length(code: u8) -> u64 {
    let (power, rest) = (code >> 4, u64::from(code & 15));
    match power {
        0 => rest + 1,
        _ => (16 + rest) << (power - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_what_it_begins_as_and_for_how_long() {
        for points in [1, 2, 16, 17, 100, 5_000, 400_000] {
            let seeds = (0..1_000).map(|index| Mutation::seed(77, points, index).unwrap());
            let found: Vec<Mutation> = seeds.map(|seed| Mutation::of(seed).unwrap()).collect();
            assert!(
                found
                    .iter()
                    .all(|m| m.base == 77 && (1..=points).contains(&m.follows)),
                "{points}"
            );
            let late = found.iter().filter(|m| m.follows * 2 > points).count();
            assert!(
                points < 16 || (350..650).contains(&late),
                "{late} of 1000 in the second half of {points}"
            );
        }
    }

    #[test]
    fn other_seeds_are_what_they_are() {
        for seed in [0, 1, 255, u64::MAX, 0x8000_0000_0000_0000, 1 << 40] {
            assert_eq!(Mutation::of(seed), None);
        }
        assert_eq!(Mutation::seed(Mutation::BASES, 10, 0), None);
    }

    #[test]
    fn lengths_are_told_within_a_sixteenth() {
        for points in 1..100_000u64 {
            let told = length(span(points));
            assert!(
                told <= points && points - told <= points / 16,
                "{points} as {told}"
            );
        }
    }
}
