//! The life of a simulated thread on its stack: where its context begins, and how it ends. `mod.rs` declares the machine;
//! `abi/pthread.rs` ends threads from here.

use super::context::{self, Context};
use super::{
    Baton, INSIDE, Inside, ME, MY_SLOT, fault, keys, machine, me, my_slot, slot::Slot, trap,
};
use crate::kernel::End;
use crate::kernel::sched::CARRIER;
use std::ffi::c_void;
use std::sync::atomic::Ordering;

/// Where a context begins.
pub(super) unsafe extern "C" fn run_context(slot: *mut c_void) -> ! {
    // SAFETY: `load` put the slot's address here.
    let result = unsafe { run_thread(slot.cast()) };
    finish_thread(result)
}

/// What an OS thread runs once it has the baton.
///
/// # Safety
/// `slot` must be the caller's slot.
pub(super) unsafe fn run_os_thread(slot: *mut Slot) {
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
    MY_SLOT.set(slot);
    if std::mem::take(&mut slot.abandoned) {
        keys::forget_values();
    }
    let (start, arg) = slot
        .start
        .take()
        .expect("squall bug: a slot without a start routine");
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
    m.turn(next);
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
        m.turn(next);
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
