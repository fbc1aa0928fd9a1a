//! What coordinator, zygote and child tell each other: commands and answers over a socket, frames in the report file.
//!
//! Everything is a line of JSON. A passing seed sends nothing.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::{Failure, Summary};
pub(crate) use super::ran::RunReport;
use crate::choice::Offer;
use crate::choice::shrink::Edit;
use crate::explore::{Profile, Progress};
use crate::kernel::abi::real::modules::Module;
use crate::kernel::{Reached, Refused, Tallies};
use crate::sim::parameter::Parameters;

/// The variable that makes a process a zygote, and tells it which.
pub(crate) const ZYGOTE: &str = "SQUALL_ZYGOTE";

/// What the variable says: descriptors, and which run of which test the zygote is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Birth {
    /// The socket for commands and answers.
    pub(crate) control: i32,
    /// The black box's file.
    pub(crate) black_box: i32,
    /// The report file.
    pub(crate) report: i32,
    /// The test.
    pub(crate) test: String,
    /// The scenario file that the test is bound to, as a number.
    pub(crate) scenario: Option<u64>,
    /// What the earlier runs within the test came to; the zygote is for the one after them.
    pub(crate) earlier: Vec<Result<Summary, Failure>>,
}

/// From the coordinator to the zygote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Have so many contexts ready before the next fork.
    Prewarm(u32),
    /// Run these seeds.
    Run(Box<Job>),
}

/// From the zygote to the coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The zygote has come up.
    Hello {
        /// Where its code is.
        modules: Vec<Module>,
        /// Why seeds cannot share a process here, if they cannot.
        unbatched: Option<String>,
    },
    /// The job is over: every child ended well, or the last one with this wait status.
    Done {
        /// Zero, or the wait status of the child that did not end well.
        status: i32,
    },
    /// The zygote could not do what it was told.
    Trouble(String),
}

/// Seeds to run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The first seed.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
    /// Whether they share a process.
    pub(crate) batch: bool,
    /// Percentage of passing seeds to run a second time.
    pub(crate) audit: u32,
    /// What to take down of the last seed.
    pub(crate) explain: Option<Explain>,
    /// Answer from this log, given as its text, instead of the seed.
    pub(crate) log: Option<String>,
    /// Begin no further seed after this wall time.
    pub(crate) budget: Option<Duration>,
    /// What strategies may know of the test; `None` where it is not known, or none of them asks.
    pub(crate) profile: Option<Profile>,
    /// Those of a log, where it is run again or made simpler; `None` for the test's own.
    pub(crate) parameters: Option<Parameters>,
    /// Candidates to run in place of the seeds.
    pub(crate) trials: Option<Trials>,
}

impl Job {
    /// So many seeds, with nothing else asked.
    pub(crate) fn new(first: u64, count: u64) -> Self {
        Job {
            first,
            count,
            batch: false,
            audit: 0,
            explain: None,
            log: None,
            budget: None,
            profile: None,
            parameters: None,
            trials: None,
        }
    }
}

/// Runs to try, to see which of them fail in one way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Trials {
    /// The text of the log that they are made from.
    pub(crate) base: String,
    /// What a base that lists every decision is told by.
    pub(crate) offer: Offer,
    pub(crate) candidates: Vec<Candidate>,
    /// The number of the first candidate.
    pub(crate) first: u64,
    /// The signature that counts.
    pub(crate) signature: String,
    /// The highest cost that counts; the first candidate that does ends the job. `None` for all candidates, whatever their cost.
    pub(crate) cost: Option<u64>,
    /// Kernel entries after which a candidate is given up.
    pub(crate) max_steps: u64,
    /// Wall time without a kernel entry after which it is.
    pub(crate) patience: Duration,
    /// Begin no further candidate after this wall time.
    pub(crate) slice: Duration,
}

/// A run to try.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Candidate {
    /// The base with a change. One that lists every decision is replayed as it is.
    Edit(Edit),
    /// So many decisions of the base, then what this seed draws.
    Branch(u64, u64),
    /// A seed.
    Seed(u64),
}

/// What to take down beyond the verdict.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Explain {
    /// Every event.
    pub(crate) trace: bool,
    /// The kernel entry from which on the places of calls are taken down.
    pub(crate) stacks_from: u64,
    /// The backtrace at this event.
    pub(crate) backtrace_at: Option<u64>,
    /// Run the seed a second time in the same process, and explain that too.
    pub(crate) twice: bool,
}

/// From a child to the coordinator, in the report file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// The digest of a seed that passed.
    Digest {
        /// The seed.
        seed: u64,
        /// Its digest.
        digest: u64,
        /// Whether this was a second run.
        again: bool,
    },
    /// What strategies may know of the test.
    Profile(Profile),
    /// A run reached what no other run of its process had.
    Reached {
        /// Its seed.
        seed: u64,
        /// How many times its strategy was asked who goes on.
        points: u64,
        /// What is new.
        reached: Reached,
    },
    /// What runs counted.
    Tallies(Tallies),
    /// How far a search came that ends by itself.
    Progress(Progress),
    /// A refused call in a run that passed.
    Refused(Refused),
    /// A run that failed, or whose explanation was asked for.
    Run(Box<RunReport>),
    /// A seed passed twice, with two digests.
    Mismatch {
        /// The seed.
        seed: u64,
        /// The digests.
        digests: [u64; 2],
    },
    /// A candidate, by its number, failed in the way that counts. If it ended the job, the tape has its departures.
    Hit(u64),
    /// The child could not do what it was told.
    Trouble(String),
}

/// Writes a message.
pub(crate) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Reads a message; `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
