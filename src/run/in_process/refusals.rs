//! What of a test's settings, and of the environment, cannot be had on madsim: named before anything runs.

use crate::kernel::Detector;
use crate::run::env::Environment;
use crate::run::settings::{Flavor, Isolation, Settings};
use crate::run::stand_in::THREADS;

/// Something that was asked for and cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} cannot be had on madsim: {why}")]
pub(super) struct Refused {
    what: &'static str,
    why: &'static str,
}

const STRATEGIES: &str = "madsim orders the tasks, by its own draws from the seed; leave it out, or run the test on the kernel";
const PROCESSES: &str = "every seed runs in the test's own process; leave it out";
const ONE: &str = "the seeds of a test run one after the other; leave it out, and let the test harness run tests side by side";
const MACHINE: &str = "its hosts have no processors or descriptors of their own; leave it out, or run the test on the kernel";
const MEMORY: &str = "nothing limits the memory of a run there; leave it out";
const STEPS: &str = "there are no kernel entries to count; leave it out: `max_time` limits virtual time, `watchdog` wall time";
const DETECTORS: &str = "of the detectors, queue_growth alone finds anything there, and does by default; leave it out, or run the test on the kernel";
const EXPLAIN: &str =
    "which decision a failure hangs on is found out on the kernel alone; leave it out";

/// Refuses what cannot be had.
pub(super) fn check(settings: &Settings, environment: &Environment) -> Result<(), Refused> {
    let asked = [
        (
            settings.strategy.is_some(),
            "the setting strategy",
            STRATEGIES,
        ),
        (
            environment.strategy.is_some(),
            "SQUALL_STRATEGY",
            STRATEGIES,
        ),
        (
            settings.isolation == Some(Isolation::Process),
            "isolation = \"process\"",
            PROCESSES,
        ),
        (
            environment.isolation == Some(Isolation::Process),
            "SQUALL_ISOLATION=process",
            PROCESSES,
        ),
        (
            settings.jobs.is_some_and(|jobs| jobs > 1),
            "the setting jobs",
            ONE,
        ),
        (
            environment.jobs.is_some_and(|jobs| jobs > 1),
            "SQUALL_JOBS",
            ONE,
        ),
        (settings.cpus.is_some(), "the setting cpus", MACHINE),
        (
            settings.descriptors.is_some(),
            "the setting descriptors",
            MACHINE,
        ),
        (
            matches!(settings.memory, Some(Some(_))),
            "the setting memory",
            MEMORY,
        ),
        (
            matches!(environment.memory, Some(Some(_))),
            "SQUALL_MEMORY",
            MEMORY,
        ),
        (settings.max_steps.is_some(), "the setting max_steps", STEPS),
        (
            matches!(settings.flavor, Some(Flavor::MultiThread(_))),
            "flavor = \"multi_thread\"",
            THREADS,
        ),
        (
            settings
                .detect
                .is_some_and(|asked| asked != Detector::QueueGrowth.into()),
            "the setting detect",
            DETECTORS,
        ),
        (environment.os_threads, "SQUALL_THREADS=os", THREADS),
        (environment.explain.is_some(), "SQUALL_EXPLAIN", EXPLAIN),
    ];
    match asked.into_iter().find(|(asked, ..)| *asked) {
        Some((_, what, why)) => Err(Refused { what, why }),
        None => Ok(()),
    }
}
