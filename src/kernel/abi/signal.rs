//! sigaction(2), signal(2), sigprocmask(2), sigaltstack(2).
//!
//! Handlers that simulated code installs are kept in the kernel and not installed for real: a real signal would come at no
//! moment that a seed decides. A signal that the program sends to itself runs its handler there and then.

use super::raw::{next, real};
use super::{fail, quick, refuse, ret_unit, simulated};
use crate::kernel::sched::{Resume, State};
use crate::kernel::thread;
use crate::kernel::{Cost, Errno, Kernel, Result};
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
        let at = usize::from(k.host_id());
        let known = k.hosts[at].handlers.iter().position(|(s, _)| *s == signal);
        if !old.is_null() {
            // SAFETY: the caller passes a writable record or null; all-zero is SIG_DFL with an empty mask.
            unsafe {
                *old = match known {
                    Some(i) => k.hosts[at].handlers[i].1,
                    None => std::mem::zeroed(),
                };
            }
        }
        if !new.is_null() {
            // SAFETY: the caller passes a readable record or null.
            let action = unsafe { *new };
            match known {
                Some(i) => k.hosts[at].handlers[i].1 = action,
                None => k.hosts[at].handlers.push((signal, action)),
            }
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    if !simulated() {
        return next!(
            c"signal",
            fn(c_int, sighandler_t) -> sighandler_t,
            number,
            handler
        );
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

/// Sends `signal` to the running host's own process: what the program arranged for it happens now, on this thread, as
/// after a real `raise`. A signal whose default action is to end the process ends the run.
pub(crate) fn deliver(signal: c_int) -> Result<()> {
    if !(1..=LAST).contains(&signal) {
        return Err(Errno::EINVAL);
    }
    let action = thread::with_kernel(|k| {
        let at = usize::from(k.host_id());
        let known = k.hosts[at]
            .handlers
            .iter()
            .position(|(s, _)| *s == signal)?;
        let action = k.hosts[at].handlers[known].1;
        if action.sa_flags & libc::SA_RESETHAND != 0 {
            k.hosts[at].handlers.swap_remove(known);
        }
        Some((action, k.host().pid))
    });
    match action {
        Some((action, _)) if action.sa_sigaction == libc::SIG_IGN => {}
        Some((action, pid)) if action.sa_sigaction != libc::SIG_DFL => {
            run_handler(signal, &action, pid);
            let restarts = action.sa_flags & libc::SA_RESTART != 0;
            thread::with_kernel(|k| k.interrupt(restarts));
        }
        _ => match signal {
            libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => {}
            libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => {
                return Err(refuse(
                    format!("stopping the process with signal {signal}"),
                    Errno::ENOSYS,
                    false,
                ));
            }
            libc::SIGABRT => super::process::aborted(),
            _ => super::process::exits(128 + signal),
        },
    }
    Ok(())
}

/// What a handled signal interrupts in any case, and what only where its handler does not say `SA_RESTART`: signal(7). Calls
/// that may have done a part of their work are left out: they go on.
const INTERRUPTED: [&str; 7] = [
    "epoll_wait",
    "poll",
    "select",
    "nanosleep",
    "clock_nanosleep",
    "usleep",
    "sleep",
];
const RESTARTED: [&str; 3] = ["read", "readv", "accept"];

impl Kernel {
    /// A signal of the running thread's process was handled. Linux has its first thread do that, whose blocked call then ends
    /// with `EINTR`.
    fn interrupt(&mut self, restarts: bool) {
        let (me, host) = (self.sched.current, self.host_id());
        let threads = &self.sched.threads;
        let first = threads
            .iter()
            .position(|t| t.host == host && !matches!(t.state, State::Done));
        let Some(first) = first.map(|id| id as u32).filter(|id| *id != me) else {
            return;
        };
        if let State::Blocked { call, .. } = &threads[first as usize].state
            && (INTERRUPTED.contains(call) || (!restarts && RESTARTED.contains(call)))
        {
            self.wake(first, Resume::Interrupted);
        }
    }
}

/// Calls a handler as the system would for a signal that the process sent to itself.
fn run_handler(signal: c_int, action: &Action, pid: libc::pid_t) {
    // SAFETY: all-zero is valid for both records. The program registered this address as a handler of the kind that its
    // flags say, and both records outlive the call.
    unsafe {
        if action.sa_flags & libc::SA_SIGINFO == 0 {
            let handler: extern "C" fn(c_int) = std::mem::transmute(action.sa_sigaction);
            handler(signal);
            return;
        }
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::ucontext_t) =
            std::mem::transmute(action.sa_sigaction);
        let mut info: libc::siginfo_t = std::mem::zeroed();
        info.si_signo = signal;
        info.si_code = libc::SI_USER;
        // The sender's process id follows the three leading numbers and their padding.
        (&raw mut info).cast::<libc::pid_t>().add(4).write(pid);
        let mut context: libc::ucontext_t = std::mem::zeroed();
        handler(signal, &mut info, &mut context);
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
unsafe extern "C" fn pthread_sigmask(
    how: c_int,
    new: *const sigset_t,
    old: *mut sigset_t,
) -> c_int {
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
        return next!(
            c"sigwait",
            fn(*const sigset_t, *mut c_int) -> c_int,
            mask,
            out
        );
    }
    refuse("sigwait", Errno::ENOSYS, false).0
}

#[cfg(test)]
mod tests {
    use crate::kernel::testing::run;
    use crate::kernel::{Config, End};
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicI32, Ordering};

    static HEARD: AtomicI32 = AtomicI32::new(0);
    static SENDER: AtomicI32 = AtomicI32::new(0);

    extern "C" fn plain(signal: c_int) {
        HEARD.fetch_add(signal, Ordering::SeqCst);
    }

    extern "C" fn informed(signal: c_int, info: *mut libc::siginfo_t, _: *mut libc::ucontext_t) {
        HEARD.fetch_add(signal * 100, Ordering::SeqCst);
        // SAFETY: the kernel passes a valid record.
        SENDER.store(unsafe { (*info).si_pid() }, Ordering::SeqCst);
    }

    #[test]
    fn a_raised_signal_runs_its_handler_at_once() {
        let outcome = run(Config::default(), || {
            // SAFETY: the records live for their calls, and the handlers have the types that the flags name.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = plain as *const () as usize;
                assert_eq!(
                    libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
                    0
                );
                assert_eq!(libc::raise(libc::SIGUSR1), 0);
                assert_eq!(HEARD.load(Ordering::SeqCst), libc::SIGUSR1);

                action.sa_sigaction = informed as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO;
                assert_eq!(
                    libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
                    0
                );
                assert_eq!(libc::kill(libc::getpid(), libc::SIGUSR1), 0);
                assert_eq!(HEARD.load(Ordering::SeqCst), 101 * libc::SIGUSR1);
                assert_eq!(SENDER.load(Ordering::SeqCst), libc::getpid());

                // Ignored by default, ignored on request, and not a signal at all.
                assert_eq!(libc::raise(libc::SIGCHLD), 0);
                assert_ne!(libc::signal(libc::SIGTERM, libc::SIG_IGN), libc::SIG_ERR);
                assert_eq!(libc::raise(libc::SIGTERM), 0);
                assert_eq!(libc::raise(65), -1);
            }
        });
        assert_eq!(outcome.end, End::Returned);
    }

    #[test]
    fn a_signal_that_nobody_handles_ends_the_process() {
        let outcome = run(Config::default(), || {
            // SAFETY: no pointers.
            unsafe { libc::raise(libc::SIGTERM) };
            unreachable!("the run is over");
        });
        assert_eq!(outcome.end, End::Exited(128 + libc::SIGTERM));
    }
}
