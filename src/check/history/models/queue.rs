//! A first-in first-out queue.

use super::super::Model;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// A queue without a bound, empty at first: what goes in first comes out first.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    items: PhantomData<fn() -> T>,
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Queue { items: PhantomData }
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a queue can do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum QueueOp<T> {
    /// Puts an item in.
    Enqueue(T),
    /// Takes the first item out.
    Dequeue,
}

/// What a queue returns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum QueueRet<T> {
    /// The item is in.
    Done,
    /// What came out; `None`: the queue was empty.
    Item(Option<T>),
}

impl<T: Clone + Eq + Hash + Debug> Model for Queue<T> {
    type State = VecDeque<T>;
    type Op = QueueOp<T>;
    type Ret = QueueRet<T>;

    fn init(&self) -> VecDeque<T> {
        VecDeque::new()
    }

    fn step(&self, state: &VecDeque<T>, op: &QueueOp<T>, ret: &QueueRet<T>) -> Option<VecDeque<T>> {
        match (op, ret) {
            (QueueOp::Enqueue(_), QueueRet::Done) => self.unknown(state, op).pop(),
            (QueueOp::Dequeue, QueueRet::Item(item)) if item.as_ref() == state.front() => {
                self.unknown(state, op).pop()
            }
            _ => None,
        }
    }

    fn unknown(&self, state: &VecDeque<T>, op: &QueueOp<T>) -> Vec<VecDeque<T>> {
        let mut next = state.clone();
        match op {
            QueueOp::Enqueue(item) => next.push_back(item.clone()),
            QueueOp::Dequeue => drop(next.pop_front()),
        }
        vec![next]
    }

    fn observes(&self, _: &QueueOp<T>, ret: Option<&QueueRet<T>>) -> bool {
        matches!(ret, Some(QueueRet::Item(None)))
    }

    fn expected(&self, state: &VecDeque<T>, op: &QueueOp<T>) -> Option<QueueRet<T>> {
        Some(match op {
            QueueOp::Enqueue(_) => QueueRet::Done,
            QueueOp::Dequeue => QueueRet::Item(state.front().cloned()),
        })
    }

    fn show_op(&self, op: &QueueOp<T>) -> String {
        match op {
            QueueOp::Enqueue(item) => format!("enqueue {item:?}"),
            QueueOp::Dequeue => "dequeue".to_owned(),
        }
    }

    fn show_ret(&self, ret: &QueueRet<T>) -> String {
        match ret {
            QueueRet::Done => "ok".to_owned(),
            QueueRet::Item(Some(item)) => format!("{item:?}"),
            QueueRet::Item(None) => "empty".to_owned(),
        }
    }
}
