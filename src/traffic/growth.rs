//! Whether something grew all the while that the load was the same: what the detector [`QueueGrowth`](crate::Detector::QueueGrowth) goes by.
//! `drive` asks when a traffic is over.
//!
//! Looked at are the *calm* stretches of the load: after the warm-up, outside fault windows and spikes, at least 20 points and 20 seconds
//! long, with about as many arrivals in each of their quarters. Something grew if in each quarter its least value was above
//! the greatest of the quarter before, and if what it gained is worth mentioning. A queue that is full, one that swings, and one that is
//! being worked off did not.

use super::gauge::Reading;
use super::record::Point;
use super::signs::Sample;
use super::table::{figure, time};
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::time::Duration;

/// A calm stretch is at least so long.
const SUSTAINED: Duration = Duration::from_secs(20);
/// And has at least so many points.
const POINTS: usize = 20;
/// The most arrivals in one of its quarters, as a multiple of the least, in quarters.
const STEADY: u64 = 5;
const STEADY_OF: u64 = 4;
/// Fewer arrivals than this in a quarter are too few to say that they are steady.
const ENOUGH: u64 = 16;
/// What is gained, at least: requests, messages, tasks.
const MANY: f64 = 16.0;
/// Or this share of all arrivals, if that is more; of the time, where a time grows.
const SHARE: f64 = 0.02;
/// Bytes that were not read.
const BYTES: f64 = 65_536.0;

/// What grew.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Growth {
    name: String,
    from: Reading,
    to: Reading,
    /// Since the start of the traffic.
    stretch: Range<Duration>,
    /// Arrivals a second.
    rate: f64,
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = |duration: Duration| time(duration.as_nanos() as f64);
        write!(
            f,
            "{} grew from {} to {}, all the while from {} to {} of the load, under a steady {} arrivals/s",
            self.name,
            self.from,
            self.to,
            ns(self.stretch.start),
            ns(self.stretch.end),
            figure(self.rate)
        )
    }
}

/// The stretches between `from` and `to` in which nothing was disturbed.
fn calm(from: Duration, to: Duration, disturbed: &[(Duration, Duration)]) -> Vec<Range<Duration>> {
    let mut windows = disturbed.to_vec();
    windows.sort();
    let mut stretches = Vec::new();
    let mut since = from;
    for (begin, end) in windows {
        stretches.push(since..begin.min(to));
        since = since.max(end);
    }
    stretches.push(since..to);
    stretches.retain(|s| s.start < s.end && s.end - s.start >= SUSTAINED);
    stretches
}

/// The same four parts of anything: where each begins, and the end.
fn quarters(len: usize) -> [usize; 5] {
    [0, len / 4, len / 2, len * 3 / 4, len]
}

/// How many arrived in all, if about as many did in each quarter.
fn steady(points: &[&Point]) -> Option<u64> {
    let bounds = quarters(points.len());
    // Quarters may differ by a point.
    let shortest = points.len() / 4;
    let sums = bounds.windows(2).map(|b| {
        let arrivals: u64 = points[b[0]..b[1]].iter().map(|p| p.arrivals).sum();
        arrivals * shortest as u64 / (b[1] - b[0]) as u64
    });
    let (least, most) = sums.fold((u64::MAX, 0), |(l, m), s| (l.min(s), m.max(s)));
    let steady = least >= ENOUGH && most * STEADY_OF <= least * STEADY;
    steady.then(|| points.iter().map(|p| p.arrivals).sum())
}

/// What each series shows in each sample; what is missing in one had nothing to show.
fn series(samples: &[&Sample]) -> Vec<(String, Vec<Reading>)> {
    let mut all: Vec<(String, Vec<Reading>)> = Vec::new();
    for sample in samples {
        for (name, reading) in &sample.gauges {
            if all.iter().all(|(known, _)| **known != **name) {
                let zero = match reading {
                    Reading::Number(_) => Reading::Number(0.0),
                    Reading::Time(_) => Reading::Time(Duration::ZERO),
                };
                let of = |s: &&Sample| s.reading(name).unwrap_or(zero);
                all.push((name.to_string(), samples.iter().map(of).collect()));
            }
        }
    }
    let in_flight = samples.iter().map(|s| s.in_flight.into()).collect();
    all.push(("requests in flight".to_owned(), in_flight));
    if samples.iter().all(|s| s.tasks.is_some()) {
        let tasks = samples.iter().map(|s| s.tasks.unwrap_or(0).into());
        all.push(("tasks".to_owned(), tasks.collect()));
    }
    all
}

