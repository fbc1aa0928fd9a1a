//! A simulation from its first thread to its end: what the carrier does before, between and after the turns of the simulated
//! threads. `run` calls [`simulate`] for each run and [`prewarm`] once before it forks.

use super::context;
use super::slot::{self, Slot};
use super::{BUSY, boot, in_simulation, machine, spawn, switch};
use crate::kernel::abi::{heap, raw, sancov};
use crate::kernel::oracle::Oracle;
use crate::kernel::sched::{CARRIER, thread_name};
use crate::kernel::{Config, End, Outcome, Reached};
use std::ffi::c_void;
use std::sync::atomic::Ordering;

extern "C" fn run_body(_: *mut c_void) -> *mut c_void {
    let body = machine().body.take();
    if let Some(body) = body {
        body();
    }
    std::ptr::null_mut()
}

/// Creates pooled contexts now, so that forked children find them. Does nothing where contexts are not used.
pub fn prewarm(contexts: u32) {
    let m = boot();
    if !context::supported() {
        return;
    }
    while (m.free.len() as u32) < contexts {
        let slot = Slot::new(m.usual_slots(), slot::STACK, false);
        m.slots.push(slot);
        m.free.push(m.slots.len() - 1);
    }
}

/// Runs `body` on the first thread of a fresh simulated process and returns when the run has ended. The oracle comes back
/// with the outcome. Threads that are alive at the end are abandoned: no destructor of theirs runs.
///
/// # Panics
/// When called on a simulated thread, or by two threads at once.
pub fn simulate(
    config: Config,
    oracle: Box<dyn Oracle>,
    body: Box<dyn FnOnce() + Send>,
) -> (Outcome, Box<dyn Oracle>) {
    assert!(
        !in_simulation(),
        "a simulation cannot be started inside a simulation"
    );
    assert!(
        !BUSY.swap(true, Ordering::Acquire),
        "another thread of this process is running a simulation: one process runs one at a time"
    );
    let m = boot();
    let os_threads = config.os_threads || !context::supported();
    if os_threads != m.os_threads {
        m.os_threads = os_threads;
        m.free.clear();
        if !os_threads {
            let contexts: Vec<usize> = (0..m.slots.len())
                .filter(|i| m.slot(*i).is_context())
                .collect();
            m.free = contexts;
        }
    }
    // Which thread gets which stack must not depend on earlier runs: the oldest slots first.
    m.free.sort_unstable_by(|a, b| b.cmp(a));
    heap::prepare();
    m.kernel.reset(&config, oracle);
    m.contexts.clear();
    m.programs.clear();
    m.statics.reset();
    m.ledger.reset();
    m.sink = config.sink;
    m.body = Some(body);
    m.probe = CARRIER;
    spawn(
        Some(0),
        thread_name("main"),
        config.stack.max(slot::STACK),
        run_body,
        std::ptr::null_mut(),
    );
    raw::arm(true);
    sancov::arm(true);
    switch(CARRIER, 0);
    let m = machine();
    let mut end = m
        .kernel
        .end
        .take()
        .expect("squall bug: the carrier was resumed before the end of the run");
    let mut threads = m.kernel.report_threads();
    if config.backtraces && !matches!(end, End::Returned | End::Exited(_)) {
        for t in &mut threads {
            t.backtrace = backtrace_of(t.id);
        }
    }
    let m = machine();
    match &mut end {
        End::Deadlock(t) | End::Livelock(t) | End::TimeLimit(t) | End::StepLimit(t) => {
            t.clone_from(&threads)
        }
        End::Returned
        | End::Exited(_)
        | End::Aborted { .. }
        | End::HostFailed { .. }
        | End::Violated(_) => {}
    }
    threads.retain(|t| t.id != 0);
    let remarks = m.kernel.trace.take_remarks();
    let tasks = m.kernel.report_tasks();
    let (trace, backtrace) = m.kernel.take_record();
    let outcome = Outcome {
        digest: m.kernel.trace.digest(),
        steps: m.kernel.steps,
        switches: m.kernel.switches,
        virtual_ns: m.kernel.now,
        threads_left: threads,
        refused: std::mem::take(&mut m.kernel.refused),
        trace,
        backtrace,
        remarks,
        contexts: m.kernel.sched.peak,
        tasks,
        contended_sites: m.kernel.memory.contended_sites(),
        reached: Reached {
            edges: sancov::take_edges(),
            pairs: m.kernel.memory.take_pairs(),
        },
        spinning: match end {
            End::Livelock(_) => m.kernel.spinning(),
            _ => Vec::new(),
        },
        end,
        tallies: m.ledger.take_tallies(),
    };
    sancov::arm(false);
    raw::arm(false);
    m.abandon_all();
    m.ledger.reset();
    m.sink = None;
    let oracle = m.kernel.take_oracle();
    BUSY.store(false, Ordering::Release);
    (outcome, oracle)
}

impl super::Machine {
    /// Puts the slots of all threads that were alive back into the pool.
    fn abandon_all(&mut self) {
        self.body = None;
        for i in 0..self.slots.len() {
            let slot = self.slot(i);
            if !slot.free && slot.thread != CARRIER {
                self.reclaim(i);
            }
        }
    }
}

/// The backtrace of a suspended thread, taken by resuming it for that purpose alone.
fn backtrace_of(thread: u32) -> Option<String> {
    let m = machine();
    m.probe = thread;
    m.probed = None;
    let current = m.kernel.sched.current;
    switch(CARRIER, thread);
    let m = machine();
    m.kernel.sched.current = current;
    m.probe = CARRIER;
    m.probed.take()
}
