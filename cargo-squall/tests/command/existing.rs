//! `cargo squall exec` and `cargo squall test --existing` on the crate in `tests/fixtures/existing`, which knows nothing of squall.

use crate::drive::{self, Ran, cargo_at, scratch, squall_at};
use std::path::PathBuf;

const FIXTURE: &str = "existing";

/// The fixture's program.
fn program() -> String {
    let built = cargo_at(FIXTURE, &["build", "--locked", "--quiet"], &[]);
    built.ended(0);
    let path: PathBuf = drive::target().join("debug/existing");
    path.to_str().unwrap().to_owned()
}

fn exec(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut words = vec!["exec"];
    words.extend(arguments);
    squall_at(FIXTURE, &words, variables)
}

fn existing(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut words = vec!["test", "--existing", "--locked"];
    words.extend(arguments);
    squall_at(FIXTURE, &words, variables)
}

#[test]
fn a_suite_is_told_apart_test_by_test() {
    let polls = ["--points", "polls", "--test", "plain"];
    let ran = existing(&polls, &[("SQUALL_SEEDS", "300")]).ended(1);
    ran.says(&[
        "PASS [",
        "an_hour_passes\n",
        "locks_in_one_order\n",
        "surroundings\n",
        "panics\n",
        "lost_update: fails under ",
        "of 300 seeds",
        "an update was lost",
        "opposite_locks: fails under ",
        "deadlock: no thread can ever go on",
        "without squall it passes",
        "7 tests: 4 passed, 3 flaky",
    ]);
    assert!(!ran.text.contains("never_holds"), "{}", ran.text);

    // Each replay line fails the same way.
    let replays: Vec<&str> = ran
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("replay: "))
        .collect();
    assert_eq!(replays.len(), 3, "{}", ran.text);
    for replay in replays {
        let (seed, words) = replay.split_once(" cargo squall ").unwrap();
        let seed = seed.strip_prefix("SQUALL_SEED=").unwrap();
        let words: Vec<&str> = words.split(' ').collect();
        assert!(
            words.windows(2).any(|pair| pair == ["--points", "polls"]),
            "{replay}"
        );
        let again = squall_at(FIXTURE, &words, &[("SQUALL_SEED", seed)]).ended(1);
        let line = |ran: &Ran| {
            let mut lines = ran.text.lines();
            let way = lines.find(|line| line.contains(&format!(" failed with seed {seed}: ")));
            way.map(str::to_owned)
        };
        assert!(
            line(&again).is_some() && ran.text.contains(&line(&again).unwrap()),
            "{replay}\n{}",
            again.text
        );
    }
}

#[test]
fn a_list_of_a_suite_runs_none_of_it() {
    let ran = existing(&["--test", "plain", "--", "--list", "update"], &[]).ended(0);
    ran.says(&["lost_update: test\n", "1 test, 0 benchmarks"]);
    assert!(!ran.text.contains("PASS ["), "{}", ran.text);
}

#[test]
fn what_fails_without_squall_and_what_is_refused_are_told_as_such() {
    let ran = existing(
        &["--test", "plain", "--", "--ignored"],
        &[("SQUALL_SEEDS", "3")],
    )
    .ended(3);
    ran.says(&[
        "BROKEN [",
        "never_holds: fails under 3 of 3 seeds",
        "without squall it fails, too",
        "TROUBLE [",
        "starts_a_process: fails under 3 of 3 seeds",
        "1 fail without squall, too, 1 in trouble",
    ]);
}

#[test]
fn a_poll_by_hand_does_not_end_early_unless_asked_for() {
    let seeds = [("SQUALL_SEEDS", "100")];
    let test = ["--test", "plain", "polls_by_hand"];
    existing(&test, &seeds).ended(0).says(&["1 passed"]);
    existing(&[&["--points", "polls"], &test[..]].concat(), &seeds)
        .ended(1)
        .says(&["polls_by_hand: fails under "]);
}

#[test]
fn unit_tests_and_examples_of_the_documentation_run() {
    existing(&[], &[("SQUALL_SEEDS", "2"), ("SQUALL_STRATEGY", "tokio")]).says(&[
        "tests::twice_is_twice\n",
        "Doc-tests existing",
        "1 passed; 0 failed",
    ]);
    existing(&["there_is_no_such_test"], &[])
        .ended(2)
        .says(&["no test of squall's ran"]);
}

