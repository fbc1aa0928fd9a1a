//! Fatal signals in a child, and the watchdog's: the handler takes down in the black box where the program was.
//!
//! The handler unwinds into shared memory and does nothing else: no allocation, no lock, no libc call that the kernel would
//! see, because the signal may have come anywhere, on a simulated thread or inside malloc. The coordinator finds the names.

use std::io;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::blackbox::{BlackBox, FRAMES, crash_state};
use super::last_error;
use crate::kernel;
use crate::kernel::abi::raw;

/// The stack for handlers, in bytes. std's own, which the carrier would have otherwise, is too small for an unwinder.
const STACK: usize = 256 * 1024;

/// Signals that end a process and come from its own doing.
const FATAL: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

#[unsafe(link_section = "squall_keep")]
static BOX: AtomicPtr<BlackBox> = AtomicPtr::new(std::ptr::null_mut());

/// The signal with which a coordinator asks a stuck child where it is.
pub(crate) fn watchdog_signal() -> i32 {
    libc::SIGRTMAX() - 1
}

/// Has fatal signals, and the watchdog's, taken down in `black_box` from now on, in this process and those forked from it.
/// Call it on the thread that will be the carrier.
pub(crate) fn watch(black_box: &'static BlackBox) -> io::Result<()> {
    BOX.store(std::ptr::from_ref(black_box).cast_mut(), Ordering::Release);
    // An unwinder's first use may allocate and lock; afterwards it does neither.
    // SAFETY: no other thread of this process unwinds now, and the closure does nothing.
    unsafe { backtrace::trace_unsynchronized(|_| false) };
    // SAFETY: the memory is a fresh private mapping that is never unmapped; both structures are plain data, for which zero
    // bytes are valid, and the handlers do only what a handler may.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            STACK,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if memory == libc::MAP_FAILED {
            return Err(last_error());
        }
        let stack = libc::stack_t {
            ss_sp: memory,
            ss_flags: 0,
            ss_size: STACK,
        };
        if libc::sigaltstack(&raw const stack, std::ptr::null_mut()) != 0 {
            return Err(last_error());
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        action.sa_sigaction = on_fatal as Handler as usize;
        for signal in FATAL {
            if libc::sigaction(signal, &raw const action, std::ptr::null_mut()) != 0 {
                return Err(last_error());
            }
        }
        action.sa_sigaction = on_watchdog as Handler as usize;
        action.sa_flags |= libc::SA_RESTART;
        if libc::sigaction(watchdog_signal(), &raw const action, std::ptr::null_mut()) != 0 {
            return Err(last_error());
        }
    }
    Ok(())
}

type Handler = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// # Safety
/// For the system to call, as the handler of a signal.
unsafe extern "C" fn on_fatal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    if signal == libc::SIGSEGV && kernel::fault::answer_tsc(context) {
        return;
    }
    // SAFETY: the system passes valid records; the box, once stored, lives as long as the process. With the default action
    // back, the instruction that failed fails again on return, and a signal that was sent is sent again.
    unsafe {
        if let Some(black_box) = BOX.load(Ordering::Acquire).as_ref() {
            take_down(black_box, signal, info, context);
        }
        // Past libc, whose symbol is the kernel's on a simulated thread: handler, flags, restorer and mask, all default.
        let default = [0u64; 4];
        let action = default.as_ptr() as usize;
        raw::call6(
            libc::SYS_rt_sigaction,
            [signal as usize, action, 0, 8, 0, 0],
        );
        let process = raw::call6(libc::SYS_getpid, [0; 6]);
        let thread = raw::call6(libc::SYS_gettid, [0; 6]);
        raw::call6(
            libc::SYS_tgkill,
            [process as usize, thread as usize, signal as usize, 0, 0, 0],
        );
    }
}

/// # Safety
/// For the system to call, as the handler of a signal.
unsafe extern "C" fn on_watchdog(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: as above.
    unsafe {
        if let Some(black_box) = BOX.load(Ordering::Acquire).as_ref() {
            take_down(black_box, signal, info, context);
        }
    }
}

/// # Safety
/// `info` and `context` must be what the system passed to a handler of `signal`.
unsafe fn take_down(
    black_box: &BlackBox,
    signal: libc::c_int,
    info: *const libc::siginfo_t,
    context: *const libc::c_void,
) {
    let crash = &black_box.crash;
    if crash.state.swap(crash_state::BEGUN, Ordering::AcqRel) != crash_state::NONE {
        // A fault within the handler, or after the watchdog's signal: what there is must do.
        return;
    }
    let relaxed = Ordering::Relaxed;
    // SAFETY: the caller's promise; the record of a memory fault has an address, and for other signals the field is plain
    // data that is not looked at.
    let (address, instruction, stack) = unsafe {
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let register = |index: libc::c_int| registers[index as usize] as u64;
        (
            (*info).si_addr() as u64,
            register(libc::REG_RIP),
            register(libc::REG_RSP),
        )
    };
    crash.signal.store(signal as u32, relaxed);
    crash.address.store(address, relaxed);
    crash.instruction.store(instruction, relaxed);
    // The kernel knows the guard pages of its own stacks. Of others: the stack around its pointer is always mapped, so a
    // fault there is the guard page, slightly below the pointer for a push or a call, above it where a large frame was
    // opened without touching each page.
    let fault = matches!(signal, libc::SIGSEGV | libc::SIGBUS);
    let near =
        address >= stack.saturating_sub(64 * 1024) && address < stack.saturating_add(1 << 20);
    let overflow = fault && (near || kernel::fault::is_stack_overflow(address as usize));
    crash.overflow.store(u32::from(overflow), relaxed);
    let mut depth = 0;
    // SAFETY: the unwinder was warmed up in `watch`, and no other thread of this process unwinds: simulated threads take
    // turns, and this one does not end its turn here.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            crash.frames[depth].store(frame.ip() as u64, relaxed);
            depth += 1;
            depth < FRAMES
        });
    }
    crash.depth.store(depth as u32, relaxed);
    crash.state.store(crash_state::WHOLE, Ordering::Release);
}
