//! What an instrumented tokio tells the detectors: planted mistakes are found where they are made, and their repaired twins pass.

use super::drive::squall_with;

#[test]
fn mistakes_that_only_tokio_knows_of_are_found() {
    let cases: [(&str, &[&str]); 10] = [
        (
            "billing_fails_silently",
            &[
                ": violated: a panic that nobody observes\n",
                "the task spawned at tests/detectors.rs:17:5 panicked, and its handle was dropped",
                "at tests/detectors.rs:19:9: the invoice is negative",
            ],
        ),
        (
            "shipping_fails_silently",
            &[
                ": violated: an error that nobody observes\n",
                "the task spawned at tests/detectors.rs:42:5 returned an error",
            ],
        ),
        (
            "a_task_sleeps_as_a_thread_does",
            &[
                ": violated: a blocking call inside a poll\n",
                "the task spawned at tests/detectors.rs:57:5 blocks its thread in clock_nanosleep",
                "a_task_sleeps_as_a_thread_does",
            ],
        ),
        (
            "keeps_a_lock_over_an_await",
            &[
                ": violated: a lock held across an await\n",
                "a task that waits: spawned at tests/detectors.rs:",
            ],
        ),
        (
            "a_future_forgets_its_waker",
            &[
                ": violated: a task that nothing can wake\n",
                "the task spawned at tests/detectors.rs:",
                "its last poll asked for nothing of tokio's",
            ],
        ),
        (
            "a_future_hides_its_waker",
            &[
                ": violated: a task that nothing can wake\n",
                "the task spawned at tests/detectors.rs:143:5 waits",
                "tests/detectors.rs:145",
            ],
        ),
        (
            "two_tasks_are_too_polite",
            &[
                ": livelock: ",
                "it runs: the task spawned at tests/detectors.rs:",
            ],
        ),
        (
            "futurelock",
            &[
                ": violated: futurelock\n",
                "a lock or permit was handed to a future that is no longer polled",
                "last polled at ",
                "waits for it: ",
            ],
        ),
        ("a_deadlock_is_no_futurelock", &[": deadlock: "]),
        (
            "a_task_is_left",
            &[
                ": violated: leaked tasks\n",
                "while 1 of the tasks that it spawned were there",
                "spawned at tests/detectors.rs:",
            ],
        ),
    ];
    let mut arguments = vec!["test", "--locked", "--test", "detectors", "--"];
    arguments.extend(["--exact", "--ignored"]);
    arguments.extend(cases.iter().map(|(test, _)| *test));
    let ran = squall_with(&arguments, &[("SQUALL_SHRINK", "off")]).ended(1);
    for (test, says) in cases {
        let start = format!("squall: {test} failed with seed ");
        let page = ran.text.split(&start).nth(1);
        let page = page.unwrap_or_else(|| panic!("{test} passed:\n{}", ran.text));
        let page = page.split("\nreplay: ").next().unwrap_or_default();
        for part in says {
            assert!(
                page.contains(part),
                "`{part}` is missing in {test}:\n{page}"
            );
        }
    }
}

#[test]
fn their_repaired_twins_pass() {
    squall_with(&["test", "--locked", "--test", "detectors"], &[])
        .ended(0)
        .says(&["0 failed"]);
}
