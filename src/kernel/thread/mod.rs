//! The machine that carries out the kernel's decisions: it owns the kernel, switches threads, and runs a simulation from
//! its first thread to its end. Unsafe code lives here because stacks are switched here.
//!
//! The *carrier* is the thread that calls [`simulate`]. In context mode it runs every simulated thread by switching stacks;
//! in OS mode each has an OS thread and the baton goes round. Either way exactly one of them runs at a time, and only that
//! one touches the machine.

mod baton;
mod context;
mod doors;
pub mod fault;
pub mod image;
mod keys;
mod slot;
pub mod trap;

use super::abi::{heap, raw};
use super::oracle::Oracle;
use super::sched::{CARRIER, ThreadName};
use super::{Config, End, Kernel, Outcome, Sink};
use baton::Baton;
use context::Context;
pub(crate) use slot::{Destructor, Slot, Start};
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

pub(crate) use doors::sink;
pub use doors::{
    add_host, claim_host, draw, fail_host, hosts, in_kernel, in_simulation, link_down, link_latency, now, spawn_on,
};
pub(crate) use keys::{key_created, key_deleted};

/// Everything that a simulation needs. It lives on the heap and is never freed, so that it survives both the restoring of
/// statics between runs and a `fork`.
pub(crate) struct Machine {
    kernel: Kernel,
    slots: Vec<*mut Slot>,
    /// The context of each simulated thread of the run, by its number.
    contexts: Vec<*mut Context>,
    /// Free slots with a stack of the usual size.
    free: Vec<usize>,
    carrier: Context,
    carrier_baton: Baton,
    os_threads: bool,
    /// The thread whose backtrace is being taken.
    probe: u32,
    probed: Option<String>,
    pub(crate) sink: Option<Sink>,
    /// Backtraces that were put into words already, by their return addresses: a test may shrug off the same refused call
    /// in each of a thousand runs.
    worded: Vec<(Vec<usize>, String)>,
    body: Option<Box<dyn FnOnce() + Send>>,
}

#[unsafe(link_section = "squall_keep")]
static MACHINE: AtomicPtr<Machine> = AtomicPtr::new(std::ptr::null_mut());
/// The kernel, or the harness on its behalf, is running on a simulated thread: libc calls pass through.
#[unsafe(link_section = "squall_keep")]
static INSIDE: AtomicBool = AtomicBool::new(false);

/// A simulation runs in this process.
#[unsafe(link_section = "squall_keep")]
static BUSY: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The simulated thread that runs here, plus one; 0 outside a simulation.
    static ME: Cell<u32> = const { Cell::new(0) };
}

/// Whether the caller is a simulated thread that is not inside the kernel.
#[inline]
pub(crate) fn simulated() -> bool {
    ME.get() != 0 && !INSIDE.load(Ordering::Relaxed)
}

/// The number of the running simulated thread.
#[inline]
pub(crate) fn me() -> u32 {
    ME.get().wrapping_sub(1)
}

/// The machine. Only the thread that runs may use it.
#[inline]
pub(crate) fn machine() -> &'static mut Machine {
    let p = MACHINE.load(Ordering::Relaxed);
    debug_assert!(!p.is_null());
    // SAFETY: `boot` stored a leaked box before any simulated thread existed. Only the running thread gets here, and it
    // holds the reference for a stretch in which it neither switches nor re-enters.
    unsafe { &mut *p }
}

fn boot() -> &'static mut Machine {
    if MACHINE.load(Ordering::Acquire).is_null() {
        let machine = Box::new(Machine {
            kernel: Kernel::new(),
            slots: Vec::new(),
            contexts: Vec::new(),
            free: Vec::new(),
            carrier: Context::empty(),
            carrier_baton: Baton::default(),
            os_threads: false,
            probe: CARRIER,
            probed: None,
            sink: None,
            worded: Vec::new(),
            body: None,
        });
        MACHINE.store(Box::into_raw(machine), Ordering::Release);
    }
    machine()
}

/// Marks the kernel as running until dropped.
struct Inside;

impl Inside {
    #[inline]
    fn enter() -> Inside {
        INSIDE.store(true, Ordering::Relaxed);
        Inside
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        INSIDE.store(false, Ordering::Relaxed);
    }
}

