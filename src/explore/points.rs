//! At which scheduling points of a run a strategy does something out of its order. PCT and the delay-bounded strategy use it.
//!
//! Both want a few points, uniform over the whole run, whose length is not known before it ends. The profile's length serves
//! as a guess. A run that outlives the guess gets points anew in a second stretch of the same length as all before, and so
//! on; nothing is carried from run to run.

use super::Profile;
use crate::choice::Stream;

/// The most points in a stretch.
const MOST: usize = 16;
/// The guess, in bits, where there is no profile: 2^4 to 2^11 points.
const GUESS: std::ops::Range<u64> = 4..12;

/// A few scheduling points of a run, drawn at random.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    at: [u64; MOST],
    wanted: usize,
    /// How many scheduling points there have been.
    pub(super) count: u64,
    /// The earliest of `at` that is still to come, or the end of the stretch.
    next: u64,
    end: u64,
}

/// What there is to do at a scheduling point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Nothing,
    /// This one of the wanted points has been reached.
    Point(usize),
    /// A stretch is over, and the next one begins.
    Stretch,
}

impl Points {
    /// Draws `wanted` points over the length that the profile suggests. A quarter of the runs takes a length up to four
    /// times smaller or larger, and three eighths twice the length: runs of one test can differ in what they draw for their
    /// runtime, and a guess that is too long costs less than one that is too short.
    pub(super) fn begin(&mut self, wanted: usize, profile: &Profile, stream: &mut Stream) {
        let length = match profile.points {
            0 => 1 << (GUESS.start + stream.below(GUESS.end - GUESS.start)),
            known => match stream.below(8) {
                0 | 1 => (known << stream.below(5)) / 4,
                2..=4 => known + known / 8,
                _ => 2 * known,
            },
        };
        self.wanted = wanted.min(MOST);
        self.count = 0;
        self.end = 0;
        self.stretch(length.max(2), stream);
    }

    fn stretch(&mut self, length: u64, stream: &mut Stream) {
        let start = self.end;
        self.end = start + length;
        for at in &mut self.at[..self.wanted] {
            *at = start + stream.below(length);
        }
        self.look_ahead();
    }

    fn look_ahead(&mut self) {
        let coming = self.at[..self.wanted].iter().copied();
        self.next = coming
            .filter(|&at| at >= self.count)
            .min()
            .unwrap_or(self.end);
    }

    /// One scheduling point more.
    #[inline]
    pub(super) fn pass(&mut self, stream: &mut Stream) -> Due {
        let now = self.count;
        self.count += 1;
        if now < self.next {
            return Due::Nothing;
        }
        self.reached(now, stream)
    }

    #[cold]
    fn reached(&mut self, now: u64, stream: &mut Stream) -> Due {
        if now >= self.end {
            self.stretch(self.end, stream);
            return Due::Stretch;
        }
        let which = self.at[..self.wanted].iter().position(|&at| at == now);
        self.look_ahead();
        which.map_or(Due::Nothing, Due::Point)
    }
}
