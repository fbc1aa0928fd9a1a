//! Drives the command on the crate in `tests/fixtures/orders`, whose bugs lie in the order of the tasks of one runtime.
//!
//! The fixture is built in this workspace's own target directory, whose dependencies are built already.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

mod detectors;
mod drive;
mod existing;
mod live;
mod manifests;
mod models;
mod nightly;
mod points;
mod replays;
mod scenarios;
mod stories;

use drive::{cargo_with, found, scratch, squall, squall_at, squall_with};

#[test]
fn help_and_version_are_told_and_nonsense_is_not_accepted() {
    squall(&["--help"]).ended(0).says(&[
        "Usage: cargo squall",
        "test",
        "nextest",
        "doctor",
        "Exit status",
    ]);
    squall(&["--version"])
        .ended(0)
        .says(&[env!("CARGO_PKG_VERSION")]);
    squall(&[]).ended(2);
    squall(&["tset"])
        .ended(2)
        .says(&["unrecognized subcommand 'tset'"]);
    squall(&["test", "--nonsense"])
        .ended(2)
        .says(&["unexpected argument '--nonsense'"]);
    squall(&["test", "--manifest-path", "/nowhere/Cargo.toml"])
        .ended(2)
        .says(&["cargo cannot read this workspace"]);
}

#[test]
fn a_run_of_no_test_does_not_hold() {
    squall(&["test", "--locked", "there_is_no_such_test"])
        .ended(2)
        .says(&["no test of squall's ran"]);
    squall(&["test", "--locked", "--test", "tasks", "--", "--list"]).ended(0);
}

#[test]
fn orders_of_tasks_that_stock_tokio_never_shows_are_found() {
    let lock = drive::lock_file();
    // Of 1,000 seeds, at least so many; stock tokio shows none of those among the tasks of one thread, and nor do the 66 of
    // the control group, which takes tasks in tokio's own order.
    let bugs = [
        ("opposite_locks", 30),
        ("lost_update", 50),
        ("births_and_deaths", 850),
        ("lock_step", 50),
        ("local_births", 850),
        ("workers", 100),
        ("between_polls", 100),
    ];
    for (bug, least) in bugs {
        // Workers are threads, which are overtaken at their allocations on stock tokio, too.
        if bug != "workers" {
            assert_eq!(found(cargo_with, bug), 0, "{bug} on stock tokio");
        }
        let seeds = found(squall_with, bug);
        assert!(seeds >= least, "{bug} in {seeds} of 1000 seeds");
    }
    assert!(lock == drive::lock_file(), "Cargo.lock was changed");
}

#[test]
fn a_worker_takes_its_tasks_in_every_order() {
    for test in ["order_on_one_worker", "order_on_one_worker_from_outside"] {
        let stock = drive::found_to_be(cargo_with, test);
        let orders = drive::found_to_be(squall_with, test);
        // Where tasks come from outside, the worker may wake between two of them: that order is the rarest.
        let reached = orders.values().filter(|seeds| **seeds >= 30).count();
        assert_eq!(
            reached, 6,
            "{test}: {orders:?}, and on stock tokio {stock:?}"
        );
    }
}

#[test]
fn the_kernel_knows_who_the_tasks_are() {
    // None of these is a test of squall's, which the command finds fault with.
    squall_with(&["test", "--locked", "--test", "identity"], &[])
        .ended(2)
        .says(&["8 passed; 0 failed"]);
}

#[test]
fn strategies_tell_the_tasks_of_a_runtime_apart() {
    squall_with(&["test", "--locked", "--test", "targets"], &[])
        .ended(2)
        .says(&["2 passed; 0 failed; 1 ignored"]);
}

#[test]
fn the_hooks_of_an_unstable_tokio_make_its_polls_points() {
    let target = drive::target().join("unstable");
    let unstable = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut all = vec![
            ("CARGO_TARGET_DIR", target.to_str().unwrap()),
            ("RUSTFLAGS", "--cfg tokio_unstable"),
        ];
        all.extend(variables);
        cargo_with(arguments, &all)
    };
    let seeds = drive::found(unstable, "between_polls");
    assert!(seeds >= 100, "in {seeds} of 1000 seeds");
    // The order of tasks stays tokio's own.
    assert_eq!(drive::found(unstable, "births_and_deaths"), 0);
}

#[test]
fn names_of_tasks_reach_the_story() {
    let target = drive::target().join("unstable");
    let variables = [
        ("CARGO_TARGET_DIR", target.to_str().unwrap()),
        ("RUSTFLAGS", "--cfg tokio_unstable"),
        ("SQUALL_FAILURES", "off"),
    ];
    let arguments = [
        "test",
        "--locked",
        "--features",
        "named",
        "--test",
        "stories",
    ];
    let test = ["named_tasks", "--", "--exact", "--ignored"];
    squall_with(&[&arguments[..], &test[..]].concat(), &variables)
        .ended(1)
        .says(&["spawns the teller", "the listener", "stories.rs:"]);
}

