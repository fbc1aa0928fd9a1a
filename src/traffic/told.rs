//! What a command that sweeps over parameters is told of a run's traffic. `drive` tells it when the traffic is over, before thresholds are judged.

use super::plan::ns;
use super::record::Tally;
use super::report::{Operation, Report};
use crate::{kernel, telling};
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "event", rename = "traffic")]
struct Told<'a> {
    seed: u64,
    traffic: &'a str,
    /// When it began, in virtual nanoseconds: a run may have several of a name.
    start: u64,
    /// The length that counts, without the warm-up.
    seconds: f64,
    all: Figures<'a>,
    /// Where there are several.
    operations: Vec<Figures<'a>>,
    recoveries: Vec<Recovered<'a>>,
}

#[derive(Serialize)]
struct Figures<'a> {
    name: &'a str,
    arrived: u64,
    ok: u64,
    errors: u64,
    dropped: u64,
    retries: u64,
    /// Nanoseconds.
    longest: Option<u64>,
    /// Latencies in nanoseconds, to a hundred-and-twenty-eighth, and how many there are of each.
    latencies: Vec<(u64, u64)>,
}

#[derive(Serialize)]
struct Recovered<'a> {
    what: &'a str,
    /// Nanoseconds; `None` if it did not.
    took: Option<u64>,
}

impl Report {
    /// Tells a command that sweeps.
    pub(super) fn tell(&self, seed: u64) {
        kernel::unseen(|| {
            if !telling::sweeps() {
                return;
            }
            let all = self.all();
            let several = self.operations.len() > 1;
            let operations = self.operations().filter(|_| several);
            telling::tell(&Told {
                seed,
                traffic: self.name(),
                start: self.start,
                seconds: self.counted().as_secs_f64(),
                all: figures(all),
                operations: operations.map(figures).collect(),
                recoveries: self
                    .recoveries
                    .iter()
                    .map(|recovery| Recovered {
                        what: &recovery.what,
                        took: recovery.took.map(ns),
                    })
                    .collect(),
            });
        });
    }
}

fn figures(of: Operation<'_>) -> Figures<'_> {
    let tally: &Tally = of.tally;
    Figures {
        name: &tally.name,
        arrived: tally.arrived,
        ok: tally.ok(),
        errors: tally.errors(),
        dropped: tally.dropped,
        retries: tally.retries,
        longest: tally.all.most(),
        latencies: tally.all.rough(),
    }
}
