//! System calls by number: what `syscall(2)` and a trapped `syscall` instruction mean on a simulated thread. Each number
//! leads to the function of this crate that has the call's libc name, passes through, or is refused by the caller.

use super::process::aborted;
use super::raw;
use super::{fail, ours};
use crate::kernel::thread::end_run;
use crate::kernel::{End, Errno};
use libc::{mmsghdr, msghdr, off_t, rlimit, sigset_t, sockaddr, socklen_t, timespec};
use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

type Iovec = *const libc::iovec;
type Text = *const c_char;

/// A system call that a simulated thread makes by number: simulated here, passed through, or `None` for a number that is
/// to be refused. The result is in C's convention: -1 and `errno` on failure.
///
/// # Safety
/// The arguments must satisfy the contract of the call with this number.
pub(super) unsafe fn by_number(n: c_long, a: [usize; 6]) -> Option<c_long> {
    /// The function with this libc name, on the arguments as the types given.
    macro_rules! forward {
        ($f:ident($($t:ty),*)) => {{
            #[allow(unused_mut, unused_variables)]
            let mut arguments = a.into_iter();
            // SAFETY: the caller vouches for the arguments; each is passed as the call's own type.
            let r = unsafe { libc::$f($(arguments.next().unwrap_or(0) as $t),*) };
            Some(r as c_long)
        }};
    }
    match n {
        libc::SYS_getrandom => forward!(getrandom(*mut c_void, usize, c_uint)),

        libc::SYS_time => forward!(time(*mut libc::time_t)),
        libc::SYS_gettimeofday => forward!(gettimeofday(*mut libc::timeval, *mut libc::timezone)),
        libc::SYS_clock_gettime => forward!(clock_gettime(c_int, *mut timespec)),
        libc::SYS_clock_getres => forward!(clock_getres(c_int, *mut timespec)),
        libc::SYS_nanosleep => forward!(nanosleep(*const timespec, *mut timespec)),
        libc::SYS_clock_nanosleep => {
            // The function returns its error number, the system call sets errno.
            let error = forward!(clock_nanosleep(c_int, c_int, *const timespec, *mut timespec))?;
            Some(if error == 0 {
                0
            } else {
                c_long::from(fail(Errno(error as i32)))
            })
        }
        libc::SYS_timerfd_create => forward!(timerfd_create(c_int, c_int)),
        libc::SYS_timerfd_settime => {
            forward!(timerfd_settime(c_int, c_int, *const libc::itimerspec, *mut libc::itimerspec))
        }
        libc::SYS_timerfd_gettime => forward!(timerfd_gettime(c_int, *mut libc::itimerspec)),

        libc::SYS_sched_yield => forward!(sched_yield()),
        libc::SYS_sched_getaffinity => {
            let done = forward!(sched_getaffinity(c_int, usize, *mut libc::cpu_set_t))?;
            // The system call says how many bytes it wrote.
            Some(if done == 0 {
                a[1].min(size_of::<libc::cpu_set_t>()) as c_long
            } else {
                done
            })
        }
        libc::SYS_gettid => Some(c_long::from(super::pthread::thread_id())),
        libc::SYS_getpid => forward!(getpid()),
        libc::SYS_getppid => forward!(getppid()),
        libc::SYS_kill => forward!(kill(libc::pid_t, c_int)),
        libc::SYS_tkill => signal_self(a[1]),
        libc::SYS_tgkill => signal_self(a[2]),
        libc::SYS_uname => forward!(uname(*mut libc::utsname)),
        libc::SYS_getrlimit => forward!(getrlimit(c_uint, *mut rlimit)),
        libc::SYS_setrlimit => forward!(setrlimit(c_uint, *const rlimit)),
        libc::SYS_rt_sigprocmask => {
            forward!(sigprocmask(c_int, *const sigset_t, *mut sigset_t))
        }
        libc::SYS_exit_group | libc::SYS_exit => end_run(End::Exited(a[0] as c_int)),
        // No barrier command is offered: 0 is the answer to a query on a kernel without any.
        libc::SYS_membarrier if a[0] == 0 => Some(0),

        // Programs probe for it and do without: answered as by a system older than the call. A report of each probe
        // would only take time.
        libc::SYS_pidfd_open => Some(c_long::from(fail(Errno::ENOSYS))),

        libc::SYS_epoll_create1 => forward!(epoll_create1(c_int)),
        libc::SYS_epoll_ctl => forward!(epoll_ctl(c_int, c_int, c_int, *mut libc::epoll_event)),
        libc::SYS_epoll_wait => forward!(epoll_wait(c_int, *mut libc::epoll_event, c_int, c_int)),
        libc::SYS_epoll_pwait => {
            forward!(epoll_pwait(c_int, *mut libc::epoll_event, c_int, c_int, *const sigset_t))
        }
        libc::SYS_poll => forward!(poll(*mut libc::pollfd, c_ulong, c_int)),
        libc::SYS_ppoll => {
            forward!(ppoll(*mut libc::pollfd, c_ulong, *const timespec, *const sigset_t))
        }
        libc::SYS_eventfd2 => forward!(eventfd(c_uint, c_int)),
        libc::SYS_pipe2 => forward!(pipe2(*mut c_int, c_int)),

        libc::SYS_read => forward!(read(c_int, *mut c_void, usize)),
        libc::SYS_write => forward!(write(c_int, *const c_void, usize)),
        libc::SYS_readv => forward!(readv(c_int, Iovec, c_int)),
        libc::SYS_writev => forward!(writev(c_int, Iovec, c_int)),
        libc::SYS_close => forward!(close(c_int)),
        libc::SYS_dup => forward!(dup(c_int)),
        libc::SYS_dup2 => forward!(dup2(c_int, c_int)),
        libc::SYS_dup3 => forward!(dup3(c_int, c_int, c_int)),
        libc::SYS_fcntl => forward!(fcntl(c_int, c_int, usize)),
        libc::SYS_ioctl => forward!(ioctl(c_int, c_ulong, usize)),
        libc::SYS_fstat => forward!(fstat(c_int, *mut libc::stat)),
        libc::SYS_statx => forward!(statx(c_int, Text, c_int, c_uint, *mut libc::statx)),
        libc::SYS_openat => forward!(openat(c_int, Text, c_int, c_uint)),
        libc::SYS_lseek => forward!(lseek(c_int, off_t, c_int)),
        libc::SYS_pread64 => forward!(pread(c_int, *mut c_void, usize, off_t)),
        libc::SYS_pwrite64 => forward!(pwrite(c_int, *const c_void, usize, off_t)),

        libc::SYS_socket => forward!(socket(c_int, c_int, c_int)),
        libc::SYS_socketpair => forward!(socketpair(c_int, c_int, c_int, *mut c_int)),
        libc::SYS_bind => forward!(bind(c_int, *const sockaddr, socklen_t)),
        libc::SYS_listen => forward!(listen(c_int, c_int)),
        libc::SYS_accept => forward!(accept(c_int, *mut sockaddr, *mut socklen_t)),
        libc::SYS_accept4 => forward!(accept4(c_int, *mut sockaddr, *mut socklen_t, c_int)),
        libc::SYS_connect => forward!(connect(c_int, *const sockaddr, socklen_t)),
        libc::SYS_shutdown => forward!(shutdown(c_int, c_int)),
        libc::SYS_getsockname => forward!(getsockname(c_int, *mut sockaddr, *mut socklen_t)),
        libc::SYS_getpeername => forward!(getpeername(c_int, *mut sockaddr, *mut socklen_t)),
        libc::SYS_getsockopt => {
            forward!(getsockopt(c_int, c_int, c_int, *mut c_void, *mut socklen_t))
        }
        libc::SYS_setsockopt => {
            forward!(setsockopt(c_int, c_int, c_int, *const c_void, socklen_t))
        }
        libc::SYS_sendto => {
            forward!(sendto(c_int, *const c_void, usize, c_int, *const sockaddr, socklen_t))
        }
        libc::SYS_recvfrom => {
            forward!(recvfrom(c_int, *mut c_void, usize, c_int, *mut sockaddr, *mut socklen_t))
        }
        libc::SYS_sendmsg => forward!(sendmsg(c_int, *const msghdr, c_int)),
        libc::SYS_recvmsg => forward!(recvmsg(c_int, *mut msghdr, c_int)),
        libc::SYS_sendmmsg => forward!(sendmmsg(c_int, *mut mmsghdr, c_uint, c_int)),
        libc::SYS_recvmmsg => {
            forward!(recvmmsg(c_int, *mut mmsghdr, c_uint, c_int, *mut timespec))
        }

        libc::SYS_copy_file_range if ours(a[0] as c_int) || ours(a[2] as c_int) => {
            Some(c_long::from(fail(Errno::EINVAL)))
        }
        _ if concerns_real_things(n, &a) => {
            // SAFETY: the caller vouches for the arguments.
            Some(raw::c_result(unsafe { raw::call6(n, a) }) as c_long)
        }
        _ => None,
    }
}

