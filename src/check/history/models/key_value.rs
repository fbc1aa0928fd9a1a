//! A map of keys to values, each key checked alone.

use super::super::{Access, Model};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// What a key-value store holds. Numbers, texts, vectors and others are values; for a type of your own it is one line:
/// `impl Value for Mine {}`.
pub trait Value: Clone + Eq + Hash + Debug {
    /// `self` with `more` at its end, for [`KeyValueOp::Append`].
    ///
    /// # Panics
    /// By default: texts and vectors can be appended to, others say how.
    fn append(&self, more: &Self) -> Self {
        let _ = more;
        panic!(
            "values of type {} cannot be appended to: implement squall::history::Value::append for them",
            std::any::type_name::<Self>()
        )
    }
}

macro_rules! values {
    ($($t:ty),*) => { $(impl Value for $t {})* };
}

values!(
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    bool,
    char,
    (),
    &'static str
);

impl Value for String {
    fn append(&self, more: &Self) -> Self {
        format!("{self}{more}")
    }
}

impl<T: Clone + Eq + Hash + Debug> Value for Vec<T> {
    fn append(&self, more: &Self) -> Self {
        self.iter().chain(more).cloned().collect()
    }
}

/// A key-value store, empty at first. Every operation is about one key.
#[derive(Clone, Debug)]
pub struct KeyValue<K, V> {
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> KeyValue<K, V> {
    /// An empty store.
    pub fn new() -> Self {
        KeyValue { types: PhantomData }
    }
}

impl<K, V> Default for KeyValue<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a key-value store can do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum KeyValueOp<K, V> {
    /// The value of a key.
    Get(K),
    /// Gives a key a value.
    Put(K, V),
    /// Puts at the end of a key's value, or in its place if it has none. Returns nothing or the new value.
    Append(K, V),
    /// Takes a key away. Returns nothing, or whether it was there.
    Delete(K),
    /// Gives a key the value `to` if it has the value `from` (`None`: if it has none).
    Cas {
        /// The key.
        key: K,
        /// What it must hold.
        from: Option<V>,
        /// What it holds then.
        to: V,
    },
}

impl<K, V> KeyValueOp<K, V> {
    /// The key that the operation is about.
    pub fn key(&self) -> &K {
        match self {
            KeyValueOp::Get(key)
            | KeyValueOp::Put(key, _)
            | KeyValueOp::Append(key, _)
            | KeyValueOp::Delete(key)
            | KeyValueOp::Cas { key, .. } => key,
        }
    }

    /// The operation's name: `get`, `put`, `append`, `delete`, `cas`.
    pub fn name(&self) -> &'static str {
        match self {
            KeyValueOp::Get(_) => "get",
            KeyValueOp::Put(..) => "put",
            KeyValueOp::Append(..) => "append",
            KeyValueOp::Delete(_) => "delete",
            KeyValueOp::Cas { .. } => "cas",
        }
    }
}

impl<K: Clone, V: Clone> KeyValueOp<K, V> {
    /// What it read and wrote when it returned `ret`, for [`Sessions`](super::super::Sessions) and
    /// [`Matrix`](super::super::Matrix). An append should return the new value, since nobody knows it otherwise.
    pub fn accesses(&self, ret: Option<&KeyValueRet<V>>) -> Vec<Access<K, V>> {
        let key = self.key().clone();
        match (self, ret) {
            (Op::Get(_), Some(Ret::Value(value))) => vec![Access::Read(key, value.clone())],
            (Op::Put(_, value), _) => vec![Access::Write(key, Some(value.clone()))],
            (Op::Append(..), Some(Ret::Value(value))) => vec![Access::Write(key, value.clone())],
            (Op::Append(..), _) => vec![Access::Changed(key)],
            (Op::Delete(_), Some(Ret::Was(false))) => vec![Access::Read(key, None)],
            (Op::Delete(_), _) => vec![Access::Write(key, None)],
            (Op::Cas { from, to, .. }, Some(Ret::Swapped(true))) => vec![
                Access::Read(key.clone(), from.clone()),
                Access::Write(key, Some(to.clone())),
            ],
            (Op::Cas { to, .. }, None) => vec![Access::Write(key, Some(to.clone()))],
            (Op::Get(_) | Op::Cas { .. }, _) => Vec::new(),
        }
    }
}

/// What a key-value store returns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum KeyValueRet<V> {
    /// The key's value, if it has one.
    Value(Option<V>),
    /// It was done.
    Done,
    /// Whether a deleted key was there.
    Was(bool),
    /// Whether a compare-and-set found what it looked for.
    Swapped(bool),
}

use KeyValueOp as Op;
use KeyValueRet as Ret;

