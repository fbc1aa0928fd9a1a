//! Each way in which a run can end has a verdict of its own, which says what happened and where.

use super::drive::run;

#[test]
fn a_passing_test_says_nothing() {
    for fixture in ["passes", "caught_panics_pass", "leaks_threads", "has_hosts"] {
        let ran = run(fixture, &[]);
        ran.held();
        assert!(!ran.text.contains("squall"), "{}", ran.text);
    }
}

#[test]
fn async_bodies_pass_on_every_runtime() {
    for fixture in ["passes_async", "rotates_its_runtime", "has_three_workers"] {
        let ran = run(fixture, &[]);
        ran.held();
        assert!(!ran.text.contains("squall"), "{}", ran.text);
    }
}

#[test]
fn a_panic() {
    let ran = run("panics", &[]);
    ran.failed().says(&[
        "squall: fixtures::panics failed with seed 0x",
        ": panicked at tests/runner/fixtures.rs:",
        "an update was lost\n      left: 1\n     right: 2",
        "backtrace:\n    runner::fixtures::panics",
        "strategy ",
        "the run printed:\n    | the seed is ",
        "replay: SQUALL_SEED=0x",
        " --test runner fixtures::panics -- --exact --include-ignored",
    ]);
    // Said once: libtest adds nothing of its own.
    assert_eq!(
        ran.text.matches("failed with seed").count(),
        1,
        "{}",
        ran.text
    );
    assert!(!ran.text.contains("RUST_BACKTRACE=1"), "{}", ran.text);
}

#[test]
fn a_panic_in_an_async_body() {
    run("panics_async", &[]).failed().says(&[
        "panicked at tests/runner/fixtures.rs:",
        "an update was lost",
        "backtrace:\n    runner::fixtures::panics_async",
        " runtime",
    ]);
}

#[test]
fn a_panic_of_a_thread_is_told_with_its_own_site() {
    run("panic_of_a_thread", &[]).failed().says(&[
        "failed with seed 0x0: panicked at tests/runner/fixtures.rs:",
        "    the worker's reason\n",
        "| thread 'worker' ",
    ]);
}

#[test]
fn should_panic_sees_the_message() {
    run("should_panic", &[]).held();
}

#[test]
fn a_returned_error() {
    run("errs", &[])
        .failed()
        .says(&["failed with seed 0x3: returned an error\n    \"seed 3 it is\"\n"]);
}

#[test]
fn a_deadlock_names_each_thread_its_call_and_its_place() {
    run("deadlocks", &[]).failed().says(&[
        ": deadlock: no thread can ever go on\n    thread  name",
        "pthread_join",
        "the end of thread ",
        "futex_wait",
        "  thread 1 is at:\n",
        "runner::fixtures::deadlocks",
    ]);
}

#[test]
fn a_livelock() {
    run("livelocks", &[])
        .failed()
        .says(&[": livelock: threads run", "runner::fixtures::livelocks"]);
}

#[test]
fn the_limits_of_virtual_time_and_steps() {
    run("outlasts_its_time", &[]).failed().says(&[
        ": virtual time limit: not over after 1 min of simulated time",
        "runner::fixtures::outlasts_its_time",
    ]);
    run("outlasts_its_steps", &[]).failed().says(&[
        ": step limit: not over after 5000 kernel entries",
        "runner::fixtures::outlasts_its_steps",
    ]);
}

#[test]
fn a_body_that_spins() {
    run("spins", &[]).failed().says(&[
        "failed with seed 0x2: stuck: ran for ",
        "runner::fixtures::spins",
        "| about to spin",
        "replay: SQUALL_SEED=0x2 ",
    ]);
}

#[test]
fn a_body_that_aborts() {
    run("aborts", &[]).failed().says(&[
        "failed with seed 0x0: aborted\n  backtrace:\n    std::process::abort",
        "runner::fixtures::aborts",
        "| last words",
    ]);
    run("panics_in_a_drop", &[]).failed().says(&[
        ": aborted: a panic at tests/runner/fixtures.rs:",
        "    again\n",
        "panicked at tests/runner/fixtures.rs:",
    ]);
}

#[test]
fn a_segmentation_fault() {
    run("segfaults", &[]).failed().says(&[
        "failed with seed 0x4: signal SIGSEGV: a memory fault at address 0x8\n",
        "runner::fixtures::segfaults",
        "| no line end",
    ]);
}

#[test]
fn a_stack_overflow_is_told_from_a_segmentation_fault() {
    for fixture in ["overflows_its_stack", "overflows_a_threads_stack"] {
        run(fixture, &[]).failed().says(&[
            "failed with seed 0x0: stack overflow\n  backtrace:\n",
            "runner::fixtures::descend",
            " times)",
        ]);
    }
}

#[test]
fn a_body_that_exits() {
    run("exits", &[]).failed().says(&[
        ": the program called exit(7) before the test had ended",
        "| leaving",
    ]);
    run("exits_with_zero", &[])
        .failed()
        .says(&[": the program called exit(0) before the test had ended"]);
}

