//! Processes: tests side by side, under libtest and under nextest, and what is left when one is interrupted or killed.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::drive::{command, outcome};

#[test]
fn squall_tests_and_ordinary_tests_run_side_by_side() {
    let arguments = [
        "fixtures::passes",
        "fixtures::leaks_threads",
        "environment::ordinary",
        "--include-ignored",
        "--test-threads=8",
    ];
    let ran = outcome(&command(&arguments, &[]).output().unwrap());
    ran.held().says(&[
        "test fixtures::passes ... ok",
        "test fixtures::passes_async ... ok",
        "test fixtures::leaks_threads ... ok",
    ]);
}

#[test]
fn a_failure_beside_passing_tests_is_shown_with_its_own_test() {
    let arguments = [
        "fixtures::passes",
        "fixtures::errs",
        "fixtures::exits",
        "--include-ignored",
        "--test-threads=8",
    ];
    let ran = outcome(&command(&arguments, &[]).output().unwrap());
    ran.failed().says(&[
        "test fixtures::passes ... ok",
        "---- fixtures::errs stdout ----\nsquall: fixtures::errs failed with seed 0x3",
        "---- fixtures::exits stdout ----\nsquall: fixtures::exits failed with seed 0x0",
        "failed; ",
    ]);
}

#[test]
fn squall_tests_run_under_nextest() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let installed = Command::new(&cargo).args(["nextest", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        eprintln!("cargo-nextest is not installed: not tested");
        return;
    }
    let run = |filter: &str| {
        let mut nextest = Command::new(&cargo);
        nextest
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "nextest",
                "run",
                "--offline",
                "--package",
                "squall",
                "--test",
                "runner",
            ])
            .args(["--run-ignored", "all", "--no-fail-fast", "-E", filter])
            .env("SQUALL_FAILURES", "off");
        outcome(&nextest.output().unwrap())
    };
    let ran = run("test(/^fixtures::passes/) + test(=fixtures::leaks_threads)");
    ran.held().says(&["3 passed"]);
    assert!(!ran.text.contains("LEAK"), "{}", ran.text);
    let ran = run("test(=fixtures::errs) + test(=fixtures::passes)");
    ran.failed().says(&[
        "1 passed",
        "1 failed",
        "squall: fixtures::errs failed with seed 0x3",
    ]);
}

/// Every process below `pid`, itself left out.
fn descendants(pid: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_ascii_whitespace() {
                let child = child.parse().unwrap();
                found.insert(child);
                open.push(child);
            }
        }
    }
    found
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Starts two endless fixtures and waits until each has a zygote and a child.
fn endless() -> (Child, BTreeSet<u32>) {
    let arguments = [
        "fixtures::goes_on_and_on",
        "fixtures::also_goes_on_and_on",
        "--exact",
        "--ignored",
        "--test-threads=2",
    ];
    let mut process = command(&arguments, &[]);
    let process = process
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut below = BTreeSet::new();
    while below.len() < 4 {
        std::thread::sleep(Duration::from_millis(5));
        below = descendants(process.id());
    }
    (process, below)
}

fn signal(name: &str, pid: u32) {
    assert!(
        Command::new("kill")
            .args([name, &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

fn wait_until_gone(pids: &BTreeSet<u32>) {
    // A hang here is the failure.
    while pids.iter().any(|pid| alive(*pid)) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_stops_cleanly_with_a_summary_of_each_test() {
    let (process, mut below) = endless();
    below.extend(descendants(process.id()));
    signal("-INT", process.id());
    let ran = outcome(&process.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{}", ran.text);
    for test in ["goes_on_and_on", "also_goes_on_and_on"] {
        let start = format!("squall: fixtures::{test} interrupted: ");
        let line = ran.text.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no summary of {test} in:\n{}", ran.text));
        assert!(
            line.ends_with(" of 1000000000 seeds done, 0 failures"),
            "{line}"
        );
    }
    wait_until_gone(&below);
}

#[test]
fn nothing_is_left_when_the_test_process_is_killed() {
    let (mut process, mut below) = endless();
    below.extend(descendants(process.id()));
    signal("-KILL", process.id());
    process.wait().unwrap();
    wait_until_gone(&below);
}
