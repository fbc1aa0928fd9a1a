//! `cargo squall model`, on the code in `scenarios/models` and on the crate `tests/fixtures/models`, whose models one engine cannot run.

use crate::drive::{Ran, cargo_at, scratch, squall_at};

/// The package with the planted bugs, from the fixtures.
const SHIPPED: &str = "../../../scenarios/models";

/// A model's row in the table: what the kernel's cell says, and loom's.
#[track_caller]
fn row(ran: &Ran, model: &str) -> [String; 2] {
    let start = format!("  {model}  ");
    let line = ran.line(&start).trim();
    let (kernel, loom) = line.split_once("  ").unwrap_or_else(|| {
        panic!("`{line}` has no two cells in:\n{}", ran.text);
    });
    [kernel.trim().to_owned(), loom.trim().to_owned()]
}

#[track_caller]
fn rows(ran: &Ran, all: &[(&str, [&str; 2])]) {
    for (model, [kernel, loom]) in all {
        let [under_kernel, under_loom] = row(ran, model);
        assert!(
            fits(&under_kernel, kernel) && fits(&under_loom, loom),
            "{model}: {under_kernel} | {under_loom}, expected {kernel} | {loom} in:\n{}",
            ran.text
        );
    }
}

/// Whether a cell says this; a `#` stands for a number.
fn fits(cell: &str, form: &str) -> bool {
    match form.split_once('#') {
        None => cell == form,
        Some((before, after)) => {
            let inner = cell
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            inner.is_some_and(|number| number.parse::<u64>().is_ok_and(|number| number > 0))
        }
    }
}

#[test]
fn each_engine_finds_what_is_its_own() {
    let planted = ["model", "--locked", "--test", "planted"];
    let ran = squall_at(SHIPPED, &planted, &[]).ended(1);
    let held = "held, # schedules, exhausted at bound 2";
    rows(
        &ran,
        &[
            ("nothing_orders_the_door", [held, "FAILED in execution #"]),
            (
                "the_lock_is_given_back_relaxed",
                [held, "FAILED in execution #"],
            ),
            (
                "a_count_is_read_and_then_written",
                ["FAILED in schedule #", "FAILED in execution #"],
            ),
            (
                "readers_are_counted_in_four_bits",
                ["FAILED in schedule #", "not run: loom = false"],
            ),
        ],
    );
    ran.says(&[
        "squall-models test planted\n",
        "0 of 4 models held",
        // The kernel's story, and its replay.
        "a writer came in among readers",
        "replay: SQUALL_SEED=0x",
        "cargo squall test --points memory -p squall-models --test planted a_count_is_read_and_then_written -- --exact",
        // Loom's: what it says, where, and in which order.
        "squall: nothing_orders_the_door failed under loom in execution ",
        "both went through",
        "Causality violation: Concurrent ",
        "thread 1 | stores to atomic ",
        "src/door.rs:",
    ]);

    // One execution replays by itself, and fails as it did.
    let replay = ran.text.lines().find_map(|line| {
        let line = line.strip_prefix("replay: LOOM_CHECKPOINT_FILE=")?;
        let (checkpoint, rest) = line.split_once(' ')?;
        line.contains("nothing_orders_the_door")
            .then_some((checkpoint, rest))
    });
    let (checkpoint, rest) = replay.unwrap_or_else(|| panic!("no replay line in:\n{}", ran.text));
    let (variables, command) = rest.split_once(" cargo ").unwrap();
    assert_eq!(
        variables,
        "LOOM_LOG=trace LOOM_LOCATION=1 RUSTFLAGS=\"--cfg loom\""
    );
    let words: Vec<&str> = command.split(' ').collect();
    let variables = [
        ("LOOM_CHECKPOINT_FILE", checkpoint),
        ("LOOM_LOG", "trace"),
        ("RUSTFLAGS", "--cfg loom"),
        ("CARGO_SQUALL_STEPS", "77"),
    ];
    cargo_at(SHIPPED, &words, &variables).ended(101);
    let report = scratch("one-execution");
    let mut variables = variables.to_vec();
    variables.push(("CARGO_SQUALL_REPORT", report.to_str().unwrap()));
    cargo_at(SHIPPED, &words, &variables).ended(101);
    let told = std::fs::read_to_string(&report).unwrap();
    assert!(told.contains("failed under loom in execution 77"), "{told}");
    std::fs::remove_file(&report).unwrap();
}

