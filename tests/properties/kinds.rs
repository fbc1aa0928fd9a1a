//! Each kind of property: the planted bug is found and told, the repaired twin is silent, and nothing depends on how it is run.

use super::drive::run;

/// A fixture that breaks a property, what must be said of it, and its repaired twin.
struct Pair {
    broken: &'static str,
    says: &'static [&'static str],
    repaired: &'static str,
}

const PAIRS: [Pair; 10] = [
    Pair {
        broken: "oversells",
        says: &[
            ": violated: the stock is never negative, stated at tests/properties/fixtures.rs:",
            "\n    it does not hold\n    value = -",
            "SQUALL_SEED=0x",
        ],
        repaired: "reserves",
    },
    Pair {
        broken: "dips_for_a_step",
        says: &["violated: the stock is never negative", "value = -1"],
        repaired: "dips_out_of_sight",
    },
    Pair {
        broken: "forgets",
        says: &["violated: the count grows", "value = Ok(", "simulated time"],
        repaired: "remembers",
    },
    Pair {
        broken: "finishes_late",
        says: &[
            "violated: the work is done, stated at tests/properties/fixtures.rs:",
            "it does not hold after 10s",
            "\"still at it\"",
            "at 10 s of simulated time",
        ],
        repaired: "finishes_in_time",
    },
    Pair {
        broken: "writes_early",
        says: &[
            "violated: nothing is written before there is a leader",
            "value = 1",
        ],
        repaired: "writes_later",
    },
    Pair {
        broken: "answers_late",
        says: &[
            "violated: requests are answered",
            "it has been hot for 5.000000001s and may be for 5s",
        ],
        repaired: "answers_in_time",
    },
    Pair {
        broken: "takes_too_much",
        says: &[
            "violated: stock never below zero, stated at tests/properties/fixtures.rs:",
            "its condition is false\n    stock = -1\n    taken = 2\n",
            "backtrace:\n    properties::fixtures::production::take",
        ],
        repaired: "takes_little",
    },
    Pair {
        broken: "two_leaders",
        says: &[
            "violated: two leaders",
            "its condition is true\n    leaders = 2",
        ],
        repaired: "takes_little",
    },
    Pair {
        broken: "half_opens",
        says: &[
            "violated: half open without a probe",
            "it was reached\n    state = \"half\"",
        ],
        repaired: "takes_little",
    },
    Pair {
        broken: "reaches_what_it_must_not",
        says: &[
            "failed with seed 0x3: violated: the order is lost",
            "it was reached",
        ],
        repaired: "comes_to_all",
    },
];

#[test]
fn each_kind_is_found_broken_and_silent_repaired() {
    for Pair {
        broken,
        says,
        repaired,
    } in PAIRS
    {
        run(broken, &[("SQUALL_SHRINK", "off")]).failed().says(says);
        let ran = run(repaired, &[("SQUALL_AUDIT", "100")]);
        ran.held();
        assert!(!ran.text.contains("squall: "), "{}", ran.text);
    }
}

#[test]
fn what_no_run_comes_to_fails_the_test_and_is_named() {
    let ran = run("comes_to_nothing", &[]);
    ran.failed().says(&[
        "squall: fixtures::comes_to_nothing failed over 20 runs: never hit: a lucky number\n",
        "    a lucky number: sometimes, stated at tests/properties/fixtures.rs:",
        ", held in no run\n",
        "    a retry: reachable, stated at tests/properties/fixtures.rs:",
        ", reached by no run\n",
        "again: SQUALL_SEEDS=80 cargo test",
    ]);
    assert!(!ran.text.contains("a number:"), "{}", ran.text);
    // One seed proves nothing about that.
    run("comes_to_nothing", &[("SQUALL_SEED", "3")]).held();
    run(
        "comes_to_all",
        &[("SQUALL_ISOLATION", "process"), ("SQUALL_JOBS", "2")],
    )
    .held();
}

#[test]
fn looking_hides_no_deadlock_and_loses_no_panic() {
    let ran = run("deadlocks", &[("SQUALL_SHRINK", "off")]);
    ran.failed().says(&["deadlock: no thread can ever go on"]);
    assert!(!ran.text.contains("in watch"), "{}", ran.text);
    run("panics_when_looked_at", &[("SQUALL_SHRINK", "off")])
        .failed()
        .says(&[
            "violated: a look that panics",
            "it panics when it is looked at: called `Option::unwrap()` on a `None` value",
        ]);
}

#[test]
fn buggify_enables_places_in_some_runs_and_fires_at_some_visits() {
    run("buggified", &[("SQUALL_AUDIT", "100")]).held();
}

#[test]
fn digests_do_not_depend_on_how_a_test_with_properties_is_run() {
    for fixture in ["reserves", "dips_out_of_sight", "remembers", "buggified"] {
        let digests = |more: &[(&str, &str)]| {
            let mut variables = vec![("SQUALL_DIGEST", "1"), ("SQUALL_SEEDS", "10")];
            variables.extend(more);
            let ran = run(fixture, &variables);
            // Too few runs for what they have to come to.
            assert!(ran.passed || fixture == "buggified", "{}", ran.text);
            let digests: Vec<String> = ran
                .digests()
                .iter()
                .map(|line| (*line).to_owned())
                .collect();
            assert_eq!(digests.len(), 10, "{}", ran.text);
            digests
        };
        let usual = digests(&[]);
        assert_eq!(usual, digests(&[("SQUALL_ISOLATION", "process")]));
        assert_eq!(usual, digests(&[("SQUALL_THREADS", "os")]));
    }
}
