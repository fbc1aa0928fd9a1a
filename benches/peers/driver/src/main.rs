//! Builds the peers, runs every workload on each of them in turn, repetition by repetition, and prints two tables: what the
//! workloads cost, as ratios, and how many schedules it takes to find a bug. `cargo run --release`, in this workspace.
//!
//! `PEERS_ROUNDS=N` sets the repetitions (5); `PEERS_ONLY=a,b` runs these workloads alone; `PEERS_CARGO_SQUALL=PATH` takes this
//! `cargo-squall`, which is built otherwise.

mod build;
mod table;

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use common::Workload;

/// One column of a table: a program and the variant that it is given.
struct Peer {
    name: &'static str,
    program: String,
    variant: &'static str,
}

/// What a peer said of a workload, over all repetitions.
#[derive(Clone, Debug)]
enum Said {
    Seconds(Vec<f64>),
    Schedules {
        found: Vec<Option<u64>>,
        seconds: Vec<f64>,
    },
    Cannot(String),
}

fn main() -> Result<()> {
    let rounds: usize = match std::env::var("PEERS_ROUNDS") {
        Ok(text) => text.parse().context("PEERS_ROUNDS is a whole number")?,
        Err(_) => 5,
    };
    let only = std::env::var("PEERS_ONLY").ok();
    let workloads: Vec<(&str, Workload)> = Workload::ALL
        .into_iter()
        .filter(|(name, _)| {
            only.as_ref()
                .is_none_or(|only| only.split(',').any(|word| word == *name))
        })
        .collect();
    let built = build::all()?;
    let peer = |name, program: &str, variant| Peer {
        name,
        program: program.to_owned(),
        variant,
    };
    let costs = [
        peer("squall test", &built.instrumented, "portfolio"),
        peer("its random walk", &built.instrumented, "random"),
        peer("squall, stock tokio", &built.squall, "portfolio"),
        peer("tokio", &built.tokio, ""),
        peer("shuttle random", &built.shuttle, "random"),
        peer("shuttle PCT", &built.shuttle, "pct"),
        peer("loom", &built.loom, ""),
        peer("madsim", &built.madsim, ""),
        peer("turmoil", &built.turmoil, ""),
    ];
    let hunts = [
        peer("squall test", &built.instrumented, "portfolio"),
        peer("its random walk", &built.instrumented, "random"),
        peer("its PCT 3", &built.instrumented, "pct3"),
        peer("squall, stock tokio", &built.squall, "portfolio"),
        peer("squall test --points memory", &built.memory, "portfolio"),
        peer("shuttle random", &built.shuttle, "random"),
        peer("shuttle PCT 3", &built.shuttle, "pct"),
        peer("loom", &built.loom, ""),
        peer("madsim", &built.madsim, ""),
    ];
    let (hunting, costing): (Vec<_>, Vec<_>) = workloads
        .into_iter()
        .partition(|(_, workload)| workload.hunts());
    println!("{}", build::environment()?);
    let said = measure(&costing, &costs, rounds)?;
    print!("{}", table::costs(&costing, &costs, &said));
    let said = measure(&hunting, &hunts, 1)?;
    print!("{}", table::hunts(&hunting, &hunts, &said));
    Ok(())
}

/// What takes more seconds than this is run once.
const LONG: f64 = 5.0;
/// A program that has not ended after so many seconds is ended.
const LIMIT: u32 = 300;

/// Every workload on every peer; by workload and number of the peer. The repetitions of a workload alternate between peers, so that a
/// slow minute of the machine hits all of them.
fn measure(
    workloads: &[(&'static str, Workload)],
    peers: &[Peer],
    rounds: usize,
) -> Result<BTreeMap<(&'static str, usize), Said>> {
    let mut said = BTreeMap::new();
    for (workload, _) in workloads {
        for round in 0..rounds {
            for (number, peer) in peers.iter().enumerate() {
                match said.get(&(*workload, number)) {
                    Some(Said::Cannot(_)) => continue,
                    Some(Said::Seconds(all)) if all[0] > LONG => continue,
                    _ => {}
                }
                eprintln!("{workload}, {}, {} of {rounds}", peer.name, round + 1);
                let new = ask(peer, workload)?;
                match (said.get_mut(&(*workload, number)), new) {
                    (Some(Said::Seconds(all)), Said::Seconds(more)) => all.extend(more),
                    (_, new) => {
                        said.insert((*workload, number), new);
                    }
                }
            }
        }
    }
    Ok(said)
}

/// What `timeout` ends with, where it had to end the program.
const TIMED_OUT: i32 = 124;

/// Runs one workload on one peer, once.
fn ask(peer: &Peer, workload: &str) -> Result<Said> {
    let output = Command::new("timeout")
        .args(["--kill-after=10", &LIMIT.to_string()])
        .args([&peer.program, workload, peer.variant])
        .env("SQUALL_FAILURES", "off")
        .output()
        .with_context(|| format!("cannot start {}", peer.program))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = || {
        let line = text.lines().last()?;
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "seconds" => Some(Said::Seconds(vec![rest.parse().ok()?])),
            "cannot" => Some(Said::Cannot(rest.to_owned())),
            "schedules" => {
                let (seconds, found) = rest.split_once(' ')?;
                Some(Said::Schedules {
                    found: found.split(' ').map(|word| word.parse().ok()).collect(),
                    seconds: vec![seconds.parse().ok()?],
                })
            }
            _ => None,
        }
    };
    match answer().filter(|_| output.status.success()) {
        Some(said) => Ok(said),
        None if output.status.code() == Some(TIMED_OUT) => Ok(Said::Cannot(format!(
            "{} had not ended after {LIMIT} s",
            peer.name
        ))),
        // loom, for one, aborts where a model deadlocks.
        None => {
            eprint!("{text}{}", String::from_utf8_lossy(&output.stderr));
            Ok(Said::Cannot(format!(
                "{} did not finish: {}",
                peer.name, output.status
            )))
        }
    }
}
