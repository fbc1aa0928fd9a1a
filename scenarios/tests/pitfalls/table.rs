//! How many seeds each bug takes, measured: not a test, but run as one. It starts this binary anew for each, as anybody would run the
//! tests by hand.

use std::process::Command;
use std::time::{Duration, Instant};

/// Seeds of a trial.
const RANGE: u64 = 1000;

/// A number from the environment.
fn setting(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
        Err(_) => usual,
    }
}

/// Runs one test over seeds: what it printed, whether it passed, and how long it took.
fn run(test: &str, first: u64, seeds: u64) -> (String, bool, Duration) {
    let start = Instant::now();
    let out = Command::new(std::env::current_exe().expect("this program has a name"))
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env("SQUALL_FIRST", first.to_string())
        .env("SQUALL_SEEDS", seeds.to_string())
        .env("SQUALL_SHRINK", "off")
        .env("SQUALL_FAILURES", "off")
        .output()
        .expect("this program starts");
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (text, out.status.success(), start.elapsed())
}

/// The seed and the headline of a failure.
fn failure(text: &str) -> Option<(u64, &str)> {
    let line = text
        .lines()
        .find_map(|line| line.split_once(" failed with seed 0x"))?
        .1;
    let (seed, headline) = line.split_once(": ")?;
    let headline = headline.split(", stated at").next().unwrap_or(headline);
    Some((u64::from_str_radix(seed, 16).ok()?, headline))
}

#[test]
#[ignore = "measures, for minutes: TRIALS (10) ranges of 1,000 seeds for each bug, CLEAN (1000) seeds for each twin, ONLY some names"]
fn table() {
    let (trials, clean) = (setting("TRIALS", 10), setting("CLEAN", 1000));
    let only = std::env::var("ONLY").unwrap_or_default();
    let chosen = |name: &str| only.is_empty() || only.split(',').any(|n| n == name);
    println!("| pitfall | found | seeds, mean | most | caught by | twin clean over | seeds/s |");
    println!("|---|---|---|---|---|---|---|");
    let mut wrong = Vec::new();
    for (name, what) in crate::ALL.iter().filter(|(name, _)| chosen(name)) {
        let (mut needed, mut caught) = (Vec::new(), String::new());
        for first in (0..trials).map(|trial| trial * RANGE) {
            let (text, _, _) = run(&format!("{name}::bug"), first, RANGE);
            match failure(&text) {
                Some((seed, headline)) => {
                    needed.push(seed - first + 1);
                    // What a body returned is told below the headline.
                    caught = match headline {
                        "returned an error" => (*what).to_owned(),
                        headline => headline.to_owned(),
                    };
                    if !text.contains(what) {
                        wrong.push(format!(
                            "{name}, seed {seed:#x}, is not {what:?}: {headline}"
                        ));
                    }
                }
                None => wrong.push(format!("{name} is not found from {first} on: {text}")),
            }
        }
        let (text, held, took) = run(&format!("{name}::the_repaired_twin_holds"), 0, clean);
        if !held {
            wrong.push(format!("the twin of {name} does not hold: {text}"));
        }
        let mean = needed.iter().sum::<u64>() as f64 / needed.len().max(1) as f64;
        println!(
            "| `{name}` | {} of {trials} | {mean:.1} | {} | {caught} | {} | {:.0} |",
            needed.len(),
            needed.iter().max().unwrap_or(&0),
            if held {
                clean.to_string()
            } else {
                "not clean".to_owned()
            },
            clean as f64 / took.as_secs_f64(),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
