//! Processes: starting the zygote, forking from it, waiting, ending.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::last_error;
use crate::kernel::abi::raw;

/// Which side of a fork the caller is on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fork {
    /// The caller is the parent of this process.
    Parent(u32),
    /// The caller is the new process, in which no other thread exists.
    Child,
}

/// Forks. The zygote alone calls this, from a process in which no other thread does anything: a lock that another thread
/// held would stay held in the child.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: fork has no precondition of its own; that the child finds no lock held is the caller's promise above.
    match unsafe { libc::fork() } {
        -1 => Err(last_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid as u32)),
    }
}

/// Waits until a child has ended and leaves it unreaped, so that its number stays its own.
pub(crate) fn wait_ended(pid: u32) -> io::Result<()> {
    loop {
        // SAFETY: siginfo_t is plain data, for which zero bytes are valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is valid for writing.
        let result = unsafe {
            libc::waitid(
                libc::P_PID,
                pid,
                &raw mut info,
                libc::WEXITED | libc::WNOWAIT,
            )
        };
        if result == 0 {
            return Ok(());
        }
        let error = last_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Reaps a child that has ended; returns its wait status.
pub(crate) fn reap(pid: u32) -> io::Result<i32> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for writing.
        if unsafe { libc::waitpid(pid as libc::pid_t, &raw mut status, 0) } > 0 {
            return Ok(status);
        }
        let error = last_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Sends a signal to a process that this one started, directly or through its zygote. An error means that it is gone.
pub(crate) fn kill(pid: u32, signal: i32) -> io::Result<()> {
    // SAFETY: kill only takes numbers.
    if unsafe { libc::kill(pid as libc::pid_t, signal) } == 0 {
        Ok(())
    } else {
        Err(last_error())
    }
}

/// Ends the process at once, without exit handlers and destructors. May run anywhere.
pub(crate) fn exit_now(code: i32) -> ! {
    raw::exit_now(code)
}

/// Writes to a descriptor past every buffer and the simulation; errors are ignored. May run anywhere.
pub(crate) fn write_now(fd: RawFd, bytes: &[u8]) {
    raw::write_all(fd, bytes);
}

/// Has the system kill this process when the thread that started it ends. Returns whether that thread's process is still
/// `parent`.
pub(crate) fn die_with_parent(parent: u32) -> bool {
    // SAFETY: prctl with this option takes a signal number; getppid takes nothing.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::getppid() as u32 == parent
    }
}

/// Limits how much the process's address space may grow from here, in bytes. The hard limit stays.
pub(crate) fn limit_growth(bytes: u64) -> io::Result<()> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm
        .split(' ')
        .next()
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for writing.
    if unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } != 0 {
        return Err(last_error());
    }
    limit.rlim_cur = (pages * 4096).saturating_add(bytes).min(limit.rlim_max);
    // SAFETY: `limit` is valid for reading.
    if unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } != 0 {
        return Err(last_error());
    }
    Ok(())
}

/// Makes `command` start a zygote: it inherits `fds` under their own numbers, has a fixed address layout where the system
/// allows that, ignores the terminal's interrupt (its coordinator handles it), and dies with the calling thread.
pub(crate) fn make_zygote(command: &mut Command, fds: &[BorrowedFd<'_>]) {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let parent = std::process::id();
    let prepare = move || {
        for &fd in &fds {
            // SAFETY: fcntl with F_SETFD takes a number; the descriptor is open in this copy of the parent.
            if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } != 0 {
                return Err(last_error());
            }
        }
        // SAFETY: all of these only take numbers.
        unsafe {
            // Containers often forbid this; addresses must not matter to a run anyway.
            libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong);
            libc::signal(libc::SIGINT, libc::SIG_IGN);
            // With these not at their default, std leaves stack overflows alone in the new program. It would otherwise keep
            // a record of each thread on the heap behind a static, which cannot be put back between runs; `crash` takes its
            // place. A fault before that still ends the program.
            libc::signal(libc::SIGSEGV, libc::SIG_IGN);
            libc::signal(libc::SIGBUS, libc::SIG_IGN);
        }
        if die_with_parent(parent) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: between fork and exec `prepare` makes system calls only; it neither allocates nor locks. An io::Error from
    // an error number does not allocate.
    unsafe { command.pre_exec(prepare) };
}

/// Where copies for programs begin: out of the way of the files that they open, and below the simulated descriptors.
const PASSED_ON: RawFd = 500;

/// A copy of a descriptor that programs started from here inherit under its number. It is never closed.
pub(crate) fn pass_on(fd: RawFd) -> io::Result<RawFd> {
    // SAFETY: fcntl with F_DUPFD takes numbers and fails for a descriptor that is not open.
    match unsafe { libc::fcntl(fd, libc::F_DUPFD, PASSED_ON) } {
        -1 => Err(last_error()),
        copy => Ok(copy),
    }
}

/// Takes over a descriptor that was inherited under this number, and no longer passes it on. Each number is taken once.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_SETFD takes a number and fails for one that is not open.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(last_error());
    }
    // SAFETY: the descriptor is open, and no one else in this process knows of it: it was inherited for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Removes a variable from the environment. The zygote calls this while it has no thread but parked ones.
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: no other thread runs that could read the environment at the same time.
    unsafe { std::env::remove_var(name) };
}

/// Sets a variable of the environment. Called while the process has no thread but parked ones.
pub(crate) fn set_variable(name: &str, value: &str) {
    // SAFETY: as above.
    unsafe { std::env::set_var(name, value) };
}

/// Whether every other thread of the process sleeps, so that none of them holds a lock for long.
pub(crate) fn others_sleep() -> io::Result<bool> {
    // SAFETY: gettid takes nothing.
    let me = unsafe { libc::gettid() }.to_string();
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?;
        if task.file_name().to_str() == Some(&me) {
            continue;
        }
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        // The state follows the name, which stands in parentheses and may itself contain any character.
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.trim_start().chars().next());
        if !matches!(state, Some('S' | 'Z' | 'X')) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Bytes of memory that the process has in use; 0 if the system does not say.
pub(crate) fn size() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * 4096
}
