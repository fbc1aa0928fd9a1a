//! The machine that carries out the kernel's decisions: it owns the kernel and switches threads. `simulate` runs it from a
//! first thread to the end of a run, `life` has what a thread does at its own beginning and end. Unsafe code lives here
//! because stacks are switched here.
//!
//! The *carrier* is the thread that calls [`simulate`]. In context mode it runs every simulated thread by switching stacks;
//! in OS mode each has an OS thread and the baton goes round. Either way exactly one of them runs at a time, and only that
//! one touches the machine.

mod abandon;
mod baton;
mod context;
pub mod doors;
pub mod fault;
pub mod image;
mod keys;
pub mod ledger;
mod life;
mod place;
pub mod power;
pub mod rest;
mod roots;
mod simulate;
mod slot;
mod statics;
pub mod trap;
mod waker;

/// What the baton waits on; `loom/` has its own.
mod word {
    pub(super) use crate::kernel::abi::raw::{futex_wait, futex_wake, futex_wake_unfiltered};
    pub(super) use std::sync::atomic::{AtomicU32, Ordering};
}

use super::abi::heap;
use super::sched::{CARRIER, ThreadName};
use super::{End, Kernel, Sink};
use baton::Baton;
use context::Context;
pub(crate) use slot::{Destructor, Slot, Start};
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

pub(crate) use doors::{in_simulation, sink};
pub(crate) use keys::{key_created, key_deleted};
pub(crate) use life::finish_thread;
pub(crate) use place::{place, place_even_if_own};
pub use simulate::{prewarm, simulate};
pub use waker::{Watched, watched_waker};

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
    /// The programs of the hosts that have one.
    programs: Vec<Option<power::Program>>,
    statics: statics::Statics,
    /// What the library keeps of the run.
    ledger: ledger::Ledger,
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
    /// Its slot; null outside a simulation.
    static MY_SLOT: Cell<*mut Slot> = const { Cell::new(std::ptr::null_mut()) };
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
            programs: Vec::new(),
            statics: statics::Statics::default(),
            ledger: ledger::Ledger::default(),
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

/// The running thread has come to block, and polls a future meanwhile: says so and who goes on.
#[cold]
pub(crate) fn blocks_in_poll() -> u32 {
    with_kernel(|k| {
        k.blocked_in_poll();
        k.next_thread()
    })
}

/// Lets `to` go on in place of `from`, the caller; returns when somebody switches back.
#[inline(always)]
pub(crate) fn switch(from: u32, mut to: u32) {
    loop {
        let m = machine();
        m.turn(to);
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
    /// A thread gets its turn.
    #[inline]
    fn turn(&mut self, thread: u32) {
        self.kernel.switches += 1;
        self.kernel.sched.current = thread;
        if thread != CARRIER {
            let host = self.kernel.sched.threads[thread as usize].host;
            heap::turn(host);
            self.statics.turn(host);
        }
    }

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
        (0..self.slots.len())
            .filter(|i| self.slot(*i).stack.1 == slot::STACK)
            .count()
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
        let usual = self.usual_slots();
        let number = if stack <= slot::STACK {
            usual
        } else {
            self.slots.len() - usual
        };
        let slot = Slot::new(number, stack, self.os_threads);
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

/// Ends the run at once from the running simulated thread, which never goes on.
pub(crate) fn end_run(end: End) -> ! {
    let me = me();
    with_kernel(|k| k.finish(end));
    switch(me, CARRIER);
    unreachable!("squall bug: a run went on after its end")
}

/// The executable's code, start and end.
pub(crate) fn program_code() -> (usize, usize) {
    // The entry point lies in it, which this crate need not: it may have been preloaded.
    // SAFETY: getauxval only reads the auxiliary vector.
    trap::code_around(unsafe { libc::getauxval(libc::AT_ENTRY) } as usize)
}
