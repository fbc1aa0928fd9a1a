//! The search: canaries first, then what has failed before, then slices of new seeds until the time is over.

use super::joined::Joined;
use super::part::{Bench, CANARY_VARIABLE, Came};
use super::record::{Record, Sighting, What};
use super::seeds::{self, Spans, fnv};
use super::shard::{Shard, WHOLE};
use super::store::Store;
use crate::events::{Failure, Mark, Name, Word};
use crate::list::Listed;
use crate::saved::Head;
use crate::status;
use anyhow::{Context, Result};
use std::ffi::OsString;
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

    /// Runs what is known to fail: logs kept with the crate, and those of the store.
    fn replay(&mut self, at: usize) -> Result<()> {
        let mut logs = self.kept(at)?;
        let stored: Vec<String> = self
            .joined
            .of(&self.tests[at].name)
            .filter_map(|(_, known)| known.log.clone())
            .collect();
        for key in stored {
            logs.push(self.store.read(&key)?);
        }
        logs.sort();
        logs.dedup();
        let Shard { index, of } = self.limits.shard;
        let mine = logs.into_iter().skip(index as usize).step_by(of as usize);
        for log in mine.collect::<Vec<_>>() {
            if self.left() <= LEAST {
                break;
            }
            let Some(head) = Head::of(&String::from_utf8_lossy(&log)) else {
                continue;
            };
            // Runs that were started otherwise take other decisions.
            let same =
                head.tasks_chosen() == self.tasks_chosen && head.points() == self.points.as_deref();
            if !same {
                continue;
            }
            let path = self.bench.scratch.join("replayed.log");
            std::fs::write(&path, &log)
                .with_context(|| format!("cannot write {}", path.display()))?;
            let Task { test, name, .. } = &self.tests[at];
            let variables = [
                ("SQUALL_REPLAY", path.into()),
                ("SQUALL_FAILURES", "off".into()),
            ];
            let came = self.bench.run(test, Duration::ZERO, &variables)?;
            let failure = match (came.word, &came.failure) {
                (Word::Held, _) => None,
                (_, Some(failure)) if failure.seed.is_some() => {
                    Some(sighting(failure, came.word, Some(key_of(&log))))
                }
                _ => {
                    eprintln!(
                        "squall: {name}: a saved log cannot be used:\n{}",
                        came.output
                    );
                    continue;
                }
            };
            self.say(&format!(
                "{name}: {} {}",
                if failure.is_some() {
                    "still fails:"
                } else {
                    "passes now:"
                },
                head.signature
            ));
            let what = What::Replay {
                test: name.clone(),
                signature: head.signature,
                failure,
            };
            self.put(&key_of(&log), log)?;
            self.write(what)?;
        }
        Ok(())
    }

    /// The logs of a test that are kept with its crate.
    fn kept(&self, at: usize) -> Result<Vec<Vec<u8>>> {
        let Task { test, name, .. } = &self.tests[at];
        let directory = test.manifest_dir.join("squall-failures");
        let mut logs = Vec::new();
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(logs),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", directory.display()));
            }
        };
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot read {}", directory.display()))?
                .path();
            if path.extension().is_none_or(|ending| ending != "log") {
                continue;
            }
            let log =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let head = Head::of(&String::from_utf8_lossy(&log));
            let ours = head.is_some_and(|head| {
                (&head.package, &head.target, &head.test)
                    == (&name.package, &name.target, &name.name)
            });
            if ours {
                logs.push(log);
            }
        }
        Ok(logs)
    }

    /// Runs a test for a while.
    fn slice(&mut self, at: usize) -> Result<()> {
        let waiting = self.tests.iter().filter(|task| !task.over).count() as u32;
        let share = match self.limits.budget {
            Some(budget) => budget / (4 * waiting),
            None => LONGEST,
        };
        let time = share
            .clamp(SHORTEST, LONGEST)
            .max(self.tests[at].least)
            .min(self.left());
        let begun = Instant::now();
        let mut slice = Slice::default();
        loop {
            let name = self.tests[at].name.clone();
            let known = self.joined.totals(&self.commit, &name);
            let mut done = known.map_or_else(Spans::default, |totals| totals.seeds.clone());
            done.join(&slice.seeds);
            let base = seeds::base(&self.commit);
            let next = seeds::next(base, self.limits.seeds, self.limits.shard, &done);
            let Some((first, count)) = next else {
                self.tests[at].over = true;
                break;
            };
            let left = time.saturating_sub(begun.elapsed());
            if left < LEAST {
                break;
            }
            let came = self.seeds(at, first, count, left)?;
            slice.simulated += came.simulated;
            slice.marked(&came.marks);
            let failure = came.failure.as_ref();
            match (came.word, failure.and_then(|failure| failure.seed)) {
                (Word::Held, _) if came.runs > 0 => {
                    slice.seeds.add(first, came.runs.min(count));
                    if came.runs < count {
                        break;
                    }
                }
                (Word::Failed | Word::Trouble, Some(seed)) => {
                    let failure = failure.expect("it has a seed");
                    let run = match (first..first + count).contains(&seed) {
                        true => seed - first + 1,
                        // A seed that begins as another's run: those before it have run.
                        false => came.runs.clamp(1, count),
                    };
                    slice.seeds.add(first, run);
                    self.failed(at, &mut slice, begun, failure, came.word)?;
                }
                _ => {
                    self.unusable(at, &came, time)?;
                    break;
                }
            }
        }
        self.finish(at, &mut slice, begun)
    }

    fn seeds(&self, at: usize, first: u64, count: u64, time: Duration) -> Result<Came> {
        let failures = self.bench.scratch.join("failures");
        // What was saved there has been looked at.
        let _ = std::fs::remove_dir_all(&failures);
        let mut variables: Vec<(&str, OsString)> = vec![
            ("SQUALL_FIRST", first.to_string().into()),
            ("SQUALL_SEEDS", count.to_string().into()),
            (
                "SQUALL_BUDGET",
                format!("{}ms", time.as_millis().max(1)).into(),
            ),
            ("SQUALL_FAILURES", failures.into()),
            ("SQUALL_SHRINK", "off".into()),
            ("SQUALL_REPORT", "off".into()),
        ];
        if std::env::var_os("SQUALL_JOBS").is_none() {
            let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(1024));
            variables.push(("SQUALL_JOBS", cpus.to_string().into()));
        }
        self.bench.run(&self.tests[at].test, time, &variables)
    }

    /// Takes a failure down; one that is new at once, and then it is shrunk.
    fn failed(
        &mut self,
        at: usize,
        slice: &mut Slice,
        begun: Instant,
        failure: &Failure,
        word: Word,
    ) -> Result<()> {
        let name = self.tests[at].name.clone();
        let here = slice.failures.iter();
        let known = self.joined.kept(&name, &failure.signature)
            || here.clone().any(|seen| seen.signature == failure.signature);
        let log = match &failure.log {
            Some(path) if !known => Some(
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
            ),
            _ => None,
        };
        let key = log.as_deref().map(key_of);
        if let (Some(key), Some(log)) = (&key, &log) {
            self.put(key, log.clone())?;
        }
        slice.failures.push(sighting(failure, word, key));
        if known {
            return Ok(());
        }
        self.finish(at, slice, begun)?;
        match log {
            Some(log) => self.shrink(at, failure, log),
            None => {
                eprint!("{}", failure.text);
                Ok(())
            }
        }
    }

    /// Shrinks a new failure, and keeps its log and reports.
    fn shrink(&mut self, at: usize, found: &Failure, log: Vec<u8>) -> Result<()> {
        let path = self.logs.join(format!("{:016x}.log", fnv(&log)));
        std::fs::create_dir_all(&self.logs)
            .with_context(|| format!("cannot make {}", self.logs.display()))?;
        std::fs::write(&path, &log).with_context(|| format!("cannot write {}", path.display()))?;
        let budget = self.limits.budget.map_or(SHRINK, |budget| budget / 10);
        let time = budget.clamp(SHORTEST, SHRINK);
        let asked = std::env::var_os("SQUALL_SHRINK");
        let mut variables = vec![
            ("SQUALL_REPLAY", path.clone().into()),
            (
                "SQUALL_FAILURES",
                self.bench.scratch.join("failures").into(),
            ),
        ];
        if asked.as_deref().is_none_or(|asked| asked != "off") {
            let time = format!("{}ms", time.as_millis());
            variables.push(("SQUALL_SHRINK", asked.unwrap_or(time.into())));
        }
        let Task { test, name, .. } = &self.tests[at];
        let name = name.clone();
        let came = self.bench.run(test, time, &variables)?;
        let again = came
            .failure
            .filter(|failure| failure.signature == found.signature);
        let Some(failure) = again else {
            eprint!("{}", found.text);
            eprintln!(
                "squall: {name}: the log of this failure does not replay:\n{}",
                came.output
            );
            return Ok(());
        };
        let shrunk =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = key_of(&shrunk);
        self.put(&key, shrunk)?;
        let mut keys = Vec::new();
        for report in &failure.reports {
            let bytes = std::fs::read(report)
                .with_context(|| format!("cannot read {}", report.display()))?;
            let file = report.file_name().unwrap_or_default().to_string_lossy();
            let report_key = format!("reports/{:016x}-{file}", fnv(&bytes));
            self.put(&report_key, bytes)?;
            keys.push(report_key);
        }
        eprint!("{}", failure.text);
        eprintln!("squall: kept as {key} in {}", self.store.shown());
        self.write(What::Shrunk {
            test: name,
            signature: failure.signature,
            log: key,
            reports: keys,
        })
    }

    /// A part ran no seed.
    fn unusable(&mut self, at: usize, came: &Came, time: Duration) -> Result<()> {
        let least = (time * 4).min(SLOWEST);
        if came.word == Word::Unusable
            && came.output.contains("no seed was run")
            && least > self.tests[at].least
            && least < self.left()
        {
            self.tests[at].least = least;
            return Ok(());
        }
        self.tests[at].over = true;
        let test = self.tests[at].name.clone();
        eprintln!("squall: {test} is left out from here on:\n{}", came.output);
        self.write(What::Broken {
            test,
            trouble: came.word != Word::Unusable,
            text: tail(&came.output),
        })
    }

    /// Writes down what a slice has come to so far.
    fn finish(&mut self, at: usize, slice: &mut Slice, begun: Instant) -> Result<()> {
        let now = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let took = now - slice.told;
        let next = Slice {
            told: now,
            ..Slice::default()
        };
        let done = std::mem::replace(slice, next);
        self.tests[at].took += took;
        let runs = done.seeds.len();
        if runs == 0 {
            return Ok(());
        }
        let test = self.tests[at].name.clone();
        let rate = runs as f64 * 1e3 / (took.max(1)) as f64;
        self.say(&format!(
            "{test}: {runs} seeds, {rate:.0}/s, {} failures",
            done.failures.len()
        ));
        self.write(What::Slice {
            test,
            seeds: done.seeds,
            took,
            simulated: done.simulated,
            marks: done.marks,
            failures: done.failures,
        })
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

/// What a test has come to in its slice, and has not been written down.
#[derive(Default)]
struct Slice {
    seeds: Spans,
    simulated: u64,
    marks: Vec<Mark>,
    failures: Vec<Sighting>,
    /// How much of its time has been, in milliseconds.
    told: u64,
}

impl Slice {
    fn marked(&mut self, marks: &[Mark]) {
        for mark in marks {
            let same = |known: &&mut Mark| (&known.kind, &known.name) == (&mark.kind, &mark.name);
            match self.marks.iter_mut().find(same) {
                Some(known) => known.hits += mark.hits,
                None => self.marks.push(mark.clone()),
            }
        }
    }
}

fn sighting(failure: &Failure, word: Word, log: Option<String>) -> Sighting {
    Sighting {
        seed: failure.seed.unwrap_or_default(),
        signature: failure.signature.clone(),
        headline: failure.headline.clone(),
        trouble: word == Word::Trouble,
        log,
    }
}

/// A log's key is its content's: what two shards find alike is kept once.
fn key_of(log: &[u8]) -> String {
    format!("logs/{:016x}.log", fnv(log))
}

/// The end of a text, for a record.
fn tail(text: &str) -> String {
    let start = text.len().saturating_sub(4000);
    let start = (start..=text.len()).find(|&at| text.is_char_boundary(at));
    text[start.unwrap_or(0)..].to_owned()
}
