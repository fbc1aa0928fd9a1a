//! The rate of each operation is raised until a threshold breaks; each rate then is looked at in a world of its own, and whether the service
//! comes back from it.

use super::runner::{Finding, Kind, Later, World};
use super::service::Operation;
use crate::traffic::{Load, Report, rps};
use std::time::Duration;

pub(super) struct Overload;

/// How long each rate lasts.
const EACH: Duration = Duration::from_secs(10);
/// How long the first rate is sent to see whether the service has come back, and how often.
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 24;

impl World {
    async fn send(&self, operation: &Operation, rate: u32, time: Duration) -> Report {
        let call = operation.call.clone();
        let load = Load::constant(rps(rate), time);
        let traffic = self.sim.traffic(&operation.name, load);
        traffic.drain(EACH).run(move |_| call()).await
    }

    fn holds(&self, report: &Report) -> bool {
        report.expect(self.limits.threshold.as_str()).is_ok()
    }
}

impl Kind for Overload {
    fn head(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (
            &["operation", "rate"],
            &["threshold", "p99", "errors", "afterwards"],
        )
    }

    fn cells<'a>(&'a self, world: &'a World) -> Later<'a, Vec<Vec<String>>> {
        Box::pin(async move {
            let mut cells = Vec::new();
            let (first, last) = world.limits.rates;
            tokio::time::sleep(Duration::from_millis(100)).await;
            for operation in &world.service.operations {
                let mut rate = first;
                loop {
                    cells.push(vec![operation.name.clone(), format!("{rate}/s")]);
                    let report = world.send(operation, rate, EACH).await;
                    if !world.holds(&report) || rate >= last {
                        break;
                    }
                    rate = rate.saturating_mul(2).min(last);
                }
            }
            cells
        })
    }

    fn look<'a>(&'a self, world: &'a World, cell: &'a [String]) -> Later<'a, Finding> {
        Box::pin(async move {
            let operation = world.service.get(&cell[0]);
            let rate = cell[1].trim_end_matches("/s");
            let rate: u32 = rate.parse().expect("squall bug: a rate without a number");
            let (first, _) = world.limits.rates;
            tokio::time::sleep(Duration::from_millis(100)).await;
            let report = world.send(operation, rate, EACH).await;
            let held = world.holds(&report);
            let all = report.all();
            let p99 = all.quantile(0.99).map_or_else(
                || "-".to_owned(),
                |p99| crate::units::show_nanoseconds(p99.as_nanos() as u64 / 1_000_000 * 1_000_000),
            );
            let errors = format!("{:.1} %", all.error_rate() * 100.0);
            let from = world.sim.elapsed();
            let mut back = None;
            if !held {
                for _ in 0..PROBES {
                    let begun = world.since(from);
                    let probe = world.send(operation, first, PROBE).await;
                    if world.holds(&probe) {
                        back = Some(begun);
                        break;
                    }
                }
            }
            // A rate that is too high for it is no weakness, unless it is the very first.
            let (rank, afterwards) = match (held, back) {
                (true, _) => (0, String::new()),
                (false, Some(_)) if rate == first => (1, "breaks at the first rate".to_owned()),
                (false, Some(begun)) => (0, format!("back within {begun}")),
                (false, None) => (
                    3,
                    format!("not back at {first}/s within {}", world.since(from)),
                ),
            };
            let threshold = if held { "holds" } else { "breaks" };
            Finding {
                rank,
                columns: vec![threshold.to_owned(), p99, errors, afterwards],
            }
        })
    }
}
