//! Runs the bugs and reads the sizes off their saved logs.

use std::path::PathBuf;

use super::drive::{Ran, Scratch, command, outcome};
use squall::choice::{Log, Size};

fn run(bug: &str, variables: &[(&str, &str)]) -> Ran {
    let name = format!("bugs::{bug}");
    let arguments = [name.as_str(), "--exact", "--ignored", "--nocapture"];
    let ran = outcome(&command(&arguments, variables).output().unwrap());
    assert!(
        ran.text.contains("running 1 test"),
        "there is no bug {bug}:\n{}",
        ran.text
    );
    ran
}

/// A failing seed's run before and after shrinking.
struct Shrunk {
    seed: u64,
    before: Size,
    after: Size,
    /// Decisions that the shrunk log lists.
    listed: usize,
    path: PathBuf,
}

/// The first so many failing seeds from `from` on under a strategy, shrunk. The logs lie in `scratch`.
fn shrunk(bug: &str, strategy: &str, count: usize, time: &str, scratch: &Scratch) -> Vec<Shrunk> {
    let mut found = Vec::new();
    for seed in 0..2000u64 {
        if found.len() == count {
            break;
        }
        let directory = scratch.path().join(format!("{bug}-{seed}"));
        let seed_text = seed.to_string();
        let ran = run(
            bug,
            &[
                ("SQUALL_SEED", &seed_text),
                ("SQUALL_STRATEGY", strategy),
                ("SQUALL_FAILURES", directory.to_str().unwrap()),
                ("SQUALL_SHRINK", time),
            ],
        );
        if ran.passed {
            continue;
        }
        let path = std::fs::read_dir(&directory)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let log = Log::load(&path).unwrap();
        let guide = log
            .guide
            .unwrap_or_else(|| panic!("{bug}, seed {seed} was not shrunk:\n{}", ran.text));
        found.push(Shrunk {
            seed,
            before: guide.before,
            after: guide.after,
            listed: guide.departures.len(),
            path,
        });
    }
    found
}

const BUGS: [(&str, &str); 11] = [
    ("reorder_3", "surw"),
    ("reorder_5", "surw"),
    ("twostage", "surw"),
    ("account", "random"),
    ("stack", "pos"),
    ("deadlock01", "random"),
    ("lost_update", "random"),
    ("lock_cycle", "random"),
    ("depth_three_in_noise", "random"),
    ("short_read", "random"),
    ("out_of_order", "random"),
];

/// The kernels that the papers on schedulers measure themselves on.
const SMALL: usize = 6;

#[test]
fn the_small_kernels_shrink_to_a_dozen_switches_and_fail_the_same_way() {
    for (bug, strategy) in &BUGS[..SMALL] {
        let scratch = Scratch::new();
        for shrunk in shrunk(bug, strategy, 2, "60s", &scratch) {
            assert!(
                shrunk.after.switches <= 12 && shrunk.listed <= 6,
                "{bug}, seed {:#x}: {} decisions and {:?}",
                shrunk.seed,
                shrunk.listed,
                shrunk.after
            );
            let log = shrunk.path.to_str().unwrap();
            let ran = run(bug, &[("SQUALL_REPLAY", log)]);
            ran.failed();
            assert!(
                !ran.text.contains("otherwise") && !ran.text.contains("your code changed"),
                "{}",
                ran.text
            );
        }
    }
}

fn median(numbers: impl Iterator<Item = u64>) -> u64 {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or(0)
}

#[test]
#[ignore = "a minute: prints the table of sizes"]
fn table() {
    const SEEDS: usize = 15;
    println!("Median sizes over the first {SEEDS} failing seeds, before and after shrinking.");
    println!("| bug | strategy | decisions | switches | decisions left | switches left | most |");
    println!("|---|---|---|---|---|---|---|");
    for (bug, strategy) in BUGS {
        let scratch = Scratch::new();
        let found = shrunk(bug, strategy, SEEDS, "60s", &scratch);
        let of = |number: fn(&Shrunk) -> u64| median(found.iter().map(number));
        let most = found
            .iter()
            .map(|shrunk| shrunk.after.switches)
            .max()
            .unwrap_or(0);
        println!(
            "| {bug} | {strategy} | {} | {} | {} | {} | {most} |",
            of(|shrunk| shrunk.before.decisions),
            of(|shrunk| shrunk.before.switches),
            of(|shrunk| shrunk.listed as u64),
            of(|shrunk| shrunk.after.switches),
        );
    }
}
