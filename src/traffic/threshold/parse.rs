//! Reads thresholds from text. Knows metrics and units, and nothing of reports: [`parse`] needs no world, [`Thresholds::check`] a list of
//! names. Positions are kept, so that every error has a place.

use super::error::ExpressionError;
use super::metric::{ANY, Comparison, Dimension, Kind, Limit, Metric, plain};
use super::{Threshold, Thresholds};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// Each metric by name, but for percentiles.
static METRICS: [(&str, Kind); 15] = [
    ("min", Kind::Min),
    ("max", Kind::Max),
    ("mean", Kind::Mean),
    ("count", Kind::Count),
    ("rate", Kind::Rate),
    ("throughput", Kind::Throughput),
    ("error_rate", Kind::ErrorRate),
    ("errors", Kind::Errors(None)),
    ("dropped", Kind::Dropped),
    ("in_flight", Kind::InFlight),
    ("retries", Kind::Retries),
    ("budget", Kind::Budget),
    ("recovery", Kind::Recovery),
    ("queue", Kind::Queue(String::new())),
    ("lag", Kind::Lag(None)),
];

/// Units of time, in nanoseconds.
const TIMES: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("min", 60e9),
    ("h", 3_600e9),
];
const PER_CENT: &str = "%";
const PER_SECOND: [&str; 2] = ["rps", "/s"];

/// What expressions may name.
#[derive(Default)]
pub(in super::super) struct Names {
    pub(in super::super) operations: Vec<String>,
    pub(in super::super) gauges: Vec<String>,
}

