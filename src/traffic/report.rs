//! What a traffic came to: figures for tests and for thresholds, and a table for people.

use super::growth;
use super::plan::ns;
use super::record::{Latencies, Point, Tally};
use super::recovery::{self, Disturbed, Recovery};
use super::send::State;
use super::signs::{Sample, known_names};
use super::table::{figure, percent, table, time};
use super::threshold::{Broken, Names, Wanted};
use crate::fault::Disturbances;
use crate::sim::{dependency, scope};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What became of a traffic. Printed, it is a table.
///
/// Figures leave out requests planned in the warm-up; series have all of them. Latencies are those of all requests that ended, well
/// or not, from their planned arrival on.
#[derive(Clone)]
pub struct Report {
    pub(super) total: Tally,
    pub(super) operations: Vec<Tally>,
    pub(super) samples: Vec<Sample>,
    pub(super) recoveries: Vec<Recovery>,
    pub(super) objective: f64,
    /// When it began, in virtual nanoseconds.
    pub(super) start: u64,
    length: Duration,
    warm_up: Duration,
    /// When something disturbed it.
    disturbed: Vec<(Duration, Duration)>,
}

/// The figures of one operation, or of all: see [`Report::operation`].
#[derive(Clone, Copy)]
pub struct Operation<'a> {
    pub(super) tally: &'a Tally,
    seconds: f64,
}

impl Report {
    pub(super) fn new(
        state: &mut State,
        start: u64,
        length: Duration,
        warm_up: Duration,
        objective: f64,
        spikes: &[(Duration, Duration)],
    ) -> Report {
        let empty = Tally::new(state.total.name.clone(), u64::MAX);
        let mut total = std::mem::replace(&mut state.total, empty);
        let mut operations = std::mem::take(&mut state.operations);
        total.close();
        operations.iter_mut().for_each(Tally::close);
        let since = |at: u64| Duration::from_nanos(at.saturating_sub(start));
        let mut disturbed: Vec<Disturbed> = Vec::new();
        for (begin, end) in spikes {
            disturbed.push(("spike".to_owned(), *begin, *end));
        }
        let faults = scope::of_run::<Disturbances>().all().into_iter();
        let faults = faults.map(|f| (f.what, f.begin, f.end.unwrap_or(u64::MAX)));
        for (what, begin, end) in faults.chain(dependency::windows()) {
            // What was whole again before the traffic began does not disturb it.
            if end > start && since(begin) < length {
                let end = if end == u64::MAX {
                    Duration::MAX
                } else {
                    since(end)
                };
                disturbed.push((what, since(begin), end));
            }
        }
        let windows = disturbed.iter().map(|(_, begin, end)| (*begin, *end));
        let windows = windows.collect();
        let recoveries = recovery::recoveries(disturbed, &total.points, warm_up, length);
        Report {
            total,
            operations,
            samples: std::mem::take(&mut state.samples),
            recoveries,
            objective,
            start,
            length,
            warm_up,
            disturbed: windows,
        }
    }

    /// What grew as long as the load was the same, in words; `None` if nothing did.
    pub(super) fn growth(&self) -> Option<String> {
        let points = &self.total.points;
        let load = self.warm_up..self.length;
        let found = growth::growing(points, &self.samples, &self.disturbed, load);
        (!found.is_empty()).then(|| growth::words(self.name(), &found))
    }

    /// Fails unless all of it holds; the grammar is that of [`Thresholds`](super::Thresholds).
    ///
    /// # Errors
    /// Some of it does not hold: the error has what was measured, and this report. The expression is wrong: the error has a caret under
    /// the place. Use [`Traffic::expecting`](super::Traffic::expecting) to have wrong expressions refused before the run.
    pub fn expect(&self, wanted: impl Wanted) -> Result<(), Broken> {
        let thresholds = wanted.thresholds().map_err(Broken::wrong)?;
        thresholds.check(&self.names()).map_err(Broken::wrong)?;
        thresholds.judge(self)
    }

    /// The names that thresholds may use.
    fn names(&self) -> Names {
        let mut names = Names {
            gauges: known_names(),
            ..Names::default()
        };
        for operation in &self.operations {
            names.operations.push(operation.name.to_string());
        }
        for sample in &self.samples {
            for (gauge, _) in &sample.gauges {
                if !names.gauges.iter().any(|known| **known == **gauge) {
                    names.gauges.push(gauge.to_string());
                }
            }
        }
        names
    }

