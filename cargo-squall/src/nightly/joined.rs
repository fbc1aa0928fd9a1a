//! What the records of a store, or of several, come to: seeds run per test and commit, and the index of known failures.
//!
//! It is always made from the records, so there is no second truth that could be torn or out of date.

use super::record::{Record, Sighting, What};
use super::seeds::Spans;
use super::store::Store;
use crate::events::{Mark, Name};
use crate::status;
use anyhow::Result;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is known.
#[derive(Default)]
pub struct Joined {
    /// The records that are in it, by key.
    keys: BTreeSet<String>,
    totals: BTreeMap<(String, Name), Totals>,
    failures: BTreeMap<(Name, String), Known>,
    /// Tests that could not be run, and whether that is squall's failure.
    broken: BTreeMap<(String, Name), (bool, String)>,
    /// When each commit was first tested.
    commits: BTreeMap<String, u64>,
}

/// A test under one commit.
#[derive(Default)]
pub struct Totals {
    pub seeds: Spans,
    /// Wall time, in milliseconds.
    pub took: u64,
    simulated: u64,
    marks: BTreeMap<(String, String), (String, u64)>,
}

/// A failure of a test, by its signature.
pub struct Known {
    pub headline: String,
    pub trouble: bool,
    pub first: Seen,
    pub last: Seen,
    /// Commit and seed of every time that seeds showed it.
    sightings: BTreeSet<(String, u64)>,
    /// The choice log, shrunk if that worked.
    pub log: Option<String>,
    reports: Vec<String>,
}

/// When a failure was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    pub commit: String,
    /// In seconds since 1970.
    pub at: u64,
    pub seed: u64,
}

impl Joined {
    /// Reads all of a store's records.
    pub fn read(&mut self, store: &Store) -> Result<()> {
        let keys = store.keys("records")?;
        for (key, bytes) in store.read_all(keys)? {
            self.add(&Record::read(&key, &bytes)?);
        }
        Ok(())
    }

    /// Adds a record, once.
    pub fn add(&mut self, record: &Record) {
        if !self.keys.insert(record.key()) {
            return;
        }
        let begun = self
            .commits
            .entry(record.commit.clone())
            .or_insert(record.at);
        *begun = record.at.min(*begun);
        match &record.what {
            What::Canary { .. } => {}
            What::Broken {
                test,
                trouble,
                text,
            } => {
                let key = (record.commit.clone(), test.clone());
                self.broken.insert(key, (*trouble, text.clone()));
            }
            What::Shrunk {
                test,
                signature,
                log,
                reports,
            } => {
                let key = (test.clone(), signature.clone());
                if let Some(known) = self.failures.get_mut(&key) {
                    known.log = Some(log.clone());
                    known.reports.clone_from(reports);
                }
            }
            What::Replay { test, failure, .. } => {
                if let Some(seen) = failure {
                    self.saw(record, test, seen, false);
                }
            }
            What::Slice {
                test,
                seeds,
                took,
                simulated,
                marks,
                failures,
            } => {
                let totals = self
                    .totals
                    .entry((record.commit.clone(), test.clone()))
                    .or_default();
                totals.seeds.join(seeds);
                totals.took += took;
                totals.simulated += simulated;
                for Mark {
                    kind,
                    name,
                    site,
                    hits,
                } in marks
                {
                    let mark = totals.marks.entry((kind.clone(), name.clone()));
                    mark.or_insert((site.clone(), 0)).1 += hits;
                }
                for seen in failures {
                    self.saw(record, test, seen, true);
                }
            }
        }
    }

