//! What the log is applied to: a map, and each client's last request with its answer.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op {
    /// Gives a key a value.
    Put(String, String),
    /// Puts at the end of a key's value.
    Append(String, String),
    /// Gives a key the value `to` if it has the value `from`.
    Cas {
        /// The key.
        key: String,
        /// What it must hold; `None` if it must hold nothing.
        from: Option<String>,
        /// What it holds then.
        to: String,
    },
}

/// A client's request to write. It may be sent any number of times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Who asks.
    pub client: String,
    /// Larger than that of the client's request before.
    pub number: u64,
    /// For what.
    pub op: Op,
}

/// What a request came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// Whether the key held what it must.
    Swapped(bool),
    /// The key's value.
    Value(Option<String>),
}

/// The state that the log makes.
#[derive(Debug, Default)]
pub(super) struct Machine {
    values: BTreeMap<String, String>,
    sessions: BTreeMap<String, (u64, Answer)>,
}

impl Machine {
    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.values.get(key).cloned()
    }

    /// The answer to a request, if it is the client's last.
    pub(super) fn answer(&self, client: &str, number: u64) -> Option<Answer> {
        let (last, answer) = self.sessions.get(client)?;
        (*last == number).then(|| answer.clone())
    }

    pub(super) fn apply(&mut self, command: &Command, dedup: bool) {
        let last = self
            .sessions
            .get(&command.client)
            .map_or(0, |(last, _)| *last);
        if dedup && command.number <= last {
            return;
        }
        let answer = match &command.op {
            Op::Put(key, value) => {
                self.values.insert(key.clone(), value.clone());
                Answer::Done
            }
            Op::Append(key, value) => {
                self.values.entry(key.clone()).or_default().push_str(value);
                Answer::Done
            }
            Op::Cas { key, from, to } => {
                let holds = self.values.get(key) == from.as_ref();
                if holds {
                    self.values.insert(key.clone(), to.clone());
                }
                Answer::Swapped(holds)
            }
        };
        self.sessions
            .insert(command.client.clone(), (command.number, answer));
    }
}
