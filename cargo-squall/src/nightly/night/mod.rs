//! The search: canaries first, then what has failed before, then slices of new seeds until the time is over.
//! `slice` runs one test for a while, `failures` has what is kept of those that fail.

mod failures;
mod slice;

use super::joined::Joined;
use super::part::{Bench, CANARY_VARIABLE};
use super::record::{Record, What};
use super::seeds::fnv;
use super::shard::{Shard, WHOLE};
use super::store::Store;
use crate::events::{Name, Word};
use crate::list::Listed;
use crate::status;
use anyhow::{Context, Result};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a slice is.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// What the slice of a test that cannot run a seed in it may grow to.
const SLOWEST: Duration = Duration::from_secs(3600);
/// A part is not worth its start in less.
const LEAST: Duration = Duration::from_millis(50);
/// The longest that a failure is shrunk.
const SHRINK: Duration = Duration::from_secs(60);

/// How far the search goes.
pub struct Limits {
    pub budget: Option<Duration>,
    /// Seeds per test, over all shards.
    pub seeds: Option<u64>,
    pub shard: Shard,
}

/// One run of the command.
pub struct Night {
    store: Store,
    /// Takes what the store does not.
    aside: PathBuf,
    /// Logs of failures that were found here, for replay lines.
    logs: PathBuf,
    commit: String,
    limits: Limits,
    tests: Vec<Task>,
    bench: Bench,
    joined: Joined,
    /// This process' name among all that write records.
    run: String,
    written: u64,
    /// The store has refused a record.
    refused: bool,
    begun: Instant,
    live: bool,
    json: bool,
    /// For replays: how runs of these tests are started.
    tasks_chosen: bool,
    points: Option<String>,
}

/// A test and how much of the night it has had.
struct Task {
    test: Listed,
    name: Name,
    weight: f64,
    /// Milliseconds, of earlier runs under the same commit too.
    took: u64,
    /// What a slice must be to run a seed at all.
    least: Duration,
    /// No seeds are left, or it cannot be run.
    over: bool,
}

