//! A number that is added to and read.

use super::super::Model;
use serde::{Deserialize, Serialize};

/// A counter, 0 at first. It wraps around at the ends of its range.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    initial: i64,
}

impl Counter {
    /// A counter at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter at `initial`.
    pub fn starting_at(initial: i64) -> Self {
        Counter { initial }
    }
}

/// What a counter can do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CounterOp {
    /// Reads the number.
    Get,
    /// Adds so much, which may be less than 0. Returns nothing or the new number.
    Add(i64),
}

/// What a counter returns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CounterRet {
    /// The number; after [`CounterOp::Add`] the new one.
    Value(i64),
    /// It was added.
    Done,
}

impl Model for Counter {
    type State = i64;
    type Op = CounterOp;
    type Ret = CounterRet;

    fn init(&self) -> i64 {
        self.initial
    }

    fn step(&self, state: &i64, op: &CounterOp, ret: &CounterRet) -> Option<i64> {
        match (op, ret) {
            (CounterOp::Get, CounterRet::Value(value)) => (value == state).then_some(*state),
            (CounterOp::Add(n), CounterRet::Done) => Some(state.wrapping_add(*n)),
            (CounterOp::Add(n), CounterRet::Value(value)) => {
                let next = state.wrapping_add(*n);
                (next == *value).then_some(next)
            }
            (CounterOp::Get, CounterRet::Done) => None,
        }
    }

    fn unknown(&self, state: &i64, op: &CounterOp) -> Vec<i64> {
        match op {
            CounterOp::Get => vec![*state],
            CounterOp::Add(n) => vec![state.wrapping_add(*n)],
        }
    }

    fn observes(&self, op: &CounterOp, _: Option<&CounterRet>) -> bool {
        matches!(op, CounterOp::Get | CounterOp::Add(0))
    }

    fn only_in(&self, op: &CounterOp, ret: &CounterRet) -> Option<i64> {
        match (op, ret) {
            (CounterOp::Get, CounterRet::Value(value)) => Some(*value),
            (CounterOp::Add(n), CounterRet::Value(value)) => Some(value.wrapping_sub(*n)),
            (_, CounterRet::Done) => None,
        }
    }

    fn expected(&self, state: &i64, op: &CounterOp) -> Option<CounterRet> {
        Some(CounterRet::Value(match op {
            CounterOp::Get => *state,
            CounterOp::Add(n) => state.wrapping_add(*n),
        }))
    }

    fn show_op(&self, op: &CounterOp) -> String {
        match op {
            CounterOp::Get => "get".to_owned(),
            CounterOp::Add(n) => format!("add {n}"),
        }
    }

    fn show_ret(&self, ret: &CounterRet) -> String {
        match ret {
            CounterRet::Value(value) => value.to_string(),
            CounterRet::Done => "ok".to_owned(),
        }
    }
}
