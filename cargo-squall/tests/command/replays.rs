//! A replay line of a failing run under the command fails the same way in a new process, a hundred times of a hundred: for the
//! shrunk run, and for the seed that it was shrunk from. The test binary is run as cargo runs it, without cargo.

use std::path::PathBuf;
use std::process::Command;

use crate::drive::{scratch, squall};

/// The fixture's test binary, built with the instrumented tokio.
fn binary() -> PathBuf {
    let built = squall(&["test", "--locked", "--test", "stories", "--no-run"]);
    let line = built.line("  Executable tests/stories.rs (");
    PathBuf::from(line.trim_end_matches(')'))
}

fn run(binary: &PathBuf, test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(binary);
    let own = |name: &str| name.starts_with("SQUALL_") || name.starts_with("RUST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| own(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env("CARGO_SQUALL", "test")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The line about the failure, if there is one.
fn way(text: &str) -> Option<&str> {
    text.lines()
        .find(|line| line.contains(" failed with seed "))
}

#[test]
fn replay_lines_of_instrumented_runs_hold() {
    replays(1, 1);
}

#[test]
#[ignore = "a minute: cargo test -p cargo-squall --test command a_hundred_replay -- --ignored"]
fn a_hundred_replay_lines_of_instrumented_runs_hold() {
    let replayed = replays(6, 3);
    assert!(replayed >= 100, "{replayed} replays");
}

/// So many failing seeds of each test, each of whose two lines is replayed so many times; the number of replays.
fn replays(seeds: usize, times: usize) -> usize {
    let binary = binary();
    let logs = scratch(&format!("replays-{seeds}"));
    let failures = ("SQUALL_FAILURES", logs.to_str().unwrap());
    let mut replayed = 0;
    for test in ["lost_update", "opposite_locks", "waits_for_ever"] {
        let mut failed = 0;
        for seed in 0..200 {
            if failed == seeds {
                break;
            }
            let seed = format!("{seed:#x}");
            let found = run(
                &binary,
                test,
                &[("SQUALL_SEED", &seed), ("SQUALL_SHRINK", "300ms"), failures],
            );
            let Some(how) = way(&found) else {
                continue;
            };
            failed += 1;
            let line = |start: &str| {
                let mut lines = found.lines().map(str::trim_start);
                lines.find_map(|line| line.strip_prefix(start))
            };
            for line in [line("replay: "), line("unshrunk: ")].into_iter().flatten() {
                let variable = line.split(' ').next().unwrap();
                let variable = variable.split_once('=').unwrap();
                for _ in 0..times {
                    let variables = [
                        variable,
                        ("SQUALL_SHRINK", "off"),
                        ("SQUALL_FAILURES", "off"),
                    ];
                    let again = run(&binary, test, &variables);
                    assert_eq!(way(&again), Some(how), "{test}: {line}\n{again}");
                    for doubt in [
                        "otherwise",
                        "your code changed",
                        "differs",
                        "is the same (digests",
                    ] {
                        assert!(!again.contains(doubt), "{test}: {line}\n{again}");
                    }
                    replayed += 1;
                }
            }
        }
        assert_eq!(failed, seeds, "{test} failed too seldom");
    }
    let _ = std::fs::remove_dir_all(logs);
    replayed
}
