//! From a rate that changes over time to the instants at which requests arrive. Called by `drive`, which asks for one instant after
//! the other.
//!
//! A rate is a row of pieces in each of which it changes linearly. The number of requests up to a time is its integral, and
//! the instants are where that integral has grown by a gap: by one for even spacing, by an exponentially distributed amount for a
//! Poisson process (the time change theorem: Cox and Lewis, *The Statistical Analysis of Series of Events*, 1966).

use crate::kernel::ln;

/// A stretch of time in which the rate goes linearly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// How long, in seconds.
    pub(super) seconds: f64,
    /// Requests in a second at its beginning, and at its end.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Piece {
    /// How many requests it has.
    fn mass(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.seconds
    }

    /// After how many seconds it has had `mass` requests; `mass` is at most its own.
    fn after(&self, mass: f64) -> f64 {
        let bend = (self.to - self.from) / (2.0 * self.seconds);
        let root = (self.from * self.from + 4.0 * bend * mass).max(0.0).sqrt();
        let t = 2.0 * mass / (self.from + root);
        // Nothing at a rate of 0.
        if t.is_finite() {
            t.clamp(0.0, self.seconds)
        } else {
            self.seconds
        }
    }
}

/// How requests are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    /// At random, as those of many clients who know nothing of each other.
    Poisson,
    /// As regularly as a clock.
    Even,
}

/// The pieces of a rate, one after the other.
pub(super) type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

/// The instants at which requests arrive.
pub(super) struct Arrivals {
    pieces: Pieces,
    piece: Option<Piece>,
    /// When the piece begins, in seconds.
    start: f64,
    /// How many requests of it have been.
    passed: f64,
    spacing: Spacing,
    first: bool,
}

/// Steps of probability.
const STEPS: u64 = 1 << 32;
/// The probability at which an exponential distribution of mean 1 comes to 1: 1 - 1/e.
const AT_MEAN: f64 = 0.632_120_558_828_557_7;

impl Arrivals {
    pub(super) fn new(mut pieces: Pieces, spacing: Spacing) -> Arrivals {
        let piece = pieces.next();
        Arrivals {
            pieces,
            piece,
            start: 0.0,
            passed: 0.0,
            spacing,
            first: true,
        }
    }

    /// The next instant, in seconds since the beginning; `below(n)` answers with a number in `0..n`.
    pub(super) fn next(&mut self, below: &mut dyn FnMut(u64) -> u64) -> Option<f64> {
        let mut gap = match self.spacing {
            Spacing::Even if self.first => 0.5,
            Spacing::Even => 1.0,
            Spacing::Poisson => gap(below(STEPS)),
        };
        self.first = false;
        loop {
            let piece = self.piece?;
            let left = piece.mass() - self.passed;
            if gap <= left {
                self.passed += gap;
                return Some(self.start + piece.after(self.passed));
            }
            gap -= left;
            self.start += piece.seconds;
            self.passed = 0.0;
            self.piece = self.pieces.next();
        }
    }
}

/// A sample of the exponential distribution of mean 1. 0 stands for the mean: what is shrunk gets more regular.
fn gap(step: u64) -> f64 {
    let p = AT_MEAN + (step as f64 + 0.5) / STEPS as f64;
    let p = if p >= 1.0 { p - 1.0 } else { p };
    -ln((1.0 - p).max(f64::EPSILON))
}

/// The sine of so many turns, 0 to 1.
fn sine(turns: f64) -> f64 {
    // Into the first quarter, where the series is good to the last digits.
    let (turns, sign) = if turns >= 0.5 {
        (turns - 0.5, -1.0)
    } else {
        (turns, 1.0)
    };
    let turns = if turns > 0.25 { 0.5 - turns } else { turns };
    let x = turns * std::f64::consts::TAU;
    let (mut term, mut sum) = (x, x);
    for n in 1..12u32 {
        term *= -x * x / f64::from(2 * n * (2 * n + 1));
        sum += term;
    }
    sign * sum
}

/// So many linear pieces stand for one turn of a sine: the error is at most 0.12 % of the difference between high and low.
const PER_TURN: u32 = 64;

