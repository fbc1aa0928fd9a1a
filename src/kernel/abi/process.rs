//! exit(3), abort(3), getpid(2), uname(2), fork(2), execve(2), posix_spawn(3).
//!
//! Ending the process ends the run. New processes are refused: they would run outside the simulation.

use super::raw::{self, next, real};
use super::{fail, refuse, simulated};
use crate::kernel::{
    self,
    thread::{self, end_run, outside_kernel},
};
use crate::kernel::{End, Errno};
use std::ffi::{c_char, c_int, c_void};

/// Defines the ways to end a process: on a simulated thread they end the run. Exit handlers are known of programs that this
/// library is preloaded into.
macro_rules! exits {
    ($($name:ident $c:literal $handlers:expr),*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(code: c_int) -> ! {
            if simulated() {
                if $handlers {
                    super::preload::run_exit_handlers();
                }
                exits(code);
            }
            next!($c, fn(c_int) -> (), code);
            raw::exit_now(code)
        }
    )* };
}
exits!(exit c"exit" true, _exit c"_exit" false, _Exit c"_Exit" false, quick_exit c"quick_exit" false);

/// The program of the running thread's host ends its process. On the test's own host that ends the run; on another it stops
/// the host, and fails the run unless the program said that all was well or was told to end.
pub(super) fn exits(code: c_int) -> ! {
    if kernel::my_host() == 0 {
        end_run(End::Exited(code));
    }
    match code {
        0 | SIGTERM_EXIT => kernel::host_exits(),
        code => kernel::fail_host(format!("ended its process with status {code}")),
    }
}

/// What a shell reports of a process that SIGTERM ended.
const SIGTERM_EXIT: c_int = 128 + libc::SIGTERM;

pub(super) fn aborted() -> ! {
    let backtrace = outside_kernel(|| std::backtrace::Backtrace::force_capture().to_string());
    end_run(End::Aborted { backtrace })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn abort() -> ! {
    if simulated() {
        aborted();
    }
    next!(c"abort", fn() -> ());
    raw::exit_now(134)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn raise(signal: c_int) -> c_int {
    if !simulated() {
        return next!(c"raise", fn(c_int) -> c_int, signal);
    }
    super::ret_unit(super::signal::deliver(signal))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn kill(pid: libc::pid_t, signal: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_kill, pid, signal) as c_int;
    }
    let own = thread::with_kernel(|k| k.host().pid);
    match (pid, signal) {
        (p, 0) if p == own => 0,
        (p, _) if p == own => super::ret_unit(super::signal::deliver(signal)),
        _ => fail(Errno::ESRCH),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getpid() -> libc::pid_t {
    if !simulated() {
        return real!(SYS_getpid) as libc::pid_t;
    }
    thread::with_kernel(|k| k.host().pid)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getppid() -> libc::pid_t {
    if !simulated() {
        return real!(SYS_getppid) as libc::pid_t;
    }
    1
}

/// Copies text into a fixed field of a C record.
fn put(field: &mut [c_char], text: &str) {
    field.fill(0);
    let last = field.len() - 1;
    for (place, byte) in field[..last].iter_mut().zip(text.bytes()) {
        *place = byte as c_char;
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn uname(out: *mut libc::utsname) -> c_int {
    if !simulated() {
        return real!(SYS_uname, out) as c_int;
    }
    let name = thread::with_kernel(|k| k.host().name.clone());
    // SAFETY: the caller passes a writable record.
    let out = unsafe { &mut *out };
    put(&mut out.sysname, "Linux");
    put(&mut out.nodename, &name);
    put(&mut out.release, "6.1.0-squall");
    put(&mut out.version, "#1 simulated");
    put(&mut out.machine, "x86_64");
    put(&mut out.domainname, "(none)");
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrlimit(resource: u32, out: *mut libc::rlimit) -> c_int {
    if !simulated() || resource != libc::RLIMIT_NOFILE {
        return real!(SYS_getrlimit, resource, out) as c_int;
    }
    let limit = thread::with_kernel(|k| k.host().descriptor_limit);
    // SAFETY: the caller passes a writable record.
    unsafe {
        *out = libc::rlimit {
            rlim_cur: u64::from(limit),
            rlim_max: u64::from(limit),
        };
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn setrlimit(resource: u32, limit: *const libc::rlimit) -> c_int {
    if !simulated() {
        return real!(SYS_setrlimit, resource, limit) as c_int;
    }
    if resource != libc::RLIMIT_NOFILE {
        return fail(refuse(format!("setrlimit {resource}"), Errno::EPERM, true));
    }
    // SAFETY: the caller passes a readable record.
    let wanted = unsafe { (*limit).rlim_cur };
    thread::with_kernel(|k| {
        let host = usize::from(k.host_id());
        k.hosts[host].descriptor_limit = u32::try_from(wanted).unwrap_or(u32::MAX);
    });
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fork() -> libc::pid_t {
    if !simulated() {
        return next!(c"fork", fn() -> libc::pid_t);
    }
    fail(refuse("fork", Errno::ENOSYS, false))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn system(command: *const c_char) -> c_int {
    if !simulated() {
        return next!(c"system", fn(*const c_char) -> c_int, command);
    }
    fail(refuse("system", Errno::ENOSYS, false))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn popen(command: *const c_char, mode: *const c_char) -> *mut c_void {
    if !simulated() {
        return next!(
            c"popen",
            fn(*const c_char, *const c_char) -> *mut c_void,
            command,
            mode
        );
    }
    fail(refuse("popen", Errno::ENOSYS, false));
    std::ptr::null_mut()
}

type Strings = *const *const c_char;

/// Defines the functions of posix_spawn(3): they return the error number.
macro_rules! spawns {
    ($($name:ident $c:literal),*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            pid: *mut libc::pid_t, path: *const c_char, actions: *const c_void, attr: *const c_void,
            argv: Strings, envp: Strings,
        ) -> c_int {
            if !simulated() {
                return next!($c,
                    fn(*mut libc::pid_t, *const c_char, *const c_void, *const c_void, Strings, Strings) -> c_int,
                    pid, path, actions, attr, argv, envp);
            }
            refuse(stringify!($name), Errno::ENOSYS, false).0
        }
    )* };
}
spawns!(posix_spawn c"posix_spawn", posix_spawnp c"posix_spawnp");

/// Defines the exec functions that take their arguments as arrays.
macro_rules! execs {
    ($($name:ident $c:literal ($($arg:ident: $t:ty),*);)*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $t),*) -> c_int {
            if !simulated() {
                return next!($c, fn($($t),*) -> c_int $(, $arg)*);
            }
            fail(refuse(stringify!($name), Errno::ENOSYS, false))
        }
    )* };
}
execs! {
    execve c"execve" (path: *const c_char, argv: Strings, envp: Strings);
    execv c"execv" (path: *const c_char, argv: Strings);
    execvp c"execvp" (path: *const c_char, argv: Strings);
    fexecve c"fexecve" (fd: c_int, argv: Strings, envp: Strings);
}