#[test]
fn repaired_programs_hold_and_every_seed_runs_the_same_way_twice() {
    let env = [("SQUALL_AUDIT", "100"), ("SQUALL_SEEDS", "500")];
    for test in ["locks_in_one_order", "guarded_update", "workers"] {
        squall_with(&["test", "--locked", "--test", "tasks", test], &env)
            .ended(0)
            .says(&["1 passed"]);
    }
}

#[test]
fn digests_do_not_depend_on_how_threads_are_carried() {
    let digests = |threads: &[(&str, &str)]| {
        let mut env = vec![
            ("SQUALL_DIGEST", "1"),
            ("SQUALL_SEEDS", "40"),
            ("SQUALL_AUDIT", "0"),
        ];
        env.extend(threads);
        let ran = squall_with(
            &["test", "--locked", "--test", "tasks", "--", "--nocapture"],
            &env,
        );
        let ran = ran.ended(0);
        let mut lines: Vec<String> = ran
            .text
            .lines()
            .filter_map(|line| Some(line.split_once("squall: ")?.1.to_owned()))
            .collect();
        lines.sort();
        lines
    };
    let contexts = digests(&[]);
    assert_eq!(contexts.len(), 11 * 40);
    assert_eq!(contexts, digests(&[]));
    assert_eq!(contexts, digests(&[("SQUALL_THREADS", "os")]));
    assert_eq!(contexts, digests(&[("SQUALL_ISOLATION", "process")]));
}

#[test]
fn what_is_taken_down_of_tasks_does_not_change_the_run() {
    // Not every strategy asks which tasks they are, but whoever watches does.
    for strategy in ["tokio", "surw"] {
        let env = [
            ("SQUALL_AUDIT", "100"),
            ("SQUALL_SEEDS", "20"),
            ("SQUALL_STRATEGY", strategy),
        ];
        squall_with(&["test", "--locked", "--test", "tasks"], &env).ended(0);
    }
}

/// A test that fails, whose log is kept.
const OUT_OF_ORDER: [&str; 5] = [
    "test",
    "--locked",
    "fails_out_of_order",
    "--",
    "--include-ignored",
];

#[test]
fn a_failure_is_replayed_by_its_line_and_by_its_log() {
    let logs = scratch("failures");
    let env = [("SQUALL_FAILURES", logs.to_str().unwrap())];
    let first = squall_with(&OUT_OF_ORDER, &env).ended(1);
    first.says(&["deadlock: no thread can ever go on"]);
    // The shrunk run by its log, and the one that the search met by its seed.
    for start in ["replay: ", "  unshrunk: "] {
        let replay = first.line(start);
        let (variables, command) = replay
            .split_once(" cargo squall ")
            .expect("the line says what to run");
        let (name, value) = variables.split_once('=').expect("one variable");
        let words: Vec<&str> = command.split(' ').collect();
        let again = squall_with(&words, &[(name, value)]).ended(1);
        assert_eq!(again.line("squall: fails"), first.line("squall: fails"));
    }

    let log = std::fs::read_dir(&logs)
        .unwrap()
        .next()
        .expect("a log was kept")
        .unwrap()
        .path();
    let replayed = squall_with(&OUT_OF_ORDER, &[("SQUALL_REPLAY", log.to_str().unwrap())]).ended(1);
    assert_eq!(replayed.line("squall: fails"), first.line("squall: fails"));
    assert!(
        !replayed.text.contains("your code changed"),
        "{}",
        replayed.text
    );

    // On stock tokio the log means nothing, and the program holds.
    let stock = cargo_with(&OUT_OF_ORDER, &env).ended(0);
    stock.says(&["1 passed"]);
    std::fs::remove_dir_all(logs).unwrap();
}

