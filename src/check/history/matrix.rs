//! Each operation as strong as was promised: strong, causal or eventual.

use super::error::CheckError;
use super::linear::{Bound, linearizable};
use super::record::{Outcome, Record};
use super::sessions::{Access, Part, Sessions};
use super::{History, Model};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// What is promised of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// Once everything is quiet, all reads agree ([`Sessions::converged`]).
    Eventual,
    /// The session guarantees and causal order ([`Sessions::causal`]), among the causal and strong operations.
    Causal,
    /// Linearizable among the strong operations ([`History::check`]).
    Strong,
}

/// What is promised of each operation, by its name. In a file it is a table of names:
///
/// ```
/// use squall::history::{Consistency, Matrix};
///
/// let text = r#"{ "get": "strong", "put": "strong", "list": "eventual" }"#;
/// let matrix: Matrix = serde_json::from_str(text)?;
/// assert_eq!(matrix.of("list"), Some(Consistency::Eventual));
/// assert!(serde_json::from_str::<Matrix>(r#"{ "get": "stong" }"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// A weaker operation's write counts for stronger ones as well: for them it may take effect at any time after its invocation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Matrix {
    promised: BTreeMap<String, Consistency>,
}

impl Matrix {
    /// Nothing is promised of anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// These operations are strong.
    pub fn strong<N: ToString>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.with(names, Consistency::Strong)
    }

    /// These operations are causal.
    pub fn causal<N: ToString>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.with(names, Consistency::Causal)
    }

    /// These operations are eventual.
    pub fn eventual<N: ToString>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.with(names, Consistency::Eventual)
    }

    fn with<N: ToString>(mut self, names: impl IntoIterator<Item = N>, what: Consistency) -> Self {
        let names = names.into_iter().map(|n| (n.to_string(), what));
        self.promised.extend(names);
        self
    }

    /// What is promised of the operation of this name.
    pub fn of(&self, name: &str) -> Option<Consistency> {
        self.promised.get(name).copied()
    }

    /// Whether each declared operation is one of these: for files, before anything runs.
    ///
    /// # Errors
    /// With the name that there is not, and the nearest that there is.
    pub fn knows_only(&self, names: &[&str]) -> Result<(), CheckError> {
        let known = |name: &&String| names.contains(&name.as_str());
        match self.promised.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => {
                let nearest = nearest(name, names.iter().copied());
                let why = format!("there is no operation `{name}`{nearest}");
                Err(CheckError::unfit("the consistency matrix", why))
            }
        }
    }

    /// Checks a history. `name` says which operation of the matrix a record is, `accesses` what it read and wrote.
    ///
    /// ```
    /// use squall::history::{History, KeyValue, KeyValueOp, KeyValueRet, Matrix};
    ///
    /// let history = History::new();
    /// let (a, b) = (history.client("a"), history.client("b"));
    /// a.invoke(KeyValueOp::Put("x", 1)).ok(KeyValueRet::Done);
    /// b.invoke(KeyValueOp::Get("x")).ok(KeyValueRet::Value(None));
    /// let check = |matrix: Matrix| {
    ///     matrix.check(&history, &KeyValue::new(), |op| op.name(), KeyValueOp::accesses)
    /// };
    /// check(Matrix::new().causal(["get", "put"]))?;
    /// assert!(check(Matrix::new().strong(["get", "put"])).is_err());
    /// # Ok::<(), squall::history::CheckError>(())
    /// ```
    ///
    /// # Errors
    /// Of an operation that breaks its promise, with the level at the end of the text; if an operation is not in the matrix; and what
    /// the checkers of the levels refuse.
    pub fn check<M, N, K, V>(
        &self,
        history: &History<M::Op, M::Ret>,
        model: &M,
        name: impl Fn(&M::Op) -> N,
        accesses: impl Fn(&M::Op, Option<&M::Ret>) -> Vec<Access<K, V>>,
    ) -> Result<(), CheckError>
    where
        M: Model,
        N: AsRef<str>,
        K: Ord + Clone + Debug,
        V: Ord + Clone + Debug,
    {
        let records = history.records();
        let mut levels = Vec::new();
        for record in &records {
            let name = name(&record.op);
            let Some(level) = self.of(name.as_ref()) else {
                let nearest = nearest(name.as_ref(), self.promised.keys().map(String::as_str));
                let why = format!(
                    "`{}: {}` is an operation `{}`, of which nothing is promised{nearest}; declare it strong, causal or eventual",
                    record.client,
                    model.show_op(&record.op),
                    name.as_ref()
                );
                return Err(CheckError::unfit("the consistency matrix", why));
            };
            levels.push(level);
        }
        let present: BTreeSet<Consistency> = levels.iter().copied().collect();
        if present.contains(&Consistency::Strong) {
            let strong = strong(model, &records, &levels);
            linearizable(model, &strong, Bound::default()).map_err(|e| says(e, "strong"))?;
        }
        if present.contains(&Consistency::Causal) {
            let part = |place: usize| match levels[place] {
                Consistency::Eventual => Part::Writes,
                Consistency::Causal | Consistency::Strong => Part::Whole,
            };
            let sessions = Sessions::among(&records, history.quiet(), &accesses, part);
            let all = |sessions: Sessions| {
                sessions.causal()?;
                sessions.read_your_writes()?;
                sessions.monotonic_reads()?;
                sessions.monotonic_writes()?;
                sessions.writes_follow_reads()
            };
            sessions.and_then(all).map_err(|e| says(e, "causal"))?;
        }
        if present.contains(&Consistency::Eventual) {
            let sessions = Sessions::among(&records, history.quiet(), &accesses, |_| Part::Whole);
            sessions
                .and_then(|s| s.converged())
                .map_err(|e| says(e, "eventual"))?;
        }
        Ok(())
    }
}

/// The history as the strong operations see it.
fn strong<M: Model>(
    model: &M,
    records: &[Record<M::Op, M::Ret>],
    levels: &[Consistency],
) -> Vec<Record<M::Op, M::Ret>> {
    let as_seen = |(record, level): (&Record<M::Op, M::Ret>, &Consistency)| {
        let mut record = record.clone();
        if *level != Consistency::Strong && record.outcome != Outcome::Failed {
            let observes = model.observes(&record.op, record.outcome.ok());
            record.outcome = if observes {
                Outcome::Failed
            } else {
                Outcome::Unknown
            };
            record.ended = None;
        }
        record
    };
    records.iter().zip(levels).map(as_seen).collect()
}

/// The error, with the level at which it was found.
fn says(mut error: CheckError, level: &str) -> CheckError {
    let add = |text: &mut String| {
        *text = format!("{}\n(of the operations declared {level})", text.trim_end())
    };
    match &mut error {
        CheckError::Violated(counterexample) => add(&mut counterexample.text),
        CheckError::Unfit { why, .. } => add(why),
        CheckError::Undecided { what, .. } => {
            *what += &format!(" (of the operations declared {level})")
        }
    }
    error
}

/// The name that is nearest to one that is not there, to be put into a message.
fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> String {
    let near = crate::nearest::nearest(name, among);
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
