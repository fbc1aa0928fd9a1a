//! What is known of one operation: who, what, when, and how it ended.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name of a client. One client does one operation after another; whoever does two at once is two clients.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// A client of this name or number.
    pub fn new(name: impl ToString) -> Self {
        ClientId(name.to_string().into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(ClientId::new)
    }
}

/// A point of a history: a time, and where two events have the same time, which of them came first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Since the start of the run (virtual time), or of whatever the history is about.
    pub at: Duration,
    /// Tells moments of the same time apart. A recorder counts its events here; data from elsewhere may leave it 0, and
    /// then what happened at the same time counts as concurrent.
    #[serde(default)]
    pub order: u64,
}

impl From<Duration> for Moment {
    fn from(at: Duration) -> Self {
        Moment { at, order: 0 }
    }
}

/// How an operation ended, as its client knows it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome<Ret> {
    /// It took effect, and returned this.
    Ok(Ret),
    /// It certainly had no effect, and never will.
    Failed,
    /// Nobody knows: a timeout, a lost connection, a client that gave up or crashed. It may take effect at any later
    /// time, or never.
    Unknown,
}

impl<Ret> Outcome<Ret> {
    /// What it returned, if that is known.
    pub fn ok(&self) -> Option<&Ret> {
        match self {
            Outcome::Ok(ret) => Some(ret),
            Outcome::Failed | Outcome::Unknown => None,
        }
    }

    /// The outcome of a call that fails with an [`std::io::Error`]: it failed where no connection came about (refused,
    /// address not available, host or network unreachable), and is unknown after every other error.
    pub fn of_io(result: &std::io::Result<Ret>) -> Self
    where
        Ret: Clone,
    {
        use std::io::ErrorKind as K;
        match result {
            Ok(ret) => Outcome::Ok(ret.clone()),
            Err(e) => match e.kind() {
                K::ConnectionRefused
                | K::AddrNotAvailable
                | K::HostUnreachable
                | K::NetworkUnreachable => Outcome::Failed,
                _ => Outcome::Unknown,
            },
        }
    }
}

/// One operation of a history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<Op, Ret> {
    /// Who did it.
    pub client: ClientId,
    /// What it was.
    pub op: Op,
    /// How it ended.
    pub outcome: Outcome<Ret>,
    /// When it was invoked.
    pub invoked: Moment,
    /// When its client knew how it ended; `None` if that never was, as of a client that crashed.
    #[serde(default)]
    pub ended: Option<Moment>,
}

impl<Op, Ret> Record<Op, Ret> {
    /// An operation that was done between two times.
    pub fn new(
        client: impl ToString,
        op: Op,
        outcome: Outcome<Ret>,
        invoked: Duration,
        ended: Duration,
    ) -> Self {
        Record {
            client: ClientId::new(client),
            op,
            outcome,
            invoked: invoked.into(),
            ended: Some(ended.into()),
        }
    }

    /// Whether it had ended before `other` was invoked.
    pub fn precedes<O, R>(&self, other: &Record<O, R>) -> bool {
        self.ended.is_some_and(|ended| ended < other.invoked)
    }
}