/// Runs `f` on the kernel.
#[inline]
pub(crate) fn with_kernel<R>(f: impl FnOnce(&mut Kernel) -> R) -> R {
    let _inside = Inside::enter();
    f(&mut machine().kernel)
}

/// Runs harness code on a simulated thread as if it were outside: its libc calls pass through.
pub(crate) fn outside_kernel<R>(f: impl FnOnce() -> R) -> R {
    let before = INSIDE.swap(true, Ordering::Relaxed);
    let r = f();
    INSIDE.store(before, Ordering::Relaxed);
    r
}

/// The caller's backtrace, put into words once for each place. Call it outside the kernel.
pub(crate) fn backtrace_here() -> String {
    let mut places = Vec::new();
    backtrace::trace(|frame| {
        places.push(frame.ip() as usize);
        true
    });
    let known = machine().worded.iter().find(|(at, _)| *at == places);
    if let Some((_, words)) = known {
        return words.clone();
    }
    let words = std::backtrace::Backtrace::force_capture().to_string();
    machine().worded.push((places, words.clone()));
    words
}

/// Lets `to` go on in place of `from`, the caller; returns when somebody switches back.
#[inline(always)]
pub(crate) fn switch(from: u32, mut to: u32) {
    loop {
        let m = machine();
        m.kernel.switches += 1;
        m.kernel.sched.current = to;
        if m.os_threads {
            let (mine, theirs): (*const Baton, *const Baton) = (m.baton(from), m.baton(to));
            // SAFETY: batons live in slots and in the machine, which are never freed.
            unsafe {
                (*theirs).pass();
                (*mine).wait();
            }
        } else {
            let save = m.context(from);
            let load: *const Context = m.context(to);
            // SAFETY: `to` is suspended: it is not the running thread, and only the running thread switches. Contexts live
            // in slots and in the machine, which are never freed. `m` is not used after this.
            unsafe { context::switch(save, load) };
        }
        let m = machine();
        if m.probe != from || from == CARRIER {
            return;
        }
        // Resumed only to say where it is: back to the carrier, as suspended as before.
        m.probe = CARRIER;
        let text = outside_kernel(|| std::backtrace::Backtrace::force_capture().to_string());
        machine().probed = Some(text);
        to = CARRIER;
    }
}

impl Machine {
    fn slot_of(&mut self, thread: u32) -> *mut Slot {
        self.slots[self.kernel.sched.threads[thread as usize].slot]
    }

    fn context(&mut self, thread: u32) -> *mut Context {
        if thread == CARRIER {
            return &mut self.carrier;
        }
        self.contexts[thread as usize]
    }

    fn baton(&mut self, thread: u32) -> *const Baton {
        if thread == CARRIER {
            return &self.carrier_baton;
        }
        let slot = self.slot_of(thread);
        // SAFETY: slots are leaked boxes.
        unsafe { &raw const (*slot).baton }
    }

    /// How many slots have a stack of the usual size.
    fn usual_slots(&mut self) -> usize {
        (0..self.slots.len()).filter(|i| self.slot(*i).stack.1 == slot::STACK).count()
    }

    /// A slot with at least `stack` bytes of stack, free or new.
    fn take_slot(&mut self, stack: usize) -> usize {
        if stack <= slot::STACK
            && !self.os_threads
            && let Some(index) = self.free.pop()
        {
            self.slot(index).free = false;
            return index;
        }
        let slot = Slot::new(self.usual_slots(), stack, self.os_threads);
        self.slots.push(slot);
        let index = self.slots.len() - 1;
        self.slot(index).free = false;
        index
    }

    /// The slot of this number.
    pub(crate) fn slot(&mut self, index: usize) -> &'static mut Slot {
        // SAFETY: slots are leaked boxes; only the running thread uses them, for a stretch in which it does not switch.
        unsafe { &mut *self.slots[index] }
    }

    fn give_back(&mut self, index: usize) {
        let slot = self.slot(index);
        slot.thread = CARRIER;
        if !self.os_threads && slot.stack.1 == slot::STACK && !slot.free {
            slot.free = true;
            self.free.push(index);
        }
    }
}

