//! What became of the requests: counts and latencies by operation and outcome, and how they went over time.

use hdrhistogram::Histogram;
use std::any::Any;
use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// The outcome of an attempt that took longer than the traffic's [`timeout`](super::Traffic::timeout).
pub(super) const TIMEOUT: &str = "timeout";
/// The outcome of a request whose client lost its [`patience`](super::Traffic::patience).
pub(super) const GAVE_UP: &str = "gave_up";
/// The outcome of a request whose code panicked.
pub(super) const PANICKED: &str = "panicked";
/// The outcome of a request that was not done when the traffic was over.
pub(super) const UNFINISHED: &str = "unfinished";
/// Stands for further kinds where there are too many.
const OTHERS: &str = "other kinds";
/// The most kinds of outcome that are told apart.
const KINDS: usize = 48;
/// The longest name of a kind, in characters.
const KIND_LENGTH: usize = 60;

/// What the code of a request returns: nothing, or a `Result` whose error says its kind.
///
/// The kind of an [`std::io::Error`], also inside a [`squall::Error`](crate::Error) or as its cause, is the name of its `ErrorKind`. A
/// text is its own kind. Of any other error it is the name in front of its `Debug` form: `Timeout` of `Timeout { after: 3 }`.
pub trait Answer {
    /// `None` if all is well, else the kind of the error.
    fn failure(&self) -> Option<Cow<'static, str>>;
}

impl Answer for () {
    fn failure(&self) -> Option<Cow<'static, str>> {
        None
    }
}

impl<T, E: Debug + 'static> Answer for Result<T, E> {
    fn failure(&self) -> Option<Cow<'static, str>> {
        self.as_ref().err().map(|error| kind(error))
    }
}

fn kind<E: Debug + 'static>(error: &E) -> Cow<'static, str> {
    let any: &dyn Any = error;
    if let Some(text) = any.downcast_ref::<&'static str>() {
        return clean(text).into();
    }
    if let Some(text) = any.downcast_ref::<String>() {
        return clean(text).into();
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = None;
    if let Some(error) = any.downcast_ref::<std::io::Error>() {
        cause = Some(error);
    } else if let Some(error) = any.downcast_ref::<crate::Error>() {
        cause = Some(error.inner());
    } else if let Some(error) = any.downcast_ref::<Box<dyn std::error::Error + Send + Sync>>() {
        cause = Some(&**error);
    } else if let Some(error) = any.downcast_ref::<Box<dyn std::error::Error>>() {
        cause = Some(&**error);
    }
    let Some(first) = cause else {
        return name(&format!("{error:?}")).into();
    };
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return format!("{:?}", io.kind()).into();
        }
        cause = error.source();
    }
    match any.downcast_ref::<crate::Error>() {
        Some(error) => clean(&error.to_string()).into(),
        None => name(&format!("{first:?}")).into(),
    }
}

/// The name in front of a `Debug` form.
fn name(debug: &str) -> String {
    let end = debug.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    match &debug[..end.unwrap_or(debug.len())] {
        "" => clean(debug.trim_matches('"')),
        name => clean(name.trim_end_matches(':')),
    }
}

/// The first line, not too long, with numbers of more than three digits left out: they are values and not kinds.
fn clean(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut out = String::new();
    let mut digits = String::new();
    for c in line.chars().take(KIND_LENGTH).chain(std::iter::once('\n')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        out.push_str(if digits.len() > 3 { "#" } else { &digits });
        digits.clear();
        out.push(c);
    }
    out.trim_end().to_owned()
}

/// A stretch of time in the course of the traffic: what happened in it. Latencies are those of the requests that ended in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Point {
    /// When it begins, since the start of the traffic.
    pub at: Duration,
    /// Requests that arrived.
    pub arrivals: u64,
    /// Requests that ended well.
    pub ok: u64,
    /// Requests that ended otherwise.
    pub errors: u64,
    /// Attempts that were repeated.
    pub retries: u64,
    /// Requests under way at its end.
    pub in_flight: u64,
    /// The median latency.
    pub p50: Duration,
    /// The latency that 99 % do not exceed.
    pub p99: Duration,
    /// The longest latency.
    pub max: Duration,
}

/// Longer latencies, in nanoseconds, count as this: 36 years.
const LONGEST: u64 = 1 << 60;

/// Latencies, to so many digits.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    histogram: Histogram<u64>,
    sum: u128,
    least: u64,
    most: u64,
}

impl Latencies {
    fn new(digits: u8) -> Latencies {
        // From about half a microsecond on, and as far as need be.
        let mut histogram = Histogram::new_with_bounds(1_000, 2_000_000, digits)
            .expect("squall bug: the bounds of a histogram");
        histogram.auto(true);
        Latencies {
            histogram,
            sum: 0,
            least: u64::MAX,
            most: 0,
        }
    }

