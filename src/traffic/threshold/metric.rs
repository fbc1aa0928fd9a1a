//! The figures that can be judged, the operators and the limits: what a threshold consists of.

use super::super::rate::Rate;
use super::super::table;
use super::Threshold;
use std::fmt;
use std::time::Duration;

/// A figure of a traffic, to be compared with a limit. The functions are named as in the grammar of
/// [`Thresholds`](super::Thresholds).
///
/// ```
/// use squall::traffic::{Metric, millis, rps, secs};
/// let wanted = [
///     Metric::percentile(99.9).of("buy").less_than(millis(800)),
///     Metric::errors_of("timeout").at_most(3),
///     Metric::throughput().at_least(rps(100)),
///     Metric::recovery().less_than(secs(10)),
/// ];
/// assert_eq!(wanted[0].to_string(), "p99.9(buy) < 800ms");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub(super) kind: Kind,
    pub(super) operation: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// In per cent.
    Percentile(f64),
    Min,
    Max,
    Mean,
    Count,
    Rate,
    Throughput,
    ErrorRate,
    Errors(Option<String>),
    Dropped,
    InFlight,
    Retries,
    Budget,
    Recovery,
    Queue(String),
    Lag(Option<String>),
}

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Time,
    Number,
    Rate,
    Share,
}

impl Kind {
    pub(super) fn dimension(&self) -> Dimension {
        match self {
            Kind::Percentile(_) | Kind::Min | Kind::Max | Kind::Mean => Dimension::Time,
            Kind::Recovery | Kind::Lag(_) => Dimension::Time,
            Kind::Rate | Kind::Throughput => Dimension::Rate,
            Kind::ErrorRate | Kind::Budget => Dimension::Share,
            Kind::Count | Kind::Errors(_) | Kind::Dropped | Kind::InFlight => Dimension::Number,
            Kind::Retries | Kind::Queue(_) => Dimension::Number,
        }
    }

    /// Whether it is of requests, so that an operation can be named.
    pub(super) fn of_requests(&self) -> bool {
        !matches!(self, Kind::Recovery | Kind::Queue(_) | Kind::Lag(_))
    }
}

impl Dimension {
    /// What a limit of it looks like.
    pub(super) fn example(self) -> &'static str {
        match self {
            Dimension::Time => "a time, such as 800ms (units: ns, us, ms, s, min, h)",
            Dimension::Number => "a number without a unit, such as 1000",
            Dimension::Rate => "a rate, such as 200rps",
            Dimension::Share => "a share, such as 2% or 0.02",
        }
    }
}

impl Metric {
    pub(super) fn new(kind: Kind) -> Metric {
        Metric {
            kind,
            operation: None,
        }
    }

    /// The latency that so many per cent of the requests do not exceed.
    ///
    /// # Panics
    /// If it is not a number from 0 to 100.
    pub fn percentile(percent: f64) -> Metric {
        assert!(
            (0.0..=100.0).contains(&percent),
            "a percentile is a number from 0 to 100, not {percent}"
        );
        Metric::new(Kind::Percentile(percent))
    }

    /// The shortest latency.
    pub fn min() -> Metric {
        Metric::new(Kind::Min)
    }

    /// The longest latency.
    pub fn max() -> Metric {
        Metric::new(Kind::Max)
    }

    /// The mean latency.
    pub fn mean() -> Metric {
        Metric::new(Kind::Mean)
    }

    /// Requests that arrived and were sent.
    pub fn count() -> Metric {
        Metric::new(Kind::Count)
    }

    /// Requests that arrived, in a second.
    pub fn rate() -> Metric {
        Metric::new(Kind::Rate)
    }

    /// Requests that ended well, in a second.
    pub fn throughput() -> Metric {
        Metric::new(Kind::Throughput)
    }

    /// The share of ended requests that ended in errors.
    pub fn error_rate() -> Metric {
        Metric::new(Kind::ErrorRate)
    }

    /// Requests that ended in errors.
    pub fn errors() -> Metric {
        Metric::new(Kind::Errors(None))
    }

