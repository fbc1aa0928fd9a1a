//! `--points`: bugs between single accesses to memory, in the crate `tests/fixtures/memory`.

use std::collections::BTreeMap;

use crate::drive::{Ran, scratch, squall_at};

fn memory(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    squall_at("memory", arguments, variables)
}

/// What the marks of a test say, and in how many of so many seeds.
fn found(points: &str, test: &str, seeds: u32) -> BTreeMap<String, usize> {
    found_in("memory", "threads", points, test, seeds)
}

fn found_in(
    fixture: &str,
    target: &str,
    points: &str,
    test: &str,
    seeds: u32,
) -> BTreeMap<String, usize> {
    let marks = scratch(&format!("{test}-{points}"));
    let (seeds, path) = (seeds.to_string(), marks.to_str().unwrap());
    let variables = [
        ("FOUND", path),
        ("SQUALL_SEEDS", &seeds),
        ("SQUALL_AUDIT", "0"),
    ];
    let arguments = [
        "test", "--locked", "--points", points, "--test", target, test, "--", "--exact",
    ];
    squall_at(fixture, &arguments, &variables)
        .ended(0)
        .says(&["1 passed"]);
    let text = std::fs::read_to_string(&marks).unwrap_or_default();
    let _ = std::fs::remove_file(&marks);
    let mut found = BTreeMap::new();
    for line in text.lines() {
        *found.entry(line.to_owned()).or_default() += 1;
    }
    found
}

#[test]
fn all_outcomes_of_torn_increments_are_met() {
    let polls = found("polls", "torn_increments", 1_000);
    assert_eq!(
        Vec::from_iter(polls.keys()),
        ["9"],
        "threads that make no call are not preempted"
    );
    let outcomes = found("memory", "torn_increments", 10_000);
    for outcome in 3..=9 {
        assert!(
            outcomes.contains_key(&outcome.to_string()),
            "{outcome} in {outcomes:?}"
        );
    }
}

#[test]
fn bugs_between_accesses_are_found_and_only_there() {
    for (test, least) in [
        ("opposite_locks", 20),
        ("raised_early", 20),
        ("torn_transfer", 50),
    ] {
        assert_eq!(found("polls", test, 1_000).len(), 0, "{test}");
        let seeds: usize = found("memory", test, 1_000).values().sum();
        assert!(seeds >= least, "{test} in {seeds} of 1000 seeds");
    }
}

#[test]
fn tasks_on_workers_race_at_every_access() {
    let found = |points| found_in("memory", "workers", points, "torn_on_workers", 1_000);
    assert_eq!(found("polls").len(), 0);
    let seeds: usize = found("memory").values().sum();
    assert!(seeds >= 20, "{seeds} of 1000 seeds");
}

#[test]
fn strategies_know_which_accesses_race() {
    // Of these strategies the one does not look at what is touched, the others do.
    let found = |strategy| {
        let marks = scratch(&format!("account-{strategy}"));
        let env = [
            ("FOUND", marks.to_str().unwrap()),
            ("SQUALL_SEEDS", "1000"),
            ("SQUALL_AUDIT", "0"),
            ("SQUALL_STRATEGY", strategy),
        ];
        let arguments = [
            "test",
            "--locked",
            "--points=memory",
            "--test",
            "threads",
            "far_apart",
        ];
        memory(&arguments, &env).ended(0).says(&["1 passed"]);
        let seeds = std::fs::read_to_string(&marks).map_or(0, |text| text.lines().count());
        let _ = std::fs::remove_file(&marks);
        seeds
    };
    let [random, pos, surw] = ["random", "pos", "surw"].map(found);
    assert!(
        pos > 2 * random.max(8) && surw > 2 * random.max(8),
        "random {random}, pos {pos}, surw {surw}"
    );
}

#[test]
fn repaired_programs_hold_at_every_point() {
    let env = [("SQUALL_AUDIT", "100"), ("SQUALL_SEEDS", "500")];
    // Programs and documentation tests without squall in them link and run, too.
    memory(&["test", "--locked", "--points=memory"], &env)
        .ended(0)
        .says(&["Doc-tests memory", "test src/lib.rs - (line 3) ... ok"]);
}

#[test]
fn a_suite_that_never_comes_to_a_place_fails() {
    let env = [("UNHIT", "1"), ("SQUALL_SEEDS", "3")];
    let told = "never hit by any run of its ";
    memory(&["test", "--locked", "--points=memory"], &env)
        .ended(1)
        .says(&[
            told,
            "    somebody counts: sometimes!, at tests/workers.rs:",
        ]);
    // Nobody can tell what tests that are left out would have come to.
    let part = ["test", "--locked", "--points=memory", "--test", "workers"];
    let ran = memory(&part, &env).ended(0);
    assert!(!ran.text.contains(told), "{}", ran.text);
}

#[test]
fn digests_do_not_depend_on_the_process() {
    let digests = |more: &[(&str, &str)]| {
        let mut env = vec![
            ("SQUALL_DIGEST", "1"),
            ("SQUALL_SEEDS", "40"),
            ("SQUALL_AUDIT", "0"),
        ];
        env.extend(more);
        let arguments = [
            "test",
            "--locked",
            "--points=memory",
            "--test",
            "threads",
            "--",
            "--nocapture",
        ];
        let ran = memory(&arguments, &env).ended(0);
        let told = ran
            .text
            .lines()
            .filter_map(|line| Some(line.split_once("squall: ")?.1.to_owned()));
        let mut lines: Vec<String> = told.filter(|line| line.contains(" digest ")).collect();
        lines.sort();
        lines
    };
    let contexts = digests(&[]);
    assert_eq!(contexts.len(), 10 * 40);
    assert_eq!(contexts, digests(&[]));
    assert_eq!(contexts, digests(&[("SQUALL_THREADS", "os")]));
    assert_eq!(contexts, digests(&[("SQUALL_ISOLATION", "process")]));
}

