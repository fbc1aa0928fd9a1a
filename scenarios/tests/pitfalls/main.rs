//! The pitfalls that practitioners name (`squall_scenarios::pitfalls`): each bug must be found, each repaired twin must hold. A file for
//! each has what tells the two apart: a property, a threshold, a history, the deadlock detector.
//!
//! `cargo test --release -p squall-scenarios --test pitfalls table -- --ignored --nocapture` prints the seeds that each takes.

/// The tests of a pitfall, whose file has `scenario(sim, variant)`; a failure of the broken variant has the text in its
/// headline.
macro_rules! pitfall {
    ($what:literal, twin: $seeds:literal) => {
        /// What the failure says.
        pub const WHAT: &str = $what;

        #[test]
        fn the_bug_is_found() {
            crate::is_found(
                WHAT,
                crate::once().run(|sim| scenario(sim, Variant::Broken)),
            );
        }

        #[squall::test(seeds = $seeds)]
        async fn the_repaired_twin_holds(sim: Sim) -> squall::Result {
            scenario(sim, Variant::Repaired).await
        }

        #[squall::test]
        #[ignore = "fails by design: it shows the bug"]
        async fn bug(sim: Sim) -> squall::Result {
            scenario(sim, Variant::Broken).await
        }
    };
}

macro_rules! pitfalls {
    ($($name:ident)*) => {
        $(mod $name;)*

        /// Each of them: the name of its module, and what its failure says.
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $name::WHAT)),*];
    };
}

pitfalls! {
    flash_sale
    lock_order
    billing
    connections
    backpressure
    retry_storm
    dead_letters
    rounding
    editing
    batcher
    consumer_lag
    saga
    event_loop
}

mod table;

use squall::{Builder, Failure, Settings, Summary};

/// Up to 1,000 seeds, at default settings otherwise, but that what fails is as it should be: it is neither shrunk nor kept.
fn once() -> Builder {
    let settings = Settings::new().seeds(1000);
    Builder::new().settings(settings.keep_failures(false).shrink(None))
}

#[track_caller]
fn is_found(what: &str, outcome: Result<Summary, Failure>) {
    let failure = outcome.expect_err("the planted bug is found");
    assert!(failure.text.contains(what), "{}", failure.text);
}
