//! Every link between two hosts becomes a black hole while an operation is under way.

use super::runner::{Finding, Kind, Later, World};
use std::future::{pending, ready};
use std::time::Duration;

pub(super) struct Timeouts;

const PATIENCE: Duration = Duration::from_secs(3600);

impl Kind for Timeouts {
    fn head(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (
            &["link", "operation"],
            &["what happens", "after", "recovers in"],
        )
    }

    fn cells<'a>(&'a self, world: &'a World) -> Later<'a, Vec<Vec<String>>> {
        let hosts = world.sim.hosts();
        let mut cells = Vec::new();
        for (number, a) in hosts.iter().enumerate() {
            for b in &hosts[number + 1..] {
                for operation in &world.service.operations {
                    let link = format!("{} - {}", a.name(), b.name());
                    cells.push(vec![link, operation.name.clone()]);
                }
            }
        }
        Box::pin(ready(cells))
    }

    fn look<'a>(&'a self, world: &'a World, cell: &'a [String]) -> Later<'a, Finding> {
        Box::pin(async move {
            let operation = world.service.get(&cell[1]);
            let calls = match world.calls(operation, world.patience(PATIENCE)).await {
                Ok(calls) => calls,
                Err(finding) => return finding,
            };
            let (a, b) = cell[0]
                .split_once(" - ")
                .expect("squall bug: a link without two ends");
            // How long it takes when all is well; the hosts are up by now.
            let before = world.sim.elapsed();
            let _ = calls.once(pending()).await;
            let took = world.sim.elapsed() - before;
            let from = world.sim.elapsed();
            let cut = async {
                tokio::time::sleep(took.mul_f64(world.moment)).await;
                world.sim.partition(a, b);
            };
            let ended = calls.once(cut).await;
            let repair = || world.sim.repair(a, b);
            calls
                .broken(ended, from, "never returns, waits", repair)
                .await
        })
    }
}