#[test]
fn awaits_are_fewer_points_than_polls() {
    // Opposite locks that are free need a poll that ends at an await which need not wait.
    assert_eq!(
        found_in("orders", "tasks", "awaits", "opposite_locks", 1_000).len(),
        0
    );
    assert_eq!(
        found_in("orders", "tasks", "polls", "opposite_locks", 1_000).len(),
        1
    );
    assert_eq!(
        found_in("orders", "tasks", "awaits", "births_and_deaths", 1_000).len(),
        1
    );
}

#[test]
fn nonsense_is_not_accepted() {
    for (arguments, says) in [
        (
            &["test", "--points", "atoms"][..],
            "--points takes awaits, polls or memory, not `atoms`",
        ),
        (&["test", "--points"], "--points needs a value"),
        (
            &["test", "--existing", "--points=memory"],
            "do not go together",
        ),
    ] {
        memory(arguments, &[]).ended(2).says(&[says]);
    }
}

#[test]
fn what_was_reached_is_told_and_leads_to_more() {
    let env = [("SQUALL_SEEDS", "1000")];
    let arguments = [
        "test",
        "--locked",
        "--points=memory",
        "--test",
        "threads",
        "torn_inc",
        "--",
        "--nocapture",
    ];
    let ran = memory(&arguments, &env);
    let ran = ran.ended(0);
    let told = ran
        .text
        .lines()
        .find(|line| line.contains(" interleaving pairs, last new at seed 0x"));
    let told = told.unwrap_or_else(|| panic!("nothing is told of coverage:\n{}", ran.text));
    let began = told.split("; ").nth(1).unwrap();
    assert_eq!(
        began,
        "500 of 1500 runs began as that of a seed which reached something new"
    );

    // Such a seed replays by itself. This one begins as seed 3.
    let digest = |seed: &str, threads: &str| {
        let env = [
            ("SQUALL_SEED", seed),
            ("SQUALL_DIGEST", "1"),
            ("SQUALL_THREADS", threads),
        ];
        let ran = memory(&arguments, &env[..if threads.is_empty() { 2 } else { 3 }]).ended(0);
        let line = ran.text.lines().find(|line| line.contains(" digest "));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let mutated = digest("0xc5a0000315000005", "");
    assert_eq!(mutated, digest("0xc5a0000315000005", ""));
    assert_eq!(mutated, digest("0xc5a0000315000005", "os"));
    assert_ne!(mutated, digest("3", ""));
}

#[test]
fn a_failure_between_accesses_is_shrunk_and_replayed() {
    let logs = scratch("memory-failures");
    let env = [("SQUALL_FAILURES", logs.to_str().unwrap())];
    let arguments = [
        "test",
        "--locked",
        "--points=memory",
        "--test",
        "threads",
        "fails_torn",
        "--",
        "--include-ignored",
    ];
    let first = memory(&arguments, &env).ended(1);
    first.says(&["assertion `left == right` failed", "the story:"]);
    let replay = first.line("replay: ");
    let (variable, command) = replay
        .split_once(" cargo squall ")
        .expect("the line says what to run");
    assert!(command.starts_with("test --points memory "), "{command}");
    let (name, value) = variable.split_once('=').unwrap();
    for _ in 0..3 {
        let words: Vec<&str> = command.split(' ').collect();
        let again = memory(&words, &[(name, value)]).ended(1);
        again.says(&["assertion `left == right` failed"]);
        assert!(!again.text.contains("your code changed"), "{}", again.text);
    }
    // Without memory points the log means nothing, and the program holds.
    let polls = memory(
        &[
            "test",
            "--locked",
            "--test",
            "threads",
            "fails_torn",
            "--",
            "--include-ignored",
            "--nocapture",
        ],
        &env,
    )
    .ended(0);
    polls.says(&["started otherwise"]);
    std::fs::remove_dir_all(logs).unwrap();
}

#[test]
fn nextest_takes_points_too_and_its_replay_lines_hold() {
    let logs = scratch("nextest-logs");
    let failures = ("SQUALL_FAILURES", logs.to_str().unwrap());
    let run = |points: &str, variables: &[(&str, &str)]| {
        let arguments = [
            "nextest",
            "run",
            "--locked",
            "--points",
            points,
            "--test",
            "stories",
            "torn_increments",
            "--",
            "--exact",
            "--include-ignored",
        ];
        memory(&arguments, variables)
    };
    // Threads that make no call are not preempted.
    run("awaits", &[failures]).ended(0).says(&["1 passed"]);
    let failed = run("memory", &[failures]);
    let replay = failed.text.lines().find_map(|line| {
        let (_, replay) = line.split_once("replay: ")?;
        Some(replay.to_owned())
    });
    let replay = replay.unwrap_or_else(|| panic!("no replay line in:\n{}", failed.text));
    let (variable, command) = replay.split_once(' ').unwrap();
    assert!(
        command.starts_with("cargo squall nextest run --points memory -p memory --test stories torn_increments -- --exact"),
        "{replay}"
    );
    failed.ended(1).says(&["an update was lost"]);
    run("memory", &[variable.split_once('=').unwrap(), failures])
        .ended(1)
        .says(&["an update was lost", "shrunk from"]);
    let _ = std::fs::remove_dir_all(logs);
}
