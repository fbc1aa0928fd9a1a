//! The environment variables of the contract: what they do, and what is said of values that cannot be used.

use super::drive::run;

#[test]
fn malformed_values_are_refused_before_anything_runs() {
    let wrong = [
        ("SQUALL_SEEDS", "0", "a whole number of seeds"),
        ("SQUALL_SEED", "0xzz", "decimal or after 0x hexadecimal"),
        ("SQUALL_BUDGET", "30", "a whole number and a unit"),
        ("SQUALL_REPLAY", "", "the path of a saved choice log"),
        ("SQUALL_BATCH", "1-5", "two seeds with ..= between them"),
        ("SQUALL_STRATEGY", "best", "one of random, sticky, pct, "),
        ("SQUALL_JOBS", "none", "a number of processes"),
        ("SQUALL_THREADS", "green", "os, or the variable unset"),
        ("SQUALL_DIGEST", "yes", "1 or 0"),
        ("SQUALL_AUDIT", "200", "a percentage from 0 to 100"),
        ("SQUALL_WATCHDOG", "soon", "a whole number and a unit"),
        ("SQUALL_ISOLATION", "thread", "batch or process"),
        ("SQUALL_MEMORY", "8", "KiB, MiB, GiB or TiB"),
        ("SQUALL_FAILURES", "", "the path of a directory, or off"),
        ("SQUALL_SHRINK", "5", "a whole number and a unit"),
        ("SQUALL_EXPLAIN", "off", "a whole number and a unit"),
    ];
    for (name, value, form) in wrong {
        let ran = run("exits", &[(name, value)]);
        ran.failed().says(&[
            "squall: fixtures::exits could not be run: ",
            &format!("{name}={value:?} cannot be used: expected "),
            form,
        ]);
        assert!(!ran.text.contains("failed with seed"), "{}", ran.text);
    }
    let ran = run("exits", &[("SQUALL_SEEDS", "5"), ("SQUALL_SEED", "5")]);
    ran.failed()
        .says(&["SQUALL_SEED and SQUALL_SEEDS are both set"]);
    run("exits", &[("SQUALL_SEDS", "5")])
        .failed()
        .says(&["did you mean SQUALL_SEEDS?"]);
    run("exits", &[("SQUALL_ZYGOTE", "1")])
        .failed()
        .says(&["SQUALL_ZYGOTE is for squall's own use"]);
}

#[test]
fn every_seed_has_a_digest_and_processes_agree_on_it() {
    for fixture in ["passes", "leaks_threads"] {
        let digests = |variables: &[(&str, &str)]| {
            let variables = [&[("SQUALL_DIGEST", "1"), ("SQUALL_SEEDS", "20")], variables].concat();
            let ran = run(fixture, &variables);
            ran.held();
            let digests: Vec<String> = ran.digests().into_iter().map(str::to_owned).collect();
            assert_eq!(digests.len(), 20, "{}", ran.text);
            assert!(
                digests[0].starts_with(&format!("fixtures::{fixture} seed 0x0 digest ")),
                "{}",
                ran.text
            );
            digests
        };
        let first = digests(&[]);
        assert_eq!(first, digests(&[]));
        assert_eq!(first, digests(&[("SQUALL_ISOLATION", "process")]));
        assert_eq!(first, digests(&[("SQUALL_JOBS", "3")]));
        assert_eq!(first, digests(&[("SQUALL_AUDIT", "100")]));
        assert_eq!(first, digests(&[("SQUALL_THREADS", "os")]));
    }
}

#[test]
fn digests_do_not_depend_on_whether_the_user_wants_backtraces() {
    let digests = |variables: &[(&str, &str)]| {
        let variables = [&[("SQUALL_DIGEST", "1"), ("SQUALL_SEEDS", "20")], variables].concat();
        let ran = run("goes_on_after_a_panic", &variables);
        ran.held();
        let digests: Vec<String> = ran.digests().into_iter().map(str::to_owned).collect();
        assert_eq!(digests.len(), 20, "{}", ran.text);
        digests
    };
    let first = digests(&[("RUST_BACKTRACE", "0")]);
    for wanted in ["1", "full"] {
        let both = [("RUST_BACKTRACE", wanted), ("RUST_LIB_BACKTRACE", "1")];
        assert_eq!(first, digests(&both[..1]));
        assert_eq!(first, digests(&both));
        assert_eq!(first, digests(&[both[0], ("SQUALL_ISOLATION", "process")]));
    }
}

