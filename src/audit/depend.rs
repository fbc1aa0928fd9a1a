//! Every dependency fails in every way it can, while each operation is called once.

use super::runner::{Finding, Kind, Later, World};
use crate::sim::dependency::{FailureMode, FailureTarget};
use std::future::{pending, ready};
use std::time::Duration;

pub(super) struct Dependencies;

const PATIENCE: Duration = Duration::from_secs(600);

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
            let calls = match world.calls(operation, world.patience(PATIENCE)).await {
                Ok(calls) => calls,
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
            let ended = calls.once(pending()).await;
            calls.broken(ended, from, "hangs", || target.heal()).await
        })
    }
}
