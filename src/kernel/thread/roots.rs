//! Which memory of threads is in use: what a collection of the heap has to look at. Called by `power.rs` whenever a program
//! starts, before it has memory.

use super::{CARRIER, Inside, machine, me};
use crate::kernel::abi::heap;
use crate::kernel::sched::State;
use std::arch::asm;

/// Gives back what dead programs left, if that is enough to be worth it. Only where simulated threads are contexts: where the stack of
/// an OS thread ends is not known.
pub(super) fn collect_if_due() {
    if heap::collection_is_due() && !machine().os_threads {
        collect();
    }
}

#[cold]
#[inline(never)]
fn collect() {
    let _inside = Inside::enter();
    let mut registers = [0usize; 6];
    let sp: usize;
    // SAFETY: stores the registers that a call preserves into the array, and reads the stack pointer.
    unsafe {
        asm!(
            "mov [{to}], rbx",
            "mov [{to} + 8], rbp",
            "mov [{to} + 16], r12",
            "mov [{to} + 24], r13",
            "mov [{to} + 32], r14",
            "mov [{to} + 40], r15",
            "mov {sp}, rsp",
            to = in(reg) registers.as_mut_ptr(),
            sp = out(reg) sp,
            options(nostack, preserves_flags),
        );
    }
    let me = me();
    let m = machine();
    let (mut stacks, mut live) = (Vec::new(), Vec::new());
    for index in 0..m.slots.len() {
        let slot = m.slot(index);
        let end = slot.stack.0 + slot.stack.1;
        stacks.push((slot.stack.0, end));
        if slot.free || slot.thread == CARRIER {
            continue;
        }
        let thread = &m.kernel.sched.threads[slot.thread as usize];
        if !matches!(thread.state, State::Done) {
            // Its thread-local storage lies at the upper end.
            live.push(match slot.thread == me {
                true => (sp, end),
                false => (slot.context.sp(), end),
            });
        }
    }
    stacks.sort_unstable();
    // SAFETY: this thread is the only one that runs. Those that are suspended as contexts go on with what lies between their stack
    // pointer and the end of their stack, where `switch` has put their registers; ours are in the array, above `sp`.
    unsafe { heap::collect(&stacks, &live) };
    std::hint::black_box(&registers);
}
