//! One value, read and written; with compare-and-set as another model.

use super::super::Model;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::hash::Hash;

/// A register: one value that is read and written.
#[derive(Clone, Debug)]
pub struct Register<V> {
    initial: V,
}

impl<V> Register<V> {
    /// A register that holds `initial` at first.
    pub fn new(initial: V) -> Self {
        Register { initial }
    }
}

/// What a register can do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterOp<V> {
    /// Reads the value.
    Read,
    /// Writes this value.
    Write(V),
}

/// What a register returns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RegisterRet<V> {
    /// What was read.
    Value(V),
    /// It was written.
    Written,
}

impl<V: Clone + Eq + Hash + Debug> Model for Register<V> {
    type State = V;
    type Op = RegisterOp<V>;
    type Ret = RegisterRet<V>;

    fn init(&self) -> V {
        self.initial.clone()
    }

    fn step(&self, state: &V, op: &Self::Op, ret: &Self::Ret) -> Option<V> {
        match (op, ret) {
            (RegisterOp::Read, RegisterRet::Value(value)) => {
                (value == state).then(|| state.clone())
            }
            (RegisterOp::Write(value), RegisterRet::Written) => Some(value.clone()),
            (RegisterOp::Read, RegisterRet::Written)
            | (RegisterOp::Write(_), RegisterRet::Value(_)) => None,
        }
    }

    fn unknown(&self, state: &V, op: &Self::Op) -> Vec<V> {
        match op {
            RegisterOp::Read => vec![state.clone()],
            RegisterOp::Write(value) => vec![value.clone()],
        }
    }

    fn observes(&self, op: &Self::Op, _: Option<&Self::Ret>) -> bool {
        matches!(op, RegisterOp::Read)
    }

    fn overwrites(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        matches!(
            (op, ret),
            (RegisterOp::Write(_), None | Some(RegisterRet::Written))
        )
    }

    fn only_in(&self, op: &Self::Op, ret: &Self::Ret) -> Option<V> {
        match (op, ret) {
            (RegisterOp::Read, RegisterRet::Value(value)) => Some(value.clone()),
            _ => None,
        }
    }

    fn expected(&self, state: &V, op: &Self::Op) -> Option<Self::Ret> {
        Some(match op {
            RegisterOp::Read => RegisterRet::Value(state.clone()),
            RegisterOp::Write(_) => RegisterRet::Written,
        })
    }

    fn show_op(&self, op: &Self::Op) -> String {
        match op {
            RegisterOp::Read => "read".to_owned(),
            RegisterOp::Write(value) => format!("write {value:?}"),
        }
    }

    fn show_ret(&self, ret: &Self::Ret) -> String {
        match ret {
            RegisterRet::Value(value) => format!("{value:?}"),
            RegisterRet::Written => "ok".to_owned(),
        }
    }
}

/// A register with compare-and-set.
#[derive(Clone, Debug)]
pub struct CasRegister<V> {
    initial: V,
}

impl<V> CasRegister<V> {
    /// A register that holds `initial` at first.
    pub fn new(initial: V) -> Self {
        CasRegister { initial }
    }
}

/// What a register with compare-and-set can do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CasRegisterOp<V> {
    /// Reads the value.
    Read,
    /// Writes this value.
    Write(V),
    /// Writes `to` if the value is `from`.
    Cas {
        /// What the value must be.
        from: V,
        /// What it becomes then.
        to: V,
    },
}

/// What a register with compare-and-set returns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CasRegisterRet<V> {
    /// What was read.
    Value(V),
    /// It was written.
    Written,
    /// Whether a compare-and-set found what it looked for.
    Swapped(bool),
}

impl<V: Clone + Eq + Hash + Debug> Model for CasRegister<V> {
    type State = V;
    type Op = CasRegisterOp<V>;
    type Ret = CasRegisterRet<V>;

    fn init(&self) -> V {
        self.initial.clone()
    }

    fn step(&self, state: &V, op: &Self::Op, ret: &Self::Ret) -> Option<V> {
        match (op, ret) {
            (CasRegisterOp::Read, CasRegisterRet::Value(value)) => {
                (value == state).then(|| state.clone())
            }
            (CasRegisterOp::Write(value), CasRegisterRet::Written) => Some(value.clone()),
            (CasRegisterOp::Cas { from, to }, CasRegisterRet::Swapped(swapped)) => {
                let next = if *swapped { to } else { state };
                ((state == from) == *swapped).then(|| next.clone())
            }
            _ => None,
        }
    }

    fn unknown(&self, state: &V, op: &Self::Op) -> Vec<V> {
        match op {
            CasRegisterOp::Write(value) => vec![value.clone()],
            CasRegisterOp::Cas { from, to } if from == state => vec![to.clone()],
            CasRegisterOp::Read | CasRegisterOp::Cas { .. } => vec![state.clone()],
        }
    }

    fn observes(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        matches!(op, CasRegisterOp::Read) || ret == Some(&CasRegisterRet::Swapped(false))
    }

    fn overwrites(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        matches!(
            (op, ret),
            (
                CasRegisterOp::Write(_),
                None | Some(CasRegisterRet::Written)
            )
        )
    }

    fn leaves(&self, op: &Self::Op, _: Option<&Self::Ret>) -> Option<V> {
        match op {
            CasRegisterOp::Write(value) => Some(value.clone()),
            CasRegisterOp::Cas { to, .. } => Some(to.clone()),
            CasRegisterOp::Read => None,
        }
    }

    fn only_in(&self, op: &Self::Op, ret: &Self::Ret) -> Option<V> {
        match (op, ret) {
            (CasRegisterOp::Read, CasRegisterRet::Value(value)) => Some(value.clone()),
            (CasRegisterOp::Cas { from, .. }, CasRegisterRet::Swapped(true)) => Some(from.clone()),
            _ => None,
        }
    }

    fn expected(&self, state: &V, op: &Self::Op) -> Option<Self::Ret> {
        Some(match op {
            CasRegisterOp::Read => CasRegisterRet::Value(state.clone()),
            CasRegisterOp::Write(_) => CasRegisterRet::Written,
            CasRegisterOp::Cas { from, .. } => CasRegisterRet::Swapped(from == state),
        })
    }

    fn show_op(&self, op: &Self::Op) -> String {
        match op {
            CasRegisterOp::Read => "read".to_owned(),
            CasRegisterOp::Write(value) => format!("write {value:?}"),
            CasRegisterOp::Cas { from, to } => format!("cas {from:?} to {to:?}"),
        }
    }

    fn show_ret(&self, ret: &Self::Ret) -> String {
        match ret {
            CasRegisterRet::Value(value) => format!("{value:?}"),
            CasRegisterRet::Written => "ok".to_owned(),
            CasRegisterRet::Swapped(true) => "swapped".to_owned(),
            CasRegisterRet::Swapped(false) => "not swapped".to_owned(),
        }
    }
}
