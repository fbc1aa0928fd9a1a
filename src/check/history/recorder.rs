//! Recording: the history that a test's clients write, and the guard of an operation under way.
//!
//! A history is shared by tasks, threads and hosts. Nothing here waits, and no other thread gets a turn while the lock is
//! held, so that a host that crashes cannot leave it locked.

use super::record::{ClientId, Moment, Outcome, Record};
use crate::kernel;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the clients of a test did, and what came of it.
///
/// A handle: clones share one history. [`History::client`] is who records; the checkers are methods:
/// [`check`](History::check) and [`check_sequential`](History::check_sequential), and [`Sessions`](super::Sessions),
/// [`Effects`](super::Effects), [`Conservation`](super::Conservation) and [`Matrix`](super::Matrix) take a history. Works outside of
/// a simulation too: times are then those since the history was made.
///
/// ```
/// use squall::history::{History, Register, RegisterOp, RegisterRet};
///
/// let history = History::new();
/// let (a, b) = (history.client("a"), history.client("b"));
/// a.invoke(RegisterOp::Write(1)).ok(RegisterRet::Written);
/// b.invoke(RegisterOp::Read).ok(RegisterRet::Value(1));
/// history.check(&Register::new(0))?;
/// # Ok::<(), squall::history::CheckError>(())
/// ```
#[derive(Debug)]
pub struct History<Op, Ret> {
    kept: Arc<Kept<Op, Ret>>,
}

#[derive(Debug)]
struct Kept<Op, Ret> {
    inner: Mutex<Inner<Op, Ret>>,
    /// Where time is counted from outside a simulation.
    started: Option<Instant>,
}

#[derive(Debug)]
struct Inner<Op, Ret> {
    records: Vec<Record<Op, Ret>>,
    events: u64,
    quiet: Option<Moment>,
}

impl<Op, Ret> Clone for History<Op, Ret> {
    fn clone(&self) -> Self {
        History {
            kept: self.kept.clone(),
        }
    }
}

impl<Op, Ret> Default for History<Op, Ret> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Op, Ret> FromIterator<Record<Op, Ret>> for History<Op, Ret> {
    /// A history of operations from elsewhere, in any order.
    fn from_iter<I: IntoIterator<Item = Record<Op, Ret>>>(records: I) -> Self {
        let history = Self::new();
        {
            let mut inner = history.kept.lock();
            inner.records = records.into_iter().collect();
            inner.records.sort_by_key(|r| r.invoked);
            let moments = inner
                .records
                .iter()
                .flat_map(|r| [Some(r.invoked), r.ended]);
            inner.events = moments.flatten().map(|m| m.order + 1).max().unwrap_or(0);
        }
        history
    }
}

impl<Op, Ret> Kept<Op, Ret> {
    fn lock(&self) -> MutexGuard<'_, Inner<Op, Ret>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        match self.started {
            Some(started) => started.elapsed(),
            None => Duration::from_nanos(kernel::now().unwrap_or(0)),
        }
    }
}

impl<Op, Ret> Inner<Op, Ret> {
    fn moment(&mut self, at: Duration) -> Moment {
        self.events += 1;
        Moment {
            at,
            order: self.events - 1,
        }
    }
}

impl<Op, Ret> History<Op, Ret> {
    /// An empty history.
    pub fn new() -> Self {
        History {
            kept: Arc::new(Kept {
                inner: Mutex::new(Inner {
                    records: Vec::new(),
                    events: 0,
                    quiet: None,
                }),
                started: (!kernel::in_simulation()).then(Instant::now),
            }),
        }
    }

    /// A client of this name or number. A client does one thing at a time.
    pub fn client(&self, name: impl ToString) -> Client<Op, Ret> {
        Client {
            history: self.clone(),
            id: ClientId::new(name),
        }
    }

    /// From now on nothing is written any more, and what is read must be the same everywhere: for
    /// [`Sessions::converged`](super::Sessions::converged) and operations that a matrix declares eventual.
    pub fn quiet_from_now(&self) {
        let at = self.kept.now();
        kernel::keep_turn(|| {
            let mut inner = self.kept.lock();
            inner.quiet = Some(inner.moment(at));
        });
    }

    /// As [`History::quiet_from_now`], for data from elsewhere.
    pub fn quiet_from(&self, moment: impl Into<Moment>) {
        self.kept.lock().quiet = Some(moment.into());
    }

    /// Since when nothing is written, if anybody said so.
    pub fn quiet(&self) -> Option<Moment> {
        self.kept.lock().quiet
    }

