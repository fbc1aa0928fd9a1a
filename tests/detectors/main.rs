//! What squall looks for in every run: planted mistakes are found where they are made, and their repaired twins pass. `fixtures` holds the
//! tests that are run. What needs an instrumented tokio is tested with the command, in `cargo-squall/tests/command/detectors.rs`.

#[allow(dead_code)]
#[path = "../runner/drive.rs"]
mod drive;
mod fixtures;

use drive::run;

const SEEDS: (&str, &str) = ("SQUALL_SEEDS", "12");
const QUICK: [(&str, &str); 2] = [SEEDS, ("SQUALL_SHRINK", "off")];

#[test]
fn a_poll_that_blocks_is_found() {
    run("sleeps_in_a_poll", &[SEEDS]).failed().says(&[
        ": violated: a blocking call inside a poll\n",
        "the test's body blocks its thread in clock_nanosleep while it is polled",
        "tests/detectors/fixtures.rs:16:",
        "replay: SQUALL_",
    ]);
    run("sleeps_after_it_might", &QUICK)
        .failed()
        .says(&["violated: a blocking call inside a poll"]);
    run("a_host_reads_in_a_poll", &QUICK).failed().says(&[
        "violated: a blocking call inside a poll",
        "the main future of slow blocks its thread in ",
        "tests/detectors/fixtures.rs:86:",
    ]);
}

#[test]
fn what_may_block_is_left_alone() {
    let twins = [
        "sleeps_in_a_poll_and_may",
        "sleeps_where_it_may",
        "blocks_in_place",
        "a_host_reads_as_it_should",
    ];
    for twin in twins {
        run(twin, &[SEEDS]).held();
    }
}

#[test]
fn a_lock_that_is_kept_over_an_await_is_found() {
    run("keeps_a_lock_over_an_await", &QUICK).failed().says(&[
        ": violated: a lock held across an await\n",
        "no thread that could hold it is doing anything",
        "tests/detectors/fixtures.rs:128:",
    ]);
    run("keeps_no_lock_over_an_await", &[SEEDS]).held();
}

#[test]
fn a_thread_that_panics_alone_is_found() {
    run("a_thread_panics_alone", &[SEEDS]).failed().says(&[
        ": violated: a panic that nobody observes\n",
        "panicked, and nobody joined it",
        "at tests/detectors/fixtures.rs:",
        "the invoice is negative",
    ]);
    run("threads_panic_and_somebody_knows", &[SEEDS]).held();
}

#[test]
fn what_the_body_leaves_is_found() {
    for socket in ["a_socket_is_forgotten", "a_runtime_socket_is_forgotten"] {
        run(socket, &QUICK).failed().says(&[
            ": violated: leaked descriptors\n",
            "127.0.0.1:4000",
            "opened at ",
            "tests/detectors/fixtures.rs:",
        ]);
    }
    run("a_thread_is_left", &QUICK)
        .failed()
        .says(&[": violated: leaked threads\n", "mailer#"]);
    for twin in [
        "sockets_are_closed",
        "no_thread_is_left",
        "a_thread_is_left_and_may_be",
    ] {
        run(twin, &[SEEDS, ("SQUALL_AUDIT", "100")]).held();
    }
}

#[test]
fn a_queue_that_grows_is_found() {
    run("orders_pile_up", &QUICK).failed().says(&[
        ": violated: a queue that grows without bound\n",
        "traffic buy: orders grew from ",
        "under a steady ",
    ]);
    run(
        "orders_are_bounded",
        &[("SQUALL_SEEDS", "3"), ("SQUALL_AUDIT", "100")],
    )
    .held();
}
