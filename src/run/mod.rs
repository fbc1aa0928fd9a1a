//! One test is many seeds: isolation, batches, verdicts.
//!
//! Three kinds of process take part. The *coordinator* is libtest's own: it hands out seeds, judges, reports. It starts a
//! *zygote*, the same program anew for this one test, which forks a *child* for each batch; the child runs the body
//! through the kernel and leaves its findings in the black box and the report file.
//!
//! The way in is `entry`; `catalogue` knows which tests there are, `listing` tells. `coordinator`, `search`, `coverage`, `judge`, `verify`, `differ`, `case`, `exhaust`, `saved`, `shrinking`, `explaining`, `slot`, `batches`,
//! `render`, `page`, `frames` belong to the first, `zygote` to the second, `child`, `findings`, `trial`, `start`, `scribe` to the third; the
//! rest is shared; `program` leads a preloaded program there. Only the zygote forks: other threads of libtest's process
//! hold locks.
//!
//! In a build for madsim `in_process` takes the place of all three: each seed has a thread of libtest's process.

#![cfg_attr(
    not(squall_kernel),
    allow(dead_code, reason = "where there is no kernel, a test only says so")
)]

mod attribute;
mod builder;
mod catalogue;
mod command;
mod env;
mod failure;
mod forms;
mod hooks;
mod origin;
mod returned;
#[cfg(feature = "scenario")]
mod scenario;
mod scribe;
mod settings;
#[cfg(squall_madsim)]
pub mod stand_in;
mod start;

where_the_kernel_is! {
    mod batches;
    mod child;
    mod coordinator;
    mod coverage;
    mod crash;
    mod differ;
    mod entry;
    mod exhaust;
    mod explaining;
    mod findings;
    mod judge;
    mod listing;
    mod program;
    mod protocol;
    mod recorder;
    mod search;
    mod shrinking;
    mod sites;
    mod slot;
    mod trial;
    mod verify;
    mod zygote;

    use entry::execute;
}

where_runs_are! {
    mod case;
    mod frames;
    mod page;
    mod ran;
    mod render;
    mod saved;
    mod searched;
    mod verdict;

    pub(crate) use crate::units::show_nanoseconds;
}

#[cfg(squall_madsim)]
mod in_process;
#[cfg(squall_madsim)]
use in_process::execute;

#[cfg(feature = "scenario")]
pub use attribute::scenario;
pub use attribute::test;
pub use builder::Builder;
pub use failure::{Failure, Summary};
pub use returned::{Error, Result, Returned};
pub use settings::{Flavor, Isolation, Settings};

use origin::Origin;
use start::Body;

/// What the attribute macro's code calls. Not for people; it changes without notice.
pub mod private {
    #[cfg(target_os = "linux")]
    pub use super::catalogue::TESTS;
    #[cfg(not(squall_madsim))]
    pub use super::hooks::set as hook;
    /// There are no hooks.
    #[cfg(squall_madsim)]
    pub fn hook(_: &mut tokio::runtime::Builder) {}
    pub use super::origin::{Engines, Site};
    #[cfg(squall_madsim)]
    pub use super::stand_in as tokio;
    pub use super::start::Start;
    pub use crate::explore::named as strategy;
    #[cfg(target_os = "linux")]
    pub use squall_points::__private::linkme;
    #[cfg(not(squall_madsim))]
    pub use tokio;

    use super::{Error, Origin, Returned, Settings, start};
    use crate::fault::Cancelled;

    #[cfg(squall_kernel)]
    pub use super::program::enter as enter_program;

    /// Runs the test that the attribute stands on.
    pub fn test(
        site: &Site,
        settings: Settings,
        body: impl Fn(&Start) -> Result<(), String> + Send + Sync + 'static,
    ) {
        super::fail(super::execute(&Origin::of(site), &settings, Box::new(body)));
    }

    /// Runs the model that the attribute stands on.
    pub fn model(site: &Site, settings: Settings, body: fn()) {
        let origin = Origin::of(site);
        let result = match site.model {
            // libtest ignores it, and was told not to.
            Some(engines) if !engines.kernel => Err(super::unusable(
                &origin.test,
                "loom alone runs this model (kernel = false): cargo squall model",
            )),
            _ => super::execute(
                &origin,
                &settings,
                Box::new(move |_| {
                    body();
                    Ok(())
                }),
            ),
        };
        super::fail(result);
    }

    /// Runs the test that `#[squall::scenario]` stands on.
    #[cfg(feature = "scenario")]
    pub fn scenario(
        site: &Site,
        file: &str,
        settings: Settings,
        body: impl Fn(&Start, &crate::Scenario) -> Result<(), String> + Send + Sync + 'static,
    ) {
        super::scenario::test(site, file, settings, body);
    }

    /// A body that is dropped at one of its awaits, and then its check.
    pub async fn cancelled<R: Returned, C: Returned>(
        body: impl Future<Output = R>,
        check: impl AsyncFnOnce(Option<Cancelled>) -> C,
    ) -> Result<(), Error> {
        start::cancelled(body, check).await
    }

    /// What a body returned, in the one form that the runner knows.
    pub fn outcome(returned: impl Returned) -> Result<(), String> {
        returned.outcome()
    }
}

/// Prints a failure and fails the surrounding test with it. The panic hook is passed over: everything has been said.
fn fail(result: std::result::Result<Summary, Failure>) {
    if let Err(failure) = result {
        eprint!("{}", failure.text);
        std::panic::resume_unwind(Box::new(failure.text));
    }
}

fn on_thread(settings: Settings, body: Box<Body>) -> std::result::Result<Summary, Failure> {
    let Some(origin) = Origin::of_thread() else {
        return Err(unusable(
            "a test",
            "squall::Builder must run on the thread of a #[test], or in main: the program is started again to run the \
             seeds, and comes only there",
        ));
    };
    execute(&origin, &settings, body)
}

/// The command that runs the test of this thread again, with these variables.
pub(crate) fn again(variables: &str) -> String {
    Origin::of_thread().map_or_else(|| variables.to_owned(), |origin| origin.command(variables))
}

/// The failure of a test that could not be run.
pub(crate) fn unusable(test: &str, why: impl std::fmt::Display) -> Failure {
    Failure {
        headline: "the test could not be run".to_owned(),
        reports: Vec::new(),
        test: test.to_owned(),
        seed: None,
        signature: String::new(),
        log: None,
        text: format!("squall: {test} could not be run: {why}\n"),
    }
}

#[cfg(not(any(squall_kernel, squall_madsim)))]
fn execute(origin: &Origin, _: &Settings, _: Box<Body>) -> std::result::Result<Summary, Failure> {
    Err(unusable(
        &origin.test,
        "this platform needs the portable engine: the kernel runs on x86_64 Linux with glibc only; docs/madsim.md says how a \
         test runs elsewhere",
    ))
}