#[test]
fn repaired_models_hold_under_both_engines() {
    let repaired = ["model", "--locked", "--test", "repaired"];
    let ran = squall_at(SHIPPED, &repaired, &[]).ended(0);
    let both = [
        "held, # schedules, exhausted at bound 2",
        "held, # executions, exhausted",
    ];
    rows(
        &ran,
        &[
            ("a_fence_orders_the_door", both),
            ("the_lock_is_given_back_in_order", both),
            ("a_count_is_changed_at_once", both),
            (
                "readers_are_counted_in_a_word",
                [
                    "held, # schedules, exhausted at bound 2",
                    "not run: loom = false",
                ],
            ),
            (
                "a_word_does_not_go_back",
                ["not run: kernel = false", "held, # executions, exhausted"],
            ),
        ],
    );
    ran.says(&["5 of 5 models held"]);

    // As JSON, and with loom bounded from outside.
    let one = [
        "model", "--json", "--locked", "--test", "repaired", "a_fence",
    ];
    let variables = [("LOOM_MAX_PREEMPTIONS", "1"), ("SQUALL_SEEDS", "3")];
    let ran = squall_at(SHIPPED, &one, &variables).ended(0);
    let line = ran.line(r#"{"event":"model","#);
    for part in [
        r#""test":{"package":"squall-models","target":"test repaired","name":"a_fence_orders_the_door"}"#,
        r#""kernel":{"word":"held","as_stated":false,"executions":3,"exhausted":false,"bound":0,"#,
        r#""loom":{"word":"held","as_stated":false,"#,
        r#""exhausted":true,"bound":1,"#,
    ] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
}

#[test]
fn what_an_engine_cannot_run_is_no_success() {
    let unfit = |more: &[&str]| {
        let mut words = vec!["model", "--locked"];
        words.extend(more);
        squall_at("models", &words, &[])
    };
    let ran = unfit(&[]).ended(2);
    rows(
        &ran,
        &[
            (
                "six_threads",
                ["held, 20 schedules, not exhausted", "cannot be run"],
            ),
            (
                "more_than_nine",
                [
                    "held, 9 schedules, not exhausted",
                    "held, 9 executions, not exhausted",
                ],
            ),
            (
                "waits_without_giving_way",
                ["held, # schedules, exhausted at bound 2", "cannot be run"],
            ),
            (
                "fails_as_stated",
                [
                    "failed in schedule 1, as stated",
                    "failed in execution 1, as stated",
                ],
            ),
            (
                "on_a_runtime",
                ["held, 1 schedule, exhausted at bound 2", "does not compile"],
            ),
            (
                "tests::a_model_without_threads",
                [
                    "held, 1 schedule, exhausted at bound 2",
                    "held, 1 execution, exhausted",
                ],
            ),
        ],
    );
    ran.says(&[
        "loom runs 5 threads at most, the model's own among them: have fewer, or let the kernel alone run it, with loom = false",
        "have waiting loops call squall::hint::spin_loop",
        "--test runtime of ",
        "[target.'cfg(not(loom))'.dev-dependencies]",
        "3 of 6 models held",
    ]);
    assert!(!ran.text.contains("ignored  "), "{}", ran.text);

    let ignored = ["--test", "unfit", "ignored", "--", "--include-ignored"];
    unfit(&ignored).ended(0).says(&["1 of 1 models held"]);
    let deadly = [
        "model",
        "--locked",
        "--test",
        "unfit",
        "deadly",
        "--",
        "--ignored",
    ];
    let ran = squall_at("models", &deadly, &[("SQUALL_WATCHDOG", "500ms")]).ended(1);
    rows(
        &ran,
        &[
            ("deadly_abort", ["not run: kernel = false", "FAILED"]),
            (
                "deadly_wait",
                ["not run: kernel = false", "FAILED in execution 1"],
            ),
        ],
    );
    ran.says(&[
        "deadly_abort failed under loom: ended by signal 6",
        "stuck: no end of the execution in 500ms",
        "thread 0 | stores to atomic 0 (Relaxed)",
    ]);
    let ignored = ["model", "--locked", "--test", "unfit", "more_than_nine"];
    squall_at("models", &ignored, &[("LOOM_MAX_PREEMPTIONS", "x")])
        .ended(2)
        .says(&["more_than_nine is not run under loom: invalid value for `LOOM_MAX_PREEMPTIONS`"]);
    unfit(&["no_such_model"])
        .ended(2)
        .says(&["no model is run; of 10 none is meant"]);
    unfit(&["--", "--nocapture"])
        .ended(2)
        .says(&["this takes names of tests, --exact, --skip"]);
    unfit(&["x", "--json"])
        .ended(2)
        .says(&["--json goes before names"]);
}

#[test]
fn an_execution_that_does_not_fail_again_is_said_to() {
    let mark = scratch("first-process");
    let variables = [("MARK", mark.to_str().unwrap())];
    let words = [
        "model",
        "--locked",
        "--test",
        "unfit",
        "fails_in_the_first_process",
        "--",
        "--ignored",
    ];
    let ran = squall_at("models", &words, &variables).ended(1);
    rows(
        &ran,
        &[(
            "fails_in_the_first_process",
            ["not run: kernel = false", "FAILED in execution 1"],
        )],
    );
    ran.says(&["it was the first", "it does not fail so again"]);
    std::fs::remove_file(&mark).unwrap();
}