/// A signal that the calling process sends to one of its threads.
fn signal_self(signal: usize) -> Option<c_long> {
    if signal as c_int == libc::SIGABRT {
        aborted();
    }
    Some(c_long::from(super::ret_unit(super::signal::deliver(
        signal as c_int,
    ))))
}

/// Whether a call concerns memory, real files or the user alone, and no simulated descriptor.
fn concerns_real_things(n: c_long, a: &[usize; 6]) -> bool {
    match n {
        libc::SYS_mmap
        | libc::SYS_munmap
        | libc::SYS_mprotect
        | libc::SYS_madvise
        | libc::SYS_mremap
        | libc::SYS_mlock
        | libc::SYS_munlock
        | libc::SYS_msync
        | libc::SYS_brk
        | libc::SYS_memfd_create
        | libc::SYS_get_mempolicy
        | libc::SYS_mbind
        | libc::SYS_getuid
        | libc::SYS_geteuid
        | libc::SYS_getgid
        | libc::SYS_getegid
        | libc::SYS_umask
        | libc::SYS_getcwd
        | libc::SYS_chdir
        | libc::SYS_stat
        | libc::SYS_lstat
        | libc::SYS_access
        | libc::SYS_readlink
        | libc::SYS_statfs
        | libc::SYS_rename
        | libc::SYS_unlink
        | libc::SYS_mkdir
        | libc::SYS_rmdir => true,
        // The first argument is a descriptor, or the folder that a path starts from.
        libc::SYS_openat2
        | libc::SYS_newfstatat
        | libc::SYS_faccessat
        | libc::SYS_faccessat2
        | libc::SYS_readlinkat
        | libc::SYS_mkdirat
        | libc::SYS_unlinkat
        | libc::SYS_symlinkat
        | libc::SYS_fchmodat
        | libc::SYS_fchownat
        | libc::SYS_utimensat
        | libc::SYS_getdents64
        | libc::SYS_fstatfs
        | libc::SYS_fallocate
        | libc::SYS_fadvise64
        | libc::SYS_ftruncate
        | libc::SYS_fsync
        | libc::SYS_fdatasync
        | libc::SYS_fchmod
        | libc::SYS_fchown
        | libc::SYS_flock => !ours(a[0] as c_int),
        libc::SYS_linkat | libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_copy_file_range => {
            !ours(a[0] as c_int) && !ours(a[2] as c_int)
        }
        _ => false,
    }
}
