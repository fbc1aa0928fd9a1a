//! What the runs with one combination of values came to: seeds that failed, and the figures of their traffic, over all seeds.

use super::grid::Values;
use crate::events::{Event, Figures, Traffic};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A cell of the grid.
#[derive(Debug, Serialize)]
pub struct Cell {
    #[serde(serialize_with = "as_object")]
    pub values: Values,
    /// Seeds that ran.
    pub runs: u64,
    pub failed: u64,
    /// By signature.
    pub failures: BTreeMap<String, Failures>,
    pub traffic: BTreeMap<String, Measured>,
    /// A seed may run twice; it counts once.
    #[serde(skip)]
    seen: BTreeSet<(u64, String, u64)>,
    #[serde(skip)]
    failed_seeds: BTreeSet<u64>,
}

/// Seeds that failed in one way.
#[derive(Debug, Serialize)]
pub struct Failures {
    pub headline: String,
    pub seeds: u64,
    pub first: u64,
}

/// One traffic, or an operation of it.
#[derive(Debug, Default, Serialize)]
pub struct Measured {
    pub requests: u64,
    pub ok: u64,
    pub errors: u64,
    pub dropped: u64,
    pub retries: u64,
    /// Requests that ended well, in a second: of each seed.
    #[serde(serialize_with = "as_spread")]
    pub throughput: Vec<f64>,
    /// Nanoseconds, and how many requests took so long.
    #[serde(rename = "latency_ns", serialize_with = "as_percentiles")]
    pub latencies: BTreeMap<u64, u64>,
    pub longest_ns: Option<u64>,
    /// Nanoseconds from the end of each disturbance; `None` where the service did not recover.
    #[serde(rename = "recovery_ns", serialize_with = "as_recovery")]
    pub recoveries: Vec<Option<u64>>,
    /// Where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, Measured>,
}

impl Cell {
    pub fn new(values: Values) -> Cell {
        Cell {
            values,
            runs: 0,
            failed: 0,
            failures: BTreeMap::new(),
            traffic: BTreeMap::new(),
            seen: BTreeSet::new(),
            failed_seeds: BTreeSet::new(),
        }
    }

    /// The values as `SQUALL_PARAMETERS` has them.
    pub fn parameters(&self) -> String {
        // What the file lists and is no value is left to the test, which refuses the file.
        let set = self.values.iter().filter(|(_, value)| !value.is_null());
        let set: Map<String, Value> = set.cloned().collect();
        Value::Object(set).to_string()
    }

    /// What a run, or the test, told.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Ended { runs, .. } => self.runs = *runs,
            Event::Failed {
                seed,
                signature,
                headline,
                ..
            } => {
                if !self.failed_seeds.insert(*seed) {
                    return;
                }
                self.failed += 1;
                let failures = self.failures.entry(signature.clone());
                let failures = failures.or_insert_with(|| Failures {
                    headline: headline.clone(),
                    seeds: 0,
                    first: *seed,
                });
                failures.seeds += 1;
                failures.first = failures.first.min(*seed);
            }
            Event::Traffic(told) => {
                let key = (told.seed, told.traffic.clone(), told.start);
                if self.seen.insert(key) {
                    self.traffic
                        .entry(told.traffic.clone())
                        .or_default()
                        .add(told);
                }
            }
            _ => {}
        }
    }
}

impl Measured {
    fn add(&mut self, told: &Traffic) {
        self.take(&told.all, told.seconds);
        self.recoveries
            .extend(told.recoveries.iter().map(|recovery| recovery.took));
        for operation in &told.operations {
            let measured = self.operations.entry(operation.name.clone());
            measured.or_default().take(operation, told.seconds);
        }
    }

    fn take(&mut self, figures: &Figures, seconds: f64) {
        self.requests += figures.arrived;
        self.ok += figures.ok;
        self.errors += figures.errors;
        self.dropped += figures.dropped;
        self.retries += figures.retries;
        self.longest_ns = self.longest_ns.max(figures.longest);
        if seconds > 0.0 {
            self.throughput.push(figures.ok as f64 / seconds);
        }
        for (ns, count) in &figures.latencies {
            *self.latencies.entry(*ns).or_default() += count;
        }
    }

    /// The latency in nanoseconds that this share of the requests does not exceed.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        quantile(&self.latencies, share)
    }

    /// The share of the requests that ended in errors, of those that ended.
    pub fn error_rate(&self) -> f64 {
        self.errors as f64 / (self.ok + self.errors).max(1) as f64
    }

    /// Mean, least and most of the seeds.
    pub fn spread(&self) -> Option<[f64; 3]> {
        spread(&self.throughput)
    }

    /// Of the times that it took to recover: the median and the longest; and how often the service did not.
    pub fn recovery(&self) -> (Option<[u64; 2]>, usize) {
        recovery(&self.recoveries)
    }
}

