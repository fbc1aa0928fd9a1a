//! Verdicts on figures: what is wanted of a traffic, as text or typed. [`parse`] reads texts, [`judge`] compares with a report; both
//! know nothing of each other, so that scenario files can use the first.

mod error;
mod judge;
mod metric;
mod parse;

pub use error::{Broken, ExpressionError};
pub use metric::{Comparison, Limit, Metric};
pub(super) use parse::Names;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A figure, and what it has to be: `p99(buy) < 800ms`. Made by the methods of [`Metric`], or read from text as part of
/// [`Thresholds`].
#[derive(Clone, Debug)]
pub struct Threshold {
    metric: Metric,
    comparison: Comparison,
    limit: Limit,
    /// Where it stands in its text; empty if it was made otherwise.
    span: Range<usize>,
}

/// What it says counts, and not where it was read.
impl PartialEq for Threshold {
    fn eq(&self, other: &Threshold) -> bool {
        let limits = self.comparison == other.comparison && self.limit == other.limit;
        limits && self.metric == other.metric
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.comparison, self.limit)
    }
}

/// Several thresholds, all of which must hold.
///
/// # Grammar
///
/// ```text
/// thresholds = threshold { "," threshold }
/// threshold  = metric [ "(" name { "," name } ")" ] operator number [ unit ]
/// operator   = "<" | "<=" | ">" | ">=" | "==" | "!="
/// ```
///
/// | metric | what | unit |
/// |---|---|---|
/// | `p50` .. `p99.99`, `p(99.9)` | the latency that so many per cent of the requests do not exceed | ns, us, ms, s, min (or m), h |
/// | `min`, `max`, `mean` | of the latencies | the same |
/// | `count` | requests that arrived and were sent | |
/// | `rate`, `throughput` | requests that arrived, and that ended well, in a second | rps, /s or none |
/// | `error_rate` | the share of ended requests that ended in errors | %, or a number from 0 to 1 |
/// | `errors`, `errors(KIND)` | errors, or those of a kind: `timeout`, `gave_up`, `panicked`, `unfinished`, or what the code returned | |
/// | `dropped` | requests that were not sent because of the limit | |
/// | `in_flight` | the most requests under way at once | |
/// | `retries` | attempts that were repeated | |
/// | `budget` | how much of the error budget was used up | %, or a number |
/// | `recovery` | the longest time that the service took to recover from a disturbance | ns .. h |
/// | `queue(NAME)` | the highest reading of a gauge, or of `backlog`, `unread`, `tasks`, `backlog:HOST`, `unread:HOST` | |
/// | `lag(NAME)`, `lag` | the highest reading of a gauge that shows times, or of all those | ns .. h |
///
/// Metrics of requests take the name of an operation: `p99(buy)`, `p(99.9, buy)`, `errors(timeout, buy)`, `errors(*, buy)`. Names with other
/// characters than letters, digits and `_ - . : /` stand in double quotes. A threshold over latencies or error rates does not hold
/// if nothing was measured.
///
/// ```
/// use squall::traffic::{Metric, Thresholds, millis};
///
/// let wanted: Thresholds = "p99(buy) < 800ms, error_rate < 2%".parse()?;
/// assert_eq!(wanted.to_string(), "p99(buy) < 800ms, error_rate < 2%");
/// assert_eq!(wanted.list()[0], Metric::percentile(99.0).of("buy").less_than(millis(800)));
///
/// let wrong = "p99 < 800ms, eror_rate < 2%".parse::<Thresholds>().unwrap_err();
/// let text = "\
/// there is no metric `eror_rate`
///   p99 < 800ms, eror_rate < 2%
///                ^^^^^^^^^
///   the nearest is `error_rate`";
/// assert_eq!(wrong.to_string(), text);
/// # Ok::<(), squall::traffic::ExpressionError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Thresholds {
    all: Vec<Threshold>,
    /// The text that they were read from, or that they make.
    text: String,
}

impl Thresholds {
    /// Each of them, in their order.
    pub fn list(&self) -> &[Threshold] {
        &self.all
    }
}

/// As [`Threshold`]: what they say counts.
impl PartialEq for Thresholds {
    fn eq(&self, other: &Thresholds) -> bool {
        self.all == other.all
    }
}

impl FromStr for Thresholds {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Thresholds, ExpressionError> {
        parse::parse(text)
    }
}

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, threshold) in self.all.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            write!(f, "{threshold}")?;
        }
        Ok(())
    }
}

/// What may stand for thresholds: a text, [`Thresholds`], one [`Threshold`] or several.
pub trait Wanted {
    /// As thresholds.
    ///
    /// # Errors
    /// A text that is none.
    fn thresholds(self) -> Result<Thresholds, ExpressionError>;
}

impl Wanted for &str {
    fn thresholds(self) -> Result<Thresholds, ExpressionError> {
        self.parse()
    }
}

impl Wanted for String {
    fn thresholds(self) -> Result<Thresholds, ExpressionError> {
        self.parse()
    }
}

impl Wanted for Thresholds {
    fn thresholds(self) -> Result<Thresholds, ExpressionError> {
        Ok(self)
    }
}

impl Wanted for &Thresholds {
    fn thresholds(self) -> Result<Thresholds, ExpressionError> {
        Ok(self.clone())
    }
}

impl Wanted for Threshold {
    fn thresholds(self) -> Result<Thresholds, ExpressionError> {
        vec![self].thresholds()
    }
}

impl<const N: usize> Wanted for [Threshold; N] {
    fn thresholds(self) -> Result<Thresholds, ExpressionError> {
        Vec::from(self).thresholds()
    }
}

impl Wanted for Vec<Threshold> {
    fn thresholds(mut self) -> Result<Thresholds, ExpressionError> {
        // Typed ones have a text, too, so that errors can point into it.
        let mut text = String::new();
        for threshold in &mut self {
            text.push_str(if text.is_empty() { "" } else { ", " });
            let begin = text.len();
            text.push_str(&threshold.to_string());
            threshold.span = begin..text.len();
        }
        Ok(Thresholds { all: self, text })
    }
}

#[cfg(test)]
mod tests;
