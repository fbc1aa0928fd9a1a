//! Each failure says what it was shrunk to, or why it was not, whatever the strategy.

use super::drive::{Ran, Scratch, command, outcome};

const STRATEGIES: [&str; 11] = [
    "random",
    "sticky",
    "pct",
    "pct3",
    "pos",
    "surw",
    "delay",
    "starvation",
    "tokio",
    "exhaustive",
    "portfolio",
];

fn run(test: &str, variables: &[(&str, &str)]) -> Ran {
    let arguments = [test, "--exact", "--ignored", "--nocapture"];
    outcome(&command(&arguments, variables).output().unwrap())
}

/// The line about shrinking; there is exactly one.
#[track_caller]
fn line(ran: &Ran) -> &str {
    ran.failed();
    let about =
        |line: &&str| line.starts_with("  shrunk from ") || line.starts_with("  not shrunk: ");
    let lines: Vec<&str> = ran.text.lines().filter(about).collect();
    let [line] = lines[..] else {
        panic!("{} lines about shrinking in:\n{}", lines.len(), ran.text)
    };
    line
}

#[test]
fn a_failure_says_what_it_was_shrunk_to_or_why_not() {
    for strategy in STRATEGIES {
        let mut failed = 0;
        for test in ["bugs::account", "fixtures::panics_async"] {
            let variables = [
                ("SQUALL_STRATEGY", strategy),
                ("SQUALL_SEEDS", "100"),
                ("SQUALL_SHRINK", "200ms"),
            ];
            let ran = run(test, &variables);
            if !ran.passed {
                line(&ran);
                failed += 1;
            }
        }
        assert!(failed > 0, "{strategy} finds none of them");
    }
}

#[test]
fn what_is_not_shrunk_says_why() {
    for (test, variables, why) in [
        (
            "fixtures::panics_async",
            &[("SQUALL_SHRINK", "off")][..],
            "not shrunk: that is switched off",
        ),
        (
            "fixtures::spins",
            &[("SQUALL_WATCHDOG", "300ms")],
            "not shrunk: each candidate would take",
        ),
        (
            "fixtures::is_nondeterministic",
            &[("SQUALL_AUDIT", "100")],
            "not shrunk: no run of it can be relied on",
        ),
        (
            "fixtures::remembers_earlier_runs",
            &[],
            "not shrunk: it takes the company of other seeds",
        ),
        (
            "bugs::account",
            &[("SQUALL_SHRINK", "1ns")],
            "not shrunk: the time for it was over",
        ),
    ] {
        let ran = run(test, variables);
        assert!(line(&ran).contains(why), "{why}:\n{}", ran.text);
    }
}

#[test]
fn a_replayed_log_says_what_it_was_shrunk_from() {
    let scratch = Scratch::new();
    let failures = ("SQUALL_FAILURES", scratch.path().to_str().unwrap());
    let ran = run("bugs::account", &[failures]);
    let shrunk = line(&ran).to_owned();
    assert!(shrunk.starts_with("  shrunk from "), "{}", ran.text);
    assert_eq!(line(&run("bugs::account", &[failures])), shrunk);
}