    fn saw(&mut self, record: &Record, test: &Name, sighting: &Sighting, by_seed: bool) {
        let seen = Seen {
            commit: record.commit.clone(),
            at: record.at,
            seed: sighting.seed,
        };
        let known = self
            .failures
            .entry((test.clone(), sighting.signature.clone()))
            .or_insert_with(|| Known {
                headline: sighting.headline.clone(),
                trouble: sighting.trouble,
                first: seen.clone(),
                last: seen.clone(),
                sightings: BTreeSet::new(),
                log: None,
                reports: Vec::new(),
            });
        if by_seed {
            known.sightings.insert((seen.commit.clone(), seen.seed));
        }
        if known.log.is_none() {
            known.log.clone_from(&sighting.log);
        }
        // Of one commit's sightings the lowest seed counts, whichever shard was there first.
        let (first, last) = (&mut known.first, &mut known.last);
        if first.commit == seen.commit {
            first.at = first.at.min(seen.at);
            first.seed = first.seed.min(seen.seed);
        } else if seen.at < first.at {
            *first = seen.clone();
        }
        if last.commit == seen.commit {
            last.at = last.at.max(seen.at);
            last.seed = last.seed.max(seen.seed);
        } else if seen.at > last.at {
            *last = seen;
        }
    }

    /// What is known of a test under a commit.
    pub fn totals(&self, commit: &str, test: &Name) -> Option<&Totals> {
        self.totals.get(&(commit.to_owned(), test.clone()))
    }

    /// The known failures of a test, by signature.
    pub fn of(&self, test: &Name) -> impl Iterator<Item = (&str, &Known)> {
        let of = move |(key, known)| {
            let (name, signature): &(Name, String) = key;
            (name == test).then_some((signature.as_str(), known))
        };
        self.failures.iter().filter_map(of)
    }

    /// Whether a failure is known, and its log is kept.
    pub fn kept(&self, test: &Name, signature: &str) -> bool {
        let known = self.failures.get(&(test.clone(), signature.to_owned()));
        known.is_some_and(|known| known.log.is_some())
    }

    /// The commit that was begun last.
    pub fn newest(&self) -> Option<&str> {
        let newest = self
            .commits
            .iter()
            .max_by_key(|(commit, at)| (**at, *commit));
        newest.map(|(commit, _)| commit.as_str())
    }

    /// The exit status that a commit's records come to; `None` where all held. `whole` says whether these are all of its
    /// records, so that what no run came to counts.
    pub fn status(&self, commit: &str, whole: bool) -> Option<u8> {
        let mut status = None;
        let mut weigh = |with: u8| {
            // Squall's own failures weigh most, then those of properties.
            let weight = |status| match status {
                Some(status::TROUBLE) => 3,
                Some(status::FAILED) => 2,
                Some(_) => 1,
                None => 0,
            };
            if weight(Some(with)) > weight(status) {
                status = Some(with);
            }
        };
        for known in self.failures.values() {
            if known.last.commit == commit {
                weigh(match known.trouble {
                    true => status::TROUBLE,
                    false => status::FAILED,
                });
            }
        }
        for ((of, _), totals) in &self.totals {
            if whole && of == commit && totals.marks.values().any(|(_, hits)| *hits == 0) {
                weigh(status::FAILED);
            }
        }
        for ((of, _), (trouble, _)) in &self.broken {
            if of == commit {
                weigh(match trouble {
                    true => status::TROUBLE,
                    false => status::USAGE,
                });
            }
        }
        status
    }

    /// All of it, in an order that depends on nothing but what the records say.
    pub fn summary(&self) -> Summary<'_> {
        let tests = self.totals.iter().map(|((commit, test), totals)| {
            let unhit = totals.marks.iter().filter(|(_, (_, hits))| *hits == 0);
            Tested {
                commit,
                test,
                runs: totals.seeds.len(),
                seeds: &totals.seeds,
                seconds: totals.took as f64 / 1e3,
                simulated_seconds: totals.simulated as f64 / 1e9,
                never_hit: unhit
                    .map(|((kind, name), (site, _))| Unhit { kind, name, site })
                    .collect(),
            }
        });
        let failures = self.failures.iter().map(|((test, signature), known)| {
            let commit = &known.last.commit;
            let runs = self
                .totals(commit, test)
                .map_or(0, |totals| totals.seeds.len());
            let from = (commit.clone(), 0)..=(commit.clone(), u64::MAX);
            let hits = known.sightings.range(from).count() as u64;
            Indexed {
                test,
                signature,
                headline: &known.headline,
                trouble: known.trouble,
                first_seen: &known.first,
                last_seen: &known.last,
                count: known.sightings.len() as u64,
                hits,
                runs,
                findability: (hits + 1) as f64 / (runs.max(hits) + 2) as f64,
                log: known.log.as_deref(),
                reports: &known.reports,
            }
        });
        let broken = self
            .broken
            .iter()
            .map(|((commit, test), (_, text))| Broken { commit, test, text });
        Summary {
            tests: tests.collect(),
            failures: failures.collect(),
            broken: broken.collect(),
        }
    }
}

