//! Effects of requests, and messages: each exactly once, at most once, at least once, in order.

use super::error::{CheckError, Counterexample};
use super::record::Outcome;
use super::{History, timeline};
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

/// At most so many faults are listed.
const LISTED: usize = 10;

/// What was asked for, with its outcome, beside what came of it: the effects of requests in a ledger, or the messages that consumers got.
///
/// An effect has an identity, such as the number of an order or a message. What was [`Ok`](Outcome::Ok) should be there, what
/// failed must not, and what is unknown may be.
///
/// ```
/// use squall::history::{Effects, History};
///
/// let history = History::new();
/// let client = history.client("billing");
/// for order in [1, 2, 3] {
///     client.invoke(order).ok(());
/// }
/// let effects = Effects::of(&history, |order| Some(*order));
/// effects.exactly_once([3, 1, 2])?;
/// let error = effects.exactly_once([1, 1, 2]).unwrap_err();
/// assert!(error.to_string().contains("3 is lost"));
/// assert!(error.to_string().contains("1 is there 2 times"));
/// # Ok::<(), squall::history::CheckError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Effects<Id> {
    asked: Vec<Asked<Id>>,
}

#[derive(Clone, Debug)]
struct Asked<Id> {
    id: Id,
    client: String,
    place: usize,
    /// The text of its record.
    line: String,
    outcome: Outcome<()>,
}

impl<Id: Ord + Clone + Debug> Effects<Id> {
    /// The requests of a history: those of which `id` says what effect they should have.
    pub fn of<Op, Ret>(history: &History<Op, Ret>, mut id: impl FnMut(&Op) -> Option<Id>) -> Self
    where
        Op: Clone + Debug,
        Ret: Clone + Debug,
    {
        let mut asked = Vec::new();
        for (place, record) in history.records().into_iter().enumerate() {
            let Some(id) = id(&record.op) else { continue };
            let call = format!("{:?}", record.op);
            let entry = timeline::Entry::of(&record, call, |ret| format!("{ret:?}"));
            asked.push(Asked {
                id,
                client: record.client.to_string(),
                place,
                line: format!("at {} {}", timeline::time(record.invoked.at), entry.line()),
                outcome: match record.outcome {
                    Outcome::Ok(_) => Outcome::Ok(()),
                    Outcome::Failed => Outcome::Failed,
                    Outcome::Unknown => Outcome::Unknown,
                },
            });
        }
        Effects { asked }
    }

    /// Each effect that was asked for is there as often as it was asked for, which is once for most: nothing is lost, duplicated or
    /// there unasked.
    ///
    /// # Errors
    /// With those that are not, and who asked for them.
    pub fn exactly_once(&self, seen: impl IntoIterator<Item = Id>) -> Result<(), CheckError> {
        self.count("exactly once", true, true, seen)
    }

    /// As [`Effects::exactly_once`], but an effect may also be lost.
    ///
    /// # Errors
    /// As [`Effects::exactly_once`].
    pub fn at_most_once(&self, seen: impl IntoIterator<Item = Id>) -> Result<(), CheckError> {
        self.count("at most once", false, true, seen)
    }

    /// As [`Effects::exactly_once`], but an effect may also be there more often.
    ///
    /// # Errors
    /// As [`Effects::exactly_once`].
    pub fn at_least_once(&self, seen: impl IntoIterator<Item = Id>) -> Result<(), CheckError> {
        self.count("at least once", true, false, seen)
    }

    fn count(
        &self,
        rule: &str,
        none_lost: bool,
        none_twice: bool,
        seen: impl IntoIterator<Item = Id>,
    ) -> Result<(), CheckError> {
        let mut times: BTreeMap<Id, usize> = BTreeMap::new();
        for id in seen {
            *times.entry(id).or_default() += 1;
        }
        let mut asked: BTreeMap<&Id, Vec<&Asked<Id>>> = BTreeMap::new();
        for one in &self.asked {
            asked.entry(&one.id).or_default().push(one);
        }
        let mut faults = Vec::new();
        for (id, by) in &asked {
            let there = times.remove(id).unwrap_or(0);
            let of = |outcome| by.iter().filter(|a| a.outcome == outcome).count();
            let (sure, perhaps) = (of(Outcome::Ok(())), of(Outcome::Unknown));
            let what = if none_lost && there < sure {
                match there {
                    0 => format!("{id:?} is lost"),
                    n => format!("{id:?} is there {n} times, and was asked for {sure} times"),
                }
            } else if sure + perhaps == 0 && there > 0 {
                format!("{id:?} is there, though asking for it failed")
            } else if none_twice && there > sure + perhaps {
                format!("{id:?} is there {there} times")
            } else {
                continue;
            };
            faults.push((what, by.clone()));
        }
        for (id, there) in times {
            let times = if there == 1 { "" } else { " more than once" };
            faults.push((
                format!("{id:?} is there{times}, and nobody asked for it"),
                Vec::new(),
            ));
        }
        broken(rule, &faults)
    }

    /// What one client asked for comes in the order in which it did, wherever it comes at all: for messages of a sender to one receiver. Only
    /// requests that are known to have succeeded count, and of what is there more than once its first time.
    ///
    /// # Errors
    /// With the first two that are the wrong way round.
    pub fn in_order(&self, seen: impl IntoIterator<Item = Id>) -> Result<(), CheckError> {
        let mut position: BTreeMap<Id, usize> = BTreeMap::new();
        for (at, id) in seen.into_iter().enumerate() {
            position.entry(id).or_insert(at);
        }
        let mut last: BTreeMap<&str, (usize, &Asked<Id>)> = BTreeMap::new();
        for one in self.asked.iter().filter(|a| a.outcome == Outcome::Ok(())) {
            let Some(at) = position.get(&one.id) else {
                continue;
            };
            let before = last.insert(&one.client, (*at, one));
            if let Some((_, before)) = before.filter(|(other, _)| other > at) {
                let what = format!("{:?} comes before {:?}", one.id, before.id);
                return broken("in order", &[(what, vec![before, one])]);
            }
        }
        Ok(())
    }
}

fn broken<Id>(rule: &str, faults: &[(String, Vec<&Asked<Id>>)]) -> Result<(), CheckError> {
    if faults.is_empty() {
        return Ok(());
    }
    let mut text = String::new();
    for (what, by) in faults.iter().take(LISTED) {
        let _ = writeln!(text, "\n  {what}");
        for one in by.iter().take(LISTED) {
            let _ = writeln!(text, "    {}", one.line);
        }
        text.truncate(text.trim_end().len());
    }
    if faults.len() > LISTED {
        let _ = write!(text, "\n  and {} more", faults.len() - LISTED);
    }
    let operations = faults.iter().flat_map(|f| f.1.iter().map(|a| a.place));
    Err(CheckError::Violated(Counterexample {
        rule: rule.to_owned(),
        part: None,
        operations: operations.collect(),
        text,
    }))
}