#[test]
fn one_seed_runs_alone() {
    let ran = run("passes", &[("SQUALL_SEED", "0x2a"), ("SQUALL_DIGEST", "1")]);
    ran.held();
    assert_eq!(ran.digests().len(), 1);
    ran.says(&["fixtures::passes seed 0x2a digest "]);
    run("errs", &[("SQUALL_SEED", "2")]).held();
    run("errs", &[("SQUALL_SEED", "3")]).failed();
    run("errs", &[("SQUALL_SEEDS", "3")]).held();
}

#[test]
fn a_strategy_is_obeyed_and_told() {
    for strategy in [
        "random",
        "sticky",
        "pct",
        "pct3",
        "pos",
        "surw",
        "delay",
        "starvation",
        "tokio",
    ] {
        let ran = run("panics", &[("SQUALL_STRATEGY", strategy)]);
        ran.failed().says(&[
            &format!("strategy {strategy}"),
            &format!("SQUALL_STRATEGY={strategy} cargo test"),
        ]);
    }
}

#[test]
fn a_budget_ends_the_search() {
    let ran = run(
        "goes_on_and_on",
        &[("SQUALL_BUDGET", "50ms"), ("SQUALL_DIGEST", "1")],
    );
    ran.held();
    assert!(!ran.digests().is_empty());
}

#[test]
fn several_processes_find_the_same_failure() {
    for jobs in ["1", "2", "5"] {
        run("errs", &[("SQUALL_JOBS", jobs)])
            .failed()
            .says(&["failed with seed 0x3:"]);
    }
}

/// Run by a test of `processes` beside squall's own.
#[test]
fn ordinary() {
    assert!(std::thread::spawn(std::time::Instant::now).join().is_ok());
}

#[test]
fn a_seed_digests_alike_alone_and_behind_others_under_every_strategy() {
    for strategy in ["pct", "pos", "surw", "delay", "starvation", "tokio"] {
        let with = |more: &[(&str, &str)]| {
            let mut env = vec![("SQUALL_STRATEGY", strategy), ("SQUALL_DIGEST", "1")];
            env.extend_from_slice(more);
            let ran = run("holds_in_every_order", &env);
            let digests = ran.held().digests();
            digests.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let many = with(&[("SQUALL_SEEDS", "20")]);
        assert_eq!(many.len(), 20);
        assert_eq!(with(&[("SQUALL_SEEDS", "20"), ("SQUALL_JOBS", "2")]), many);
        let alone = with(&[("SQUALL_SEED", "17")]);
        assert!(
            alone.len() == 1 && many.contains(&alone[0]),
            "{strategy}: {alone:?}"
        );
    }
}

#[test]
fn an_exhaustive_search_says_what_it_has_exhausted() {
    let exhaustive = ("SQUALL_STRATEGY", "exhaustive");
    let ran = run("holds_in_every_order", &[exhaustive]);
    ran.held().says(&[
        " distinct schedules, by preemptions ",
        "; exhausted at bound 2",
    ]);
    run("holds_in_every_order", &[exhaustive, ("SQUALL_SEEDS", "2")])
        .held()
        .says(&[": 2 distinct schedules, by preemptions 2 with 0; "]);
    run("panics", &[exhaustive])
        .failed()
        .says(&["strategy exhaustive", "replay: SQUALL_SEED=0x"]);
}

#[test]
fn a_run_of_an_exhaustive_search_replays_from_its_log_and_by_its_number() {
    let exhaustive = ("SQUALL_STRATEGY", "exhaustive");
    let scratch = super::drive::Scratch::new();
    let failures = ("SQUALL_FAILURES", scratch.path().to_str().unwrap());
    let ran = run("panics", &[exhaustive, failures]);
    ran.failed()
        .says(&["replay: SQUALL_REPLAY=", "strategy exhaustive"]);
    let log = scratch.files().pop().unwrap();
    run("panics", &[("SQUALL_REPLAY", log.to_str().unwrap())])
        .failed()
        .says(&["an update was lost"]);
    let seed = ran.text.split("failed with seed ").nth(1).unwrap();
    let seed = seed.split(':').next().unwrap();
    run("panics", &[exhaustive, ("SQUALL_SEED", seed)])
        .failed()
        .says(&["an update was lost"]);
}
