//! A replay line, taken from a failing run, fails the same way in a new process: a hundred times of a hundred, over every kind
//! of failure, for the shrunk run and for the seed that it was shrunk from.

use super::drive::{Ran, Scratch, command, outcome};

/// A test and how many of its failing seeds are replayed; among the first 500 seeds there are as many.
const CASES: [(&str, usize); 26] = [
    ("bugs::account", 5),
    ("bugs::stack", 5),
    ("bugs::deadlock01", 4),
    ("bugs::twostage", 2),
    ("bugs::lost_update", 4),
    ("bugs::lock_cycle", 4),
    ("bugs::short_read", 4),
    ("bugs::out_of_order", 4),
    ("fixtures::panics", 3),
    ("fixtures::panics_async", 2),
    ("fixtures::panic_of_a_thread", 1),
    ("fixtures::panics_in_a_drop", 1),
    ("fixtures::deadlocks", 3),
    ("fixtures::errs", 1),
    ("fixtures::aborts", 1),
    ("fixtures::segfaults", 1),
    ("fixtures::overflows_its_stack", 1),
    ("fixtures::overflows_a_threads_stack", 1),
    ("fixtures::exits", 1),
    ("fixtures::exits_with_zero", 1),
    ("fixtures::outlasts_its_time", 1),
    ("fixtures::outlasts_its_steps", 1),
    ("fixtures::runs_out_of_memory", 1),
    ("fixtures::exhausts_descriptors", 1),
    ("fixtures::forks", 1),
    ("fixtures::spins", 1),
];

fn run(test: &str, variables: &[(&str, &str)]) -> Ran {
    let arguments = [test, "--exact", "--ignored", "--nocapture"];
    outcome(&command(&arguments, variables).output().unwrap())
}

/// The variables of a line that holds a command.
fn variables(line: &str) -> Vec<(&str, &str)> {
    let words = line.split(' ').take_while(|word| *word != "cargo");
    words.filter_map(|word| word.split_once('=')).collect()
}

/// How a run failed, with no number that the seed or the wall clock could change.
fn way(text: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.contains(" failed with seed "));
    let line = line.unwrap_or_else(|| panic!("it did not fail:\n{text}"));
    // How long the watchdog waited is no part of it.
    let line = line.split(" of wall time").next().unwrap();
    match line.contains(": stuck: ") {
        true => line.trim_end_matches(|c: char| c != 'r').to_owned(),
        false => line.to_owned(),
    }
}

#[test]
fn a_hundred_replay_lines_fail_the_same_way_in_new_processes() {
    let mut replayed = 0;
    for (test, wanted) in CASES {
        let mut failed = 0;
        for seed in 0..500 {
            if failed == wanted {
                break;
            }
            let scratch = Scratch::new();
            let failures = ("SQUALL_FAILURES", scratch.path().to_str().unwrap());
            let seed = format!("{seed:#x}");
            // A little simpler will do.
            let shrink = ("SQUALL_SHRINK", "300ms");
            let ran = run(test, &[("SQUALL_SEED", &seed), failures, shrink]);
            if ran.passed {
                continue;
            }
            failed += 1;
            let again = |line: &str, what: &str| {
                let elsewhere = Scratch::new();
                let other = ("SQUALL_FAILURES", elsewhere.path().to_str().unwrap());
                let mut environment = variables(line);
                assert!(!environment.is_empty(), "no variables in {line}");
                environment.extend([other, ("SQUALL_SHRINK", "off")]);
                let again = run(test, &environment);
                assert_eq!(
                    way(&ran.text),
                    way(&again.text),
                    "{test}, {what}: {line}\n{}",
                    again.text
                );
                for doubt in [
                    "failed otherwise",
                    "your code changed",
                    "what it did differs",
                    "nondeterministic",
                ] {
                    assert!(
                        !again.text.contains(doubt),
                        "{test}, {what}: {line}\n{}",
                        again.text
                    );
                }
            };
            again(ran.replay(), "replay");
            replayed += 1;
            let unshrunk = ran
                .text
                .lines()
                .find_map(|line| line.trim_start().strip_prefix("unshrunk: "));
            if let Some(line) = unshrunk {
                again(line, "seed");
                replayed += 1;
            }
        }
        assert_eq!(failed, wanted, "{test} failed too seldom");
    }
    assert!(replayed >= 100, "{replayed} lines");
}
