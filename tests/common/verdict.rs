//! Tests that run others by a builder, and say what must come of them: for several test programs.

use squall::{Failure, Sim, Summary};

/// The failure of a test that must not hold, with these words in its report.
#[track_caller]
pub fn found(held: Result<Summary, Failure>, words: &[&str]) -> String {
    let failure = held.expect_err("the planted bug was not found").to_string();
    for words in words {
        assert!(
            failure.contains(words),
            "`{words}` is missing in:\n{failure}"
        );
    }
    failure
}

/// Keeps closures from having to name the type.
pub fn body<F, Fut>(f: F) -> F
where
    F: Fn(Sim) -> Fut,
{
    f
}
