//! sigaction(2), signal(2), sigprocmask(2), sigaltstack(2).
//!
//! Handlers that simulated code installs are kept in the kernel and not installed for real: a real signal would come at no
//! moment that a seed decides.

use super::raw::{next, real};
use super::{ret_unit, fail, quick, refuse, simulated};
use crate::kernel::thread;
use crate::kernel::{Cost, Errno};
use libc::{sigaction as Action, sighandler_t, sigset_t, stack_t};
use std::ffi::c_int;

const LAST: c_int = 64;

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(signal: c_int, new: *const Action, old: *mut Action) -> c_int {
    if !simulated() {
        return next!(
            c"sigaction",
            fn(c_int, *const Action, *mut Action) -> c_int,
            signal,
            new,
            old
        );
    }
    ret_unit(quick("sigaction", Cost::CALL, |k| {
        if !(1..=LAST).contains(&signal)
            || (!new.is_null() && (signal == libc::SIGKILL || signal == libc::SIGSTOP))
        {
            return Err(Errno::EINVAL);
        }
        let known = k.handlers.iter().position(|(s, _)| *s == signal);
        if !old.is_null() {
            // SAFETY: the caller passes a writable record or null; all-zero is SIG_DFL with an empty mask.
            unsafe {
                *old = match known {
                    Some(i) => k.handlers[i].1,
                    None => std::mem::zeroed(),
                };
            }
        }
        if !new.is_null() {
            // SAFETY: the caller passes a readable record or null.
            let action = unsafe { *new };
            match known {
                Some(i) => k.handlers[i].1 = action,
                None => k.handlers.push((signal, action)),
            }
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    if !simulated() {
        return next!(c"signal", fn(c_int, sighandler_t) -> sighandler_t, number, handler);
    }
    // SAFETY: all-zero is a valid record, and both live for the call.
    unsafe {
        let mut new: Action = std::mem::zeroed();
        new.sa_sigaction = handler;
        let mut old: Action = std::mem::zeroed();
        if sigaction(number, &new, &mut old) == 0 {
            old.sa_sigaction
        } else {
            libc::SIG_ERR
        }
    }
}

/// Reports an empty mask: simulated threads receive no signals.
///
/// # Safety
/// `old` must be writable or null.
unsafe fn empty(old: *mut sigset_t) {
    if !old.is_null() {
        // SAFETY: the caller's promise.
        unsafe { libc::sigemptyset(old) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigprocmask(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int {
    if !simulated() {
        return real!(SYS_rt_sigprocmask, how, new, old, 8) as c_int;
    }
    // SAFETY: the caller's contract is the same.
    unsafe { empty(old) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_sigmask(how: c_int, new: *const sigset_t, old: *mut sigset_t) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_sigmask",
            fn(c_int, *const sigset_t, *mut sigset_t) -> c_int,
            how,
            new,
            old
        );
    }
    // SAFETY: the caller's contract is the same.
    unsafe { empty(old) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int {
    if !thread::in_simulation() {
        return real!(SYS_sigaltstack, new, old) as c_int;
    }
    // The carrier's alternate stack serves every context; std then leaves it alone.
    if !old.is_null() {
        // SAFETY: the caller passes a writable record or null.
        unsafe {
            *old = std::mem::zeroed();
            (*old).ss_size = 1 << 16;
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn signalfd(fd: c_int, mask: *const sigset_t, flags: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_signalfd4, fd, mask, 8, flags) as c_int;
    }
    fail(refuse("signalfd", Errno::ENOSYS, false))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sigwait(mask: *const sigset_t, out: *mut c_int) -> c_int {
    if !simulated() {
        return next!(c"sigwait", fn(*const sigset_t, *mut c_int) -> c_int, mask, out);
    }
    refuse("sigwait", Errno::ENOSYS, false).0
}