    /// The name of the traffic.
    pub fn name(&self) -> &str {
        &self.total.name
    }

    /// The figures of all operations together.
    pub fn all(&self) -> Operation<'_> {
        self.figures(&self.total)
    }

    fn figures<'a>(&self, tally: &'a Tally) -> Operation<'a> {
        Operation {
            tally,
            seconds: self.counted().as_secs_f64(),
        }
    }

    /// How long the load lasted, without the warm-up.
    pub(super) fn counted(&self) -> Duration {
        self.length.saturating_sub(self.warm_up)
    }

    /// The figures of one operation; `None` if there is none of this name.
    pub fn operation(&self, name: &str) -> Option<Operation<'_>> {
        let tally = self.operations.iter().find(|tally| *tally.name == *name)?;
        Some(self.figures(tally))
    }

    /// The figures of each operation.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.operations.iter().map(|tally| self.figures(tally))
    }

    /// Requests that arrived; so does [`Operation::count`] of [`all`](Report::all).
    pub fn count(&self) -> u64 {
        self.total.arrived
    }

    /// Vital signs over time.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The recovery from each disturbance that ended while the load lasted: fault windows, [`Sim::disturb`](crate::Sim::disturb), and spikes of
    /// the load. A service has recovered at the beginning of three points in a row that are as those before the first disturbance: at most 1 %
    /// more errors, a p99 at most half again as long (and a millisecond), and 80 % as many requests ended as arrived.
    pub fn recoveries(&self) -> &[Recovery] {
        &self.recoveries
    }

    /// The part of the error budget that was used up: 1 is all of it. See [`Traffic::objective`](super::Traffic::objective).
    pub fn budget(&self) -> f64 {
        self.all().budget(self.objective)
    }

    /// When it was, for a person: counted from the start of the run.
    pub(super) fn span(&self) -> String {
        let at = |time: Duration| super::table::time(self.start as f64 + ns(time) as f64);
        format!("from {} to {}", at(self.warm_up), at(self.length))
    }
}

