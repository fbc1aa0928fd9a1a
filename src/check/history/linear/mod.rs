//! Whether the operations of a history can be put into one order that a model allows: linearizability and sequential
//! consistency. `space` turns a history into numbers, `search` looks for the order, `minimal` and `tell` make a
//! counterexample of a history that has none.

mod facts;
mod minimal;
mod problem;
mod search;
mod space;
mod tell;

use super::error::{CheckError, Counterexample};
use super::record::Record;
use super::{History, Model};
use crate::kernel;
use problem::{Found, Limits, Order};
use search::Search;
use space::Space;
use std::collections::BTreeMap;

/// What a check may cost before it says that it is undecided.
///
/// Counted in steps and not in time, so that the same history gets the same verdict on every machine and in every replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    /// Steps of the search for each part of the history: about so many calls of the model. Default 500,000, which is about a
    /// second.
    pub steps: u64,
    /// Bytes of memory for what was tried, for each part. Default 1 GiB.
    pub memory: usize,
}

impl Default for Bound {
    fn default() -> Self {
        Bound {
            steps: 500_000,
            memory: 1 << 30,
        }
    }
}

/// What was checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Operations that were put in order or might have been; those that failed are not counted.
    pub operations: usize,
    /// Parts that were checked alone: keys, for most models.
    pub parts: usize,
    /// Steps of the search.
    pub steps: u64,
}

impl<Op: Clone, Ret: Clone> History<Op, Ret> {
    /// Whether the history is linearizable (Herlihy and Wing, 1990): each operation seems to take effect at one moment between its
    /// invocation and its end. One whose outcome is unknown may do so at any time after its invocation, or never.
    ///
    /// ```
    /// use squall::history::{History, KeyValue, KeyValueOp, KeyValueRet};
    ///
    /// let history = History::new();
    /// let (a, b) = (history.client("a"), history.client("b"));
    /// a.invoke(KeyValueOp::Put("x", 1)).ok(KeyValueRet::Done);
    /// a.invoke(KeyValueOp::Put("x", 2)).ok(KeyValueRet::Done);
    /// b.invoke(KeyValueOp::Get("x")).ok(KeyValueRet::Value(Some(1)));
    /// let stale = history.check(&KeyValue::new()).unwrap_err();
    /// assert!(stale.to_string().contains("it holds 2"), "{stale}");
    /// ```
    ///
    /// # Errors
    /// With a counterexample, as small as was found, if it is not; if that could not be decided within the default [`Bound`];
    /// and if an operation ends before it begins.
    pub fn check<M: Model<Op = Op, Ret = Ret>>(&self, model: &M) -> Result<Checked, CheckError> {
        self.check_within(model, Bound::default())
    }

    /// As [`History::check`], within another bound.
    ///
    /// # Errors
    /// As [`History::check`].
    pub fn check_within<M>(&self, model: &M, bound: Bound) -> Result<Checked, CheckError>
    where
        M: Model<Op = Op, Ret = Ret>,
    {
        let records = self.records();
        kernel::keep_turn(|| check(model, &records, Order::RealTime, bound))
    }

    /// Whether each part of the history, each key say, is sequentially consistent (Lamport, 1979): there is an order that the model allows
    /// and in which what a client did comes in the order in which it did it. A read may be stale, but never goes back.
    ///
    /// That each part is does not mean that all of them are together.
    ///
    /// # Errors
    /// As [`History::check`], and if a client did two things at once.
    pub fn check_sequential<M>(&self, model: &M) -> Result<Checked, CheckError>
    where
        M: Model<Op = Op, Ret = Ret>,
    {
        self.check_sequential_within(model, Bound::default())
    }

    /// As [`History::check_sequential`], within another bound.
    ///
    /// # Errors
    /// As [`History::check_sequential`].
    pub fn check_sequential_within<M>(&self, model: &M, bound: Bound) -> Result<Checked, CheckError>
    where
        M: Model<Op = Op, Ret = Ret>,
    {
        let records = self.records();
        kernel::keep_turn(|| check(model, &records, Order::Program, bound))
    }
}