#[test]
fn digests_are_equal_in_two_processes_and_on_os_threads() {
    let digests = |threads: &[(&str, &str)]| {
        let mut variables = vec![
            ("SQUALL_SEEDS", "20"),
            ("SQUALL_DIGEST", "1"),
            ("SQUALL_AUDIT", "100"),
        ];
        variables.extend(threads);
        let ran = existing(&["--test", "plain", "lost_update"], &variables);
        let lines = ran.text.lines().filter(|line| line.contains(" digest "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = digests(&[]);
    assert!(!first.is_empty());
    assert_eq!(first, digests(&[]));
    assert_eq!(first, digests(&[("SQUALL_ISOLATION", "process")]));
    assert_eq!(first, digests(&[("SQUALL_THREADS", "os")]));
}

#[test]
fn a_program_is_judged_by_its_end() {
    let program = program();
    let seeds = [("SQUALL_SEEDS", "5")];
    let run = |word: &str| exec(&["--", &program, word], &seeds);
    run("day")
        .ended(0)
        .says(&["PASS [", "existing\n", "5 runs] 1 test: 1 passed"]);
    run("echo").ended(0);
    let ends = [
        ("status", "exit status 7"),
        ("panic", "panicked at src/main.rs:"),
        ("abort", "aborted"),
        ("deadlock", "deadlock: no thread can ever go on"),
        ("fault", "signal SIGSEGV: a memory fault at address 0x0"),
        ("overflow", "stack overflow"),
    ];
    for (word, way) in ends {
        run(word)
            .ended(1)
            .says(&[way, "replay: SQUALL_SEED=0x0 cargo squall exec -- ", word]);
    }
    exec(
        &["--seeds", "1", "--", &program, "spin"],
        &[("SQUALL_WATCHDOG", "300ms")],
    )
    .ended(1)
    .says(&["stuck: ran for"]);
    exec(&["--seed", "0x5", "--", &program, "status"], &[])
        .ended(1)
        .says(&["failed with seed 0x5"]);
}

#[test]
fn a_single_seed_shows_what_the_program_prints() {
    let program = program();
    let ran = exec(&["--seed", "3", "--", &program, "day"], &[]).ended(0);
    ran.says(&["a day later\n", "and all is well\n"]);
    // Also where output goes to a file, which both the command and the program write to.
    let file = scratch("output");
    let output = std::fs::File::create(&file).unwrap();
    let ended = drive::squall_command(FIXTURE)
        .args(["exec", "--seed", "3", "--", &program, "day"])
        .stdout(output)
        .status()
        .unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(
        ended.success() && text.contains("\na day later\n") && text.contains("PASS ["),
        "{text}"
    );
    // What the program wants done at its end is done, once in each run.
    for (word, status) in [("handlers", 0), ("handlers-status", 1)] {
        exec(&["--seed", "3", "--", &program, word], &[])
            .ended(status)
            .says(&["the end\nfirst handler\nlast handler\n"]);
    }
    exec(&["--seeds", "5", "--", &program, "handlers"], &[]).ended(0);
    // Nothing of squall's is in the program's environment.
    exec(&["--seed", "3", "--", &program, "environment"], &[])
        .ended(0)
        .says(&["\n[]\n"]);
}

#[test]
fn what_cannot_be_run_so_is_said() {
    exec(&["--", "/nowhere/at/all"], &[])
        .ended(2)
        .says(&["there is no program /nowhere/at/all"]);
    exec(&["--", "there-is-no-such-program"], &[])
        .ended(2)
        .says(&["in the path"]);
    exec(&[], &[]).ended(2);
    let script = scratch("script");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    exec(&["--", script.to_str().unwrap()], &[])
        .ended(2)
        .says(&["no ELF file"]);
    std::fs::remove_file(&script).unwrap();
    // This test's own binary does without squall; the command, which does as well, is a program like others.
    let program = program();
    exec(&["--seeds", "many", "--", &program], &[]).ended(2);
    exec(&["--", &program, "day"], &[("SQUALL_SEEDS", "many")])
        .ended(2)
        .says(&["SQUALL_SEEDS=\"many\" cannot be used"]);
}