    /// How many operations were begun.
    pub fn len(&self) -> usize {
        self.kept.lock().records.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All operations so far, in the order in which they were invoked. Those under way are [`Outcome::Unknown`].
    pub fn records(&self) -> Vec<Record<Op, Ret>>
    where
        Op: Clone,
        Ret: Clone,
    {
        kernel::keep_turn(|| self.kept.lock().records.clone())
    }
}

/// Who records in a history. Clones are the same client, which does one thing at a time.
#[derive(Debug)]
pub struct Client<Op, Ret> {
    history: History<Op, Ret>,
    id: ClientId,
}

impl<Op, Ret> Clone for Client<Op, Ret> {
    fn clone(&self) -> Self {
        Client {
            history: self.history.clone(),
            id: self.id.clone(),
        }
    }
}

impl<Op: Debug, Ret: Debug> Client<Op, Ret> {
    /// The client's name.
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// An operation begins. Its outcome is unknown until the guard is told another.
    pub fn invoke(&self, op: Op) -> Pending<Op, Ret> {
        kernel::note("op", || {
            note::<Op, Ret>(&self.id, "invoke", Some(&op), None)
        });
        let at = self.history.kept.now();
        let client = self.id.clone();
        let index = kernel::keep_turn(|| {
            let mut inner = self.history.kept.lock();
            let invoked = inner.moment(at);
            inner.records.push(Record {
                client,
                op,
                outcome: Outcome::Unknown,
                invoked,
                ended: None,
            });
            inner.records.len() - 1
        });
        Pending {
            client: self.clone(),
            index,
            over: false,
        }
    }

    /// Does an operation: `Ok` is what it returned, and after an `Err` nobody knows whether it took effect. Where errors say more than that,
    /// use [`Client::call_with`]. A future that is dropped before it is ready leaves the outcome unknown.
    ///
    /// # Errors
    /// Those of `future`.
    pub async fn call<F, E>(&self, op: Op, future: F) -> Result<Ret, E>
    where
        F: Future<Output = Result<Ret, E>>,
        Ret: Clone,
    {
        let classify = |result: &Result<Ret, E>| match result {
            Ok(ret) => Outcome::Ok(ret.clone()),
            Err(_) => Outcome::Unknown,
        };
        self.call_with(op, future, classify).await
    }

    /// Does an operation whose outcome `classify` tells from what the future came to.
    ///
    /// ```
    /// use squall::history::{Client, Outcome, RegisterOp, RegisterRet};
    ///
    /// async fn read(client: &Client<RegisterOp<u8>, RegisterRet<u8>>) -> std::io::Result<u8> {
    ///     let reading = async { std::io::Result::Ok(7) };
    ///     client
    ///         .call_with(RegisterOp::Read, reading, |read| match read {
    ///             Ok(value) => Outcome::Ok(RegisterRet::Value(*value)),
    ///             Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => Outcome::Failed,
    ///             Err(_) => Outcome::Unknown,
    ///         })
    ///         .await
    /// }
    /// ```
    pub async fn call_with<F, C>(&self, op: Op, future: F, classify: C) -> F::Output
    where
        F: Future,
        C: FnOnce(&F::Output) -> Outcome<Ret>,
    {
        let pending = self.invoke(op);
        let output = future.await;
        pending.end(classify(&output));
        output
    }
}

/// An operation under way. Dropped without having been told how it ended, it ends as unknown: a client that was cancelled.
#[derive(Debug)]
#[must_use = "dropped at once, the operation's outcome is unknown"]
pub struct Pending<Op: Debug, Ret: Debug> {
    client: Client<Op, Ret>,
    index: usize,
    over: bool,
}

impl<Op: Debug, Ret: Debug> Pending<Op, Ret> {
    /// It took effect and returned this.
    pub fn ok(self, ret: Ret) {
        self.end(Outcome::Ok(ret));
    }

    /// It certainly had no effect and never will.
    pub fn failed(self) {
        self.end(Outcome::Failed);
    }

    /// Nobody knows.
    pub fn unknown(self) {
        self.end(Outcome::Unknown);
    }

    /// It ended so.
    pub fn end(mut self, outcome: Outcome<Ret>) {
        self.set(outcome);
    }

    fn set(&mut self, outcome: Outcome<Ret>) {
        self.over = true;
        let kept = &self.client.history.kept;
        let at = kept.now();
        kernel::keep_turn(|| {
            let mut inner = kept.lock();
            let ended = inner.moment(at);
            let record = &mut inner.records[self.index];
            record.outcome = outcome;
            record.ended = Some(ended);
        });
        kernel::note("op", || {
            let inner = kept.lock();
            let record = &inner.records[self.index];
            let outcome = Some(&record.outcome);
            note(&record.client, "end", Some(&record.op), outcome)
        });
    }
}

impl<Op: Debug, Ret: Debug> Drop for Pending<Op, Ret> {
    fn drop(&mut self) {
        if !self.over {
            self.set(Outcome::Unknown);
        }
    }
}

/// An operation's event, for the record of a run that is told.
fn note<Op: Debug, Ret: Debug>(
    client: &ClientId,
    phase: &str,
    op: Option<&Op>,
    outcome: Option<&Outcome<Ret>>,
) -> String {
    let mut fields = serde_json::Map::new();
    let mut put = |name: &str, value: String| fields.insert(name.to_owned(), value.into());
    put("client", client.to_string());
    put("phase", phase.to_owned());
    if let Some(op) = op {
        put("op", format!("{op:?}"));
    }
    if let Some(outcome) = outcome {
        let (kind, ret) = match outcome {
            Outcome::Ok(ret) => ("ok", Some(format!("{ret:?}"))),
            Outcome::Failed => ("failed", None),
            Outcome::Unknown => ("unknown", None),
        };
        put("outcome", kind.to_owned());
        if let Some(ret) = ret {
            put("returned", ret);
        }
    }
    serde_json::Value::Object(fields).to_string()
}
