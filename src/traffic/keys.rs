//! Which key a request is about: all alike, a few hot ones, or Zipf's law.
//!
//! Zipf samples by rejection-inversion (W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone
//! discrete distributions", ACM TOMACS 6(3), 1996): exact, without a table, about 1.1 draws a sample.

use crate::kernel::{MILLION, exp, ln};

/// How the keys of requests are distributed. Keys are numbers from 0 on; 0 is the hottest.
///
/// ```
/// use squall::traffic::Keys;
/// let keys = Keys::zipf(1_000_000, 1.0);          // as words, cities and web pages are
/// let flash = Keys::hot(3, 10_000, 0.9);          // nine of ten requests want one of three things
/// # let _ = (keys, flash);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Keys(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Uniform(u64),
    /// Hot keys, all keys, the share of requests for hot ones in millionths.
    Hot(u64, u64, u64),
    Zipf(Zipf),
}

impl Keys {
    /// Each of so many keys is as likely as any other.
    ///
    /// # Panics
    /// If there are none.
    pub fn uniform(keys: u64) -> Keys {
        assert!(keys > 0, "there is at least one key");
        Keys(Kind::Uniform(keys))
    }

    /// A `share` of the requests, 0 to 1, is about the first `hot` of `keys` keys, the rest about the others.
    ///
    /// # Panics
    /// If the share lies outside, or there are not fewer hot keys than keys, or none.
    pub fn hot(hot: u64, keys: u64, share: f64) -> Keys {
        assert!(
            hot > 0 && hot < keys,
            "of {keys} keys at least one and not all are hot, not {hot}"
        );
        assert!(
            (0.0..=1.0).contains(&share),
            "the share of requests for hot keys is a number from 0 to 1, not {share}"
        );
        Keys(Kind::Hot(
            hot,
            keys,
            (share * MILLION as f64).round() as u64,
        ))
    }

    /// Zipf's law: the key of rank r (from 1 on, key r - 1) is asked for in proportion to 1 / r^`exponent`. Web caches have been measured with
    /// exponents from 0.6 to 1.1 (Breslau et al., "Web caching and Zipf-like distributions", INFOCOM 1999); 0 is uniform.
    ///
    /// # Panics
    /// If the exponent lies outside 0 to 4, or there are no keys, or more than 2^40.
    pub fn zipf(keys: u64, exponent: f64) -> Keys {
        assert!(
            (1..=1 << 40).contains(&keys),
            "Zipf's law is for 1 to 2^40 keys, not {keys}"
        );
        assert!(
            (0.0..=4.0).contains(&exponent),
            "the exponent of Zipf's law is a number from 0 to 4, not {exponent}"
        );
        Keys(Kind::Zipf(Zipf::new(keys, exponent)))
    }