#[test]
fn a_saved_log_is_replayed_shrunk_and_explained_by_the_command() {
    let logs = scratch("saved");
    let env = [
        ("SQUALL_FAILURES", logs.to_str().unwrap()),
        ("SQUALL_SHRINK", "off"),
    ];
    let first = squall_with(&OUT_OF_ORDER, &env).ended(1);
    let file = std::fs::read_dir(&logs).unwrap().next();
    let log = file.expect("a log was kept").unwrap().path();
    let (path, before) = (
        log.to_str().unwrap(),
        std::fs::read_to_string(&log).unwrap(),
    );
    let failed = first.line("squall: fails");

    let ran = squall(&["replay", path, "--locked"]).ended(1);
    assert_eq!(ran.line("squall: fails"), failed);
    let seed = failed
        .split("seed ")
        .nth(1)
        .unwrap()
        .split(':')
        .next()
        .unwrap();
    let words = [
        "replay",
        seed,
        "--locked",
        "fails_out_of_order",
        "--",
        "--include-ignored",
    ];
    assert_eq!(squall(&words).ended(1).line("squall: fails"), failed);

    squall(&["explain", path, "--budget", "20s", "--locked"])
        .ended(1)
        .says(&[
            "  inevitable from ",
            " clean runs in a row say with 95 % confidence ",
        ]);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), before);

    let ran = squall(&["shrink", path, "--budget", "20s", "--locked"]).ended(1);
    assert_eq!(ran.line("squall: fails"), failed);
    ran.says(&["  shrunk from "]);
    let after = std::fs::read_to_string(&log).unwrap();
    assert!(
        before.starts_with("squall choice log 1\n") && after.starts_with("squall choice log 2\n")
    );
    let ran = squall(&["replay", path, "--locked"]).ended(1);
    assert_eq!(ran.line("squall: fails"), failed);
    std::fs::remove_dir_all(logs).unwrap();

    squall(&["shrink", "/nowhere/x.log"])
        .ended(2)
        .says(&["cannot find the choice log /nowhere/x.log"]);
    squall(&["explain", "Cargo.toml"])
        .ended(2)
        .says(&["Cargo.toml is no choice log of squall's"]);
}

#[test]
fn a_tokio_from_elsewhere_stays_as_it_is_and_that_is_said() {
    let home = scratch("elsewhere");
    for (name, dependency) in [("tokio", ""), ("user", "tokio = { path = \"../tokio\" }")] {
        let at = home.join(name);
        std::fs::create_dir_all(at.join("src")).unwrap();
        std::fs::write(at.join("src/lib.rs"), "").unwrap();
        let manifest = format!(
            "[workspace]\n[package]\nname = {name:?}\nversion = \"1.99.0\"\n[dependencies]\n{dependency}"
        );
        std::fs::write(at.join("Cargo.toml"), manifest).unwrap();
    }
    let manifest = home.join("user/Cargo.toml");
    let target = home.join("target");
    let (manifest, target) = (manifest.to_str().unwrap(), target.to_str().unwrap());
    let ran = squall(&["test", "--manifest-path", manifest, "--target-dir", target]).ended(2);
    ran.says(&[
        "squall: tokio 1.99.0 comes from",
        "The tests run on stock tokio",
        "running 0 tests",
    ]);
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn the_doctor_says_what_can_be_instrumented() {
    squall(&["doctor"]).ended(0).says(&[
        "ok   tokio",
        "the order of tasks",
        "ok   memory points: rustc 1.",
    ]);
}

#[test]
fn the_tests_of_a_workspace_are_listed_and_nothing_runs() {
    let ran = squall(&["list", "--json", "--locked", "--test", "stories"]).ended(0);
    let from = ran.text.find('[').expect("a list");
    let listed: serde_json::Value = serde_json::Deserializer::from_str(&ran.text[from..])
        .into_iter()
        .next()
        .expect("a value")
        .expect("JSON");
    let listed = listed.as_array().expect("a list");
    assert!(!listed.is_empty());
    for test in listed {
        assert_eq!(test["target"], "test stories", "{test}");
        assert!(test["line"].as_u64() > Some(0), "{test}");
    }
    // Tests without squall have nothing to say, and are not started either.
    let ran = squall_at("existing", &["list"], &[]).ended(0);
    ran.says(&["there are no tests with #[squall::test]"]);
    assert!(!ran.text.contains("running"), "{}", ran.text);
}

#[test]
fn scenario_files_that_nobody_is_bound_to_are_told() {
    squall(&["run", "no/such.toml"])
        .ended(2)
        .says(&["cannot find the scenario file no/such.toml"]);
    squall(&["run", "Cargo.toml", "--", "x"])
        .ended(2)
        .says(&["leave that out"]);
}

#[test]
fn a_first_test_is_written_once() {
    let place = scratch("init");
    std::fs::create_dir_all(&place).unwrap();
    let manifest = place.join("Cargo.toml");
    std::fs::write(&manifest, "[package]\nname = \"x\"\nversion = \"0.1.0\"\n").unwrap();
    let words = ["init", "--manifest-path", manifest.to_str().unwrap()];
    squall(&words)
        .ended(0)
        .says(&["tests/squall.rs", "cargo test --test squall"]);
    let test = std::fs::read_to_string(place.join("tests/squall.rs")).unwrap();
    assert!(test.contains("#[squall::test]"));
    let before = std::fs::read_to_string(&manifest).unwrap();
    assert!(before.contains("squall = { version ="), "{before}");
    squall(&words)
        .ended(2)
        .says(&["is there already, and stays as it is"]);
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), before);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn shells_get_completions() {
    squall(&["completions", "bash"])
        .ended(0)
        .says(&["cargo-squall", "nextest"]);
    squall(&["completions", "tcsh"]).ended(2);
}
