//! How long a service takes to be itself again after it was disturbed.
//!
//! A *disturbance* is a fault window of the run or a spike of the load itself; those that overlap or touch are one. The *baseline* is what
//! the points before the first disturbance were like, warm-up left out. A point is *good* if at most 1 % more of its requests ended in
//! errors than in the baseline, its p99 is at most half again as long as that of the worst point of the baseline plus a millisecond, and
//! at least 80 % as many requests ended in it as arrived (three more or less do not matter). Without a baseline latency does
//! not count. The service has recovered at the beginning of the first of three good points in a row (fewer, where the load ends sooner) that begin
//! after the disturbance; the recovery time is from the end of the disturbance to there.

use super::record::Point;
use std::time::Duration;

/// A disturbance, and how long the service took to recover from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// What it was.
    pub what: String,
    /// When it began, since the start of the traffic.
    pub begin: Duration,
    /// When it ended.
    pub end: Duration,
    /// From its end until the service was itself again, to the traffic's resolution; `None` if it was not before the next
    /// disturbance or the end of the load.
    pub took: Option<Duration>,
}

/// So many good points in a row are a recovery.
const IN_A_ROW: usize = 3;
/// Errors beyond the baseline's share that are tolerated.
const MORE_ERRORS: f64 = 0.01;
/// Latency, as a multiple of the baseline's.
const LATENCY: u32 = 3;
const LATENCY_OF: u32 = 2;
/// The share of arrivals that must end.
const ENDED: f64 = 0.8;

struct Baseline {
    errors: f64,
    p99: Option<Duration>,
}

impl Baseline {
    fn of(points: &[Point]) -> Baseline {
        let errors: u64 = points.iter().map(|p| p.errors).sum();
        let ended: u64 = points.iter().map(|p| p.errors + p.ok).sum();
        let busy = points.iter().filter(|p| p.errors + p.ok > 0);
        Baseline {
            errors: errors as f64 / ended.max(1) as f64,
            p99: busy.map(|p| p.p99).max(),
        }
    }

    fn good(&self, point: &Point) -> bool {
        let ended = point.ok + point.errors;
        let errors = point.errors as f64 / ended.max(1) as f64;
        let in_time = match self.p99 {
            Some(p99) => point.p99 <= p99 * LATENCY / LATENCY_OF + Duration::from_millis(1),
            None => true,
        };
        let keeps_up = ended as f64 + 3.0 >= point.arrivals as f64 * ENDED;
        errors <= self.errors + MORE_ERRORS && in_time && keeps_up
    }
}

/// Disturbances: what, from when, until when; times since the start of the traffic, in any order.
pub(super) type Disturbed = (String, Duration, Duration);

/// The recovery from each disturbance that ends while the load lasts. `points` are those of the whole traffic.
pub(super) fn recoveries(
    mut disturbed: Vec<Disturbed>,
    points: &[Point],
    warm_up: Duration,
    length: Duration,
) -> Vec<Recovery> {
    disturbed.sort_by(|a, b| (a.1, a.2, &a.0).cmp(&(b.1, b.2, &b.0)));
    let mut joined: Vec<Disturbed> = Vec::new();
    for (what, begin, end) in disturbed {
        match joined.last_mut() {
            Some(last) if begin <= last.2 => {
                last.2 = last.2.max(end);
                if !last.0.split(" + ").any(|known| known == what) {
                    last.0 = format!("{} + {what}", last.0);
                }
            }
            _ => joined.push((what, begin, end)),
        }
    }
    let resolution = match points {
        [first, second, ..] => second.at - first.at,
        _ => Duration::ZERO,
    };
    let loaded: Vec<Point> = points.iter().filter(|p| p.at < length).copied().collect();
    let first = joined
        .first()
        .map_or(Duration::ZERO, |(_, begin, _)| *begin);
    let before = loaded.iter().copied();
    let before = before.filter(|p| p.at >= warm_up && p.at + resolution <= first);
    let baseline = Baseline::of(&before.collect::<Vec<_>>());
    let mut out = Vec::new();
    for (i, (what, begin, end)) in joined.iter().enumerate() {
        let until = joined.get(i + 1).map_or(length, |(_, begin, _)| *begin);
        if *end >= length {
            continue;
        }
        let after: Vec<&Point> = loaded
            .iter()
            .filter(|p| p.at >= *end && p.at < until)
            .collect();
        let recovered = (0..after.len()).find(|i| {
            let row = &after[*i..after.len().min(i + IN_A_ROW)];
            row.iter().all(|point| baseline.good(point))
        });
        out.push(Recovery {
            what: what.clone(),
            begin: *begin,
            end: *end,
            took: recovered.map(|i| after[i].at - *end),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(second: u64, arrivals: u64, ok: u64, errors: u64, p99_ms: u64) -> Point {
        Point {
            at: Duration::from_secs(second),
            arrivals,
            ok,
            errors,
            p99: Duration::from_millis(p99_ms),
            ..Point::default()
        }
    }

    fn took(points: &[Point], disturbed: &[(u64, u64)]) -> Vec<Option<u64>> {
        let s = Duration::from_secs;
        let disturbed = disturbed
            .iter()
            .map(|(a, b)| ("x".to_owned(), s(*a), s(*b)));
        let length = s(points.len() as u64);
        let all = recoveries(disturbed.collect(), points, Duration::ZERO, length);
        let seconds = all.iter().map(|r| r.took.map(|took| took.as_secs()));
        seconds.collect()
    }

    fn steady(seconds: u64) -> Vec<Point> {
        (0..seconds).map(|s| point(s, 100, 100, 0, 10)).collect()
    }

    #[test]
    fn a_service_that_is_not_disturbed_has_nothing_to_recover_from() {
        assert_eq!(took(&steady(10), &[]), []);
        assert_eq!(took(&steady(10), &[(3, 5)]), [Some(0)]);
    }

    #[test]
    fn errors_latency_and_a_standstill_each_keep_it_from_having_recovered() {
        for bad in [
            point(0, 100, 90, 10, 10),
            point(0, 100, 100, 0, 17),
            point(0, 100, 50, 0, 10),
        ] {
            let mut points = steady(12);
            for point in &mut points[3..8] {
                *point = Point {
                    at: point.at,
                    ..bad
                };
            }
            assert_eq!(took(&points, &[(3, 5)]), [Some(3)], "{bad:?}");
            // Two good seconds are not a recovery yet.
            points[8..12].copy_from_slice(&steady(12)[8..12]);
            points[10] = Point {
                at: points[10].at,
                ..bad
            };
            assert_eq!(took(&points, &[(3, 5)]), [Some(6)], "{bad:?}");
        }
    }

    #[test]
    fn what_does_not_recover_in_time_has_not_recovered() {
        let mut points = steady(10);
        for point in &mut points[3..] {
            point.p99 = Duration::from_secs(3);
        }
        assert_eq!(took(&points, &[(3, 5)]), [None]);
    }

    #[test]
    fn overlapping_disturbances_are_one() {
        assert_eq!(
            took(&steady(20), &[(3, 5), (4, 9), (12, 13)]),
            [Some(0), Some(0)]
        );
        // One that outlasts the load has no recovery.
        assert_eq!(took(&steady(20), &[(3, 20)]), []);
    }
}
