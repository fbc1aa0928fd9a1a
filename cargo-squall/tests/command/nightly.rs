//! Nightly runs: shards that come to what the whole does, records that survive whatever ends their writer.

use crate::drive::{Ran, scratch, squall_at, squall_command};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Under this name seeds show both failures early.
const COMMIT: &str = "c1";
/// What keeps a run short.
const PLAIN: [(&str, &str); 3] = [
    ("SQUALL_AUDIT", "0"),
    ("SQUALL_JOBS", "1"),
    ("SQUALL_SHRINK", "off"),
];

fn nightly(store: &Path, options: &[&str], variables: &[(&str, &str)]) -> Ran {
    let store = store.to_str().unwrap();
    let own = ["nightly", "--commit", COMMIT, "--store", store];
    let all: Vec<_> = PLAIN.iter().chain(variables).copied().collect();
    squall_at("night", &[&own, options].concat(), &all)
}

/// What a store's records come to, without what differs from run to run: times, and which of a failure's logs was kept.
fn joined(stores: &[PathBuf]) -> Value {
    let mut words = vec!["merge", "--json"];
    words.extend(stores.iter().map(|store| store.to_str().unwrap()));
    let ran = squall_at("night", &words, &[]);
    assert!(matches!(ran.code, Some(0 | 1)), "{}", ran.text);
    let mut joined: Value = serde_json::from_str(&ran.text).unwrap();
    for test in joined["tests"].as_array_mut().unwrap() {
        test.as_object_mut().unwrap().remove("seconds");
    }
    for failure in joined["failures"].as_array_mut().unwrap() {
        let failure = failure.as_object_mut().unwrap();
        for vague in ["log", "reports"] {
            failure.remove(vague);
        }
        for seen in ["first_seen", "last_seen"] {
            failure[seen].as_object_mut().unwrap().remove("at");
        }
    }
    joined
}

