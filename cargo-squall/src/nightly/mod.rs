//! `cargo squall nightly`: a long search over many tests, shared among processes, whose findings outlast it.
//!
//! The tests are built once; then test after test gets a slice of the time. `part` runs a test's slice, `seeds` says which seeds,
//! `record` is what is written down, `store` where, and `joined` what the records of all shards and nights come to. `night` is the
//! search itself; `merge` the other command. Nothing of this knows how a seed is run: the tests themselves do.

mod commit;
mod joined;
pub mod merge;
mod night;
mod part;
mod record;
mod seeds;
mod shard;
mod store;

use crate::arguments::Arguments as Words;
use crate::filter::{Filter, with_dashes};
use crate::launch;
use crate::list;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use night::{Limits, Night};
use shard::Shard;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;
use store::Store;

/// What `cargo squall nightly` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// How long to search, the build not counted, such as 8h.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    budget: Option<Duration>,
    /// How many seeds each test runs at the most, over all shards.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=seeds::RANGE))]
    seeds: Option<u64>,
    /// Where records are kept: a folder, or a URL (s3://, gs://, file://). Default: squall-nightly in the workspace.
    #[arg(long, value_name = "FOLDER|URL")]
    store: Option<String>,
    /// Which part of the search this process has, such as 0/8. Default: what Kubernetes, Slurm or Buildkite say, or
    /// CARGO_SQUALL_SHARD and CARGO_SQUALL_SHARDS; otherwise all of it.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Gives tests whose name contains this so many times the time of others. May be repeated.
    #[arg(long = "weight", value_name = "NAME=N", value_parser = weight)]
    weights: Vec<(String, f64)>,
    /// The name of what is tested. Default: git's.
    #[arg(long, value_name = "NAME")]
    commit: Option<String>,
    /// Prints each record as it is written, and then what all come to, as lines of JSON.
    #[arg(long)]
    json: bool,
    /// What `cargo test` takes to choose what is built and run, such as `-p PACKAGE` or a name.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CARGO TEST ARGUMENTS"
    )]
    arguments: Vec<OsString>,
}

/// `cargo squall nightly`.
pub fn run(asked: &Arguments) -> Result<u8> {
    if asked.budget.is_none() && asked.seeds.is_none() {
        bail!(
            "say how long to search, as in `--budget 8h`, or how many seeds, as in `--seeds 10000`"
        );
    }
    let arguments = with_dashes(&asked.arguments, &std::env::args_os().collect::<Vec<_>>());
    misplaced(&arguments)?;
    let filter = Filter::of(&arguments)?;
    let shard = match asked.shard {
        Some(shard) => shard,
        None => Shard::of_environment(|name| std::env::var(name).ok())?,
    };
    let workspace = Workspace::ask(&Words::of(&arguments))?;
    let commit = commit::name(asked.commit.as_deref(), &workspace.root)?;
    let mut weights = asked.weights.clone();
    weights.extend(set_weights(&workspace.settings)?);
    // The store is opened before anything is built: a night must not end with nowhere to write.
    let place = match &asked.store {
        Some(place) => place.clone(),
        None => default_store(&workspace)?,
    };
    let store = Store::open(&place)?;
    let mut tests = list::tests(&arguments)?;
    tests.retain(|test| filter.takes(test));
    let before = tests.len();
    tests.retain(|test| test.model.is_none());
    if tests.len() < before {
        eprintln!(
            "squall: {} models are left out: they have no seeds, and `cargo squall model` goes through all that there is",
            before - tests.len()
        );
    }
    let before = tests.len();
    tests.retain(|test| !test.should_panic);
    if tests.len() < before {
        eprintln!(
            "squall: {} tests that are meant to panic are left out",
            before - tests.len()
        );
    }
    if tests.is_empty() {
        bail!(
            "no test of squall's is meant: check the filters, and that tests carry #[squall::test]"
        );
    }
    let limits = Limits {
        budget: asked.budget,
        seeds: asked.seeds,
        shard,
    };
    let home = workspace.target.join("squall");
    let variables = launch::variables(&arguments)?;
    let mut night = Night::new(store, commit, limits, tests, &weights, &home, variables)?;
    night.tells_records(asked.json);
    night.run()
}

/// Options of ours that stand among cargo's would be taken for cargo's.
fn misplaced(words: &[OsString]) -> Result<()> {
    let ours = [
        "--budget", "--seeds", "--store", "--shard", "--weight", "--commit", "--json",
    ];
    for word in words.iter().take_while(|word| *word != "--") {
        let word = word.to_string_lossy();
        let name = word.split('=').next().unwrap_or_default();
        if ours.contains(&name) {
            bail!("{name} must stand before what is meant for cargo");
        }
    }
    Ok(())
}

/// A folder in the workspace that version control leaves alone.
fn default_store(workspace: &Workspace) -> Result<String> {
    let folder = workspace.root.join("squall-nightly");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(&ignore, "*\n")
            .with_context(|| format!("cannot write {}", ignore.display()))?;
    }
    match folder.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => bail!("the path {} is not UTF-8: give --store", folder.display()),
    }
}

/// The weights in `[workspace.metadata.squall.weights]`.
fn set_weights(settings: &serde_json::Value) -> Result<Vec<(String, f64)>> {
    let Some(set) = settings.pointer("/squall/weights") else {
        return Ok(Vec::new());
    };
    let read: BTreeMap<String, f64> = serde_json::from_value(set.clone())
        .context("workspace.metadata.squall.weights must give a number to each name of a test")?;
    for (name, weight) in &read {
        if !usable(*weight) {
            bail!("workspace.metadata.squall.weights gives {name} {weight}: {WEIGHT}");
        }
    }
    Ok(read.into_iter().collect())
}

const WEIGHT: &str = "a weight is a number from 0.001 to 1000";

fn usable(weight: f64) -> bool {
    (0.001..=1000.0).contains(&weight)
}

fn weight(text: &str) -> Result<(String, f64), String> {
    let form = || format!("it is NAME=N, as in checkout=4; {WEIGHT}");
    let (name, weight) = text.rsplit_once('=').ok_or_else(form)?;
    let weight: f64 = weight.parse().map_err(|_| form())?;
    match usable(weight) && !name.is_empty() {
        true => Ok((name.to_owned(), weight)),
        false => Err(form()),
    }
}

/// A duration as the library's variables take it.
fn duration(text: &str) -> Result<Duration, String> {
    let form = || "a duration is a whole number and ms, s, m, h or d, such as 8h".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| form())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(form()),
    };
    match number.checked_mul(milliseconds).filter(|&ms| ms > 0) {
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err(form()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_weights_are_read() {
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["8", "h", "", "0s", "1.5h", "99999999999999999999d", "8 h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(weight("a=b=2.5"), Ok(("a=b".to_owned(), 2.5)));
        for wrong in ["a", "a=", "=1", "a=0", "a=x", "a=NaN", "a=-1"] {
            assert!(weight(wrong).is_err(), "{wrong}");
        }
    }
}
