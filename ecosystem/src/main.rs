//! Runs the tests of `tests/stock/` in two processes, one after the other, and compares what each seed did. Started by hand
//! and by CI: `cargo run -- [SEEDS] [TEST...]`, 20 seeds and all tests unless told otherwise. It asks cargo to build the
//! tests, starts the test binary and reads its `squall: TEST seed 0x.. digest HEX` lines; it writes nothing but its report.
//!
//! Exit status: 0 all tests passed and every digest is equal, 1 otherwise, 2 wrong usage.
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// One test's digest for each seed, as printed.
type Digests = BTreeMap<String, BTreeMap<String, String>>;

/// What one process said.
struct Round {
    digests: Digests,
    failed: BTreeSet<String>,
    succeeded: bool,
    took: Duration,
    output: String,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let seeds = match arguments.first().map(|first| first.parse::<u32>()) {
        Some(Ok(0)) => {
            eprintln!("usage: cargo run -- [SEEDS] [TEST...], with at least one seed");
            return ExitCode::from(2);
        }
        Some(Ok(seeds)) => {
            arguments.remove(0);
            seeds
        }
        _ => 20,
    };
    match check(seeds, &arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn check(seeds: u32, tests: &[String]) -> Result<bool, String> {
    let binary = build()?;
    let first = run(&binary, seeds, tests)?;
    let second = run(&binary, seeds, tests)?;

    let names: BTreeSet<&String> = [&first, &second]
        .iter()
        .flat_map(|round| round.digests.keys().chain(&round.failed))
        .collect();
    let mut held = first.succeeded && second.succeeded && !names.is_empty();
    let mut equal = 0;
    for &name in &names {
        let empty = BTreeMap::new();
        let (one, two) = (
            first.digests.get(name).unwrap_or(&empty),
            second.digests.get(name).unwrap_or(&empty),
        );
        let differing: Vec<&String> = one
            .keys()
            .chain(two.keys().filter(|seed| !one.contains_key(*seed)))
            .filter(|seed| one.get(*seed) != two.get(*seed))
            .collect();
        let verdict = if !differing.is_empty() {
            format!(
                "DIFFERS in {} of {} seeds, first {}",
                differing.len(),
                one.len(),
                differing[0]
            )
        } else if first.failed.contains(name) || second.failed.contains(name) {
            "FAILED".to_owned()
        } else if one.len() < seeds as usize {
            format!("ONLY {} of {seeds} seeds", one.len())
        } else {
            println!("{name:70} equal, {} seeds", one.len());
            equal += 1;
            continue;
        };
        println!("{name:70} {verdict}");
        held = false;
    }
    println!(
        "{seeds} seeds each, in two processes: {:.1?} and {:.1?}",
        first.took, second.took
    );
    println!("{equal} passed, {} failed", names.len() - equal);
    if !(first.succeeded && second.succeeded) {
        let said = if first.succeeded {
            &second.output
        } else {
            &first.output
        };
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.contains(" digest "))
            .collect();
        eprintln!("\nwhat a failing process said:\n{}", lines.join("\n"));
    }
    Ok(held)
}

/// Builds the tests and returns the path of their binary.
fn build() -> Result<String, String> {
    let built = Command::new(env!("CARGO"))
        .args([
            "test",
            "--no-run",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .args(["--test", "stock"])
        .stdout(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    let said = String::from_utf8_lossy(&built.stderr);
    let named = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Executable "));
    let path = named
        .and_then(|rest| rest.split_once('('))
        .and_then(|(_, path)| path.strip_suffix(')'));
    match path {
        Some(path) if built.status.success() => Ok(path.to_owned()),
        _ => Err(format!("the tests do not build:\n{said}")),
    }
}

fn run(binary: &str, seeds: u32, tests: &[String]) -> Result<Round, String> {
    let start = Instant::now();
    let done = Command::new(binary)
        .arg("--nocapture")
        .args(tests)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("SQUALL_DIGEST", "1")
        .env("SQUALL_SEEDS", seeds.to_string())
        .output()
        .map_err(|error| format!("{binary} does not start: {error}"))?;
    let took = start.elapsed();
    let output = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    let mut digests = Digests::new();
    let mut failed = BTreeSet::new();
    for line in output.lines() {
        if let Some((name, seed, digest)) = digest_line(line) {
            digests
                .entry(name.to_owned())
                .or_default()
                .insert(seed.to_owned(), digest.to_owned());
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            failed.insert(name.to_owned());
        }
    }
    Ok(Round {
        digests,
        failed,
        succeeded: done.status.success(),
        took,
        output,
    })
}

/// Reads `squall: TEST seed 0x.. digest HEX`, wherever in a line it starts: libtest's own words may stand before it.
fn digest_line(line: &str) -> Option<(&str, &str, &str)> {
    let (_, said) = line.split_once("squall: ")?;
    let (name, rest) = said.split_once(" seed ")?;
    let (seed, digest) = rest.split_once(" digest ")?;
    Some((name, seed, digest.split_whitespace().next()?))
}