/// The whole, as `--json` tells it.
#[derive(Serialize)]
pub struct Summary<'a> {
    pub tests: Vec<Tested<'a>>,
    pub failures: Vec<Indexed<'a>>,
    pub broken: Vec<Broken<'a>>,
}

/// A test that could not be run to a verdict.
#[derive(Serialize)]
pub struct Broken<'a> {
    pub commit: &'a str,
    pub test: &'a Name,
    pub text: &'a str,
}

/// A test under a commit.
#[derive(Serialize)]
pub struct Tested<'a> {
    pub commit: &'a str,
    pub test: &'a Name,
    pub runs: u64,
    /// Each from its first seed to before its end.
    pub seeds: &'a Spans,
    pub seconds: f64,
    pub simulated_seconds: f64,
    /// What some run should have come to, and none did.
    pub never_hit: Vec<Unhit<'a>>,
}

/// What no run came to.
#[derive(Serialize)]
pub struct Unhit<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    pub site: &'a str,
}

/// A known failure.
#[derive(Serialize)]
pub struct Indexed<'a> {
    pub test: &'a Name,
    pub signature: &'a str,
    pub headline: &'a str,
    pub trouble: bool,
    pub first_seen: &'a Seen,
    pub last_seen: &'a Seen,
    /// How many seeds showed it, under all commits.
    pub count: u64,
    /// How many of `runs` seeds showed it, under the commit that it was last seen under.
    pub hits: u64,
    pub runs: u64,
    /// The share of seeds that is expected to show it: (hits + 1) / (runs + 2).
    pub findability: f64,
    pub log: Option<&'a str>,
    pub reports: &'a [String],
}

impl Summary<'_> {
    /// As a text for people: tests of this commit, and all failures.
    pub fn table(&self, commit: &str) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        for tested in self.tests.iter().filter(|tested| tested.commit == commit) {
            let _ = writeln!(
                text,
                "{:>10} seeds {:>8.1} s  {}",
                tested.runs, tested.seconds, tested.test
            );
            for unhit in &tested.never_hit {
                let _ = writeln!(
                    text,
                    "{:>16} never hit: {} ({}, stated at {})",
                    "", unhit.name, unhit.kind, unhit.site
                );
            }
        }
        for broken in self.broken.iter().filter(|broken| broken.commit == commit) {
            let _ = writeln!(text, "      no verdict            {}", broken.test);
        }
        for failure in &self.failures {
            let (first, last) = (failure.first_seen, failure.last_seen);
            let state = if last.commit == commit {
                "fails"
            } else {
                "not seen under this commit"
            };
            let _ = writeln!(
                text,
                "\n{}: {}\n    {state}; seed {:#x}; {} of {} seeds, findability {:.2e}; {} in all\n    first seen under {}, last under {}",
                failure.test,
                failure.headline,
                last.seed,
                failure.hits,
                failure.runs,
                failure.findability,
                failure.count,
                first.commit,
                last.commit,
            );
            for key in failure
                .log
                .into_iter()
                .chain(failure.reports.iter().map(String::as_str))
            {
                let _ = writeln!(text, "    {key}");
            }
        }
        text
    }
}
