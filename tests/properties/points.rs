//! Fault points: each action does what it says, an unarmed point does nothing, and misuse is told with its mend.

use super::drive::run;

#[test]
fn each_action_does_what_it_says() {
    let ways: [&[(&str, &str)]; 3] = [
        &[("SQUALL_AUDIT", "100")],
        &[("SQUALL_ISOLATION", "process")],
        &[("SQUALL_THREADS", "os")],
    ];
    for way in ways {
        run("points_do_as_they_are_told", way).held();
    }
}

#[test]
fn a_point_that_panics_and_misuse_are_told() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "points_panic",
            &[
                "the power is gone",
                "fault point \"after the write\": a panic",
            ],
        ),
        (
            "points_that_are_not_there",
            &[
                "the program has no fault_point!(\"between prepare and comit\"); it has ",
                "\"between prepare and commit\"",
            ],
        ),
        (
            "points_that_cannot_fail",
            &["is to fail, and has no closure that makes an error: add one"],
        ),
        (
            "points_that_nothing_around_cancels",
            &["wrap the call in squall::cancellable(..)"],
        ),
    ];
    for (fixture, says) in cases {
        let ran = run(fixture, &[("SQUALL_SHRINK", "off"), ("COLUMNS", "200")]);
        ran.failed().says(says);
    }
}