    fn record(&mut self, ns: u64) {
        // It grows as far as need be.
        let recorded = self.histogram.record(ns.min(LONGEST));
        recorded.expect("squall bug: a latency that a histogram does not take");
        self.sum += u128::from(ns);
        self.least = self.least.min(ns);
        self.most = self.most.max(ns);
    }

    fn clear(&mut self) {
        self.histogram.reset();
        self.sum = 0;
        self.least = u64::MAX;
        self.most = 0;
    }

    pub(super) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency in nanoseconds that this share of the requests does not exceed.
    pub(super) fn quantile(&self, share: f64) -> Option<u64> {
        let within = |ns: u64| ns.clamp(self.least, self.most);
        (self.count() > 0).then(|| within(self.histogram.value_at_quantile(share)))
    }

    /// How many latencies there are of about so many nanoseconds, in order.
    pub(super) fn rough(&self) -> Vec<(u64, u64)> {
        let mut counts: Vec<(u64, u64)> = Vec::new();
        for value in self.histogram.iter_recorded() {
            let ns = value.value_iterated_to();
            let places = (ns | 1).ilog2().saturating_sub(7);
            let ns = ns >> places << places;
            match counts.last_mut().filter(|(last, _)| *last == ns) {
                Some((_, count)) => *count += value.count_at_value(),
                None => counts.push((ns, value.count_at_value())),
            }
        }
        counts
    }

    pub(super) fn least(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.least)
    }

    pub(super) fn most(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.most)
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum as f64 / self.count() as f64)
    }
}

/// What is known of an operation, or of all of them.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) name: Arc<str>,
    /// Requests that arrived after the warm-up.
    pub(super) arrived: u64,
    pub(super) dropped: u64,
    pub(super) retries: u64,
    pub(super) in_flight: u64,
    pub(super) peak: u64,
    pub(super) all: Latencies,
    /// By outcome: `None` is a good end.
    pub(super) outcomes: Vec<(Option<Arc<str>>, Latencies)>,
    pub(super) points: Vec<Point>,
    /// The latencies of the stretch of time that is not over.
    current: Latencies,
    resolution: u64,
}

impl Tally {
    pub(super) fn new(name: Arc<str>, resolution: u64) -> Tally {
        Tally {
            name,
            arrived: 0,
            dropped: 0,
            retries: 0,
            in_flight: 0,
            peak: 0,
            all: Latencies::new(3),
            outcomes: Vec::new(),
            points: Vec::new(),
            current: Latencies::new(2),
            resolution,
        }
    }

    /// The point that a time lies in, in nanoseconds since the start of the traffic. Times do not go back.
    fn point(&mut self, at: u64) -> &mut Point {
        let index = (at / self.resolution) as usize;
        while self.points.len() <= index {
            self.close();
            let at = Duration::from_nanos(self.points.len() as u64 * self.resolution);
            let point = Point {
                at,
                ..Point::default()
            };
            self.points.push(point);
        }
        &mut self.points[index]
    }

    /// The last point is over.
    pub(super) fn close(&mut self) {
        let Some(last) = self.points.last_mut() else {
            return;
        };
        last.in_flight = self.in_flight;
        let quantile = |share| Duration::from_nanos(self.current.quantile(share).unwrap_or(0));
        if self.current.count() > 0 {
            last.p50 = quantile(0.5);
            last.p99 = quantile(0.99);
            last.max = Duration::from_nanos(self.current.most);
            self.current.clear();
        }
    }

    /// A request arrives; `counts` unless it belongs to the warm-up.
    pub(super) fn arrives(&mut self, at: u64, counts: bool) {
        self.point(at).arrivals += 1;
        self.in_flight += 1;
        self.arrived += u64::from(counts);
        if counts {
            self.peak = self.peak.max(self.in_flight);
        }
    }

    /// A request is not sent because too many are under way.
    pub(super) fn drops(&mut self, at: u64, counts: bool) {
        self.point(at).arrivals += 1;
        self.dropped += u64::from(counts);
    }

    pub(super) fn retries(&mut self, at: u64, counts: bool) {
        self.point(at).retries += 1;
        self.retries += u64::from(counts);
    }

    /// A request ends.
    pub(super) fn ends(&mut self, at: u64, latency: u64, failed: Option<&Arc<str>>, counts: bool) {
        let point = self.point(at);
        match failed {
            None => point.ok += 1,
            Some(_) => point.errors += 1,
        }
        self.current.record(latency);
        self.in_flight -= 1;
        if !counts {
            return;
        }
        self.all.record(latency);
        let mut index = self.outcome(failed);
        if index.is_none() && self.outcomes.len() >= KINDS {
            let others: Arc<str> = OTHERS.into();
            index = self.outcome(Some(&others));
            if index.is_none() {
                self.outcomes.push((Some(others), Latencies::new(3)));
                index = Some(self.outcomes.len() - 1);
            }
        }
        let index = index.unwrap_or_else(|| {
            self.outcomes.push((failed.cloned(), Latencies::new(3)));
            self.outcomes.len() - 1
        });
        self.outcomes[index].1.record(latency);
    }

