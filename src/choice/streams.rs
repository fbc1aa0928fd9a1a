//! One ChaCha8 stream per domain, all from one seed.
//!
//! [`super::Choices`] draws from here. A tiny simulation lasts about 5 µs, so a stream is set up only when its domain
//! first draws, setting a new seed only marks the streams as stale, and a draw costs no division.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::kernel::Domain;

/// Follows the seed in the key, so that our streams are nobody else's, and names the layout of the streams: a seed
/// found under one layout means nothing under another.
const KEY_TAG: &[u8; 24] = b"squall: choice streams 1";

/// How many words are drawn from the generator at a time.
const WORDS: usize = 64;

/// A source of uniform numbers: one domain's stream.
///
/// The generator has a buffer of its own, but a draw from it has its whole block function in line. Here a draw is a load, and
/// the words come in the order in which the generator would give them.
#[derive(Clone, Debug)]
pub struct Stream {
    rng: ChaCha8Rng,
    words: [u32; WORDS],
    /// The first of `words` that has not been given.
    next: usize,
}

impl Stream {
    fn new(seed: u64, number: u64) -> Self {
        Stream {
            rng: generator(seed, number),
            words: [0; WORDS],
            next: WORDS,
        }
    }

    /// Starts over as another stream.
    fn restart(&mut self, seed: u64, number: u64) {
        self.rng = generator(seed, number);
        self.next = WORDS;
    }

    #[inline]
    fn word(&mut self) -> u32 {
        if self.next >= WORDS {
            self.refill();
        }
        let word = self.words[self.next];
        self.next += 1;
        word
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self) {
        let mut bytes = [0; 4 * WORDS];
        self.rng.fill_bytes(&mut bytes);
        let (words, _) = bytes.as_chunks();
        for (word, bytes) in self.words.iter_mut().zip(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        self.next = 0;
    }

    fn wide_word(&mut self) -> u64 {
        let low = u64::from(self.word());
        low | u64::from(self.word()) << 32
    }

    /// A uniform number in `0..n`. `n` of zero is read as one, since an empty range has no answer.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        if n <= 1 << 16 {
            // Multiply-shift over 32 bits: the bias is at most n / 2^32, under 2^-16 here.
            (u64::from(self.word()) * n) >> 32
        } else {
            self.below_wide(n)
        }
    }

    #[inline(never)]
    fn below_wide(&mut self, n: u64) -> u64 {
        let mut wide = u128::from(self.wide_word()) * u128::from(n);
        // Lemire's rejection, whose division runs only when a reject is possible at all.
        if (wide as u64) < n {
            let reject_below = n.wrapping_neg() % n;
            while (wide as u64) < reject_below {
                wide = u128::from(self.wide_word()) * u128::from(n);
            }
        }
        (wide >> 64) as u64
    }

    /// Fills `bytes` from the stream. What is left of a word that is used in part is thrown away.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(4) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

fn generator(seed: u64, number: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..].copy_from_slice(KEY_TAG);
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(number);
    rng
}

/// The streams of one seed.
#[derive(Debug)]
pub struct Streams {
    seed: u64,
    /// Bit `d` is set once domain `d` has drawn under the present seed.
    live: u8,
    streams: [Stream; Domain::ALL.len()],
}

impl Streams {
    /// The streams of `seed`, none of them drawn from yet.
    pub fn new(seed: u64) -> Self {
        let blank = Stream::new(0, 0);
        Streams {
            seed,
            live: 0,
            streams: std::array::from_fn(|_| blank.clone()),
        }
    }

    /// Starts over under another seed; the allocations stay.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.live = 0;
    }

    /// The seed of all streams.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Lets one domain go on as under another seed.
    #[cold]
    #[inline(never)]
    pub fn turn(&mut self, domain: Domain, seed: u64) {
        let number = domain as usize;
        self.live |= 1 << number;
        self.streams[number].restart(seed, number as u64);
    }

    /// The stream of a domain.
    #[inline]
    pub fn of(&mut self, domain: Domain) -> &mut Stream {
        let number = domain as usize;
        if self.live & (1 << number) == 0 {
            self.turn(domain, self.seed);
        }
        &mut self.streams[number]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn streams_of_one_seed_do_not_disturb_each_other() {
        let mut a = Streams::new(7);
        let mut b = Streams::new(7);
        let schedule: Vec<u64> = (0..100)
            .map(|_| a.of(Domain::Schedule).below(1000))
            .collect();
        let mixed: Vec<u64> = (0..100)
            .map(|_| {
                b.of(Domain::Time).below(1000);
                b.of(Domain::Schedule).below(1000)
            })
            .collect();
        assert_eq!(schedule, mixed);
        let time: Vec<u64> = (0..100).map(|_| a.of(Domain::Time).below(1000)).collect();
        assert_ne!(schedule, time);
    }

    #[test]
    fn reseeding_equals_starting_afresh() {
        let mut used = Streams::new(1);
        used.of(Domain::Entropy).below(10);
        used.reseed(2);
        let mut fresh = Streams::new(2);
        for _ in 0..100 {
            assert_eq!(
                used.of(Domain::Entropy).below(1 << 40),
                fresh.of(Domain::Entropy).below(1 << 40)
            );
        }
    }

    #[test]
    fn every_value_of_a_small_range_appears() {
        let mut streams = Streams::new(3);
        let mut seen = [0u32; 5];
        for _ in 0..5000 {
            seen[streams.of(Domain::User).below(5) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (800..1200).contains(&count)),
            "{seen:?}"
        );
    }

    proptest! {
        #[test]
        fn numbers_and_bytes_are_those_of_the_generator(seed: u64, draws in prop::collection::vec(0usize..300, 1..60)) {
            let mut streams = Streams::new(seed);
            let mut rng = generator(seed, Domain::User as u64);
            for len in draws {
                let stream = streams.of(Domain::User);
                match len {
                    0 => prop_assert_eq!(stream.word(), rng.next_u32()),
                    1 => prop_assert_eq!(stream.wide_word(), rng.next_u64()),
                    _ => {
                        let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
                        stream.fill(&mut ours);
                        rng.fill_bytes(&mut theirs);
                        prop_assert_eq!(ours, theirs);
                    }
                }
            }
        }

        #[test]
        fn a_draw_stays_below_its_bound(seed: u64, n in 1u64..) {
            let mut streams = Streams::new(seed);
            for _ in 0..20 {
                prop_assert!(streams.of(Domain::User).below(n) < n);
            }
        }
    }
}
