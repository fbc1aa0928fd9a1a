//! Compares thresholds with a report.

use super::super::report::{Operation, Report};
use super::super::{Reading, Recovery, table};
use super::Thresholds;
use super::error::Broken;
use super::metric::{Kind, Metric};
use std::cmp::Reverse;
use std::fmt::Write;
use std::time::Duration;

/// What was measured.
struct Measured {
    value: f64,
    /// Of what, and when.
    over: String,
}

impl Thresholds {
    /// Whether all of them hold; their names have been checked.
    pub(in super::super) fn judge(&self, report: &Report) -> Result<(), Broken> {
        let mut broken = Vec::new();
        let mut details = String::new();
        for threshold in &self.all {
            let found = match measure(&threshold.metric, report) {
                Ok(measured) => {
                    let limit = threshold.limit;
                    if threshold.comparison.holds(measured.value, limit.value()) {
                        continue;
                    }
                    format!("it is {}, {}", limit.show(measured.value), measured.over)
                }
                Err(nothing) => nothing,
            };
            let _ = writeln!(details, "  {threshold}: {found}");
            broken.push(threshold.clone());
        }
        let Some(first) = broken.first() else {
            return Ok(());
        };
        let _ = write!(details, "{report}");
        Err(Broken {
            headline: format!("traffic {} does not hold {first}", report.name()),
            details,
            thresholds: broken,
        })
    }
}

/// The figure, or why there is none.
fn measure(metric: &Metric, report: &Report) -> Result<Measured, String> {
    let operation = match &metric.operation {
        Some(name) => report
            .operation(name)
            .ok_or_else(|| format!("operation `{name}` did not come"))?,
        None => report.all(),
    };
    let value = match &metric.kind {
        Kind::Recovery => return Ok(recovery(report)),
        Kind::Queue(name) => return highest(report, Some(name), false),
        Kind::Lag(name) => return highest(report, name.as_deref(), true),
        Kind::Percentile(percent) => latency(operation.quantile(percent / 100.0))?,
        Kind::Min => latency(operation.min())?,
        Kind::Max => latency(operation.max())?,
        Kind::Mean => latency(operation.mean())?,
        Kind::ErrorRate | Kind::Budget if operation.tally.ended() == 0 => {
            return Err(nothing_ended());
        }
        Kind::ErrorRate => operation.error_rate(),
        Kind::Budget => operation.budget(report.objective),
        Kind::Count => operation.count() as f64,
        Kind::Rate => operation.rate(),
        Kind::Throughput => operation.throughput(),
        Kind::Errors(None) => operation.errors() as f64,
        Kind::Errors(Some(kind)) => operation.tally.errors_of(kind) as f64,
        Kind::Dropped => operation.dropped() as f64,
        Kind::InFlight => operation.most_in_flight() as f64,
        Kind::Retries => operation.retries() as f64,
    };
    Ok(Measured {
        value,
        over: over(report, operation),
    })
}

fn latency(latency: Option<Duration>) -> Result<f64, String> {
    let latency = latency.map(|latency| latency.as_nanos() as f64);
    latency.ok_or_else(nothing_ended)
}

fn nothing_ended() -> String {
    "nothing was measured, since no request ended".to_owned()
}

fn show(time: Duration) -> String {
    table::time(time.as_nanos() as f64)
}

fn over(report: &Report, operation: Operation<'_>) -> String {
    let ended = table::figure(operation.tally.ended() as f64);
    let mut text = format!("over {ended} requests planned {}", report.span());
    let points = operation.points().iter();
    let worst = points.max_by_key(|p| (p.p99, Reverse(p.at)));
    if let Some(worst) = worst.filter(|worst| !worst.p99.is_zero()) {
        let (at, p99) = (show(worst.at), show(worst.p99));
        let _ = write!(
            text,
            "; slowest at {at} of the traffic, with a p99 of {p99}"
        );
    }
    text
}

fn recovery(report: &Report) -> Measured {
    let took = |r: &Recovery| r.took.map_or(f64::INFINITY, |took| took.as_nanos() as f64);
    let all = report.recoveries.iter();
    match all.reduce(|a, b| if took(b) > took(a) { b } else { a }) {
        None => Measured {
            value: 0.0,
            over: "as nothing was disturbed".to_owned(),
        },
        Some(longest) => {
            let (what, begin, end) = (&longest.what, show(longest.begin), show(longest.end));
            Measured {
                value: took(longest),
                over: format!("after {what} from {begin} to {end} of the traffic"),
            }
        }
    }
}

/// The highest reading of a gauge, or of all gauges that show times.
fn highest(report: &Report, name: Option<&str>, times: bool) -> Result<Measured, String> {
    let mut highest: Option<(String, Reading, Duration)> = None;
    let mut look = |name: &str, reading: Reading, at: Duration| {
        let fits = matches!(reading, Reading::Time(_)) == times;
        let higher = |most: &Reading| reading.value() > most.value();
        if fits && highest.as_ref().is_none_or(|(_, most, _)| higher(most)) {
            highest = Some((name.to_owned(), reading, at));
        }
    };
    for sample in &report.samples {
        match name {
            Some(name) => {
                if let Some(reading) = sample.reading(name) {
                    look(name, reading, sample.at);
                }
            }
            None => {
                for (name, reading) in &sample.gauges {
                    look(name, *reading, sample.at);
                }
            }
        }
    }
    if let Some((name, reading, at)) = highest {
        let over = format!("at {} of the traffic, by `{name}`", show(at));
        return Ok(Measured {
            value: reading.value(),
            over,
        });
    }
    match name {
        // Nothing ever waited at that host.
        Some(name) if !times && name.contains(':') => Ok(Measured {
            value: 0.0,
            over: format!("by `{name}`"),
        }),
        Some("tasks") => {
            Err("tasks are told of only by `cargo squall test`, which instruments tokio".to_owned())
        }
        Some(name) if times => Err(format!(
            "the gauge `{name}` showed no time: let it return a Duration, or use queue({name})"
        )),
        Some(name) => Err(format!(
            "the gauge `{name}` showed no number: use lag({name}) if it shows a time"
        )),
        None => Err("no gauge showed a time".to_owned()),
    }
}
