//! Failing logs are saved, run first next time, and replayed; files that cannot be used are told with their mend.

use std::path::{Path, PathBuf};

use super::drive::{Scratch, run};

/// A fixture that has failed, with its saved log.
fn saved(scratch: &Scratch, fixture: &str) -> PathBuf {
    let failures = scratch.path().to_str().unwrap();
    run(fixture, &[("SQUALL_FAILURES", failures)]).failed();
    let files = scratch.files();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn replay(fixture: &str, log: &Path) -> super::drive::Ran {
    run(fixture, &[("SQUALL_REPLAY", log.to_str().unwrap())])
}

#[test]
fn a_failing_log_is_saved_and_runs_first() {
    let scratch = Scratch::new();
    let log = saved(&scratch, "panics");
    let name = log.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("runner-fixtures.panics-") && name.ends_with(".log"),
        "{name}"
    );
    let text = std::fs::read_to_string(&log).unwrap();
    for line in [
        "package: squall",
        "target: test runner",
        "test: fixtures::panics",
        "signature: panic at ",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("\nshrunk: "), "{text}");
    assert!(text.contains("\n[departures "), "{text}");
    // No seed would be needed to fail now: the log does.
    let failures = scratch.path().to_str().unwrap();
    run(
        "panics",
        &[("SQUALL_FAILURES", failures), ("SQUALL_SEEDS", "1")],
    )
    .failed()
    .says(&[
        "an update was lost",
        "(saved earlier, fails still;",
        "replay: SQUALL_REPLAY=",
    ]);
    // And only for its own test.
    run("passes", &[("SQUALL_FAILURES", failures)]).held();
}

#[test]
fn a_log_that_was_not_shrunk_lists_every_decision() {
    let scratch = Scratch::new();
    let failures = scratch.path().to_str().unwrap();
    let ran = run(
        "panics",
        &[("SQUALL_FAILURES", failures), ("SQUALL_SHRINK", "off")],
    );
    ran.failed().says(&["replay: SQUALL_SEED=", "not shrunk: "]);
    assert!(!ran.text.contains("shrunk from"), "{}", ran.text);
    let log = scratch.files()[0].clone();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("squall choice log 1\n"), "{text}");
    assert!(text.contains("\n[schedule "), "{text}");
    replay("panics", &log)
        .failed()
        .says(&["an update was lost"]);
}

#[test]
fn a_log_replays_in_a_new_process() {
    let scratch = Scratch::new();
    for fixture in [
        "panics",
        "deadlocks",
        "segfaults",
        "overflows_its_stack",
        "exits",
        "aborts",
    ] {
        let log = saved(&scratch, fixture);
        let ran = replay(fixture, &log);
        ran.failed()
            .says(&[&format!("squall: fixtures::{fixture} failed with seed 0x")]);
        assert!(
            !ran.text.contains("otherwise") && !ran.text.contains("your code changed"),
            "{}",
            ran.text
        );
        std::fs::remove_file(log).unwrap();
    }
}

#[test]
fn a_log_says_where_a_mended_program_leaves_it() {
    let scratch = Scratch::new();
    let log = saved(&scratch, "panics_until_mended");
    let variables = [("SQUALL_REPLAY", log.to_str().unwrap()), ("MENDED", "1")];
    run("panics_until_mended", &variables).held().says(&[
        "squall: fixtures::panics_until_mended: the log ",
        " passes now",
        "squall: your code changed at decision ",
    ]);
    // Among the first to run, it is silent once it passes.
    let failures = scratch.path().to_str().unwrap();
    let variables = [("SQUALL_FAILURES", failures), ("MENDED", "1")];
    let ran = run("panics_until_mended", &variables);
    ran.held();
    assert!(!ran.text.contains("squall"), "{}", ran.text);
}

#[test]
fn a_replay_line_fails_the_same_way_in_a_new_process() {
    let headline = |text: &str| {
        text.lines()
            .find(|line| line.contains(" failed with seed "))
            .unwrap()
            .to_owned()
    };
    for fixture in ["panics", "deadlocks", "spins", "segfaults", "forks"] {
        let ran = run(fixture, &[]);
        let seed = ran
            .replay()
            .split(' ')
            .next()
            .unwrap()
            .strip_prefix("SQUALL_SEED=")
            .unwrap();
        let again = run(fixture, &[("SQUALL_SEED", seed)]);
        again.failed();
        let (first, second) = (headline(&ran.text), headline(&again.text));
        // How long it took the watchdog is not part of how it failed.
        let way = |line: &str| {
            line.split(" of wall time")
                .next()
                .unwrap()
                .trim_end_matches(|c: char| !c.is_alphabetic())
                .to_owned()
        };
        if fixture == "spins" {
            assert!(first.contains("stuck") && second.contains("stuck"));
        } else {
            assert_eq!(way(&first), way(&second));
        }
    }
}

#[test]
fn logs_that_cannot_be_used_are_told_with_their_mend() {
    let scratch = Scratch::new();
    let log = saved(&scratch, "panics");
    let shown = log.to_str().unwrap();
    let text = std::fs::read_to_string(&log).unwrap();

    replay("panics", Path::new("/nowhere/x.log"))
        .failed()
        .says(&[
            "could not be run: cannot read the choice log /nowhere/x.log: No such file",
            "give the path of a log under squall-failures/",
        ]);
    replay("errs", &log).failed().says(&[
        &format!("{shown}:4: this choice log is from fixtures::panics of package squall"),
        "run the test that it names",
    ]);
    let cut: String = text
        .lines()
        .take(12)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&log, cut).unwrap();
    replay("panics", &log).failed().says(&[
        &format!("{shown}:12: the choice log is cut short"),
        "restore the choice log from version control, or delete it",
    ]);
    std::fs::write(&log, text.replace("package: squall", "package: squalL")).unwrap();
    replay("panics", &log)
        .failed()
        .says(&[shown, "the checksum does not fit"]);
    std::fs::write(&log, b"\x7fELF\x00\xff").unwrap();
    replay("panics", &log)
        .failed()
        .says(&[&format!("{shown}:1: this is not text")]);
    // The same for a log that would have run first.
    let failures = scratch.path().to_str().unwrap();
    run("panics", &[("SQUALL_FAILURES", failures)])
        .failed()
        .says(&[&format!(
            "{shown}:1: this is not text; restore the choice log"
        )]);
    // A directory is no log.
    replay("panics", scratch.path())
        .failed()
        .says(&["cannot read the choice log"]);
}

#[test]
fn a_directory_that_cannot_be_written_does_not_hide_the_failure() {
    run("panics", &[("SQUALL_FAILURES", "/proc/nowhere")])
        .failed()
        .says(&[
            "an update was lost",
            "log: not saved: cannot write the choice log /proc/nowhere/",
        ]);
}

#[test]
fn a_test_that_should_panic_leaves_no_log() {
    let scratch = Scratch::new();
    let failures = scratch.path().to_str().unwrap();
    run("should_panic", &[("SQUALL_FAILURES", failures)]).held();
    assert_eq!(scratch.files(), Vec::<PathBuf>::new());
}