impl<K: Clone + Eq + Debug, V: Value> Model for KeyValue<K, V> {
    /// Of one key.
    type State = Option<V>;
    type Op = KeyValueOp<K, V>;
    type Ret = KeyValueRet<V>;

    fn init(&self) -> Option<V> {
        None
    }

    fn step(&self, state: &Option<V>, op: &Self::Op, ret: &Self::Ret) -> Option<Option<V>> {
        let same = || state.clone();
        match (op, ret) {
            (Op::Get(_), Ret::Value(value)) => (value == state).then(same),
            (Op::Put(_, value), Ret::Done) => Some(Some(value.clone())),
            (Op::Append(..), Ret::Done) => self.unknown(state, op).pop(),
            (Op::Append(..), Ret::Value(value)) => {
                self.unknown(state, op).pop().filter(|next| next == value)
            }
            (Op::Delete(_), Ret::Done) => Some(None),
            (Op::Delete(_), Ret::Was(was)) => (state.is_some() == *was).then_some(None),
            (Op::Cas { from, to, .. }, Ret::Swapped(true)) => {
                (state == from).then(|| Some(to.clone()))
            }
            (Op::Cas { from, .. }, Ret::Swapped(false)) => (state != from).then(same),
            _ => None,
        }
    }

    fn unknown(&self, state: &Option<V>, op: &Self::Op) -> Vec<Option<V>> {
        vec![match op {
            Op::Get(_) => state.clone(),
            Op::Put(_, value) => Some(value.clone()),
            Op::Append(_, more) => Some(match state {
                Some(value) => value.append(more),
                None => more.clone(),
            }),
            Op::Delete(_) => None,
            Op::Cas { from, to, .. } if from == state => Some(to.clone()),
            Op::Cas { .. } => state.clone(),
        }]
    }

    fn partition(&self, op: &Self::Op) -> Option<String> {
        Some(format!("{:?}", op.key()))
    }

    fn observes(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        matches!(
            (op, ret),
            (Op::Get(_), _) | (_, Some(Ret::Was(false) | Ret::Swapped(false)))
        )
    }

    fn overwrites(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        matches!(
            (op, ret),
            (Op::Put(..) | Op::Delete(_), None | Some(Ret::Done))
        )
    }

    fn leaves(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Option<V>> {
        match (op, ret) {
            (Op::Put(_, value), _) => Some(Some(value.clone())),
            (Op::Delete(_), _) => Some(None),
            (Op::Cas { to, .. }, _) => Some(Some(to.clone())),
            (Op::Append(..), Some(Ret::Value(value))) => Some(value.clone()),
            (Op::Append(..) | Op::Get(_), _) => None,
        }
    }

    fn only_in(&self, op: &Self::Op, ret: &Self::Ret) -> Option<Option<V>> {
        match (op, ret) {
            (Op::Get(_), Ret::Value(value)) => Some(value.clone()),
            (Op::Cas { from, .. }, Ret::Swapped(true)) => Some(from.clone()),
            (Op::Delete(_), Ret::Was(false)) => Some(None),
            _ => None,
        }
    }

    fn expected(&self, state: &Option<V>, op: &Self::Op) -> Option<Self::Ret> {
        Some(match op {
            Op::Get(_) => Ret::Value(state.clone()),
            Op::Put(..) => Ret::Done,
            Op::Append(..) => Ret::Value(self.unknown(state, op).pop()?),
            Op::Delete(_) => Ret::Was(state.is_some()),
            Op::Cas { from, .. } => Ret::Swapped(from == state),
        })
    }

    fn show_op(&self, op: &Self::Op) -> String {
        match op {
            Op::Get(key) => format!("get {key:?}"),
            Op::Put(key, value) => format!("put {key:?} {value:?}"),
            Op::Append(key, more) => format!("append {key:?} {more:?}"),
            Op::Delete(key) => format!("delete {key:?}"),
            Op::Cas { key, from, to } => match from {
                Some(from) => format!("cas {key:?} from {from:?} to {to:?}"),
                None => format!("cas {key:?} from nothing to {to:?}"),
            },
        }
    }

    fn show_ret(&self, ret: &Self::Ret) -> String {
        match ret {
            Ret::Value(value) => self.show_state(value),
            Ret::Done => "ok".to_owned(),
            Ret::Was(was) => was.to_string(),
            Ret::Swapped(true) => "swapped".to_owned(),
            Ret::Swapped(false) => "not swapped".to_owned(),
        }
    }

    fn show_state(&self, state: &Option<V>) -> String {
        match state {
            Some(value) => format!("{value:?}"),
            None => "nothing".to_owned(),
        }
    }
}
