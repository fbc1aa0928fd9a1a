//! Tests that are bound to a scenario file: the attribute, and the way into such a test. The file is read when the test starts, on the
//! coordinator's side and on the zygote's.

use std::path::Path;

use super::origin::{Origin, Site};
use super::settings::{Isolation, Settings};
use super::start::Start;
use super::{command, unusable};
use crate::scenario::{RunIsolation, Scenario};

/// Runs the test that `#[squall::scenario]` stands on.
pub(super) fn test(
    site: &Site,
    file: &str,
    settings: Settings,
    body: impl Fn(&Start, &Scenario) -> Result<(), String> + Send + Sync + 'static,
) {
    let mut origin = Origin::of(site);
    let refused = |why: String| {
        let failure = Err(unusable(&origin.test, why));
        command::ended(origin.name(), std::time::Duration::ZERO, &failure);
        super::fail(failure);
    };
    // Messages name it as one sees it from the package's directory, in which tests run.
    let path = Path::new(site.manifest_dir).join(file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let path = path.display();
            return refused(format!("the scenario file {path} cannot be read: {error}"));
        }
    };
    let scenario = match Scenario::parse(&path, &text) {
        Ok(scenario) => scenario,
        Err(error) => return refused(format!("the scenario file is wrong\n{error}")),
    };
    if let Some(other) = scenario.test()
        && other != origin.test
    {
        let (test, path) = (&origin.test, path.display());
        return refused(format!(
            "{path} is for the test {other}, and {test} is bound to it"
        ));
    }
    origin.fingerprint = Some(scenario.fingerprint());
    let settings = over(settings, &scenario);
    let body = move |start: &Start| body(start, &scenario.within(start.sim()));
    super::fail(super::execute(&origin, &settings, Box::new(body)));
}

/// What the file says, over what the attribute says.
fn over(settings: Settings, scenario: &Scenario) -> Settings {
    let said = scenario.run().said();
    Settings {
        seeds: said.seeds.or(settings.seeds),
        budget: said.budget.or(settings.budget),
        strategy: said.strategy.or(settings.strategy),
        isolation: match said.isolation {
            Some(RunIsolation::Batch) => Some(Isolation::Batch),
            Some(RunIsolation::Process) => Some(Isolation::Process),
            None => settings.isolation,
        },
        jobs: said.jobs.or(settings.jobs),
        audit: said.audit.or(settings.audit),
        watchdog: said.watchdog.or(settings.watchdog),
        memory: said.memory.or(settings.memory),
        cpus: said.cpus.or(settings.cpus),
        descriptors: said.descriptors.or(settings.descriptors),
        max_time: said.max_time.or(settings.max_time),
        max_steps: said.max_steps.or(settings.max_steps),
        parameters: scenario.parameters(),
        ..settings
    }
}
