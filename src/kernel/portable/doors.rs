//! What the rest of the crate may ask of the running simulation: draws, time, what the library keeps of a run, its end.

use super::engine::{RunValue, is_executors, leave, run};
use super::{hosts, refuse};
use crate::kernel::{Domain, End, Unrest, Violation, Vitals, What};
use std::any::TypeId;
use std::rc::Rc;

/// Whether the caller runs inside a simulation.
pub fn in_simulation() -> bool {
    run().is_some()
}

/// Virtual nanoseconds since the start of the run; `None` outside a simulation.
pub fn now() -> Option<u64> {
    Some(run()?.now())
}

/// A number in `0..n` from the run's choices; `None` outside a simulation.
pub fn draw(domain: Domain, n: u64) -> Option<u64> {
    let n = n.max(1);
    Some(run()?.ask(domain, n, |oracle| oracle.below(domain, n)))
}

/// A number in `0..n` that is known by a label; `None` outside a simulation.
pub fn draw_labelled(domain: Domain, label: u32, n: u64) -> Option<u64> {
    let n = n.max(1);
    Some(run()?.ask(domain, n, |oracle| oracle.planned(domain, label, n)))
}

/// A number in `0..n` for what a plan of faults leaves open, known by its label; `None` outside a simulation.
pub fn draw_planned(label: u32, n: u64) -> Option<u64> {
    draw_labelled(Domain::Faults, label, n)
}

/// Nothing: madsim does not tell what waits in its sockets.
pub fn vitals() -> Vitals {
    Vitals::default()
}

/// An event of the harness's own, for the record of a run that is told.
pub fn tell(what: impl FnOnce() -> String) {
    if let Some(run) = run() {
        run.tell(hosts::here(&run), || What::Fault { text: what() });
    }
}

/// Something that the report of a run should say about it as a whole; said once, however often it comes.
pub fn remark(text: impl FnOnce() -> String) {
    if let Some(run) = run().filter(|run| run.told()) {
        let text = text();
        let mut remarks = run.remarks.borrow_mut();
        if !remarks.contains(&text) {
            remarks.push(text);
        }
    }
}

/// Whether the run is told.
pub fn told() -> bool {
    run().is_some_and(|run| run.told())
}

/// The caller's backtrace, where the run is told.
pub fn stack() -> Option<String> {
    told().then(here)
}

/// The caller's backtrace; `None` outside a simulation.
pub fn stack_at_once() -> Option<String> {
    in_simulation().then(here)
}

fn here() -> String {
    std::backtrace::Backtrace::force_capture().to_string()
}

/// Notes that the caller panicked.
pub fn tell_panic(site: &str, message: &str) {
    // What the executor itself has to say comes from no task, and it would be a panic within a panic to ask for that.
    let of_task = !is_executors(message);
    if let Some(run) = run() {
        let host = match of_task {
            true => hosts::here(&run),
            false => 0,
        };
        run.tell(host, || What::Panic {
            site: site.to_owned(),
            message: message.to_owned(),
        });
    }
}

/// Whether the program cannot go on by itself. That is not known here: it shows when everything else has ended.
pub fn stuck() -> bool {
    false
}

/// # Panics
/// Always: what still happens in the world is not known here.
pub fn unrest(_: u64) -> Option<Unrest> {
    refuse(
        "Sim::settle",
        "madsim does not tell which timers and packets are pending; wait with Sim::eventually, or for a time",
    )
}

/// The run's value of a type, made at first use.
///
/// # Panics
/// Outside a simulation.
pub fn run_value(of: TypeId, make: fn() -> RunValue) -> RunValue {
    let Some(run) = run() else {
        panic!("this belongs to a run, and there is none: it works only inside a simulation");
    };
    if let Some(value) = find(&run, of) {
        return value;
    }
    let value = make();
    run.values.borrow_mut().push((of, value.clone()));
    value
}

/// The run's value of a type, if it has been made. `None` outside a simulation.
pub fn known_run_value(of: TypeId) -> Option<RunValue> {
    find(&run()?, of)
}

fn find(run: &Rc<super::engine::Run>, of: TypeId) -> Option<RunValue> {
    let values = run.values.borrow();
    let found = values.iter().find(|(key, _)| *key == of);
    found.map(|(_, value)| value.clone())
}

/// An event for the record of a run that is told: `data` is one JSON object.
pub fn note(kind: &'static str, data: impl FnOnce() -> String) {
    if let Some(run) = run() {
        run.tell(hosts::here(&run), || What::Note {
            kind: kind.into(),
            data: data(),
        });
    }
}

/// Counts `hits` more of what `kind` and `name` say. Does nothing outside a simulation.
pub fn tally(kind: &'static str, name: &str, site: &str, hits: u64) {
    if let Some(run) = run() {
        run.tallies.borrow_mut().count(kind, name, site, hits);
    }
}

/// Ends the run at once because a property does not hold.
///
/// # Panics
/// Outside a simulation with what the violation says, and inside to end the run.
#[cold]
pub fn violate(mut violation: Violation) -> ! {
    let Some(run) = run() else {
        panic!("{violation}");
    };
    note("property", || violation.noted());
    violation.at = run.now();
    if run.told() && violation.backtrace.is_none() {
        violation.backtrace = Some(here());
    }
    leave(&run, End::Violated(Box::new(violation)))
}

/// Ends the run because the caller's host failed.
///
/// # Panics
/// Outside a simulation, and inside to end the run.
pub fn fail_host(message: String) -> ! {
    let Some(run) = run() else {
        panic!("a host can fail only inside a simulation");
    };
    let host = usize::from(hosts::here(&run));
    let host = run.hosts.borrow()[host].info.name.clone();
    leave(&run, End::HostFailed { host, message })
}

/// Calls `f`: nobody else goes on but at an await.
pub fn keep_turn<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Changes what whoever looks at the world waits for.
pub fn rewatch(_: super::Watch) {
    if let Some(run) = run() {
        run.change();
    }
}
