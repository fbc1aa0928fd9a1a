//! What fails: kept and shrunk when it is new, run again at the beginning of a later night.

use super::super::part::Came;
use super::super::record::{Sighting, What};
use super::super::seeds::fnv;
use super::super::shard::Shard;
use super::slice::Slice;
use super::{LEAST, Night, SHORTEST, SHRINK, SLOWEST, Task};
use crate::events::{Failure, Word};
use crate::saved::Head;
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

impl Night {
    /// Runs what is known to fail: logs kept with the crate, and those of the store.
    pub(super) fn replay(&mut self, at: usize) -> Result<()> {
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
    pub(super) fn kept(&self, at: usize) -> Result<Vec<Vec<u8>>> {
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

    /// Takes a failure down; one that is new at once, and then it is shrunk.
    pub(super) fn failed(
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
    pub(super) fn shrink(&mut self, at: usize, found: &Failure, log: Vec<u8>) -> Result<()> {
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
    pub(super) fn unusable(&mut self, at: usize, came: &Came, time: Duration) -> Result<()> {
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