    /// Requests that ended in errors of this kind.
    pub fn errors_of(kind: &str) -> Metric {
        Metric::new(Kind::Errors(Some(kind.to_owned())))
    }

    /// Requests that were not sent because too many were under way.
    pub fn dropped() -> Metric {
        Metric::new(Kind::Dropped)
    }

    /// The most requests under way at once.
    pub fn in_flight() -> Metric {
        Metric::new(Kind::InFlight)
    }

    /// Attempts that were repeated.
    pub fn retries() -> Metric {
        Metric::new(Kind::Retries)
    }

    /// The part of the error budget that was used up.
    pub fn budget() -> Metric {
        Metric::new(Kind::Budget)
    }

    /// The longest time that the service took to recover from a disturbance.
    pub fn recovery() -> Metric {
        Metric::new(Kind::Recovery)
    }

    /// The highest reading of a gauge.
    pub fn queue(gauge: &str) -> Metric {
        Metric::new(Kind::Queue(gauge.to_owned()))
    }

    /// The highest reading of a gauge that shows times.
    pub fn lag(gauge: &str) -> Metric {
        Metric::new(Kind::Lag(Some(gauge.to_owned())))
    }

    /// The same, of one operation only.
    ///
    /// # Panics
    /// If it is a figure of the whole world: recovery, queue, lag.
    pub fn of(mut self, operation: &str) -> Metric {
        assert!(
            self.kind.of_requests(),
            "{self} is of the whole world and not of operation {operation:?}"
        );
        self.operation = Some(operation.to_owned());
        self
    }

    /// It has to be less.
    ///
    /// # Panics
    /// If the limit is of another kind than the figure, such as a time where a share is meant; so do the methods below.
    pub fn less_than(self, limit: impl Into<Limit>) -> Threshold {
        self.is(Comparison::Less, limit)
    }

    /// It has to be so much or less.
    pub fn at_most(self, limit: impl Into<Limit>) -> Threshold {
        self.is(Comparison::AtMost, limit)
    }

    /// It has to be more.
    pub fn more_than(self, limit: impl Into<Limit>) -> Threshold {
        self.is(Comparison::More, limit)
    }

    /// It has to be so much or more.
    pub fn at_least(self, limit: impl Into<Limit>) -> Threshold {
        self.is(Comparison::AtLeast, limit)
    }

