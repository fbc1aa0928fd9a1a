//! Tests without the attribute: inside a plain `#[test]`, or in a program's `main`.

use std::time::Duration;

use super::failure::{Failure, Summary};
use super::returned::Returned;
use super::settings::{Flavor, Isolation, Settings};
use super::start::{self, Start};
use crate::explore::Selection;
use crate::fault::Faults;
use crate::kernel::Detectors;
use crate::sim::Sim;

/// Runs a body under many seeds.
///
/// The program is started again to run the seeds, up to the call that runs the body; what it does before that call happens
/// there too. In a `#[test]`, call it on the test's own thread.
///
/// ```no_run
/// squall::Builder::new().seeds(100).check(|_sim| async {
///     tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    settings: Settings,
}

macro_rules! forwards {
    ($($name:ident: $type:ty;)*) => {
        $(#[doc = concat!("See [`Settings::", stringify!($name), "`].")]
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.settings = self.settings.$name($name);
            self
        })*
    };
}

impl Builder {
    /// A test with the default settings.
    pub fn new() -> Self {
        Builder::default()
    }

    forwards! {
        seeds: u64;
        budget: Duration;
        strategy: Selection;
        isolation: Isolation;
        jobs: u32;
        audit: u32;
        watchdog: Duration;
        memory: Option<u64>;
        cpus: u32;
        descriptors: u32;
        max_time: Duration;
        max_steps: u64;
        flavor: Flavor;
        faults: Faults;
        allow: Detectors;
        detect: Detectors;
        keep_failures: bool;
    }

    /// See [`Settings::hosts`].
    #[must_use]
    pub fn hosts<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.settings = self.settings.hosts(names);
        self
    }

    /// All settings at once.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Runs an asynchronous body, each time on a tokio runtime of its own.
    ///
    /// # Errors
    /// A run failed, or the test could not be run.
    pub fn run<F, Fut, R>(self, body: F) -> Result<Summary, Failure>
    where
        F: Fn(Sim) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R>,
        R: Returned,
    {
        let body = move |start: &Start| start::block_on(start, body(start.sim()));
        super::on_thread(self.settings, Box::new(body))
    }

    /// Runs a body that is not asynchronous.
    ///
    /// # Errors
    /// A run failed, or the test could not be run.
    pub fn run_blocking<F, R>(self, body: F) -> Result<Summary, Failure>
    where
        F: Fn(Sim) -> R + Send + Sync + 'static,
        R: Returned,
    {
        super::on_thread(
            self.settings,
            Box::new(move |start: &Start| body(start.sim()).outcome()),
        )
    }

    /// As [`Builder::run`]; a failure is printed and fails the surrounding test.
    pub fn check<F, Fut, R>(self, body: F)
    where
        F: Fn(Sim) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R>,
        R: Returned,
    {
        super::fail(self.run(body));
    }

    /// As [`Builder::run_blocking`]; a failure is printed and fails the surrounding test.
    pub fn check_blocking<F, R>(self, body: F)
    where
        F: Fn(Sim) -> R + Send + Sync + 'static,
        R: Returned,
    {
        super::fail(self.run_blocking(body));
    }
}