impl Operation<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.tally.name
    }

    /// Requests that arrived and were sent.
    pub fn count(&self) -> u64 {
        self.tally.arrived
    }

    /// Requests that ended well.
    pub fn ok(&self) -> u64 {
        self.tally.ok()
    }

    /// Requests that ended otherwise.
    pub fn errors(&self) -> u64 {
        self.tally.errors()
    }

    /// Kinds of errors, how many there were of each, and their p99; the most frequent first.
    pub fn errors_by_kind(&self) -> Vec<(String, u64, Duration)> {
        let outcomes = self.tally.outcomes.iter();
        let mut kinds: Vec<(String, u64, Duration)> = outcomes
            .filter_map(|(kind, latencies)| {
                let p99 = Duration::from_nanos(latencies.quantile(0.99).unwrap_or(0));
                Some((kind.as_ref()?.to_string(), latencies.count(), p99))
            })
            .collect();
        kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        kinds
    }

    /// The share of requests that ended in errors, of those that ended; 0 if none did.
    pub fn error_rate(&self) -> f64 {
        self.tally.errors() as f64 / self.tally.ended().max(1) as f64
    }

    /// Requests that were not sent because of the traffic's [`limit`](super::Traffic::limit).
    pub fn dropped(&self) -> u64 {
        self.tally.dropped
    }

    /// Attempts that were repeated.
    pub fn retries(&self) -> u64 {
        self.tally.retries
    }

    /// The most requests under way at once.
    pub fn most_in_flight(&self) -> u64 {
        self.tally.peak
    }

    /// Requests that arrived, in a second.
    pub fn rate(&self) -> f64 {
        self.per_second(self.tally.arrived)
    }

    /// Requests that ended well, in a second of the load.
    pub fn throughput(&self) -> f64 {
        self.per_second(self.tally.ok())
    }

    fn per_second(&self, count: u64) -> f64 {
        match self.seconds > 0.0 {
            true => count as f64 / self.seconds,
            false => 0.0,
        }
    }

    /// The latency that this share of the requests (0 to 1) does not exceed; `None` if none ended.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        self.tally.all.quantile(share).map(Duration::from_nanos)
    }

    /// The shortest latency.
    pub fn min(&self) -> Option<Duration> {
        self.tally.all.least().map(Duration::from_nanos)
    }

    /// The longest latency.
    pub fn max(&self) -> Option<Duration> {
        self.tally.all.most().map(Duration::from_nanos)
    }

    /// The mean latency.
    pub fn mean(&self) -> Option<Duration> {
        let mean = self.tally.all.mean()?;
        Some(Duration::from_nanos(mean as u64))
    }

    /// How it went over time, warm-up included.
    pub fn points(&self) -> &[Point] {
        &self.tally.points
    }

    /// The part of the error budget that was used up, where this share was promised to end well.
    pub fn budget(&self, objective: f64) -> f64 {
        self.error_rate() / (1.0 - objective)
    }

    fn latencies(&self) -> &Latencies {
        &self.tally.all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "traffic {}: {} requests in {}",
            self.name(),
            figure(self.count() as f64),
            time(ns(self.counted()) as f64)
        )?;
        match self.warm_up.is_zero() {
            true => writeln!(f)?,
            false => writeln!(f, " after {} of warm-up", time(ns(self.warm_up) as f64))?,
        }
        let header = [
            "operation",
            "count",
            "rate",
            "ok",
            "errors",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        let several = self.operations.len() > 1;
        let all = several.then(|| self.all());
        for operation in self.operations().chain(all) {
            let name = match rows.len() > self.operations.len() {
                true => "all",
                false => operation.name(),
            };
            rows.push(row(name, operation));
        }
        f.write_str(&table("  ", &rows))?;
        for operation in self.operations() {
            for (kind, count, p99) in operation.errors_by_kind() {
                let (count, p99) = (figure(count as f64), time(ns(p99) as f64));
                writeln!(
                    f,
                    "  {count} of {} ended in `{kind}`, p99 {p99}",
                    operation.name()
                )?;
            }
        }
        let all = self.all();
        let counts = [("dropped", all.dropped()), ("retries", all.retries())];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            writeln!(f, "  {what}: {}", figure(count as f64))?;
        }
        writeln!(
            f,
            "  in flight: at most {}",
            figure(all.most_in_flight() as f64)
        )?;
        if all.errors() > 0 {
            let objective = percent(self.objective);
            let burnt = percent(self.budget());
            writeln!(f, "  error budget at {objective}: {burnt} used up")?;
        }
        for (name, worst, at) in self.worst_readings() {
            let at = time(ns(at) as f64);
            writeln!(f, "  {name}: at most {worst}, at {at}")?;
        }
        for recovery in &self.recoveries {
            let at = |at: Duration| time(ns(at) as f64);
            write!(
                f,
                "  {} from {} to {}: ",
                recovery.what,
                at(recovery.begin),
                at(recovery.end)
            )?;
            match recovery.took {
                Some(took) => writeln!(f, "recovered after {}", at(took))?,
                None => writeln!(
                    f,
                    "not recovered before the next disturbance or the end of the load"
                )?,
            }
        }
        Ok(())
    }
}

impl Report {
    /// The worst reading of each gauge, and when it was; those of the kernel where there was one.
    fn worst_readings(&self) -> Vec<(Arc<str>, super::Reading, Duration)> {
        let mut worst: Vec<(Arc<str>, super::Reading, Duration)> = Vec::new();
        for sample in &self.samples {
            for (name, reading) in &sample.gauges {
                match worst.iter_mut().find(|(known, ..)| known == name) {
                    Some((_, most, at)) if reading.value() > most.value() => {
                        (*most, *at) = (*reading, sample.at);
                    }
                    Some(_) => {}
                    None => worst.push((name.clone(), *reading, sample.at)),
                }
            }
        }
        worst
    }
}

fn row(name: &str, operation: Operation<'_>) -> Vec<String> {
    let latencies = operation.latencies();
    let latency = |value: Option<u64>| value.map_or("-".to_owned(), |ns| time(ns as f64));
    vec![
        name.to_owned(),
        figure(operation.count() as f64),
        format!("{}/s", figure(operation.rate())),
        figure(operation.ok() as f64),
        percent(operation.error_rate()),
        latency(latencies.quantile(0.5)),
        latency(latencies.quantile(0.9)),
        latency(latencies.quantile(0.99)),
        latency(latencies.quantile(0.999)),
        latency(latencies.most()),
    ]
}

/// As it is printed.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("name", &self.name())
            .field("count", &self.count())
            .field("errors", &self.errors())
            .field("p99", &self.quantile(0.99))
            .finish_non_exhaustive()
    }
}
