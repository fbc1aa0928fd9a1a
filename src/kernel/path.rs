//! What can be said about the way from one host to another: the vocabulary between `sim`, which checks what a test asks for,
//! and `net/link.rs`, which does it. Plain data and arithmetic, compiled on every platform.
//!
//! Distributions are sampled by their quantile function from one whole number, 0 being the shortest time, so that shrinking
//! a decision towards 0 shortens a delay. The logarithm and the exponential are computed here, by operations that IEEE 754
//! fixes to the last bit: libm's differ from version to version, and a seed must mean the same on every machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long packets travel. Times in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Delay {
    /// Uniform from the first to the second, both included.
    Uniform(u64, u64),
    /// The first, and on top of it an exponential distribution of this mean.
    Exponential(u64, u64),
    /// Log-normal: the median, and the standard deviation of the logarithm.
    LogNormal(u64, f64),
    /// One of two distributions; so many of a million packets take the second.
    Bimodal(Arc<(Delay, Delay)>, u32),
    /// One of these, each as likely as the others. Sorted, so that the first is the shortest. Never empty.
    Recorded(Arc<[u64]>),
}

/// Always the same time.
impl From<Duration> for Delay {
    fn from(time: Duration) -> Delay {
        Delay::from(time..=time)
    }
}

/// Uniform over the range; an empty one is as its beginning.
impl From<std::ops::RangeInclusive<Duration>> for Delay {
    fn from(range: std::ops::RangeInclusive<Duration>) -> Delay {
        let ns = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Delay::Uniform(ns(range.start()), ns(range.end()))
    }
}

/// Shares are counted in millionths.
pub const MILLION: u64 = 1_000_000;

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_nanos;
        match self {
            Delay::Uniform(least, most) if least == most => write!(f, "{:?}", time(*least)),
            Delay::Uniform(least, most) => write!(f, "{:?} to {:?}", time(*least), time(*most)),
            Delay::Exponential(least, mean) => {
                write!(
                    f,
                    "{:?} + exponential of mean {:?}",
                    time(*least),
                    time(*mean)
                )
            }
            Delay::LogNormal(median, sigma) => {
                write!(f, "log-normal of median {:?}, sigma {sigma}", time(*median))
            }
            Delay::Bimodal(modes, second) => {
                write!(
                    f,
                    "{} or, {} of the time, {}",
                    modes.0,
                    percent(*second),
                    modes.1
                )
            }
            Delay::Recorded(times) => write!(f, "one of {} recorded times", times.len()),
        }
    }
}

/// A share in millionths, as a person writes it.
fn percent(share: u32) -> String {
    format!("{} %", f64::from(share) / 10_000.0)
}

/// Where in a distribution a sample lies: so many steps of probability.
const STEPS: u64 = 1 << 32;

impl Delay {
    /// A copy that shares no memory with this one.
    pub fn owned(&self) -> Delay {
        match self {
            Delay::Bimodal(modes, share) => {
                Delay::Bimodal(Arc::new((modes.0.owned(), modes.1.owned())), *share)
            }
            Delay::Recorded(times) => Delay::Recorded(times.to_vec().into()),
            Delay::Uniform(..) | Delay::Exponential(..) | Delay::LogNormal(..) => self.clone(),
        }
    }

    /// A sample; `below(n)` answers with a number in `0..n`.
    pub fn sample(&self, below: &mut dyn FnMut(u64) -> u64) -> u64 {
        match self {
            Delay::Uniform(least, most) if least >= most => *least,
            Delay::Uniform(least, most) => least + below(most - least + 1),
            Delay::Exponential(least, mean) => {
                let tail = 1.0 - share(below(STEPS));
                least.saturating_add((-ln(tail) * *mean as f64) as u64)
            }
            Delay::LogNormal(median, sigma) => {
                let z = normal(share(below(STEPS)));
                (*median as f64 * exp(sigma * z)) as u64
            }
            Delay::Bimodal(modes, second) => {
                // The highest answers stand for the second mode: 0 is the first one's shortest.
                let slow = below(MILLION) >= MILLION - u64::from(*second);
                if slow {
                    modes.1.sample(below)
                } else {
                    modes.0.sample(below)
                }
            }
            Delay::Recorded(times) => times[below(times.len() as u64) as usize],
        }
    }
}

