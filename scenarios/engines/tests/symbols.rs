//! Which of libc's functions are in this program: all of the kernel's without `--cfg madsim`, and none of them with it.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What madsim itself puts in libc's place, so that the clock and random bytes follow from the seed.
const MADSIM: [&str; 8] = [
    "clock_gettime",
    "getentropy",
    "gethostname",
    "getrandom",
    "gettimeofday",
    "pthread_attr_init",
    "sched_getaffinity",
    "sysconf",
];

/// The functions that the kernel's source defines for C.
fn of_the_kernel() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/kernel/abi")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let mut lines = source.lines().map(str::trim);
        while let Some(line) = lines.next() {
            let Some(next) = (line == "#[unsafe(no_mangle)]")
                .then(|| lines.next())
                .flatten()
            else {
                continue;
            };
            let name = next
                .split_once("fn ")
                .and_then(|(_, name)| name.split_once('('));
            names.extend(name.map(|(name, _)| name.to_owned()));
        }
    }
    names
}

/// The functions that this program defines.
fn of_this_program() -> BTreeSet<String> {
    let nm = Command::new("nm")
        .arg("--defined-only")
        .arg(std::env::current_exe().unwrap())
        .output()
        .expect("nm, of binutils");
    assert!(nm.status.success(), "{nm:?}");
    let text = String::from_utf8(nm.stdout).unwrap();
    let functions = text
        .lines()
        .filter(|line| line.contains(" T ") || line.contains(" W "));
    functions
        .filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned()))
        .collect()
}

#[test]
fn the_kernels_functions_are_there_or_not() {
    // What a test of squall's needs is linked, and no more: this one is.
    let held = squall::Builder::new().seeds(1).run(|_| async {});
    assert!(held.is_ok(), "{held:?}");
    let (kernel, here) = (of_the_kernel(), of_this_program());
    assert!(kernel.len() > 100, "{kernel:?}");
    let ours: Vec<&String> = kernel.intersection(&here).collect();
    match cfg!(madsim) {
        false => assert!(ours.len() > 100, "of {} there are {ours:?}", kernel.len()),
        true => {
            let ours: Vec<_> = ours
                .into_iter()
                .filter(|name| !MADSIM.contains(&name.as_str()))
                .collect();
            assert!(ours.is_empty(), "{ours:?}");
        }
    }
}