/// Whether each quarter is above the one before, and by how much the last is above the first.
fn grows(values: &[f64]) -> Option<f64> {
    let bounds = quarters(values.len());
    let parts = bounds.windows(2).map(|b| &values[b[0]..b[1]]);
    let ranges: Vec<(f64, f64)> = parts
        .map(|part| {
            let least = part.iter().copied().fold(f64::INFINITY, f64::min);
            let most = part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            (least, most)
        })
        .collect();
    let above = ranges.windows(2).all(|pair| pair[1].0 > pair[0].1);
    above.then(|| ranges[3].0 - ranges[0].1)
}

/// Everything that grew. `points` are those of the whole traffic, `disturbed` the windows of faults and spikes.
pub(super) fn growing(
    points: &[Point],
    samples: &[Sample],
    disturbed: &[(Duration, Duration)],
    load: Range<Duration>,
) -> Vec<Growth> {
    let mut found = Vec::new();
    for stretch in calm(load.start, load.end, disturbed) {
        let here: Vec<&Sample> = (samples.iter())
            .filter(|s| stretch.contains(&s.at))
            .collect();
        let inside: Vec<&Point> = points.iter().filter(|p| stretch.contains(&p.at)).collect();
        if here.len() < POINTS || inside.len() < POINTS {
            continue;
        }
        let Some(arrivals) = steady(&inside) else {
            continue;
        };
        let length = stretch.end - stretch.start;
        for (name, readings) in series(&here) {
            let values: Vec<f64> = readings.iter().map(|r| r.value()).collect();
            let enough = match readings[0] {
                Reading::Time(_) => SHARE * length.as_nanos() as f64,
                Reading::Number(_) if name.starts_with("unread:") => BYTES,
                Reading::Number(_) => MANY.max(SHARE * arrivals as f64),
            };
            if grows(&values).is_some_and(|gained| gained >= enough) {
                found.push(Growth {
                    name,
                    from: readings[0],
                    to: readings[readings.len() - 1],
                    stretch: here[0].at..here[here.len() - 1].at,
                    rate: arrivals as f64 / length.as_secs_f64(),
                });
            }
        }
    }
    found
}

/// What the detector says of it.
pub(super) fn words(traffic: &str, found: &[Growth]) -> String {
    let mut text = format!("traffic {traffic}: ");
    for (place, growth) in found.iter().take(8).enumerate() {
        let end = if place == 0 { "" } else { "\n" };
        let _ = write!(text, "{end}{growth}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// 40 seconds of a load of 100 a second; what waits is said by the second.
    fn observed(waits: impl Fn(u64) -> u64) -> (Vec<Point>, Vec<Sample>) {
        let point = |n| Point {
            at: secs(n),
            arrivals: 100,
            ..Point::default()
        };
        let sample = |n| Sample {
            at: secs(n),
            in_flight: 5,
            backlog: 0,
            unread: 0,
            tasks: None,
            gauges: vec![("orders".into(), waits(n).into())],
        };
        ((0..40).map(point).collect(), (0..40).map(sample).collect())
    }

    fn found(waits: impl Fn(u64) -> u64, disturbed: &[(Duration, Duration)]) -> Vec<String> {
        let (points, samples) = observed(waits);
        let growing = growing(&points, &samples, disturbed, secs(0)..secs(40));
        growing.iter().map(Growth::to_string).collect()
    }

    #[test]
    fn what_grows_all_the_while_is_found() {
        assert_eq!(
            found(|n| 3 + 5 * n, &[]),
            [
                "orders grew from 3 to 198, all the while from 0 ns to 39 s of the load, under a steady 100 arrivals/s"
            ]
        );
        // After the last disturbance, too: the spike is over, and it does not come to rest.
        let spike = [(secs(5), secs(10))];
        assert_eq!(found(|n| 5 * n, &spike).len(), 1);
    }

    #[test]
    fn what_does_not_is_not() {
        let none: [String; 0] = [];
        // It is bounded, swings, is worked off, is a handful, or starts anew.
        assert_eq!(found(|n| (20 * n).min(100), &[]), none);
        assert_eq!(found(|n| n + if n % 2 == 0 { 0 } else { 40 }, &[]), none);
        assert_eq!(found(|n| 400 - 10 * n, &[]), none);
        assert_eq!(found(|n| n / 4, &[]), none);
        assert_eq!(found(|n| 100 * (n % 15), &[]), none);
    }

    #[test]
    fn a_disturbed_or_uneven_load_says_nothing() {
        let faults = [(secs(15), secs(22))];
        assert!(found(|n| 50 * n, &faults).is_empty());
        let (mut points, samples) = observed(|n| 50 * n);
        for (place, point) in points.iter_mut().enumerate() {
            point.arrivals = 100 + 5 * place as u64;
        }
        assert_eq!(growing(&points, &samples, &[], secs(0)..secs(40)), []);
    }
}
