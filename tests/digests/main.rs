//! A seed has one digest: in a batch, in a process of its own, on OS threads, in another process, with the addresses of the
//! program laid out anew.
//!
//! The bodies touch every source of chance and order that the kernel controls. The drivers run this very binary in the
//! ways above and compare what `SQUALL_DIGEST=1` prints.
#![cfg(squall_kernel)]

mod bodies;

use std::collections::BTreeMap;
use std::process::Command;

/// The digest of each (test, seed), as the binary prints them.
fn digests(seeds: u32, env: &[(&str, &str)]) -> BTreeMap<(String, String), String> {
    let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
    command
        .args(["bodies::", "--nocapture", "--test-threads=2"])
        .env("SQUALL_DIGEST", "1")
        .env("SQUALL_SEEDS", seeds.to_string())
        .env("SQUALL_AUDIT", "0")
        .env("SQUALL_FAILURES", "off");
    for (name, value) in env {
        command.env(name, value);
    }
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{env:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut all = BTreeMap::new();
    for line in text.lines() {
        // libtest may have begun the line with the name of a test.
        let Some((_, line)) = line.split_once("squall: ") else {
            continue;
        };
        let words: Vec<&str> = line.split(' ').collect();
        if let [test, "seed", seed, "digest", digest] = words[..] {
            let before = all.insert((test.to_owned(), seed.to_owned()), digest.to_owned());
            assert_eq!(before, None, "one digest for each seed");
        }
    }
    all
}

/// Runs the bodies in two ways and compares every digest.
fn agree(seeds: u32, one: &[(&str, &str)], other: &[(&str, &str)]) {
    let (a, b) = (digests(seeds, one), digests(seeds, other));
    assert_eq!(a.len(), bodies::COUNT * seeds as usize);
    assert_eq!(a.len(), b.len());
    for (key, digest) in &a {
        assert_eq!(
            Some(digest),
            b.get(key),
            "{key:?} under {one:?} and {other:?}"
        );
    }
    let distinct: std::collections::BTreeSet<&String> = a.values().collect();
    assert!(
        distinct.len() * 10 > a.len() * 9,
        "seeds differ: {} digests of {}",
        distinct.len(),
        a.len()
    );
}

#[test]
fn batched_and_alone() {
    agree(60, &[], &[("SQUALL_ISOLATION", "process")]);
}

#[test]
fn contexts_and_os_threads() {
    agree(25, &[], &[("SQUALL_THREADS", "os")]);
}

#[test]
fn many_processes_side_by_side() {
    agree(60, &[], &[("SQUALL_JOBS", "4")]);
}

/// What CI runs: a thousand seeds of each body, twice.
#[test]
#[ignore = "a minute: CI runs it"]
fn a_thousand_seeds_twice() {
    agree(1000, &[], &[]);
}