/// A step as a probability strictly between 0 and 1.
fn share(step: u64) -> f64 {
    (step as f64 + 0.5) / STEPS as f64
}

/// The natural logarithm of a positive normal number.
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    let mut twos = exponent as f64;
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        twos += 1.0;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), and |t| <= 0.172.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    let mut power = t;
    let mut sum = t;
    for n in 1..13 {
        power *= square;
        sum += power / (2 * n + 1) as f64;
    }
    twos * std::f64::consts::LN_2 + 2.0 * sum
}

/// The exponential function; arguments beyond what a time needs are cut off.
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.clamp(-40.0, 40.0);
    let twos = (x / std::f64::consts::LN_2) as i64;
    let rest = x - twos as f64 * std::f64::consts::LN_2;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..22 {
        term *= rest / n as f64;
        sum += term;
    }
    sum * f64::from_bits(((1023 + twos) as u64) << 52)
}

/// The quantile function of the standard normal distribution, by P. J. Acklam's rational approximation (relative error
/// below 1.2e-9).
fn normal(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.383_577_518_672_69e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |q: f64| poly(&C, q) / (poly(&D, q) * q + 1.0);
    const LOW: f64 = 0.02425;
    if p < LOW {
        tail((-2.0 * ln(p)).sqrt())
    } else if p > 1.0 - LOW {
        -tail((-2.0 * ln(1.0 - p)).sqrt())
    } else {
        let q = p - 0.5;
        let r = q * q;
        poly(&A, r) * q / (poly(&B, r) * r + 1.0)
    }
}

/// A change of one direction of a link. Times in nanoseconds, shares in millionths.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkChange {
    /// How long packets travel.
    Delay(Delay),
    /// Added to that, uniform from 0 on.
    Jitter(u64),
    /// Bytes in a second; `None` for no limit. Packets wait for those before them.
    Bandwidth(Option<u64>),
    /// So many bytes may wait for their turn; more are lost. `None` for no limit.
    Queue(Option<u64>),
    /// Packets that are lost.
    Loss(u32),
    /// Datagrams that arrive twice.
    Duplication(u32),
    /// Datagrams that take up to so much longer, so that others overtake them.
    Reordering(u32, u64),
    /// Datagrams that arrive with a byte changed.
    Corruption(u32),
    /// The most payload bytes of a TCP segment.
    Segment(u32),
    /// How much longer the end of a TCP stream travels.
    SlowClose(u64),
    /// Everything is lost.
    Down(bool),
    /// Packets wait. Turning it off lets them travel.
    Hold(bool),
    /// Resets the connections that cross it; what it is otherwise stays.
    Reset,
    /// As at the start of the run; packets that were held travel.
    Default,
}