    fn outcome(&self, failed: Option<&Arc<str>>) -> Option<usize> {
        let mut outcomes = self.outcomes.iter();
        outcomes.position(|(known, _)| known.as_deref() == failed.map(|kind| &**kind))
    }

    /// Requests that ended well.
    pub(super) fn ok(&self) -> u64 {
        let ok = self.outcomes.iter().find(|(kind, _)| kind.is_none());
        ok.map_or(0, |(_, latencies)| latencies.count())
    }

    /// Requests that ended.
    pub(super) fn ended(&self) -> u64 {
        self.all.count()
    }

    /// Requests that ended otherwise.
    pub(super) fn errors(&self) -> u64 {
        self.ended() - self.ok()
    }

    /// Requests that ended with an error of this kind.
    pub(super) fn errors_of(&self, kind: &str) -> u64 {
        let of = self.outcomes.iter();
        let mut of = of.filter(|(known, _)| known.as_deref() == Some(kind));
        of.next().map_or(0, |(_, latencies)| latencies.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn errors_say_their_kind() {
        #[derive(Debug)]
        #[allow(dead_code)]
        enum Shop {
            SoldOut { item: u32 },
            Down,
        }
        let io = || io::Error::from(io::ErrorKind::ConnectionReset);
        let kinds = [
            Err::<(), _>(io()).failure(),
            Err::<(), _>(crate::Error::from(io())).failure(),
            Err::<(), _>(crate::Error::msg("order 123456 is lost")).failure(),
            Err::<(), _>("sold out").failure(),
            Err::<(), _>("503 of 10.0.0.1:43210".to_owned()).failure(),
            Err::<(), _>(Shop::SoldOut { item: 7 }).failure(),
            Err::<(), _>(Shop::Down).failure(),
            Err::<(), _>(17).failure(),
            Ok::<_, io::Error>(()).failure(),
            ().failure(),
        ];
        let kinds: Vec<Option<&str>> = kinds.iter().map(|kind| kind.as_deref()).collect();
        assert_eq!(
            kinds,
            [
                Some("ConnectionReset"),
                Some("ConnectionReset"),
                Some("order # is lost"),
                Some("sold out"),
                Some("503 of 10.0.0.1:#"),
                Some("SoldOut"),
                Some("Down"),
                Some("17"),
                None,
                None
            ]
        );
    }

    #[test]
    fn latencies_of_any_length_are_kept_to_three_digits() {
        let mut latencies = Latencies::new(3);
        for exponent in 0..19 {
            latencies.record(10u64.pow(exponent));
        }
        latencies.record(u64::MAX);
        let near = |share, ns: f64| {
            let value = latencies.quantile(share).unwrap() as f64;
            assert!((value / ns - 1.0).abs() < 2e-3, "{share}: {value}");
        };
        near(0.5, 1e9);
        near(0.75, 1e14);
        assert_eq!(latencies.most(), Some(u64::MAX));
        assert_eq!(latencies.least(), Some(1));
        assert_eq!(Latencies::new(3).quantile(0.5), None);
    }

    #[test]
    fn points_know_what_happened_in_them() {
        let mut tally = Tally::new("buy".into(), 1_000);
        tally.arrives(100, true);
        tally.arrives(200, false);
        tally.ends(2_500, 2_400, None, true);
        let reset: Arc<str> = "reset".into();
        tally.ends(2_600, 2_400, Some(&reset), false);
        tally.close();
        assert_eq!(tally.points.len(), 3);
        let facts = |p: &Point| (p.arrivals, p.ok, p.errors, p.in_flight);
        let facts: Vec<_> = tally.points.iter().map(facts).collect();
        assert_eq!(facts, [(2, 0, 0, 2), (0, 0, 0, 2), (0, 1, 1, 0)]);
        assert_eq!(tally.points[2].max, Duration::from_nanos(2_400));
        assert_eq!((tally.arrived, tally.ok(), tally.errors()), (1, 1, 0));
    }

    #[test]
    fn kinds_without_end_are_taken_together() {
        let mut tally = Tally::new("buy".into(), 1_000);
        for i in 0..100 {
            tally.arrives(0, true);
            tally.ends(0, 1, Some(&format!("kind {i}").into()), true);
        }
        assert_eq!(tally.outcomes.len(), KINDS + 1);
        assert_eq!(tally.errors_of(OTHERS), 100 - KINDS as u64);
        assert_eq!(tally.errors(), 100);
    }
}