    /// A key; `below(n)` answers with a number in `0..n`, 0 standing for the hottest key.
    pub(super) fn sample(&self, below: &mut dyn FnMut(u64) -> u64) -> u64 {
        match &self.0 {
            Kind::Uniform(keys) => below(*keys),
            Kind::Hot(hot, keys, share) => match below(MILLION) < *share {
                true => below(*hot),
                false => hot + below(keys - hot),
            },
            Kind::Zipf(zipf) => zipf.sample(below) - 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Zipf {
    n: u64,
    exponent: f64,
    /// The integral of the hat up to the first rank, and up to the last.
    first: f64,
    last: f64,
    squeeze: f64,
}

/// Steps of probability.
const STEPS: u64 = 1 << 48;

impl Zipf {
    fn new(n: u64, exponent: f64) -> Zipf {
        let mut zipf = Zipf {
            n,
            exponent,
            first: 0.0,
            last: 0.0,
            squeeze: 0.0,
        };
        zipf.first = zipf.integral(1.5) - 1.0;
        zipf.last = zipf.integral(n as f64 + 0.5);
        zipf.squeeze = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.hat(2.0));
        zipf
    }

    /// 1 / x^exponent.
    fn hat(&self, x: f64) -> f64 {
        exp(-self.exponent * ln(x))
    }

    /// Its integral from 1 to x.
    fn integral(&self, x: f64) -> f64 {
        let log = ln(x);
        exp_minus_one_over((1.0 - self.exponent) * log) * log
    }

    fn inverse(&self, y: f64) -> f64 {
        // Rounding must not leave the domain of the logarithm.
        let t = (y * (1.0 - self.exponent)).max(-1.0 + f64::EPSILON);
        exp(ln_one_plus_over(t) * y)
    }

    /// A rank from 1 on.
    fn sample(&self, below: &mut dyn FnMut(u64) -> u64) -> u64 {
        loop {
            let p = (below(STEPS) as f64 + 0.5) / STEPS as f64;
            let y = self.first + p * (self.last - self.first);
            let x = self.inverse(y);
            let rank = ((x + 0.5) as u64).clamp(1, self.n);
            let k = rank as f64;
            if k - x <= self.squeeze || y >= self.integral(k + 0.5) - self.hat(k) {
                return rank;
            }
        }
    }
}

/// Below it the series is better than the quotient.
const SMALL: f64 = 1e-3;

/// (e^x - 1) / x.
fn exp_minus_one_over(x: f64) -> f64 {
    if x.abs() > SMALL {
        return (exp(x) - 1.0) / x;
    }
    1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0)))
}

/// ln(1 + x) / x.
fn ln_one_plus_over(x: f64) -> f64 {
    if x.abs() > SMALL {
        return ln(1.0 + x) / x;
    }
    1.0 - x * (1.0 / 2.0 - x * (1.0 / 3.0 - x * (1.0 / 4.0 - x / 5.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below() -> impl FnMut(u64) -> u64 {
        let mut state = 7u64;
        move |n| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let x = state.wrapping_mul(0x2545_f491_4f6c_dd1d);
            ((u128::from(x) * u128::from(n)) >> 64) as u64
        }
    }

    #[test]
    fn zipf_follows_its_law() {
        const SAMPLES: u32 = 200_000;
        for exponent in [0.0, 0.5, 0.99, 1.0, 1.2, 2.0, 4.0] {
            let keys = Keys::zipf(20, exponent);
            let mut below = below();
            let mut counts = [0f64; 20];
            for _ in 0..SAMPLES {
                counts[keys.sample(&mut below) as usize] += 1.0;
            }
            let weight = |rank: usize| 1.0 / (rank as f64).powf(exponent);
            let total: f64 = (1..=20).map(weight).sum();
            // Chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand times.
            let chi: f64 = (1..=20)
                .map(|rank| {
                    let expected = weight(rank) / total * f64::from(SAMPLES);
                    (counts[rank - 1] - expected).powi(2) / expected
                })
                .sum();
            assert!(chi < 43.8, "exponent {exponent}: {chi}, {counts:?}");
        }
    }

    #[test]
    fn keys_stay_within_their_number_and_zero_is_the_hottest() {
        for (n, exponent) in [
            (1, 1.0),
            (2, 0.0),
            (1 << 40, 1.0),
            (1 << 40, 0.0),
            (1 << 40, 4.0),
        ] {
            let keys = Keys::zipf(n, exponent);
            let mut below = below();
            assert_eq!(keys.sample(&mut |_| 0), 0, "{n}, {exponent}");
            assert!(keys.sample(&mut |n| n - 1) < n);
            for _ in 0..1000 {
                assert!(keys.sample(&mut below) < n);
            }
        }
    }

    #[test]
    fn hot_keys_get_their_share() {
        let keys = Keys::hot(3, 1000, 0.9);
        let mut below = below();
        let hot = (0..10_000).filter(|_| keys.sample(&mut below) < 3).count();
        assert!((8_900..9_100).contains(&hot), "{hot}");
        assert_eq!(keys.sample(&mut |_| 0), 0);
    }
}