impl LinkChange {
    /// A copy that shares no memory with this one.
    pub fn owned(&self) -> LinkChange {
        match self {
            LinkChange::Delay(delay) => LinkChange::Delay(delay.owned()),
            other => other.clone(),
        }
    }
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_nanos;
        let limit = |n: &Option<u64>| n.map_or("unlimited".to_owned(), |n| n.to_string());
        match self {
            LinkChange::Delay(delay) => write!(f, "latency {delay}"),
            LinkChange::Jitter(ns) => write!(f, "jitter up to {:?}", time(*ns)),
            LinkChange::Bandwidth(rate) => write!(f, "bandwidth {} bytes/s", limit(rate)),
            LinkChange::Queue(bytes) => write!(f, "queue {} bytes", limit(bytes)),
            LinkChange::Loss(share) => write!(f, "loss {}", percent(*share)),
            LinkChange::Duplication(share) => write!(f, "duplication {}", percent(*share)),
            LinkChange::Reordering(share, by) => {
                write!(f, "reordering {} by up to {:?}", percent(*share), time(*by))
            }
            LinkChange::Corruption(share) => write!(f, "corruption {}", percent(*share)),
            LinkChange::Segment(bytes) => write!(f, "segments of at most {bytes} bytes"),
            LinkChange::SlowClose(ns) => write!(f, "closing takes {:?} more", time(*ns)),
            LinkChange::Down(true) => f.write_str("partition begins"),
            LinkChange::Down(false) => f.write_str("partition ends"),
            LinkChange::Hold(true) => f.write_str("hold begins"),
            LinkChange::Hold(false) => f.write_str("hold ends"),
            LinkChange::Reset => f.write_str("connections reset"),
            LinkChange::Default => f.write_str("as at the start"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_agree_with_the_real_ones() {
        for i in 1..10_000u32 {
            let x = f64::from(i) / 97.0;
            assert!((ln(x) - x.ln()).abs() < 1e-13 * (1.0 + x.ln().abs()), "{x}");
            let y = x / 3.0 - 17.0;
            assert!((exp(y) / y.exp() - 1.0).abs() < 1e-12, "{y}");
        }
        for (p, z) in [
            (0.5, 0.0),
            (0.841_344_746, 1.0),
            (0.001_349_898, -3.0),
            (0.999_968_33, 4.0),
        ] {
            assert!((normal(p) - z).abs() < 1e-4, "{p} {}", normal(p));
        }
    }

    /// The mean and the median of many evenly spaced samples.
    fn summary(delay: &Delay) -> (f64, u64) {
        const N: u64 = 100_000;
        let mut samples: Vec<u64> = (0..N)
            .map(|i| {
                let mut state = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                delay.sample(&mut |n| {
                    state ^= state >> 31;
                    state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(i);
                    ((u128::from(state) * u128::from(n)) >> 64) as u64
                })
            })
            .collect();
        samples.sort_unstable();
        let sum: f64 = samples.iter().map(|s| *s as f64).sum();
        (sum / N as f64, samples[N as usize / 2])
    }

    #[test]
    fn distributions_have_their_means() {
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 0.02;
        let (mean, median) = summary(&Delay::Uniform(1000, 3000));
        assert!(
            close(mean, 2000.0) && close(median as f64, 2000.0),
            "{mean} {median}"
        );
        let (mean, median) = summary(&Delay::Exponential(1000, 500_000));
        assert!(
            close(mean, 501_000.0) && close(median as f64, 347_574.0),
            "{mean} {median}"
        );
        let (mean, median) = summary(&Delay::LogNormal(1_000_000, 0.5));
        assert!(
            close(mean, 1_133_148.0) && close(median as f64, 1_000_000.0),
            "{mean} {median}"
        );
        let modes = Arc::new((Delay::Uniform(1000, 1000), Delay::Uniform(101_000, 101_000)));
        let (mean, median) = summary(&Delay::Bimodal(modes, 100_000));
        assert!(close(mean, 11_000.0) && median == 1000, "{mean} {median}");
        let (mean, _) = summary(&Delay::Recorded([10, 20, 90].into()));
        assert!(close(mean, 40.0), "{mean}");
    }

    #[test]
    fn the_first_answer_is_the_shortest_time() {
        let first = |d: &Delay| d.sample(&mut |_| 0);
        assert_eq!(first(&Delay::Uniform(7, 90)), 7);
        assert_eq!(first(&Delay::Exponential(7, 90)), 7);
        assert_eq!(first(&Delay::Recorded([7, 8].into())), 7);
        assert!(first(&Delay::LogNormal(1_000_000, 0.5)) < 100_000);
    }
}
