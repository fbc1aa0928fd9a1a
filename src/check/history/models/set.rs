//! A set of items.

use super::super::Model;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// A set, empty at first. Where nothing reads the set as a whole, each item is checked alone.
#[derive(Clone, Debug)]
pub struct Set<T> {
    items: PhantomData<fn() -> T>,
}

impl<T> Set<T> {
    /// An empty set.
    pub fn new() -> Self {
        Set { items: PhantomData }
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a set can do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SetOp<T> {
    /// Adds an item. Returns nothing, or whether it was new.
    Add(T),
    /// Removes an item. Returns nothing, or whether it was there.
    Remove(T),
    /// Whether the item is there.
    Contains(T),
    /// All items.
    Read,
}

/// What a set returns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SetRet<T: Ord> {
    /// It was done.
    Done,
    /// Whether an item was new (`Add`) or there (`Remove`, `Contains`).
    Was(bool),
    /// All items.
    Items(BTreeSet<T>),
}

impl<T: Clone + Ord + Hash + Debug> Model for Set<T> {
    type State = BTreeSet<T>;
    type Op = SetOp<T>;
    type Ret = SetRet<T>;

    fn init(&self) -> BTreeSet<T> {
        BTreeSet::new()
    }

    fn step(&self, state: &BTreeSet<T>, op: &SetOp<T>, ret: &SetRet<T>) -> Option<BTreeSet<T>> {
        let (changed, next) = match op {
            SetOp::Add(item) => {
                let mut next = state.clone();
                (next.insert(item.clone()), next)
            }
            SetOp::Remove(item) => {
                let mut next = state.clone();
                (next.remove(item), next)
            }
            SetOp::Contains(item) => {
                let right = *ret == SetRet::Was(state.contains(item));
                return right.then(|| state.clone());
            }
            SetOp::Read => {
                let right = matches!(ret, SetRet::Items(items) if items == state);
                return right.then(|| state.clone());
            }
        };
        (*ret == SetRet::Done || *ret == SetRet::Was(changed)).then_some(next)
    }

    fn unknown(&self, state: &BTreeSet<T>, op: &SetOp<T>) -> Vec<BTreeSet<T>> {
        match op {
            SetOp::Add(_) | SetOp::Remove(_) => {
                self.step(state, op, &SetRet::Done).into_iter().collect()
            }
            SetOp::Contains(_) | SetOp::Read => vec![state.clone()],
        }
    }

    fn partition(&self, op: &SetOp<T>) -> Option<String> {
        match op {
            SetOp::Add(item) | SetOp::Remove(item) | SetOp::Contains(item) => {
                Some(format!("{item:?}"))
            }
            SetOp::Read => None,
        }
    }

    fn observes(&self, op: &SetOp<T>, ret: Option<&SetRet<T>>) -> bool {
        matches!(op, SetOp::Contains(_) | SetOp::Read) || ret == Some(&SetRet::Was(false))
    }

    fn only_in(&self, op: &SetOp<T>, ret: &SetRet<T>) -> Option<BTreeSet<T>> {
        match (op, ret) {
            (SetOp::Read, SetRet::Items(items)) => Some(items.clone()),
            _ => None,
        }
    }

    fn expected(&self, state: &BTreeSet<T>, op: &SetOp<T>) -> Option<SetRet<T>> {
        Some(match op {
            SetOp::Add(item) => SetRet::Was(!state.contains(item)),
            SetOp::Remove(item) | SetOp::Contains(item) => SetRet::Was(state.contains(item)),
            SetOp::Read => SetRet::Items(state.clone()),
        })
    }

    fn show_op(&self, op: &SetOp<T>) -> String {
        match op {
            SetOp::Add(item) => format!("add {item:?}"),
            SetOp::Remove(item) => format!("remove {item:?}"),
            SetOp::Contains(item) => format!("contains {item:?}"),
            SetOp::Read => "read all".to_owned(),
        }
    }

    fn show_ret(&self, ret: &SetRet<T>) -> String {
        match ret {
            SetRet::Done => "ok".to_owned(),
            SetRet::Was(was) => was.to_string(),
            SetRet::Items(items) => format!("{items:?}"),
        }
    }
}