fn rule(order: Order) -> &'static str {
    match order {
        Order::RealTime => "linearizable",
        Order::Program => "sequentially consistent",
    }
}

/// As [`History::check_within`], of these operations.
pub(super) fn linearizable<M: Model>(
    model: &M,
    records: &[Record<M::Op, M::Ret>],
    bound: Bound,
) -> Result<Checked, CheckError> {
    kernel::keep_turn(|| check(model, records, Order::RealTime, bound))
}

fn check<M: Model>(
    model: &M,
    records: &[Record<M::Op, M::Ret>],
    order: Order,
    bound: Bound,
) -> Result<Checked, CheckError> {
    well_formed(model, records, order)?;
    let limits = Limits {
        steps: bound.steps,
        words: bound.memory / 8,
    };
    let mut checked = Checked::default();
    let mut undecided = None;
    for (name, places) in parts(model, records) {
        let mut space = Space::new(model, records);
        let items = space.items(&places);
        let (found, steps) = Search::new(&items, &mut space, order, limits, false).run();
        checked.operations += items.len();
        checked.parts += 1;
        checked.steps += steps;
        match found {
            Found::Order(_) => {}
            Found::GaveUp => {
                let what = match &name {
                    Some(name) => format!("{} at {name}", rule(order)),
                    None => rule(order).to_owned(),
                };
                let operations = items.len();
                undecided.get_or_insert(CheckError::Undecided {
                    what,
                    steps,
                    operations,
                });
            }
            Found::Nothing { .. } => {
                let (operations, text) = tell::counterexample(&mut space, items, order, limits);
                return Err(CheckError::Violated(Counterexample {
                    rule: rule(order).to_owned(),
                    part: name,
                    operations,
                    text,
                }));
            }
        }
    }
    undecided.map_or(Ok(checked), Err)
}

/// The parts that can be checked alone; all in one if an operation is about everything.
fn parts<M: Model>(
    model: &M,
    records: &[Record<M::Op, M::Ret>],
) -> Vec<(Option<String>, Vec<usize>)> {
    let mut parts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        match model.partition(&record.op) {
            Some(name) => parts.entry(name).or_default().push(place),
            None => return vec![(None, (0..records.len()).collect())],
        }
    }
    parts
        .into_iter()
        .map(|(name, places)| (Some(name), places))
        .collect()
}

fn well_formed<M: Model>(
    model: &M,
    records: &[Record<M::Op, M::Ret>],
    order: Order,
) -> Result<(), CheckError> {
    let say = |record: &Record<M::Op, M::Ret>| {
        format!("{}: {}", record.client, model.show_op(&record.op))
    };
    let wrong = |why| {
        Err(CheckError::unfit(
            &format!("whether it is {}", rule(order)),
            why,
        ))
    };
    let mut last: BTreeMap<_, &Record<M::Op, M::Ret>> = BTreeMap::new();
    let mut by_start: Vec<_> = records.iter().collect();
    by_start.sort_by_key(|r| r.invoked);
    for record in by_start {
        if record.ended.is_some_and(|ended| ended < record.invoked) {
            return wrong(format!("`{}` ends before it is invoked", say(record)));
        }
        if record.ended.is_none() && record.outcome.ok().is_some() {
            return wrong(format!(
                "`{}` returned, but has no end; give it one, or the outcome Unknown",
                say(record)
            ));
        }
        if order == Order::Program && record.outcome.ok().is_some() {
            let before = last.insert(&record.client, record);
            if let Some(before) = before.filter(|b| b.ended > Some(record.invoked)) {
                return wrong(format!(
                    "`{}` begins while `{}` is under way: who does two things at once is two clients",
                    say(record),
                    say(before)
                ));
            }
        }
    }
    Ok(())
}
