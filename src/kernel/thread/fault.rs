//! What a fault means: a read of the processor's time-stamp counter, which is answered with virtual time, or a stack that
//! overflowed. Called by `run`'s signal handler.

use super::{CARRIER, in_simulation, machine, simulated, with_kernel};
use crate::kernel::Cost;
use crate::kernel::abi::raw;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

const PR_SET_TSC: usize = 26;
const PR_TSC_ENABLE: usize = 1;
const PR_TSC_SIGSEGV: usize = 2;

/// Whether new OS threads of the simulation are to fault too.
#[unsafe(link_section = "squall_keep")]
static ON: AtomicBool = AtomicBool::new(false);

/// Lets `rdtsc` fault on the calling kernel thread (or no longer), so that [`answer_tsc`] can answer it. Returns whether
/// the system allows it.
pub fn trap_tsc(on: bool) -> bool {
    ON.store(on, Ordering::Relaxed);
    let mode = if on { PR_TSC_SIGSEGV } else { PR_TSC_ENABLE };
    // SAFETY: this prctl takes two numbers and changes nothing but how rdtsc behaves on this thread.
    unsafe { raw::call6(libc::SYS_prctl, [PR_SET_TSC, mode, 0, 0, 0, 0]) == 0 }
}

/// The calling OS thread joins the simulation: its reads fault if the carrier's do.
pub(super) fn join() {
    if ON.load(Ordering::Relaxed) {
        trap_tsc(true);
    }
}

/// In a handler of `SIGSEGV`: if the faulting instruction is `rdtsc` or `rdtscp`, answers it and returns true; the handler
/// then returns. The counter shows nanoseconds: virtual ones on a simulated thread, real ones elsewhere.
///
/// `context` is the third argument of the handler; a null pointer is answered with false.
pub fn answer_tsc(context: *mut c_void) -> bool {
    if context.is_null() {
        return false;
    }
    // SAFETY: the system passes a valid ucontext to an SA_SIGINFO handler.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let at = registers[libc::REG_RIP as usize] as *const u8;
    // A jump to nowhere faults too, and then there is nothing to read.
    if (at as usize) < 4096 || !readable(at) {
        return false;
    }
    // SAFETY: the bytes are those of the instruction that just faulted for its effect, not its fetch; an instruction at
    // the very end of a page is at least two bytes long, and the third is read only after the first two matched.
    let (length, aux) = unsafe {
        match (*at, *at.add(1)) {
            (0x0f, 0x31) => (2, false),
            (0x0f, 0x01) if *at.add(2) == 0xf9 => (3, true),
            _ => return false,
        }
    };
    let ticks = if simulated() {
        with_kernel(|k| {
            k.begin(Cost::CLOCK);
            k.monotonic()
        })
    } else {
        real_ns()
    };
    registers[libc::REG_RAX as usize] = (ticks & 0xffff_ffff) as i64;
    registers[libc::REG_RDX as usize] = (ticks >> 32) as i64;
    if aux {
        registers[libc::REG_RCX as usize] = 0;
    }
    registers[libc::REG_RIP as usize] += length;
    true
}

/// Whether the two bytes at `at` can be read, asked of the system without touching them.
fn readable(at: *const u8) -> bool {
    let mut bytes = [0u8; 2];
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: 2,
    };
    let remote = libc::iovec {
        iov_base: at.cast_mut().cast(),
        iov_len: 2,
    };
    // SAFETY: the call copies two bytes of this process into the local array, or fails.
    unsafe {
        let me = raw::call6(libc::SYS_getpid, [0; 6]) as usize;
        let args = [
            me,
            &raw const local as usize,
            1,
            &raw const remote as usize,
            1,
            0,
        ];
        raw::call6(libc::SYS_process_vm_readv, args) == 2
    }
}

fn real_ns() -> u64 {
    let mut ts = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let args = [
        libc::CLOCK_MONOTONIC as usize,
        &raw mut ts as usize,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the record is a writable local.
    unsafe { raw::call6(libc::SYS_clock_gettime, args) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// Whether a fault at `address` hit the guard below the running simulated thread's stack: it overflowed.
pub fn is_stack_overflow(address: usize) -> bool {
    if !in_simulation() {
        return false;
    }
    let m = machine();
    let current = m.kernel.sched.current;
    if current == CARRIER {
        return false;
    }
    let (start, size) = m
        .slot(m.kernel.sched.threads[current as usize].slot)
        .guard();
    (start..start + size).contains(&address)
}
