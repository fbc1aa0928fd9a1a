//! What a test's body gets from `child` at the start of each run, and the draws that set the run up.
//!
//! The attribute macro writes code against [`Start`]; people write against `Builder`.

#[cfg(not(squall_madsim))]
use super::hooks;
use super::returned::{Error, Returned};
use super::scribe::{BodyEnd, Scribe};
use super::settings::{Flavor, Resolved};
use crate::fault::{self, Cancelled, Faults, Stress};
use crate::kernel;
#[cfg(not(squall_madsim))]
use crate::kernel::Domain;
use crate::sim::Sim;
use crate::sim::parameter::Parameters;

/// The body of a test: runs on the first simulated thread of every run.
pub(crate) type Body = dyn Fn(&Start) -> Result<(), String> + Send + Sync;

/// One run, about to begin.
pub struct Start {
    sim: Sim,
    flavor: Option<Flavor>,
    faults: Faults,
    hosts: &'static [String],
    scribe: &'static Scribe,
}

impl Start {
    pub(crate) fn new(
        seed: u64,
        settings: &'static Resolved,
        parameters: &'static Parameters,
        scribe: &'static Scribe,
    ) -> Self {
        Start {
            sim: Sim::new(seed, parameters),
            flavor: settings.flavor,
            faults: settings.faults,
            hosts: &settings.hosts,
            scribe,
        }
    }

    /// The world of this run.
    pub fn sim(&self) -> Sim {
        self.sim.clone()
    }

    /// The body, which must not block its thread.
    pub fn body<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        crate::check::detect::body(body)
    }

    /// The body under the faults that the test asks for.
    pub fn stressed<F: Future>(&self, body: F) -> Stress<F> {
        fault::stress_with(self.faults, body)
    }

    /// How many workers the runtime of this run has; `None` stands for a `current_thread` runtime. Where the test leaves it
    /// open, the seed draws: one half of the seeds get `current_thread`, the others 1 to 8 workers.
    #[cfg(squall_madsim)]
    pub fn workers(&self) -> Option<usize> {
        self.scribe.note("all tasks on one thread".to_owned());
        None
    }

    /// How many workers the runtime of this run has; `None` stands for a `current_thread` runtime. Where the test leaves it
    /// open, the seed draws: one half of the seeds get `current_thread`, the others 1 to 8 workers.
    #[cfg(not(squall_madsim))]
    pub fn workers(&self) -> Option<usize> {
        let draw = |n| kernel::draw(Domain::Config, n).unwrap_or(0);
        let flavor = self.flavor.unwrap_or_else(|| match draw(2) {
            0 => Flavor::CurrentThread,
            _ => Flavor::MultiThread(None),
        });
        let workers = match flavor {
            Flavor::CurrentThread => None,
            Flavor::MultiThread(Some(workers)) => Some(workers),
            Flavor::MultiThread(None) => Some(1 + draw(8) as usize),
        };
        self.scribe.note(match workers {
            None => "current_thread runtime".to_owned(),
            Some(1) => "multi_thread runtime with 1 worker".to_owned(),
            Some(n) => format!("multi_thread runtime with {n} workers"),
        });
        workers
    }
}

/// Whether a note of a run names its runtime.
pub(crate) fn names_runtime(note: &str) -> bool {
    note.contains("_thread runtime")
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start")
            .field("sim", &self.sim)
            .finish_non_exhaustive()
    }
}

/// Runs the body and takes down how it ended. The panic is caught here, inside the simulation, so that the run ends as a
/// test's thread would.
pub(crate) fn run_body(body: &Body, start: &Start) {
    for name in start.hosts {
        assert!(
            kernel::add_host(name).is_some(),
            "squall bug: the host {name} exists already"
        );
    }
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let result = body(start);
        if result.is_ok() {
            crate::check::finish();
            crate::check::detect::finish();
        }
        result
    }));
    let end = match caught {
        Ok(result) => BodyEnd::Returned(result),
        Err(payload) => {
            let message = super::scribe::message_of(&*payload);
            // Dropping it could panic again, outside the catch; and it is the program's, which is over.
            std::mem::forget(payload);
            BodyEnd::Panicked(message)
        }
    };
    // A line without an end waits in std's buffer, which is the program's too and vanishes with it.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    start.scribe.ended(end);
}

/// Runs an asynchronous body on a runtime as `#[tokio::test]` does: built on the run's first thread, all drivers enabled,
/// dropped before the run ends.
#[cfg(squall_madsim)]
pub(crate) fn block_on<R: Returned>(
    start: &Start,
    body: impl Future<Output = R>,
) -> Result<(), String> {
    let returned = if start.faults == Faults::NONE {
        kernel::block_on(body)
    } else {
        kernel::block_on(start.stressed(body))
    };
    returned.outcome()
}

/// Runs an asynchronous body on a runtime as `#[tokio::test]` does: built on the run's first thread, all drivers enabled,
/// dropped before the run ends.
#[cfg(not(squall_madsim))]
pub(crate) fn block_on<R: Returned>(
    start: &Start,
    body: impl Future<Output = R>,
) -> Result<(), String> {
    let mut builder = match start.workers() {
        None => tokio::runtime::Builder::new_current_thread(),
        Some(workers) => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    hooks::set(&mut builder);
    let runtime = builder.enable_all().build();
    let runtime =
        runtime.map_err(|error| format!("the tokio runtime could not be built: {error}"))?;
    // A test without faults does without the wrapper.
    let returned = if start.faults == Faults::NONE {
        runtime.block_on(start.body(body))
    } else {
        runtime.block_on(start.body(start.stressed(body)))
    };
    drop(runtime);
    returned.outcome()
}

/// Runs an asynchronous body that is dropped at one of its awaits in most runs, and then the check of what it leaves behind.
pub(crate) async fn cancelled<R: Returned, C: Returned>(
    body: impl Future<Output = R>,
    check: impl AsyncFnOnce(Option<Cancelled>) -> C,
) -> Result<(), Error> {
    let cancelled = match fault::cancel_at_some_await(body).await {
        Ok(returned) => {
            returned.outcome().map_err(Error::msg)?;
            None
        }
        Err(cancelled) => Some(cancelled),
    };
    check(cancelled).await.outcome().map_err(Error::msg)
}