impl Night {
    pub fn new(
        store: Store,
        commit: String,
        limits: Limits,
        tests: Vec<Listed>,
        weights: &[(String, f64)],
        home: &Path,
        variables: Vec<(&'static str, String)>,
    ) -> Result<Night> {
        let told = |name| variables.iter().find(|(known, _)| *known == name);
        let tasks_chosen = told("CARGO_SQUALL").is_some();
        let points = told("CARGO_SQUALL_POINTS").map(|(_, points)| points.clone());
        let mut joined = Joined::default();
        joined.read(&store)?;
        let tests = tests.into_iter().map(|test| {
            let name = Name {
                package: test.package.clone(),
                target: test.target.clone(),
                name: test.name.clone(),
            };
            let totals = joined.totals(&commit, &name);
            let weight = weights
                .iter()
                .find(|(part, _)| test.name.contains(part.as_str()));
            Task {
                weight: weight.map_or(1.0, |(_, weight)| *weight),
                took: totals.map_or(0, |totals| totals.took),
                least: Duration::ZERO,
                over: false,
                name,
                test,
            }
        });
        let tests = tests.collect();
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanoseconds = clock.context("the clock is before 1970")?.as_nanos();
        let run = format!("{nanoseconds:x}-{:x}", std::process::id());
        let scratch = home.join(format!("nightly-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch)
            .with_context(|| format!("cannot make {}", scratch.display()))?;
        let aside = home.join(format!("unsent-{:016x}", fnv(store.shown().as_bytes())));
        Ok(Night {
            store,
            aside,
            logs: home.join("nightly").join("logs"),
            commit,
            limits,
            tests,
            bench: Bench { variables, scratch },
            joined,
            run,
            written: 0,
            refused: false,
            begun: Instant::now(),
            live: std::io::stderr().is_terminal(),
            json: false,
            tasks_chosen,
            points: points.filter(|points| points != "polls"),
        })
    }

    /// Whether each record is printed.
    pub fn tells_records(&mut self, json: bool) {
        self.json = json;
    }

    /// All of it; returns the exit status.
    pub fn run(&mut self) -> Result<u8> {
        self.send_aside()?;
        let result = self.search();
        let _ = std::fs::remove_dir_all(&self.bench.scratch);
        if let Some(status) = result? {
            return Ok(status);
        }
        let summary = self.joined.summary();
        match self.json {
            true => println!(
                "{}",
                serde_json::to_string(&summary).context("cannot put the summary into JSON")?
            ),
            false => print!("{}", summary.table(&self.commit)),
        }
        if self.refused {
            eprintln!(
                "squall: some of this is not in {} and lies in {}: the next run on this machine sends it",
                self.store.shown(),
                self.aside.display()
            );
            return Ok(status::TROUBLE);
        }
        let there = self
            .store
            .keys(&format!("records/{}/{}", self.commit, self.run))?;
        if there.len() as u64 != self.written {
            eprintln!(
                "squall: of {} records that this run wrote, {} has {}",
                self.written,
                self.store.shown(),
                there.len()
            );
            return Ok(status::TROUBLE);
        }
        // What a shard's seeds never hit, another's may.
        let whole = self.limits.shard == WHOLE;
        Ok(self
            .joined
            .status(&self.commit, whole)
            .unwrap_or(status::HELD))
    }

    fn search(&mut self) -> Result<Option<u8>> {
        if let Some(status) = self.canaries()? {
            return Ok(Some(status));
        }
        for at in 0..self.tests.len() {
            self.replay(at)?;
        }
        while self.left() > LEAST {
            let waiting = (0..self.tests.len()).filter(|&at| !self.tests[at].over);
            let had = |at: &usize| self.tests[*at].took as f64 / self.tests[*at].weight;
            let Some(at) = waiting.min_by(|a, b| had(a).total_cmp(&had(b))) else {
                break;
            };
            self.slice(at)?;
        }
        Ok(None)
    }

    /// How much of the night is left.
    fn left(&self) -> Duration {
        match self.limits.budget {
            Some(budget) => budget.saturating_sub(self.begun.elapsed()),
            None => Duration::MAX,
        }
    }

    /// Makes a test of each binary fail, and looks whether that is reported; the exit status if it is not.
    fn canaries(&mut self) -> Result<Option<u8>> {
        for at in 0..self.tests.len() {
            let first = |task: &Task| task.test.executable == self.tests[at].test.executable;
            if self.tests.iter().position(first) != Some(at) {
                continue;
            }
            let Task { test, name, .. } = &self.tests[at];
            let variables = [
                (CANARY_VARIABLE, "1".into()),
                ("SQUALL_SEEDS", "1".into()),
                ("SQUALL_FAILURES", "off".into()),
                ("SQUALL_SHRINK", "off".into()),
            ];
            let came = self.bench.run(test, Duration::ZERO, &variables)?;
            let reported = came
                .failure
                .filter(|failure| came.word == Word::Failed && failure.seed.is_some());
            let Some(failure) = reported else {
                if came.word == Word::Unusable {
                    eprintln!("squall: {name} cannot be run:\n{}", came.output);
                    return Ok(Some(status::USAGE));
                }
                eprintln!(
                    "squall: {name} was made to fail, and that was not reported, so a night would prove nothing. It said:\n{}",
                    came.output
                );
                return Ok(Some(status::TROUBLE));
            };
            let what = What::Canary {
                test: name.clone(),
                signature: failure.signature,
            };
            self.write(what)?;
        }
        Ok(None)
    }

    /// A line for people who watch.
    fn say(&self, line: &str) {
        if self.live {
            let left = match self.limits.budget {
                Some(_) => format!("{:>6} s left  ", self.left().as_secs()),
                None => String::new(),
            };
            eprintln!("{left}{line}");
        }
    }

    fn write(&mut self, what: What) -> Result<()> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        let at = clock.context("the clock is before 1970")?.as_secs();
        let (shard, number) = (self.limits.shard, self.written);
        let record = Record::new(&self.commit, shard, &self.run, number, at, what);
        self.written += 1;
        self.joined.add(&record);
        let text = record.text();
        self.put(&record.key(), text.clone().into_bytes())?;
        // Whoever reads it can rely on its being kept.
        if self.json {
            println!("{text}");
        }
        Ok(())
    }

    /// Adds an object to the store, or, where that does not work, to a folder that is sent later.
    fn put(&mut self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let Err(error) = self.store.add(key, bytes.clone()) else {
            return Ok(());
        };
        eprintln!("squall: {error:#}");
        self.refused = true;
        let aside = self
            .aside
            .to_str()
            .context("the target directory's path is not UTF-8")?;
        Store::open(aside)?.add(key, bytes)
    }

    /// Sends what the store did not take earlier.
    fn send_aside(&self) -> Result<()> {
        if !self.aside.is_dir() {
            return Ok(());
        }
        let aside = self
            .aside
            .to_str()
            .context("the target directory's path is not UTF-8")?;
        let folder = Store::open(aside)?;
        for under in ["logs", "reports", "records"] {
            for key in folder.keys(under)? {
                self.store.add(&key, folder.read(&key)?)?;
                let path = self.aside.join(&key);
                std::fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}
