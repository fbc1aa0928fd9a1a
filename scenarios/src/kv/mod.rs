//! A replicated key-value service over axum and reqwest: three hosts or more, a leader that is elected, a log that a majority has
//! on disk before anything is answered (Raft, without snapshots and changes of membership).
//!
//! Writes are appended to the log and may be sent again: each carries its client's name and a number, and takes effect once.
//! Reads are answered by the leader alone, under a lease: as long as a majority has heard from it recently enough not to elect
//! another. `SIGTERM` lets requests under way end, and ends.
//!
//! Nothing here knows of squall. [`Bug`] plants what goes wrong in such services; `docs/scenarios.md` says how fast each is found.

mod client;
mod machine;
mod node;
mod raft;

pub use client::Client;
pub use machine::{Answer, Command, Op};
pub use node::serve;

use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime};

/// Where a host keeps what must outlive it.
pub trait Disk: Send + 'static {
    /// The value of a name, as it was last written.
    fn read(&self, name: &str) -> Option<Vec<u8>>;
    /// Writes a value. It is safe after the next [`sync`](Disk::sync).
    fn write(&self, name: &str, value: &[u8]);
    /// What was written so far outlives a loss of power.
    fn sync(&self);
}

/// A host's place in the cluster.
#[derive(Clone, Debug)]
pub struct Config {
    /// Every host's address, `host:port`, in the same order everywhere.
    pub hosts: Vec<String>,
    /// Which of them this is.
    pub me: usize,
    /// What is wrong with it.
    pub bug: Option<Bug>,
}

/// Bugs as they are made, a few lines each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A leader answers reads without asking whether it is the leader still: stale after a partition.
    StaleRead,
    /// What is appended is acknowledged once it is written, before it is synced: lost after a crash.
    AckBeforeSync,
    /// The lease is measured on the wall clock: two leaders once that jumps.
    WallClockLease,
    /// The numbers of requests are not looked at: a retry applies twice.
    NoDedup,
    /// `SIGTERM` answers what is under way and drops what was to be written.
    HastyShutdown,
}

/// How often a leader lets others hear of it.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// Nobody elects another within this time of having heard from a leader; candidates wait up to twice as long.
const ELECTION: Duration = Duration::from_millis(500);
/// A leader relies on that for so long from the time at which it sent what was acknowledged.
const LEASE: Duration = Duration::from_millis(450);
/// What was appended within this time is written and synced together.
const GROUP_COMMIT: Duration = Duration::from_millis(20);
/// A host waits so long for another's answer,
const CALL: Duration = Duration::from_millis(400);
/// and lets a client wait so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// What elections and leases are measured by: time since some moment of the past.
#[derive(Clone, Copy, Debug)]
struct Clock {
    started: Instant,
    wall: bool,
}

impl Clock {
    fn new(bug: Option<Bug>) -> Clock {
        let wall = bug == Some(Bug::WallClockLease);
        Clock {
            started: Instant::now(),
            wall,
        }
    }

    fn now(&self) -> Duration {
        match self.wall {
            true => SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
            false => self.started.elapsed(),
        }
    }
}

/// Why a host did not answer a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Who may know better.
    pub leader: Option<usize>,
}
