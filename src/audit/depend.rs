//! Every dependency fails in every way it can, while each operation is called once.

use super::runner::{Finding, Kind, Later, World};
use super::service::{Ended, Operation, limited};
use crate::sim::dependency::{FailureMode, FailureTarget};
use std::future::{pending, ready};
use std::time::Duration;

pub(super) struct Dependencies;

const PATIENCE: Duration = Duration::from_secs(600);
/// The pause between two calls that see whether it has recovered.
const PAUSE: Duration = Duration::from_millis(100);

impl World {
    fn targets(&self) -> Vec<Box<dyn FailureTarget + '_>> {
        let stubs = self.sim.dependencies().into_iter();
        let mut all: Vec<Box<dyn FailureTarget + '_>> = Vec::new();
        all.extend(stubs.map(|stub| Box::new(stub) as Box<dyn FailureTarget>));
        all.extend(
            self.service
                .targets
                .iter()
                .map(|t| Box::new(By(t.as_ref())) as _),
        );
        all
    }

    pub(super) fn patience(&self, default: Duration) -> Duration {
        self.limits.patience.unwrap_or(default)
    }

    pub(super) fn since(&self, from: Duration) -> String {
        let passed = self.sim.elapsed().saturating_sub(from);
        // To the millisecond: finer is of no interest in a table.
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        crate::units::show_nanoseconds(millis.saturating_mul(1_000_000))
    }

    /// What the operation answers when all is well.
    pub(super) async fn healthy(
        &self,
        operation: &Operation,
        patience: Duration,
    ) -> Result<String, Finding> {
        // Hosts have to come up.
        tokio::time::sleep(PAUSE).await;
        let what = match limited((operation.call)(), patience, pending()).await {
            Ended::Answer(answer) => return Ok(answer),
            Ended::Error(error) => format!("fails although nothing is wrong: {error}"),
            Ended::Never(site) => format!("never returns although nothing is wrong: {site}"),
        };
        Err(Finding {
            rank: 5,
            columns: vec![what],
        })
    }

    /// How long it takes, from now on, until the operation works again.
    pub(super) async fn recovered(
        &self,
        operation: &Operation,
        healthy: &str,
        patience: Duration,
    ) -> (u8, String) {
        let from = self.sim.elapsed();
        let last = loop {
            let left = patience.saturating_sub(self.sim.elapsed() - from);
            let last = match limited((operation.call)(), left, pending()).await {
                Ended::Answer(answer) if operation.accepts(&answer, healthy) => {
                    return (0, self.since(from));
                }
                Ended::Answer(answer) => format!("never: answers {answer}"),
                Ended::Error(error) => format!("never: {error}"),
                Ended::Never(site) => format!("never: waits at {site}"),
            };
            if self.sim.elapsed() - from >= patience {
                break last;
            }
            tokio::time::sleep(PAUSE).await;
        };
        (3, last)
    }
}

/// A target by reference.
struct By<'a>(&'a dyn FailureTarget);

impl FailureTarget for By<'_> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn modes(&self) -> Vec<FailureMode> {
        self.0.modes()
    }
    fn break_with(&self, mode: FailureMode) {
        self.0.break_with(mode);
    }
    fn heal(&self) {
        self.0.heal();
    }
}

impl Kind for Dependencies {
    fn head(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (
            &["dependency", "failure", "operation"],
            &["what happens", "after", "recovers in"],
        )
    }

    fn cells<'a>(&'a self, world: &'a World) -> Later<'a, Vec<Vec<String>>> {
        let mut cells = Vec::new();
        for target in world.targets() {
            for mode in target.modes() {
                for operation in &world.service.operations {
                    let name = [target.name(), &mode.to_string(), &operation.name];
                    cells.push(name.map(str::to_owned).to_vec());
                }
            }
        }
        Box::pin(ready(cells))
    }

    fn look<'a>(&'a self, world: &'a World, cell: &'a [String]) -> Later<'a, Finding> {
        Box::pin(async move {
            let operation = world.service.get(&cell[2]);
            let patience = world.patience(PATIENCE);
            let healthy = match world.healthy(operation, patience).await {
                Ok(healthy) => healthy,
                Err(finding) => return finding,
            };
            let targets = world.targets();
            let target = targets.iter().find(|target| target.name() == cell[0]);
            let target = target.unwrap_or_else(|| {
                panic!(
                    "there is no dependency {:?} this time; it must be the same in each run",
                    cell[0]
                )
            });
            let mode: FailureMode = cell[1]
                .parse()
                .expect("squall bug: a failure's text is no failure");
            target.break_with(mode);
            let from = world.sim.elapsed();
            let (rank, what) = match limited((operation.call)(), patience, pending()).await {
                Ended::Answer(answer) if operation.accepts(&answer, &healthy) => {
                    (0, "ok".to_owned())
                }
                Ended::Answer(answer) => (2, format!("wrong answer {answer}")),
                Ended::Error(error) => (0, format!("error {error}")),
                Ended::Never(site) => (4, format!("hangs at {site}")),
            };
            let after = world.since(from);
            target.heal();
            let (worse, recovers) = world.recovered(operation, &healthy, patience).await;
            Finding {
                rank: rank.max(worse),
                columns: vec![what, after, recovers],
            }
        })
    }
}