/// A rate that swings between `low` and `high`, from `low` on.
pub(super) fn swing(low: f64, high: f64, period: f64, seconds: f64) -> Pieces {
    let value = move |turns: f64| {
        let turns = turns + 0.75;
        let turns = turns - turns.floor();
        (low + high) / 2.0 + (high - low) / 2.0 * sine(turns)
    };
    let step = period / f64::from(PER_TURN);
    let whole = (seconds / step).ceil() as u64;
    Box::new((0..whole).map(move |i| {
        let (begin, end) = (i as f64 * step, ((i + 1) as f64 * step).min(seconds));
        Piece {
            seconds: end - begin,
            from: value(begin / period),
            to: value(end / period),
        }
    }))
}

/// Bursts at `rate`, with silence between them.
pub(super) fn bursts(rate: f64, on: f64, off: f64, seconds: f64) -> Pieces {
    let whole = (seconds / (on + off)).ceil() as u64;
    Box::new((0..whole).flat_map(move |i| {
        let begin = i as f64 * (on + off);
        let part = |at: f64, len: f64, rate: f64| Piece {
            seconds: len.min(seconds - at).max(0.0),
            from: rate,
            to: rate,
        };
        [part(begin, on, rate), part(begin + on, off, 0.0)]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: Vec<Piece>, spacing: Spacing) -> Vec<f64> {
        let mut state = 1u64;
        let mut below = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) % n
        };
        let mut arrivals = Arrivals::new(Box::new(pieces.into_iter()), spacing);
        std::iter::from_fn(|| arrivals.next(&mut below)).collect()
    }

    fn piece(seconds: f64, from: f64, to: f64) -> Piece {
        Piece { seconds, from, to }
    }

    #[test]
    fn even_arrivals_are_as_many_as_the_rate_says() {
        let times = all(vec![piece(10.0, 100.0, 100.0)], Spacing::Even);
        assert_eq!(times.len(), 1000);
        assert!((times[0] - 0.005).abs() < 1e-12 && (times[999] - 9.995).abs() < 1e-9);
        // A ramp from 0 to 100 has half as many; half of those come after 1/sqrt(2) of it.
        let ramp = all(vec![piece(10.0, 0.0, 100.0)], Spacing::Even);
        assert_eq!(ramp.len(), 500);
        assert!((ramp[250] - 7.07).abs() < 0.02, "{}", ramp[250]);
        let down = all(vec![piece(10.0, 100.0, 0.0)], Spacing::Even);
        assert_eq!(down.len(), 500);
        assert!((down[250] - 2.93).abs() < 0.02, "{}", down[250]);
    }

    #[test]
    fn nothing_arrives_at_a_rate_of_zero() {
        let pieces = vec![
            piece(5.0, 0.0, 0.0),
            piece(1.0, 10.0, 10.0),
            piece(5.0, 0.0, 0.0),
        ];
        for spacing in [Spacing::Even, Spacing::Poisson] {
            let times = all(pieces.clone(), spacing);
            assert!(times.iter().all(|t| (5.0..=6.0).contains(t)), "{times:?}");
        }
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_variance_of_their_rate() {
        let times = all(vec![piece(1000.0, 50.0, 50.0)], Spacing::Poisson);
        let mut counts = vec![0f64; 1000];
        for t in &times {
            counts[(*t as usize).min(999)] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 1000.0;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 999.0;
        assert!((mean - 50.0).abs() < 1.0, "{mean}");
        assert!((variance / mean - 1.0).abs() < 0.2, "{variance}");
        // The plainest answer is the mean.
        assert!((gap(0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_swing_begins_low_and_is_high_half_a_period_later() {
        let pieces: Vec<Piece> = swing(10.0, 90.0, 60.0, 120.0).collect();
        assert!((pieces[0].from - 10.0).abs() < 1e-9);
        assert!((pieces[32].from - 90.0).abs() < 1e-9);
        assert!((pieces[16].from - 50.0).abs() < 1e-9);
        let total: f64 = pieces.iter().map(Piece::mass).sum();
        assert!((total - 6000.0).abs() < 1.0, "{total}");
        for i in 0..1000 {
            let turns = f64::from(i) / 1000.0;
            assert!((sine(turns) - (turns * std::f64::consts::TAU).sin()).abs() < 1e-14);
        }
    }

    #[test]
    fn bursts_end_with_the_load() {
        let times = all(bursts(100.0, 1.0, 4.0, 10.5).collect(), Spacing::Even);
        assert_eq!(times.len(), 250);
        assert!(times.iter().all(|t| t % 5.0 <= 1.0 + 1e-9), "{times:?}");
    }
}
