//! fstat(2) and statx(2) of simulated descriptors. Paths and real descriptors pass through.

use super::raw::real;
use super::{ret_unit, fail, ours, quick};
use crate::kernel::descriptor::Kind;
use crate::kernel::{Cost, Errno, Result};
use std::ffi::{c_char, c_int, c_uint};

/// The file type of a simulated descriptor, as `st_mode` has it.
fn mode(fd: c_int) -> Result<u32> {
    quick("fstat", Cost::CALL, |k| {
        let id = k.object(fd)?;
        Ok(match k.objects.get(id) {
            Some(Kind::PipeReader(_) | Kind::PipeWriter(_)) => libc::S_IFIFO | 0o600,
            Some(Kind::Random) => libc::S_IFCHR | 0o666,
            Some(Kind::Tcp(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Unix(_)) => libc::S_IFSOCK | 0o777,
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
    if !ours(directory) {
        return real!(SYS_statx, directory, path, flags, mask, out) as c_int;
    }
    if flags & libc::AT_EMPTY_PATH == 0 || out.is_null() {
        return fail(if out.is_null() { Errno::EFAULT } else { Errno::ENOTDIR });
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
