//! What a model of a data type is: how it would behave if operations came one after another.

use std::fmt::Debug;
use std::hash::Hash;

/// How a data type behaves when operations come one at a time. A history is linearizable if its operations can be put into
/// one order that the model allows and that keeps every operation between its invocation and its end.
///
/// [`init`](Model::init) and [`step`](Model::step) say all that is needed, and [`unknown`](Model::unknown) where outcomes may be
/// unknown. The others make checks faster or texts better; their defaults are always right.
///
/// ```
/// use squall::history::{History, Model};
///
/// /// Hands out tickets, each number once, in any order.
/// struct Tickets;
///
/// impl Model for Tickets {
///     type State = std::collections::BTreeSet<u32>;
///     type Op = ();
///     type Ret = u32;
///     fn init(&self) -> Self::State {
///         Self::State::new()
///     }
///     fn step(&self, given: &Self::State, _: &(), ticket: &u32) -> Option<Self::State> {
///         let mut given = given.clone();
///         given.insert(*ticket).then_some(given)
///     }
///     fn unknown(&self, given: &Self::State, _: &()) -> Vec<Self::State> {
///         // Whichever it took; here it is enough to know that nobody else must get one of a hundred.
///         (0..100).filter_map(|ticket| self.step(given, &(), &ticket)).collect()
///     }
/// }
///
/// let history = History::new();
/// history.client("a").invoke(()).ok(7);
/// history.client("b").invoke(()).ok(7);
/// assert!(history.check(&Tickets).is_err());
/// ```
pub trait Model {
    /// What the data type holds.
    type State: Clone + Eq + Hash + Debug;
    /// What can be done.
    type Op: Clone + PartialEq + Debug;
    /// What comes back.
    type Ret: Clone + PartialEq + Debug;

    /// What it holds at first.
    fn init(&self) -> Self::State;

    /// What it holds after `op`, done in `state`, returned `ret`; `None` if it cannot return that there.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: &Self::Ret) -> Option<Self::State>;

    /// What it may hold after `op`, done in `state`, returned nobody knows what. None of them: then `op` has no effect there.
    ///
    /// There is no default on purpose: "no effect" would call correct histories broken.
    fn unknown(&self, state: &Self::State, op: &Self::Op) -> Vec<Self::State>;

    /// The part of the data that `op` is about, a key say, where parts do not depend on one another; each part is then
    /// checked alone, which is much faster. `None`: it is about everything, and then nothing is taken apart.
    fn partition(&self, op: &Self::Op) -> Option<String> {
        let _ = op;
        None
    }

    /// Whether `op`, when it returns `ret` (`None`: whatever it returns), leaves every state as it is.
    fn observes(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        let _ = (op, ret);
        false
    }

    /// Whether `op` with `ret` (`None`: whatever it returns) can be done in every state and leaves one that depends on `op` alone: a
    /// write that does not look.
    fn overwrites(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        let _ = (op, ret);
        false
    }

    /// The one state that `op` with `ret` (`None`: whatever it returns) leaves where it changes anything at all, if there is only one.
    fn leaves(&self, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Self::State> {
        let _ = (op, ret);
        None
    }

    /// The one state in which `op` can return `ret`, where there is only one.
    fn only_in(&self, op: &Self::Op, ret: &Self::Ret) -> Option<Self::State> {
        let _ = (op, ret);
        None
    }

    /// What `op` would return in `state`, where there is only one such value: for texts.
    fn expected(&self, state: &Self::State, op: &Self::Op) -> Option<Self::Ret> {
        let _ = (state, op);
        None
    }

    /// `op` in words: for texts.
    fn show_op(&self, op: &Self::Op) -> String {
        format!("{op:?}")
    }

    /// `ret` in words: for texts.
    fn show_ret(&self, ret: &Self::Ret) -> String {
        format!("{ret:?}")
    }

    /// `state` in words: for texts.
    fn show_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}