/// The records of a store, by their paths. Nothing else may lie there.
fn records(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![store.join("records")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                directories.push(path);
            } else if !name.contains('#') {
                // What was being written carries another name until it is whole.
                let bytes = std::fs::read(&path).unwrap();
                serde_json::from_slice::<Value>(&bytes).expect("a record is torn");
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn shards_come_to_what_the_whole_does() {
    let home = scratch("shards");
    let whole = home.join("whole");
    let ran = nightly(&whole, &["--seeds", "32"], &[]).ended(1);
    ran.says(&[
        "the last two came first",
        "first seen under c1",
        "findability",
        "never hit: nobody comes here",
        "1 tests that are meant to panic are left out",
    ]);
    assert!(!ran.text.contains("is_left_out"), "{}", ran.text);

    // Who says which shard this is: the option, or one of those that start many.
    let shards: Vec<PathBuf> = (0..8).map(|i| home.join(format!("{i}"))).collect();
    for (i, store) in shards.iter().enumerate() {
        let (index, from_one) = (i.to_string(), (i + 1).to_string());
        let of = format!("{i}/8");
        let (options, variables): (&[&str], Vec<(&str, &str)>) = match i % 4 {
            0 => (&["--shard", &of], vec![]),
            1 => (
                &[],
                vec![("JOB_COMPLETION_INDEX", &index), ("JOB_COMPLETIONS", "8")],
            ),
            2 => (
                &[],
                vec![
                    ("SLURM_ARRAY_TASK_ID", &from_one),
                    ("SLURM_ARRAY_TASK_MIN", "1"),
                    ("SLURM_ARRAY_TASK_COUNT", "8"),
                ],
            ),
            _ => (
                &[],
                vec![
                    ("BUILDKITE_PARALLEL_JOB", &index),
                    ("BUILDKITE_PARALLEL_JOB_COUNT", "8"),
                ],
            ),
        };
        let ran = nightly(store, &[&["--seeds", "32"], options].concat(), &variables);
        assert!(matches!(ran.code, Some(0 | 1)), "{}", ran.text);
    }
    let (one, many) = (joined(&[whole]), joined(&shards));
    assert_eq!(one, many);
    assert_eq!(one["tests"].as_array().unwrap().len(), 3);
    for test in one["tests"].as_array().unwrap() {
        assert_eq!(test["runs"], 32, "{test}");
    }

    // Joined in one place, and whoever goes on there has nothing left to run but what failed.
    let all = home.join("all");
    let mut words = vec!["merge", "--into", all.to_str().unwrap()];
    words.extend(shards.iter().map(|store| store.to_str().unwrap()));
    squall_at("night", &words, &[]).ended(1);
    assert_eq!(joined(std::slice::from_ref(&all)), one);
    let before = records(&all);
    nightly(&all, &["--seeds", "32", "--json"], &[]).ended(1);
    let after = records(&all);
    let new: Vec<&Vec<u8>> = after
        .iter()
        .filter(|(path, _)| !before.contains_key(*path))
        .map(|(_, bytes)| bytes)
        .collect();
    let kinds = new.iter().map(|bytes| {
        let record: Value = serde_json::from_slice(bytes).unwrap();
        record["what"]["kind"].as_str().unwrap().to_owned()
    });
    let mut kinds: Vec<String> = kinds.collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["canary", "replay"]);
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn the_time_is_shared_by_weight_and_what_failed_is_shrunk_and_kept() {
    let home = scratch("budget");
    let options = ["--budget", "4s", "--weight", "fails=0.5", "--json"];
    let env = [("SQUALL_SHRINK", "2s")];
    let ran = nightly(&home, &options, &env).ended(1);
    ran.says(&["  shrunk from ", "kept as logs/"]);
    let log = ran.line("squall: kept as ").split(' ').next().unwrap();
    let log = home.join(log);
    let replay = [
        "replay",
        log.to_str().unwrap(),
        "--manifest-path",
        "Cargo.toml",
    ];
    squall_at("night", &replay, &[]).ended(1);
    // A test that holds has had at least twice the time of the one that fails, give or take a slice.
    let joined = joined(std::slice::from_ref(&home));
    let tests = joined["tests"].as_array().unwrap();
    assert!(tests.iter().all(|test| test["runs"].as_u64() > Some(0)));
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn failures_that_are_not_reported_end_the_night() {
    let home = scratch("canary");
    let options = ["--seeds", "1", "--features", "silent", "--test", "silent"];
    nightly(&home, &options, &[])
        .ended(3)
        .says(&["was made to fail, and that was not reported"]);
    assert!(records(&home).is_empty());
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn nightly_says_what_it_cannot_use() {
    let home = scratch("misuse");
    let wrong: [(&[&str], &str); 7] = [
        (&[], "say how long to search"),
        (&["--budget", "8"], "a duration is a whole number and"),
        (
            &["--seeds", "1", "--shard", "8/8"],
            "shards are counted from 0",
        ),
        (
            &["--seeds", "1", "holds", "--budget", "1s"],
            "--budget must stand before",
        ),
        (
            &["--seeds", "1", "--weight", "a=0"],
            "a weight is a number from",
        ),
        (
            &["--seeds", "1", "there_is_none"],
            "no test of squall's is meant",
        ),
        (&["--seeds", "1", "--", "--nocapture"], "not --nocapture"),
    ];
    for (options, said) in wrong {
        nightly(&home, options, &[]).ended(2).says(&[said]);
    }
    let env = [("JOB_COMPLETION_INDEX", "3")];
    nightly(&home, &["--seeds", "1"], &env)
        .ended(2)
        .says(&["JOB_COMPLETIONS"]);
    let env = [("SQUALL_WATCHDOG", "nonsense")];
    nightly(&home, &["--seeds", "1"], &env)
        .ended(2)
        .says(&["SQUALL_WATCHDOG"]);
    squall_at("night", &["merge", "/nowhere/store"], &[])
        .ended(2)
        .says(&["there is no store /nowhere/store"]);
    for url in ["ftp://x/y", "s3://bucket/path"] {
        let ran = squall_at("night", &["nightly", "--seeds", "1", "--store", url], &[]);
        // With the feature, there are no credentials.
        ran.ended(2);
    }
    let record = home.join("records/c/r/000000.json");
    std::fs::create_dir_all(record.parent().unwrap()).unwrap();
    std::fs::write(&record, "{\"version\":1,\"com").unwrap();
    squall_at("night", &["merge", home.to_str().unwrap()], &[])
        .ended(2)
        .says(&["the record records/c/r/000000.json is damaged"]);
    std::fs::remove_dir_all(home).unwrap();
}

/// Kills a run at random moments; afterwards everything that it said it had written is there, and a last run comes to what
/// an undisturbed one does.
fn killed(times: u32) {
    let home = scratch("killed");
    let (whole, store) = (home.join("whole"), home.join("store"));
    let seeds = ["--seeds", "64", "--json"];
    // What has to be built is, before anybody looks at the clock.
    squall_at("night", &["list"], &PLAIN).ended(0);
    let begun = Instant::now();
    nightly(&whole, &seeds, &[]).ended(1);
    let long = begun.elapsed();

    let mut state = std::process::id() ^ begun.elapsed().subsec_nanos();
    let mut known: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    for _ in 0..times {
        let mut command = squall_command("night");
        command
            .args(["nightly", "--commit", COMMIT, "--store"])
            .arg(&store)
            .args(seeds)
            .envs(PLAIN)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = { lines }.read_to_string(&mut text);
            text
        });
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(long.mul_f64(f64::from(state >> 8) / f64::from(1u32 << 24)));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = records(&store);
        for (path, bytes) in &known {
            assert_eq!(now.get(path), Some(bytes), "{} is lost", path.display());
        }
        let told = reader.join().unwrap();
        // The last line may be cut, and of one that is whole, the record is there.
        let whole = told.rfind('\n').map_or("", |end| &told[..end]);
        for line in whole.lines() {
            let there = now.values().any(|bytes| bytes == line.as_bytes());
            assert!(there || line.starts_with("{\"tests\""), "lost: {line}");
        }
        known = now;
    }
    nightly(&store, &seeds, &[]).ended(1);
    assert_eq!(joined(&[store]), joined(&[whole]));
    std::fs::remove_dir_all(home).unwrap();
}

#[test]
fn a_killed_run_loses_no_record() {
    killed(3);
}

/// Several minutes: `cargo test -p cargo-squall --test command fifty -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn a_run_that_is_killed_at_fifty_moments_loses_no_record() {
    killed(50);
}

/// Ends what a killed run has started, too.
#[test]
fn the_tests_of_a_killed_run_end_with_it() {
    let home = scratch("orphans");
    let mut command = squall_command("night");
    command
        .args([
            "nightly", "--commit", COMMIT, "--budget", "60s", "--json", "--store",
        ])
        .arg(&home)
        .args(["holds"])
        .envs(PLAIN)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Once the canary's record is there, the search goes on.
    let mut line = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut line).unwrap();
    let find = || -> Vec<PathBuf> {
        let part = format!("CARGO_SQUALL_PART={}", child.id());
        let processes = std::fs::read_dir("/proc").unwrap();
        let paths = processes.map(|entry| entry.unwrap().path());
        let ours = |path: &PathBuf| {
            let environment = std::fs::read(path.join("environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == part.as_bytes())
        };
        paths.filter(ours).collect()
    };
    let until = |wanted: bool| {
        let begun = Instant::now();
        while (find().is_empty()) == wanted {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", find());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until(true);
    std::process::Command::new("kill")
        .args(["-9", &child.id().to_string()])
        .status()
        .unwrap();
    until(false);
    child.wait().unwrap();
    std::fs::remove_dir_all(home).unwrap();
}