/// The slot of the running simulated thread.
pub(crate) fn my_slot() -> &'static mut Slot {
    slot_of(me())
}

/// Creates a simulated thread on `host` that will run `start(arg)`; returns its number and its `pthread_t`.
pub(crate) fn spawn(
    host: Option<u16>,
    name: ThreadName,
    stack: usize,
    start: Start,
    arg: *mut c_void,
) -> (u32, usize) {
    let _inside = Inside::enter();
    let m = machine();
    let index = m.take_slot(stack);
    let host = host.unwrap_or_else(|| m.kernel.host_id());
    let thread = m.kernel.add_thread(host, name, index);
    let slot = m.slot(index);
    slot.load(thread, start, arg);
    m.contexts.push(&mut slot.context);
    (thread, slot.handle)
}

/// The simulated thread that a `pthread_t` names, unless it has been joined or was detached and is over.
pub(crate) fn thread_of(handle: usize) -> Option<u32> {
    let _inside = Inside::enter();
    let m = machine();
    for i in 0..m.slots.len() {
        let slot = m.slot(i);
        if slot.handle == handle && slot.thread != CARRIER {
            return Some(slot.thread);
        }
    }
    None
}

/// The slot of a simulated thread.
pub(crate) fn slot_of(thread: u32) -> &'static mut Slot {
    let m = machine();
    let index = m.kernel.sched.threads[thread as usize].slot;
    m.slot(index)
}

/// Frees what a finished thread still held for a join.
pub(crate) fn reap(thread: u32) {
    let _inside = Inside::enter();
    let m = machine();
    let index = m.kernel.sched.threads[thread as usize].slot;
    m.give_back(index);
}

/// Where a context begins.
unsafe extern "C" fn run_context(slot: *mut c_void) -> ! {
    // SAFETY: `load` put the slot's address here.
    let result = unsafe { run_thread(slot.cast()) };
    finish_thread(result)
}

/// What an OS thread runs once it has the baton.
///
/// # Safety
/// `slot` must be the caller's slot.
unsafe fn run_os_thread(slot: *mut Slot) {
    trap::join();
        fault::join();
    // SAFETY: the caller's promise.
    let result = unsafe { run_thread(slot) };
    run_destructors();
    os_leave(result);
}

unsafe fn run_thread(slot: *mut Slot) -> usize {
    // SAFETY: the slot is a leaked box, and this thread is its only user now.
    let slot = unsafe { &mut *slot };
    ME.set(slot.thread + 1);
    if std::mem::take(&mut slot.abandoned) {
        keys::forget_values();
    }
    let (start, arg) = slot.start.take().expect("squall bug: a slot without a start routine");
    start(arg) as usize
}

/// Runs the destructors of the ending thread's thread-local storage.
fn run_destructors() {
    loop {
        let next = my_slot().destructors.pop();
        match next {
            // SAFETY: the pair was registered for this thread and has not run yet.
            Some((destructor, object)) => unsafe { destructor(object) },
            None if keys::run_destructors() => {}
            None => return,
        }
    }
}

/// Ends the running simulated thread with `result`; the thread never goes on.
pub(crate) fn finish_thread(result: usize) -> ! {
    run_destructors();
    if machine().os_threads {
        os_exit(result);
    }
    let me = me();
    INSIDE.store(true, Ordering::Relaxed);
    let m = machine();
    let index = m.kernel.sched.threads[me as usize].slot;
    let next = end_thread(result);
    let slot = m.slot(index);
    // SAFETY: nothing of this thread runs after this but the switch below, which uses no thread-local storage.
    unsafe { slot.restore_tls() };
    m.kernel.switches += 1;
    m.kernel.sched.current = next;
    let load: *const Context = m.context(next);
    INSIDE.store(false, Ordering::Relaxed);
    let mut nobody = Context::empty();
    // SAFETY: `next` is suspended; this context is never resumed, because its slot is loaded anew before its next use. The
    // slot's stack is still this one, but nobody else runs until the switch has left it.
    unsafe { context::switch(&mut nobody, load) };
    unreachable!("squall bug: a finished thread was resumed")
}

