//! What the library keeps of a run while it goes on: values by their types, notes for whoever tells of the run, tallies for the
//! coordinator, and the property that was broken. `sim`, `check`, `traffic` and `fault` come in here.
//!
//! The list of values lies with the machine, on libc's heap, while the values themselves are the program's: nothing of the run
//! is left in either when the next one begins.

use super::{Inside, backtrace_here, end_run, machine, outside_kernel, simulated, with_kernel};
use crate::kernel::End;
use crate::kernel::abi::heap;
use crate::kernel::outcome::{Tallies, Violation};
use crate::kernel::record::What;
use std::any::{Any, TypeId};
use std::sync::Arc;

/// A value that lives as long as the run.
pub type RunValue = Arc<dyn Any + Send + Sync>;

#[derive(Default)]
pub(super) struct Ledger {
    values: Vec<(TypeId, RunValue)>,
    tallies: Tallies,
}

impl Ledger {
    /// Forgets the run. Its values are not dropped: they are of a program that is over, and lie on its heap.
    pub(super) fn reset(&mut self) {
        while let Some(value) = self.values.pop() {
            std::mem::forget(value);
        }
        self.tallies = Tallies::default();
    }

    /// What was counted.
    pub(super) fn take_tallies(&mut self) -> Tallies {
        std::mem::take(&mut self.tallies)
    }
}

/// The run's value of a type, made at first use.
///
/// # Panics
/// Outside a simulation.
pub fn run_value(of: TypeId, make: fn() -> RunValue) -> RunValue {
    assert!(
        simulated(),
        "this belongs to a run, and there is none: it works only inside a simulation"
    );
    if let Some(value) = find(of) {
        return value;
    }
    let value = make();
    // Another thread may have come here meanwhile, since making it allocates; the first counts.
    if let Some(value) = find(of) {
        return value;
    }
    let _inside = Inside::enter();
    machine().ledger.values.push((of, value.clone()));
    value
}

/// The run's value of a type, if it has been made. `None` outside a simulation.
pub fn known_run_value(of: TypeId) -> Option<RunValue> {
    simulated().then(|| find(of))?
}

fn find(of: TypeId) -> Option<RunValue> {
    let _inside = Inside::enter();
    let values = &machine().ledger.values;
    let found = values.iter().find(|(key, _)| *key == of);
    found.map(|(_, value)| value.clone())
}

/// An event for the record of a run that is told, for its story and its report: `data` is one JSON object. Costs next to nothing
/// in any other run, and is no part of the digest. `data` must only put together what the caller has: its calls to the
/// system would reach the real one.
pub fn note(kind: &'static str, data: impl FnOnce() -> String) {
    if super::doors::recording() {
        let data = outside_kernel(data);
        let kind = kind.into();
        with_kernel(|k| k.tell(What::Note { kind, data }, true));
    }
}

/// Counts `hits` more of what `kind` and `name` say; with 0 hits it is only known from then on. The sums of all runs reach the
/// coordinator. Does nothing outside a simulation.
pub fn tally(kind: &'static str, name: &str, site: &str, hits: u64) {
    if simulated() {
        let _inside = Inside::enter();
        machine().ledger.tallies.count(kind, name, site, hits);
    }
}

/// Ends the run at once because a property does not hold. The virtual time is filled in here, and the backtrace in a run that
/// is told.
///
/// # Panics
/// Outside a simulation, with what the violation says.
#[cold]
pub fn violate(mut violation: Violation) -> ! {
    assert!(simulated(), "{violation}");
    note("property", || violation.noted());
    violation.at = with_kernel(|k| k.now);
    let told = super::doors::recording();
    // On libc's heap, since it outlives the program's.
    let violation = outside_kernel(|| {
        let mut kept = violation.clone();
        if told && kept.backtrace.is_none() {
            kept.backtrace = Some(backtrace_here());
        }
        Box::new(kept)
    });
    end_run(End::Violated(violation))
}

/// Runs `f` with the turn kept: no other thread goes on at an allocation of it. For short sections under a lock that a host
/// which crashes in between would never give back. `f` must not block.
pub fn keep_turn<R>(f: impl FnOnce() -> R) -> R {
    if !simulated() {
        return f();
    }
    struct Held(bool);
    impl Drop for Held {
        fn drop(&mut self) {
            heap::hold(self.0);
        }
    }
    let _held = Held(heap::hold(true));
    f()
}
