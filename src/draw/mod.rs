//! Values that a test draws for itself, from the same choices as the order of tasks and the faults, so that they are in the seed, in the
//! log and in what is shrunk.
//!
//! `Sim` and traffic's `Cx` come in here, and of the kernel it takes labelled numbers of [`Domain::User`]. Each draw has a label: the
//! place that it is made at, and which one from there it is. So a draw that is made plainer, or not made at all, leaves the answers of all
//! others where they are. [`Draws`] is plain numbers, 0 being the plainest; `tree` (feature `proptest`) is proptest's strategies;
//! `commands` are sequences for a model.

mod commands;
#[cfg(feature = "proptest")]
mod property;
#[cfg(feature = "proptest")]
mod strategy;
#[cfg(feature = "proptest")]
mod tree;

pub use commands::{Commands, Machine, Ran};
#[cfg(feature = "proptest")]
#[doc(hidden)]
pub use property::{Regressions, check};
#[cfg(feature = "proptest")]
pub use strategy::{DrawStrategy, DrawTree, strategy};
#[cfg(feature = "proptest")]
pub(crate) use tree::value;

use crate::drawn;
use crate::kernel::{self, Domain, OCCURRENCE_BITS};
use crate::sim::scope;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeBounds;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// A source of plain draws: numbers, choices, chances. The plainest answer, to which shrinking tends, is the lowest number, the first
/// choice, and that nothing happens.
///
/// A simulation's [`Sim`](crate::Sim) and a request's [`Cx`](crate::traffic::Cx) have the same methods; this is what a
/// [`Machine`] draws its commands from, and what [`strategy`](crate::draw) turns into a strategy of proptest's.
pub struct Draws<'a> {
    below: &'a mut dyn FnMut(u64) -> u64,
}

impl<'a> Draws<'a> {
    /// Draws that come from `below`, which answers with a number less than the one that it is given.
    pub fn from_fn(below: &'a mut dyn FnMut(u64) -> u64) -> Self {
        Draws { below }
    }

    /// A number in `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        (self.below)(n)
    }

    /// A number of a range, each as likely as any other; the lowest is the plainest.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn number(&mut self, range: impl RangeBounds<u64>) -> u64 {
        drawn::number(range, |n| self.below(n))
    }

    /// One of several, each as likely as any other; the first is the plainest.
    ///
    /// # Panics
    /// If there is none.
    pub fn choose<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        drawn::choose(of, |n| self.below(n))
    }

    /// One of several, in proportion to their weights; the first is the plainest.
    ///
    /// # Panics
    /// If all weights are 0.
    pub fn weighted<'t, T>(&mut self, of: &'t [(u32, T)]) -> &'t T {
        drawn::weighted(of, |n| self.below(n))
    }

    /// Whether something happens that does with this chance, 0 to 1, counted to a millionth. Plainest is that it does not.
    ///
    /// # Panics
    /// If the chance lies outside.
    pub fn chance(&mut self, chance: f64) -> bool {
        drawn::chance(chance, |n| self.below(n))
    }

    /// Yes or no, as likely as each other; no is the plainest.
    pub fn flip(&mut self) -> bool {
        self.below(2) == 1
    }
}

impl fmt::Debug for Draws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draws").finish_non_exhaustive()
    }
}

/// How many draws each place in the test has made in this run.
#[derive(Default)]
struct Made(Mutex<BTreeMap<u32, u32>>);

const KINDS: u32 = 1 << (kernel::LABEL_BITS - OCCURRENCE_BITS);

/// The label of occurrence `number` of the draws that are made at a place.
pub(crate) fn label(at: &Location<'_>, number: u64) -> u32 {
    // FNV-1a: the same in every process.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let place = [at.line().to_le_bytes(), at.column().to_le_bytes()];
    for byte in at.file().bytes().chain(place.into_iter().flatten()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let kind = (hash ^ (hash >> 32)) as u32 % KINDS;
    let number = number as u32 & ((1 << OCCURRENCE_BITS) - 1);
    kind << OCCURRENCE_BITS | number
}

/// The label of the next draw that is made at a place, which takes `count` labels.
pub(crate) fn next_label(at: &Location<'_>, count: u32) -> u32 {
    let made = scope::of_run::<Made>();
    let kind = label(at, 0);
    let number = kernel::keep_turn(|| {
        let mut made = made.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = made.entry(kind).or_default();
        let number = *next;
        *next = next.wrapping_add(count);
        number
    });
    label(at, u64::from(number))
}

/// A number below `n` of the draw with this label.
pub(crate) fn labelled(label: u32, n: u64) -> u64 {
    kernel::draw_labelled(Domain::User, label, n).unwrap_or(0)
}

/// So many draws are shown on the page of a failure; the story has them all.
const SHOWN: u32 = 24;

#[derive(Default)]
struct Shown(Mutex<u32>);

/// Has the report of a run that is told say what was drawn.
pub(crate) fn show(text: impl Fn() -> String) {
    // Counted in every run, since the course of a run must not depend on whether it is told; for the same reason nothing that a told one
    // allocates is the program's.
    let shown = scope::of_run::<Shown>();
    let number = kernel::keep_turn(|| {
        let mut shown = shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shown += 1;
        *shown
    });
    if !kernel::told() {
        return;
    }
    let text = kernel::unseen(text);
    kernel::tell(|| text.clone());
    match number {
        0..=SHOWN => kernel::remark(|| text),
        _ => kernel::remark(|| "drawn: more than is listed here; the story has it all".to_owned()),
    }
}