    /// It has to compare so with a limit.
    pub fn is(self, comparison: Comparison, limit: impl Into<Limit>) -> Threshold {
        let limit = limit.into();
        let dimension = self.kind.dimension();
        let Some(limit) = limit.in_dimension(dimension) else {
            let example = dimension.example();
            panic!("the limit {limit} does not fit {self}, which is {example}")
        };
        Threshold {
            metric: self,
            comparison,
            limit,
            span: 0..0,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut arguments: Vec<String> = Vec::new();
        match &self.kind {
            Kind::Percentile(percent) => write!(f, "p{percent}")?,
            Kind::Min => f.write_str("min")?,
            Kind::Max => f.write_str("max")?,
            Kind::Mean => f.write_str("mean")?,
            Kind::Count => f.write_str("count")?,
            Kind::Rate => f.write_str("rate")?,
            Kind::Throughput => f.write_str("throughput")?,
            Kind::ErrorRate => f.write_str("error_rate")?,
            Kind::Errors(kind) => {
                f.write_str("errors")?;
                arguments.extend(kind.as_deref().map(quoted));
                // errors(buy) would be a kind.
                if kind.is_none() && self.operation.is_some() {
                    arguments.push(ANY.to_owned());
                }
            }
            Kind::Dropped => f.write_str("dropped")?,
            Kind::InFlight => f.write_str("in_flight")?,
            Kind::Retries => f.write_str("retries")?,
            Kind::Budget => f.write_str("budget")?,
            Kind::Recovery => f.write_str("recovery")?,
            Kind::Queue(gauge) => {
                f.write_str("queue")?;
                arguments.push(quoted(gauge));
            }
            Kind::Lag(gauge) => {
                f.write_str("lag")?;
                arguments.extend(gauge.as_deref().map(quoted));
            }
        }
        arguments.extend(self.operation.as_deref().map(quoted));
        match arguments.is_empty() {
            true => Ok(()),
            false => write!(f, "({})", arguments.join(", ")),
        }
    }
}

/// Stands for errors of any kind.
pub(super) const ANY: &str = "*";

/// Characters of names that need no quotes.
pub(super) fn plain(c: char) -> bool {
    c.is_alphanumeric() || "_-.:/".contains(c)
}

fn quoted(name: &str) -> String {
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

/// How a figure has to compare with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// Each, longer signs first.
    pub(super) const ALL: [(&str, Comparison); 6] = [
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<", Comparison::Less),
        (">", Comparison::More),
    ];

    pub(super) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Comparison::Less => value < limit,
            Comparison::AtMost => value <= limit,
            Comparison::More => value > limit,
            Comparison::AtLeast => value >= limit,
            Comparison::Equal => value == limit,
            Comparison::NotEqual => value != limit,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Comparison::ALL.iter().find(|(_, known)| known == self);
        f.write_str(sign.map_or("", |(sign, _)| sign))
    }
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Limit {
    /// A time.
    Time(Duration),
    /// A number.
    Number(f64),
    /// Requests in a second.
    Rate(f64),
    /// A share: 0.02 is 2 %.
    Share(f64),
}

impl Limit {
    /// The same for a figure of this dimension, where a plain number may stand for it.
    pub(super) fn in_dimension(self, dimension: Dimension) -> Option<Limit> {
        match (dimension, self) {
            (Dimension::Time, Limit::Time(_)) | (Dimension::Number, Limit::Number(_)) => Some(self),
            (Dimension::Rate, Limit::Rate(_)) | (Dimension::Share, Limit::Share(_)) => Some(self),
            (Dimension::Rate, Limit::Number(number)) => Some(Limit::Rate(number)),
            (Dimension::Share, Limit::Number(number)) => Some(Limit::Share(number)),
            (Dimension::Time, Limit::Number(0.0)) => Some(Limit::Time(Duration::ZERO)),
            _ => None,
        }
    }

    /// As a number; times in nanoseconds.
    pub(super) fn value(self) -> f64 {
        match self {
            Limit::Time(time) => time.as_nanos() as f64,
            Limit::Number(value) | Limit::Rate(value) | Limit::Share(value) => value,
        }
    }

    /// A value of the same dimension, for people.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Limit::Time(_) => table::time(value),
            Limit::Number(_) => table::figure(value),
            Limit::Rate(_) => format!("{} rps", table::figure(value)),
            Limit::Share(_) => table::percent(value),
        }
    }
}

/// As it is written in an expression.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Time(time) => {
                let ns = time.as_nanos();
                let units = [
                    (3_600_000_000_000, "h"),
                    (60_000_000_000, "min"),
                    (1_000_000_000, "s"),
                    (1_000_000, "ms"),
                    (1_000, "us"),
                ];
                let fits = |(unit, _): &&(u128, &str)| ns > 0 && ns.is_multiple_of(*unit);
                let (unit, name) = units.iter().find(fits).copied().unwrap_or((1, "ns"));
                write!(f, "{}{name}", ns / unit)
            }
            Limit::Number(number) => write!(f, "{number}"),
            Limit::Rate(rate) => write!(f, "{rate}rps"),
            // A multiplication by 100 that leaves no noise where few digits were written.
            Limit::Share(share) => {
                let short = (share * 1e10).round() / 1e8;
                match short / 100.0 == *share {
                    true => write!(f, "{short}%"),
                    false => write!(f, "{share}"),
                }
            }
        }
    }
}

impl From<Duration> for Limit {
    fn from(time: Duration) -> Limit {
        Limit::Time(time)
    }
}

impl From<Rate> for Limit {
    fn from(rate: Rate) -> Limit {
        Limit::Rate(rate.per_second())
    }
}

macro_rules! numbers {
    ($($t:ty),*) => { $(impl From<$t> for Limit {
        fn from(number: $t) -> Limit {
            Limit::Number(number as f64)
        }
    })* };
}
numbers!(f64, i32, u32, u64, usize);