/// An error before the text is known.
struct Wrong {
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

type Parsed<T> = Result<T, Wrong>;

fn wrong<T>(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Parsed<T> {
    let help = help.into();
    Err(Wrong {
        span,
        message: message.into(),
        help: (!help.is_empty()).then_some(help),
    })
}

impl Wrong {
    fn of(self, text: &str) -> ExpressionError {
        ExpressionError {
            expression: text.to_owned(),
            span: self.span,
            message: self.message,
            help: self.help,
        }
    }
}

/// Thresholds from text.
pub(super) fn parse(text: &str) -> Result<Thresholds, ExpressionError> {
    let mut reader = Reader { text, at: 0 };
    match reader.thresholds() {
        Ok(all) => Ok(Thresholds {
            all,
            text: text.to_owned(),
        }),
        Err(error) => Err(error.of(text)),
    }
}

impl Thresholds {
    /// Whether they name only what there is.
    pub(in super::super) fn check(&self, names: &Names) -> Result<(), ExpressionError> {
        for threshold in &self.all {
            let metric = &threshold.metric;
            let (what, name, known) = match (&metric.operation, &metric.kind) {
                (Some(name), _) => ("operation", name, &names.operations),
                (None, Kind::Queue(name) | Kind::Lag(Some(name))) => ("gauge", name, &names.gauges),
                _ => continue,
            };
            if known.contains(name) {
                continue;
            }
            // The name itself, the last of what stands in the brackets.
            let span = threshold.span.clone();
            let within = &self.text[span.clone()];
            let at = within.rfind(name.as_str()).map(|at| span.start + at);
            let span = at.map_or(span, |at| at..at + name.len());
            let help = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("the nearest is `{near}`"),
                None if known.is_empty() => format!("there is no {what} at all"),
                None => format!("there are `{}`", known.join("`, `")),
            };
            let wrong = wrong::<()>(span, format!("there is no {what} `{name}`"), help);
            return wrong.map_err(|error| error.of(&self.text));
        }
        Ok(())
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes this text if it comes next.
    fn take(&mut self, text: &str) -> bool {
        self.skip_space();
        let comes = self.rest().starts_with(text);
        if comes {
            self.at += text.len();
        }
        comes
    }

    /// Takes characters as long as they are such.
    fn take_while(&mut self, such: impl Fn(char) -> bool) -> Range<usize> {
        let begin = self.at;
        let rest = self.rest();
        self.at += rest.find(|c| !such(c)).unwrap_or(rest.len());
        begin..self.at
    }

    fn done(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    /// The next character, for an error.
    fn here(&self) -> Range<usize> {
        let len = self.rest().chars().next().map_or(0, char::len_utf8);
        self.at..self.at + len
    }

    fn thresholds(&mut self) -> Parsed<Vec<Threshold>> {
        let mut all = Vec::new();
        loop {
            if self.done() {
                let message = match all.is_empty() {
                    true => "the expression is empty",
                    false => "a threshold is missing after the comma",
                };
                let help = "such as `p99 < 800ms, error_rate < 2%`";
                return wrong(self.here(), message, help);
            }
            all.push(self.threshold()?);
            if self.done() {
                return Ok(all);
            }
            if !self.take(",") {
                let help = "thresholds are separated by commas";
                return wrong(self.here(), "a comma or the end was expected here", help);
            }
        }
    }

    fn threshold(&mut self) -> Parsed<Threshold> {
        let begin = self.at;
        let metric = self.metric()?;
        let comparison = self.comparison(&metric)?;
        let limit = self.limit(&metric)?;
        Ok(Threshold {
            metric,
            comparison,
            limit,
            span: begin..self.at,
        })
    }

    fn metric(&mut self) -> Parsed<Metric> {
        let word = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '.');
        let name = &self.text[word.clone()];
        if name.is_empty() {
            let message = "the name of a metric was expected here";
            return wrong(self.here(), message, metrics());
        }
        let number = name.strip_prefix('p');
        let digits = |n: &&str| n.is_empty() || n.starts_with(|c: char| c.is_ascii_digit());
        let number = number.filter(digits);
        let known = METRICS.iter().find(|(known, _)| *known == name);
        let kind = match (number, known) {
            (Some(""), _) => None,
            (Some(number), _) => Some(percentile(word.start + 1..word.end, number)?),
            (None, Some((_, kind))) => Some(kind.clone()),
            (None, None) => {
                let near = nearest(name, METRICS.iter().map(|(name, _)| *name));
                let help = near.map_or_else(metrics, |near| format!("the nearest is `{near}`"));
                return wrong(word, format!("there is no metric `{name}`"), help);
            }
        };
        let mut arguments = self.arguments()?;
        let mut next = || arguments.pop_front();
        let kind = match kind {
            None => match next() {
                Some((span, number)) => percentile(span, &number)?,
                None => return wrong(word, "which percentile?", "such as p99 or p(99.9)"),
            },
            Some(Kind::Queue(_)) => match next() {
                Some((_, gauge)) => Kind::Queue(gauge),
                None => {
                    let help = "such as queue(orders), the name of a gauge";
                    return wrong(word, "which queue?", help);
                }
            },
            Some(Kind::Lag(_)) => Kind::Lag(next().map(|(_, gauge)| gauge)),
            Some(Kind::Errors(_)) => {
                let of = next().map(|(_, kind)| kind);
                Kind::Errors(of.filter(|kind| kind != ANY))
            }
            Some(kind) => kind,
        };
        let mut metric = Metric::new(kind);
        if metric.kind.of_requests() {
            metric.operation = next().map(|(_, operation)| operation);
        }
        match next() {
            Some((span, _)) => wrong(span, format!("`{name}` takes no such argument"), ""),
            None => Ok(metric),
        }
    }

    /// Names in brackets, if there are any.
    fn arguments(&mut self) -> Parsed<VecDeque<(Range<usize>, String)>> {
        let mut all = VecDeque::new();
        self.skip_space();
        let open = self.here();
        if !self.take("(") {
            return Ok(all);
        }
        loop {
            self.skip_space();
            let begin = self.at;
            let name = if self.take("\"") {
                let inner = self.take_while(|c| c != '"');
                if !self.take("\"") {
                    return wrong(begin..begin + 1, "this quote is not closed", "");
                }
                inner
            } else if self.take(ANY) {
                begin..self.at
            } else {
                self.take_while(plain)
            };
            let at_end = self.rest().is_empty();
            if name.is_empty() && !at_end {
                let help = "names with other characters stand in double quotes";
                return wrong(self.here(), "a name was expected in the brackets", help);
            }
            all.push_back((begin..self.at, self.text[name].to_owned()));
            if self.take(")") {
                return Ok(all);
            }
            if self.done() {
                return wrong(open, "this bracket is not closed", "");
            }
            if !self.take(",") {
                let message = "a comma or a closing bracket was expected here";
                return wrong(self.here(), message, "");
            }
        }
    }

    fn comparison(&mut self, metric: &Metric) -> Parsed<Comparison> {
        self.skip_space();
        let mut all = Comparison::ALL.iter();
        if let Some((sign, comparison)) = all.find(|(sign, _)| self.rest().starts_with(sign)) {
            self.at += sign.len();
            return Ok(*comparison);
        }
        let help = match self.rest().starts_with('=') {
            true => "equality is written `==`",
            false => "operators are < <= > >= == !=",
        };
        let message = format!("an operator was expected after `{metric}`");
        wrong(self.here(), message, help)
    }

    fn limit(&mut self, metric: &Metric) -> Parsed<Limit> {
        let dimension = metric.kind.dimension();
        self.skip_space();
        let help = format!("`{metric}` is {}", dimension.example());
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '.' || c == '_');
        if digits.is_empty() {
            return wrong(self.here(), "a number was expected here", help);
        }
        let number = self.text[digits.clone()].replace('_', "");
        let Some(value) = number.parse::<f64>().ok().filter(|value| *value <= 1e15) else {
            return wrong(digits, "this is not a number that can be used", help);
        };
        let before = self.at;
        self.skip_space();
        let unit = self.take_while(|c| c.is_alphabetic() || c == '%' || c == '/');
        let name = &self.text[unit.clone()];
        if name.is_empty() {
            self.at = before;
        }
        let limit = match (dimension, name) {
            (_, "") => Limit::Number(value).in_dimension(dimension),
            (Dimension::Share, PER_CENT) => Some(Limit::Share(value / 100.0)),
            (Dimension::Rate, unit) if PER_SECOND.contains(&unit) => Some(Limit::Rate(value)),
            (Dimension::Time, _) => {
                let unit = TIMES.iter().find(|(known, _)| *known == name);
                unit.map(|(_, ns)| Limit::Time(Duration::from_nanos((value * ns) as u64)))
            }
            _ => None,
        };
        let Some(limit) = limit else {
            return match name.is_empty() {
                true => wrong(digits, "the unit is missing", help),
                false => wrong(unit, format!("the unit `{name}` does not fit"), help),
            };
        };
        if metric.kind == Kind::ErrorRate && limit.value() > 1.0 {
            let help = format!("{value} per cent are written {value}%");
            return wrong(
                digits,
                "a share of the requests is at most 1, which is 100%",
                help,
            );
        }
        Ok(limit)
    }
}

fn percentile(span: Range<usize>, number: &str) -> Parsed<Kind> {
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Kind::Percentile(percent)),
        _ => {
            let help = "such as p50, p99, p99.9 or p(99.9)";
            wrong(span, "a percentile is a number from 0 to 100", help)
        }
    }
}

fn metrics() -> String {
    let names: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
    format!("metrics are p50 to p99.99, {}", names.join(", "))
}

/// The name that was probably meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = name.chars().count().max(3) / 3;
    let near = known.map(|known| (distance(name, known), known));
    let (distance, near) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= far).then_some(near)
}

/// How many characters have to be put in, taken out or changed (Levenshtein). Of long names only the beginning counts.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| -> Vec<char> { text.to_lowercase().chars().take(64).collect() };
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
