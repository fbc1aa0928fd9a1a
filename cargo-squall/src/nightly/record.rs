//! What a nightly run writes down, one object of the store at a time. An object is written once and never changed, so a run that is
//! killed leaves nothing half done.

use super::seeds::Spans;
use super::shard::Shard;
use crate::events::{Mark, Name};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The version of the records that this command writes and reads.
const VERSION: u32 = 1;

/// A record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    pub version: u32,
    /// What was tested.
    pub commit: String,
    pub shard: Shard,
    /// Which process wrote it, and which of its records it is.
    pub run: String,
    pub number: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A test was made to fail, and that was reported.
    Canary { test: Name, signature: String },
    /// A saved log was replayed.
    Replay {
        test: Name,
        /// How it failed when it was saved.
        signature: String,
        /// How it fails now; `None` if it passes.
        failure: Option<Sighting>,
    },
    /// A failure's log was made simpler, and reports of it written.
    Shrunk {
        test: Name,
        signature: String,
        /// Their keys in the store.
        log: String,
        reports: Vec<String>,
    },
    /// A test ran no seed, or gave no verdict, and was left out from then on.
    Broken {
        test: Name,
        /// It is not the test's author who can mend it.
        trouble: bool,
        text: String,
    },
    /// A test ran these seeds.
    Slice {
        test: Name,
        seeds: Spans,
        /// Wall time, in milliseconds.
        took: u64,
        /// Virtual nanoseconds.
        simulated: u64,
        marks: Vec<Mark>,
        failures: Vec<Sighting>,
    },
}

/// A failure that was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sighting {
    pub seed: u64,
    pub signature: String,
    pub headline: String,
    /// Squall's own failure, such as nondeterminism, rather than the program's.
    pub trouble: bool,
    /// The choice log's key in the store.
    pub log: Option<String>,
}

impl Record {
    pub fn new(commit: &str, shard: Shard, run: &str, number: u64, at: u64, what: What) -> Record {
        Record {
            version: VERSION,
            commit: commit.to_owned(),
            shard,
            run: run.to_owned(),
            number,
            at,
            what,
        }
    }

    /// Its key in the store. No two records share one.
    pub fn key(&self) -> String {
        format!(
            "records/{}/{}/{:06}.json",
            self.commit, self.run, self.number
        )
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a record is JSON")
    }

    /// Reads the record that has this key.
    pub fn read(key: &str, text: &[u8]) -> Result<Record> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = || format!("the record {key} is damaged");
        let Versioned { version } = serde_json::from_slice(text).with_context(damaged)?;
        if version != VERSION {
            bail!("the record {key} has version {version}, and this command reads {VERSION}");
        }
        let record: Record = serde_json::from_slice(text).with_context(damaged)?;
        if record.key() != key {
            bail!("the record {key} says that it is {}", record.key());
        }
        Ok(record)
    }
}
