//! What `SQUALL_EXPLAIN` says of failures whose decision is known to come early, or late.

use super::drive::{Ran, Scratch, command, outcome};

fn run(bug: &str, variables: &[(&str, &str)]) -> Ran {
    let name = format!("bugs::{bug}");
    let arguments = [name.as_str(), "--exact", "--ignored", "--nocapture"];
    outcome(&command(&arguments, variables).output().unwrap())
}

/// The page of a failure that is explained, of the run as the search met it.
fn explained(bug: &str) -> String {
    let scratch = Scratch::new();
    let failures = ("SQUALL_FAILURES", scratch.path().to_str().unwrap());
    let search = [("SQUALL_SEEDS", "5000"), ("SQUALL_SHRINK", "off"), failures];
    run(bug, &search).failed();
    let log = scratch.files().pop().unwrap();
    let replay = [
        ("SQUALL_REPLAY", log.to_str().unwrap()),
        ("SQUALL_EXPLAIN", "60s"),
    ];
    let ran = run(bug, &replay);
    ran.failed();
    ran.text
}

/// The decision from which on the failure was inevitable, as a part of all.
fn part(page: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.trim().strip_prefix("inevitable from decision "));
    let line = line.unwrap_or_else(|| panic!("it is not said:\n{page}"));
    assert!(
        line.contains(", at ") && line.contains(" on thread "),
        "{line}"
    );
    let (at, rest) = line.split_once(" of ").unwrap();
    let total = rest.split(',').next().unwrap();
    at.parse::<f64>().unwrap() / total.parse::<f64>().unwrap()
}

#[test]
fn the_decision_that_made_a_failure_inevitable_is_found() {
    let early = part(&explained("decided_early"));
    let late = part(&explained("decided_late"));
    assert!(early < 0.5 && late > 0.5, "early {early}, late {late}");
}

#[test]
fn a_failure_says_how_many_clean_runs_mend_it() {
    let page = explained("decided_early");
    let line = page
        .lines()
        .find(|line| line.contains(" of 2000 runs failed so: "));
    let line = line.unwrap_or_else(|| panic!("it is not said:\n{page}"));
    let failed: f64 = line.trim().split(' ').next().unwrap().parse().unwrap();
    let clean: f64 = line
        .split(": ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // The last of eight is the first in a few runs of a hundred.
    assert!((2.0..400.0).contains(&failed), "{line}");
    let p = (failed + 1.0) / 2002.0;
    assert!(
        (1.0 - p).powf(clean) <= 0.05 && (1.0 - p).powf(clean - 1.0) > 0.05,
        "{line}"
    );
}