#[test]
fn a_body_that_runs_out_of_memory() {
    run("runs_out_of_memory", &[]).failed().says(&[
        ": out of memory: the process may grow by 64 MiB (SQUALL_MEMORY)",
        "memory allocation of 1048576 bytes failed",
    ]);
}

#[test]
fn bodies_that_start_processes() {
    for (fixture, call) in [
        ("forks", "fork"),
        ("execs", "exec"),
        ("spawns_a_process", "posix_spawn"),
    ] {
        run(fixture, &[]).failed().says(&[
            "failed with seed 0x0: refused call: ",
            " is not simulated, and then the test failed: panicked at",
            &format!("refused: {call}"),
            "(thread main on host test)",
            &format!("runner::fixtures::{fixture}"),
        ]);
    }
}

#[test]
fn a_refused_call_that_a_passing_test_makes_is_told_in_one_line() {
    let ran = run("shrugs_at_a_refusal", &[]);
    ran.held()
        .says(&["squall: fixtures::shrugs_at_a_refusal: refused: posix_spawn"]);
    assert_eq!(ran.text.matches("squall: ").count(), 1, "{}", ran.text);
    assert!(
        ran.text.contains("at ./tests/runner/fixtures.rs:"),
        "{}",
        ran.text
    );
}

#[test]
fn a_body_that_exhausts_its_descriptors() {
    run("exhausts_descriptors", &[])
        .failed()
        .says(&["returned an error\n    Os { code: 24, kind: Uncategorized, message: \"Too many open files\" }"]);
}

#[test]
fn a_body_that_prints_without_end() {
    let ran = run("prints_without_end", &[]);
    ran.failed().says(&[
        ": step limit: ",
        "    | line 0 of too many\n    | line 1 of too many\n",
        "lines and ",
        " bytes ...]",
    ]);
    assert!(ran.text.len() < 100_000, "{} bytes", ran.text.len());
}

#[test]
fn a_body_that_the_seed_does_not_decide() {
    run("is_nondeterministic", &[("SQUALL_AUDIT", "100")])
        .failed()
        .says(&[
            ": nondeterministic: the same seed took two courses",
            "passed with digest ",
            "equal events, the first that differs:",
            "runner::fixtures::is_nondeterministic",
            "SQUALL_AUDIT=100 cargo test ",
        ]);
}

#[test]
fn state_that_leaks_from_run_to_run() {
    let ran = run("remembers_earlier_runs", &[]);
    ran.failed().says(&[
        ": state leaks between runs: the seed passes alone and fails after the seeds from 0x",
        "this process has seen ",
        "replay: SQUALL_BATCH=0x",
        "SQUALL_ISOLATION=process",
    ]);
    let token = ran
        .replay()
        .split(' ')
        .next()
        .unwrap()
        .strip_prefix("SQUALL_BATCH=")
        .unwrap();
    run("remembers_earlier_runs", &[("SQUALL_BATCH", token)])
        .failed()
        .says(&[
            ": state leaks between runs: ",
            &format!("SQUALL_BATCH={token}"),
        ]);
    run("remembers_earlier_runs", &[("SQUALL_ISOLATION", "process")]).held();
}

#[test]
fn a_seed_that_takes_another_course_behind_others() {
    // How large a search makes its batches depends on how fast seeds run, and one that begins with a seed that is audited
    // shows the difference between the two runs of that. Of these seeds none is.
    let batch = [("SQUALL_BATCH", "0x0..=0xf")];
    let ran = run("warms_up", &batch);
    ran.failed().says(&[
        ": state leaks between runs: the seed passes, but takes another course behind others",
        "after 0 equal events, the first that differs:\n    once:   the run was over",
        "sched_yield = 0",
        "runner::fixtures::warms_up",
        "replay: SQUALL_BATCH=0x",
    ]);
    let token = ran
        .replay()
        .split(' ')
        .next()
        .unwrap()
        .strip_prefix("SQUALL_BATCH=")
        .unwrap();
    run("warms_up", &[("SQUALL_BATCH", token)])
        .failed()
        .says(&["takes another course behind others"]);
    run("warms_up", &[("SQUALL_AUDIT", "0")]).held();
    // Where nobody insists on batches, each seed gets a process of its own.
    let few = [("SQUALL_AUDIT", "1"), ("SQUALL_SEEDS", "80")];
    run("warms_up", &few).held().says(&[
        "squall: fixtures::warms_up: seeds influence each other within a process (first sched_yield = 0, at ./tests/runner/",
        "so each had one of its own",
    ]);
}

#[test]
fn builders_inside_plain_tests() {
    run("two_builders", &[]).failed().says(&[
        "squall: fixtures::two_builders failed with seed 0x6",
        "the second builder's seed",
    ]);
    run("builder_async", &[]).held();
}
