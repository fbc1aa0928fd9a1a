//! The end of threads that are never told: those of a host that crashes, or whose process is over. Their contexts are not
//! resumed again, no destructor of theirs runs, and their slots serve the next threads. Called through the doors.

use super::baton::Baton;
use super::context::{self, Context};
use super::{CARRIER, INSIDE, Inside, ME, machine, me, with_kernel};
use crate::kernel::abi::heap;
use crate::kernel::power::Death;
use std::sync::atomic::Ordering;

/// Ends everything that runs on `host`. Does not return if the caller is part of it.
pub(super) fn host_dies(host: u16, death: Death) {
    let mine = with_kernel(|k| {
        k.host_dies(host, death);
        k.host_id() == host
    });
    let m = machine();
    {
        let _inside = Inside::enter();
        let me = me();
        m.statics.forget(host);
        heap::program_dies(host);
        for index in 0..m.slots.len() {
            let thread = m.slot(index).thread;
            if thread == CARRIER
                || thread == me
                || m.kernel.sched.threads[thread as usize].host != host
            {
                continue;
            }
            m.reclaim(index);
        }
    }
    if mine {
        vanish();
    }
}

impl super::Machine {
    /// Puts the slot of an abandoned thread back into the pool.
    pub(super) fn reclaim(&mut self, index: usize) {
        let slot = self.slot(index);
        if self.os_threads {
            // Its OS thread waits for a baton that never comes; the process ends without it.
            slot.thread = CARRIER;
            return;
        }
        slot.abandoned = true;
        // SAFETY: the thread is over and never goes on, so nobody uses its thread-local storage.
        unsafe { slot.restore_tls() };
        self.give_back(index);
    }
}

/// Leaves the running thread, which is booked as over, for good.
fn vanish() -> ! {
    let id = me();
    INSIDE.store(true, Ordering::Relaxed);
    let m = machine();
    let index = m.kernel.sched.threads[id as usize].slot;
    let next = m.kernel.next_thread();
    m.turn(next);
    if m.os_threads {
        m.slot(index).thread = CARRIER;
        let theirs = m.baton(next);
        ME.set(0);
        INSIDE.store(false, Ordering::Relaxed);
        // SAFETY: batons live in slots and in the machine, which are never freed.
        unsafe { (*theirs).pass() };
        let never = Baton::default();
        loop {
            never.wait();
        }
    }
    let load: *const Context = m.context(next);
    m.reclaim(index);
    INSIDE.store(false, Ordering::Relaxed);
    let mut nobody = Context::empty();
    // SAFETY: `next` is suspended; this context is never resumed, because its slot is loaded anew before its next use. The
    // slot's stack is still this one, but nobody else runs until the switch has left it, and nothing between here and there
    // uses thread-local storage.
    unsafe { context::switch(&mut nobody, load) };
    unreachable!("squall bug: a thread of a dead host was resumed")
}
