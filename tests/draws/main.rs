//! Values that tests draw: what failures show of them, how small they become, and commands for a model.
#![cfg(squall_kernel)]

mod commands;
mod plain;
mod property;
mod traffic;
mod values;

use squall::{Failure, Returned, Sim};

/// How a body that must fail does.
#[track_caller]
fn failure<F, Fut, R>(seeds: u64, body: F) -> Failure
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R>,
    R: Returned,
{
    // However busy the machine is, shrinking comes to its own end.
    let settings = squall::Settings::new().shrink(Some(std::time::Duration::from_secs(120)));
    let builder = squall::Builder::new().settings(settings.seeds(seeds).audit(100));
    let ran = builder.keep_failures(false).run(body);
    ran.expect_err("a planted bug was not found")
}

#[track_caller]
fn says(failure: &Failure, text: &str) {
    assert!(failure.text.contains(text), "no {text:?} in\n{failure}");
}

/// How a body that must hold fares.
#[track_caller]
fn holds<F, Fut, R>(seeds: u64, body: F)
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R>,
    R: Returned,
{
    squall::Builder::new().seeds(seeds).audit(100).check(body);
}
