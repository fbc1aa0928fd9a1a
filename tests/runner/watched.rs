//! What is taken down of a run that is explained does not change it.

use super::drive::run;

const DIFFERS: &str = "it fails so each time, but not all that it does is the same";

#[test]
fn seeds_that_pass_take_the_same_course_when_they_are_watched() {
    for fixture in ["passes_async", "caught_panics_pass", "goes_on_after_panics"] {
        for isolation in ["batch", "process"] {
            let variables = [
                ("SQUALL_AUDIT", "100"),
                ("SQUALL_SEEDS", "60"),
                ("SQUALL_ISOLATION", isolation),
            ];
            let ran = run(fixture, &variables);
            ran.held();
            assert!(!ran.text.contains("squall"), "{}", ran.text);
        }
    }
}

#[test]
fn seeds_that_fail_take_the_same_course_when_they_are_explained() {
    for fixture in [
        "panics",
        "panics_async",
        "panic_of_a_thread",
        "errs",
        "deadlocks",
        "exits",
        "execs",
    ] {
        let ran = run(fixture, &[("SQUALL_SHRINK", "off")]);
        ran.failed().says(&["replay: "]);
        assert!(!ran.text.contains(DIFFERS), "{}", ran.text);
    }
}

#[test]
fn a_failure_that_comes_about_otherwise_each_time_says_so() {
    run(
        "fails_by_another_course_each_time",
        &[("SQUALL_SHRINK", "off")],
    )
    .failed()
    .says(&["    as ever\n", DIFFERS, "docs/determinism.md"]);
}