/// Books the end of the running OS thread and passes the baton on.
fn os_leave(result: usize) {
    let theirs = {
        let _inside = Inside::enter();
        let next = end_thread(result);
        let m = machine();
        m.kernel.switches += 1;
        m.kernel.sched.current = next;
        m.baton(next)
    };
    ME.set(0);
    // SAFETY: batons live in slots and in the machine, which are never freed.
    unsafe { (*theirs).pass() };
}

fn os_exit(result: usize) -> ! {
    os_leave(result);
    // This thread is over as far as the simulation knows; its OS thread waits for the end of the process.
    let never = Baton::default();
    loop {
        never.wait();
    }
}

/// Books the end of the running thread and says who goes on.
fn end_thread(result: usize) -> u32 {
    let m = machine();
    let id = m.kernel.sched.current;
    m.kernel.exit_thread(result);
    let thread = &m.kernel.sched.threads[id as usize];
    if thread.detached {
        let index = thread.slot;
        m.give_back(index);
    }
    if id == 0 {
        m.kernel.finish(End::Returned);
        return CARRIER;
    }
    m.kernel.next_thread()
}

/// Ends the run at once from the running simulated thread, which never goes on.
pub(crate) fn end_run(end: End) -> ! {
    let me = me();
    with_kernel(|k| k.finish(end));
    switch(me, CARRIER);
    unreachable!("squall bug: a run went on after its end")
}

extern "C" fn run_body(_: *mut c_void) -> *mut c_void {
    let body = machine().body.take();
    if let Some(body) = body {
        body();
    }
    std::ptr::null_mut()
}

/// The executable's code, start and end.
pub(crate) fn program_code() -> (usize, usize) {
    // A function of this crate lies in it, or in the library that was preloaded into it.
    trap::code_around(program_code as *const () as usize)
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
    assert!(!in_simulation(), "a simulation cannot be started inside a simulation");
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
            let contexts: Vec<usize> = (0..m.slots.len()).filter(|i| m.slot(*i).is_context()).collect();
            m.free = contexts;
        }
    }
    // Which thread gets which stack must not depend on earlier runs: the oldest slots first.
    m.free.sort_unstable_by(|a, b| b.cmp(a));
    heap::prepare();
    m.kernel.reset(&config, oracle);
    m.contexts.clear();
    m.sink = config.sink;
    m.body = Some(body);
    m.probe = CARRIER;
    spawn(
        Some(0),
        super::sched::thread_name("main"),
        slot::STACK,
        run_body,
        std::ptr::null_mut(),
    );
    raw::arm(true);
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
        End::Deadlock(t) | End::Livelock(t) | End::TimeLimit(t) | End::StepLimit(t) => t.clone_from(&threads),
        End::Returned | End::Exited(_) | End::Aborted { .. } | End::HostFailed { .. } => {}
    }
    threads.retain(|t| t.id != 0);
    let (trace, backtrace) = m.kernel.trace.take();
    let outcome = Outcome {
        end,
        digest: m.kernel.trace.digest(),
        steps: m.kernel.steps,
        switches: m.kernel.switches,
        virtual_ns: m.kernel.now,
        threads_left: threads,
        refused: std::mem::take(&mut m.kernel.refused),
        trace,
        backtrace,
        contexts: m.kernel.sched.peak,
    };
    raw::arm(false);
    m.abandon_all();
    m.sink = None;
    let oracle = m.kernel.take_oracle();
    BUSY.store(false, Ordering::Release);
    (outcome, oracle)
}

impl Machine {
    /// Puts the slots of all threads that were alive back into the pool.
    fn abandon_all(&mut self) {
        self.body = None;
        if self.os_threads {
            // Their OS threads wait for a baton that never comes; the process ends without them.
            for i in 0..self.slots.len() {
                self.slot(i).thread = CARRIER;
            }
            return;
        }
        for i in 0..self.slots.len() {
            let slot = self.slot(i);
            if slot.free || slot.thread == CARRIER {
                continue;
            }
            slot.abandoned = true;
            // SAFETY: the run is over; no simulated thread runs any more.
            unsafe { slot.restore_tls() };
            self.give_back(i);
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