fn quantile(latencies: &BTreeMap<u64, u64>, share: f64) -> Option<u64> {
    let all: u64 = latencies.values().sum();
    let wanted = (all as f64 * share).ceil().max(1.0) as u64;
    let mut so_far = 0;
    let mut reached = latencies.iter().skip_while(|(_, count)| {
        so_far += **count;
        so_far < wanted
    });
    reached.next().map(|(ns, _)| *ns)
}

fn spread(of: &[f64]) -> Option<[f64; 3]> {
    let mean = of.iter().sum::<f64>() / of.len() as f64;
    let least = of.iter().copied().reduce(f64::min)?;
    let most = of.iter().copied().reduce(f64::max)?;
    Some([mean, least, most])
}

fn recovery(of: &[Option<u64>]) -> (Option<[u64; 2]>, usize) {
    let mut took: Vec<u64> = of.iter().flatten().copied().collect();
    took.sort_unstable();
    let figures = took.last().map(|most| [took[(took.len() - 1) / 2], *most]);
    (figures, of.len() - took.len())
}

/// `pool=4 policy=backoff`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.values.iter().enumerate() {
            let gap = if i > 0 { " " } else { "" };
            write!(f, "{gap}{name}={}", shown(value))?;
        }
        Ok(())
    }
}

/// A value without quotes.
pub fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn as_object<S: Serializer>(values: &Values, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(values.iter().map(|(name, value)| (name, value)))
}

fn as_spread<S: Serializer>(of: &[f64], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(
        spread(of)
            .iter()
            .flat_map(|of| ["mean", "least", "most"].into_iter().zip(of)),
    )
}

fn as_percentiles<S: Serializer>(of: &BTreeMap<u64, u64>, to: S) -> Result<S::Ok, S::Error> {
    let shares = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
    to.collect_map(shares.map(|(name, share)| (name, quantile(of, share))))
}

fn as_recovery<S: Serializer>(of: &[Option<u64>], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told {
        disturbances: usize,
        not_recovered: usize,
        median: Option<u64>,
        longest: Option<u64>,
    }
    let (figures, not_recovered) = recovery(of);
    Told {
        disturbances: of.len(),
        not_recovered,
        median: figures.map(|of| of[0]),
        longest: figures.map(|of| of[1]),
    }
    .serialize(to)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A cell with so many requests in ten seconds, of so many milliseconds each.
    pub fn cell(pool: u64, requests: u64, ms: u64) -> Cell {
        let mut cell = Cell::new(vec![("pool".to_owned(), pool.into())]);
        let told = |seed: u64, took: &str| {
            let line = format!(
                r#"{{"event":"traffic","seed":{seed},"traffic":"buy","start":0,"seconds":10.0,
                "all":{{"name":"buy","arrived":{requests},"ok":{},"errors":1,"dropped":0,"retries":0,"longest":{},"latencies":[[{},{}],[{},1]]}},
                "operations":[],"recoveries":[{{"what":"spike","took":{took}}}]}}"#,
                requests - 1,
                ms * 9_000_000,
                ms * 1_000_000,
                requests - 1,
                ms * 9_000_000,
            );
            serde_json::from_str::<Event>(&line).unwrap()
        };
        cell.add(&told(1, "2000000000"));
        cell.add(&told(2, "null"));
        // The same seed once more.
        cell.add(&told(1, "2000000000"));
        let failed = r#"{"event":"failed","test":{"package":"p","target":"lib","name":"t"},"seed":2,"signature":"s","headline":"p99 < 1s & more"}"#;
        cell.add(&serde_json::from_str(failed).unwrap());
        cell.runs = 2;
        cell
    }

    #[test]
    fn seeds_are_put_together_once_each() {
        let cell = cell(4, 100, 20);
        let buy = &cell.traffic["buy"];
        assert_eq!((cell.failed, cell.failures["s"].first), (1, 2));
        assert_eq!((buy.requests, buy.ok, buy.errors), (200, 198, 2));
        assert_eq!(buy.spread(), Some([9.9, 9.9, 9.9]));
        assert_eq!(buy.quantile(0.5), Some(20_000_000));
        assert_eq!(buy.quantile(0.999), Some(180_000_000));
        assert_eq!(buy.recovery(), (Some([2_000_000_000; 2]), 1));
        assert_eq!(buy.error_rate(), 0.01);
        let json = serde_json::to_value(&cell).unwrap();
        assert_eq!(json["values"]["pool"], 4);
        assert_eq!(json["traffic"]["buy"]["latency_ns"]["p99"], 20_000_000);
        assert_eq!(json["traffic"]["buy"]["recovery_ns"]["not_recovered"], 1);
        assert_eq!(cell.parameters(), r#"{"pool":4}"#);
        assert_eq!(cell.to_string(), "pool=4");
    }
}
