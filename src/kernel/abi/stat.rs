//! fstat(2) and statx(2) of simulated descriptors; stat(2), access(2) and unlink(2) of paths that simulated Unix sockets are
//! bound to, which exist in the kernel alone. Other paths and real descriptors pass through.

use super::raw::real;
use super::{fail, ours, quick, ret_unit, simulated};
use crate::kernel::descriptor::Kind;
use crate::kernel::{Cost, Errno, Result};
use std::ffi::{CStr, c_char, c_int, c_uint};

/// The file type of a simulated descriptor, as `st_mode` has it.
fn mode(fd: c_int) -> Result<u32> {
    quick("fstat", Cost::CALL, |k| {
        let id = k.object(fd)?;
        Ok(match k.objects.get(id) {
            Some(Kind::PipeReader(_) | Kind::PipeWriter(_)) => libc::S_IFIFO | 0o600,
            Some(Kind::Random) => libc::S_IFCHR | 0o666,
            Some(Kind::Tcp(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Unix(_)) => {
                libc::S_IFSOCK | 0o777
            }
            // Anonymous inodes have no type.
            Some(Kind::EventFd(_) | Kind::TimerFd(_) | Kind::Epoll(_)) => 0o600,
            None => return Err(Errno::EBADF),
        })
    })
}

/// Defines the names of fstat.
macro_rules! fstats {
    ($($name:ident $t:ty),*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(fd: c_int, out: *mut $t) -> c_int {
            if !ours(fd) {
                return real!(SYS_fstat, fd, out) as c_int;
            }
            ret_unit(mode(fd).map(|mode| {
                // SAFETY: the caller passes a writable record; all-zero is a valid value.
                unsafe {
                    *out = std::mem::zeroed();
                    (*out).st_mode = mode;
                    (*out).st_nlink = 1;
                    (*out).st_blksize = 4096;
                }
            }))
        }
    )* };
}
fstats!(fstat libc::stat, fstat64 libc::stat64);

#[unsafe(no_mangle)]
unsafe extern "C" fn statx(
    directory: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    out: *mut libc::statx,
) -> c_int {
    if is_socket_path(path) && !out.is_null() {
        // SAFETY: the caller passes a writable record; all-zero is a valid value.
        unsafe {
            *out = std::mem::zeroed();
            (*out).stx_mask = libc::STATX_TYPE | libc::STATX_MODE | libc::STATX_NLINK;
            (*out).stx_mode = SOCKET_FILE as u16;
            (*out).stx_nlink = 1;
        }
        return 0;
    }
    if !ours(directory) {
        return real!(SYS_statx, directory, path, flags, mask, out) as c_int;
    }
    if flags & libc::AT_EMPTY_PATH == 0 || out.is_null() {
        return fail(if out.is_null() {
            Errno::EFAULT
        } else {
            Errno::ENOTDIR
        });
    }
    ret_unit(mode(directory).map(|mode| {
        // SAFETY: the caller passes a writable record; all-zero is a valid value.
        unsafe {
            *out = std::mem::zeroed();
            (*out).stx_mask = libc::STATX_TYPE | libc::STATX_MODE | libc::STATX_NLINK;
            (*out).stx_mode = mode as u16;
            (*out).stx_nlink = 1;
            (*out).stx_blksize = 4096;
        }
    }))
}

/// The mode of a socket in the file system.
const SOCKET_FILE: u32 = libc::S_IFSOCK | 0o755;

/// Whether a simulated socket is bound to this path.
fn is_socket_path(path: *const c_char) -> bool {
    if path.is_null() || !simulated() {
        return false;
    }
    // SAFETY: the callers pass their own caller's C string.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    !path.is_empty() && crate::kernel::thread::with_kernel(|k| k.unix_path_exists(path))
}

/// Defines the names of stat and lstat.
macro_rules! stats {
    ($($name:ident $t:ty, $number:ident;)*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, out: *mut $t) -> c_int {
            if !is_socket_path(path) {
                return real!($number, path, out) as c_int;
            }
            // SAFETY: the caller passes a writable record; all-zero is a valid value.
            unsafe {
                *out = std::mem::zeroed();
                (*out).st_mode = SOCKET_FILE;
                (*out).st_nlink = 1;
                (*out).st_blksize = 4096;
            }
            0
        }
    )* };
}
stats! {
    stat libc::stat, SYS_stat;
    stat64 libc::stat64, SYS_stat;
    lstat libc::stat, SYS_lstat;
    lstat64 libc::stat64, SYS_lstat;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn access(path: *const c_char, mode: c_int) -> c_int {
    if is_socket_path(path) {
        return 0;
    }
    real!(SYS_access, path, mode) as c_int
}

/// Takes away the name of a simulated socket; false if the path is none.
fn unlink_socket(path: *const c_char) -> bool {
    if path.is_null() || !simulated() {
        return false;
    }
    // SAFETY: the callers pass their own caller's C string.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    quick("unlink", Cost::CALL, |k| Ok(k.unix_unlink(path))) == Ok(true)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    if unlink_socket(path) {
        return 0;
    }
    real!(SYS_unlink, path) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(directory: c_int, path: *const c_char, flags: c_int) -> c_int {
    if flags & libc::AT_REMOVEDIR == 0 && unlink_socket(path) {
        return 0;
    }
    real!(SYS_unlinkat, directory, path, flags) as c_int
}
