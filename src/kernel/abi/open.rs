//! open(2) of devices that are simulated, isatty(3), and the calls that a simulated descriptor refuses as a socket or pipe
//! does on Linux: lseek(2), pread(2), sendfile(2) and their kin. Real files pass through.

use super::raw::{next, real};
use super::{fail, ours, quick, ret_int, simulated};
use crate::kernel::descriptor::Kind;
use crate::kernel::{Cost, Errno};
use libc::off_t;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// What opening a path means on a simulated thread, if it is not the real file.
enum Special {
    Random,
    /// A file that tells of the real machine.
    Hidden,
}

fn special(path: &CStr) -> Option<Special> {
    let path = path.to_bytes();
    if path == b"/dev/urandom" || path == b"/dev/random" {
        return Some(Special::Random);
    }
    let hidden: [&[u8]; 6] = [
        b"/proc/self/cgroup",
        b"/sys/fs/cgroup",
        b"/proc/cpuinfo",
        b"/proc/stat",
        b"/proc/loadavg",
        b"/sys/devices/system/cpu",
    ];
    hidden
        .iter()
        .any(|h| path.starts_with(h))
        .then_some(Special::Hidden)
}

fn open_at(directory: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    if simulated() && !path.is_null() {
        // SAFETY: the caller passes a C string.
        match special(unsafe { CStr::from_ptr(path) }) {
            Some(Special::Random) => {
                return ret_int(quick("open", Cost::CALL, |k| {
                    k.open(
                        Kind::Random,
                        flags & libc::O_NONBLOCK != 0,
                        flags & libc::O_CLOEXEC != 0,
                    )
                }));
            }
            Some(Special::Hidden) => return fail(Errno::ENOENT),
            None => {}
        }
    }
    real!(SYS_openat, directory, path, flags, mode) as c_int
}

/// Defines the names of open(2): the mode is an argument only when a file may be created, but reading it is harmless.
macro_rules! opens {
    ($($name:ident $at:ident),*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
            open_at(libc::AT_FDCWD, path, flags, mode)
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $at(directory: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
            open_at(directory, path, flags, mode)
        }
    )* };
}
opens!(open openat, open64 openat64);

#[unsafe(no_mangle)]
unsafe extern "C" fn isatty(fd: c_int) -> c_int {
    if !simulated() {
        return next!(c"isatty", fn(c_int) -> c_int, fd);
    }
    // Not even real output is a terminal: it goes to the run's record.
    super::raw::set_errno(libc::ENOTTY);
    0
}

/// Defines calls that make no sense on a simulated descriptor: they fail with the errno that Linux gives for a socket.
macro_rules! refused_on_sockets {
    ($($name:ident($($arg:ident: $t:ty),*) -> $r:ty, $number:ident, $errno:ident;)*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(fd: c_int, $($arg: $t),*) -> $r {
            if ours(fd) {
                return fail(Errno::$errno) as $r;
            }
            real!($number, fd $(, $arg)*) as $r
        }
    )* };
}
refused_on_sockets! {
    lseek(offset: off_t, whence: c_int) -> off_t, SYS_lseek, ESPIPE;
    lseek64(offset: off_t, whence: c_int) -> off_t, SYS_lseek, ESPIPE;
    pread(out: *mut c_void, n: usize, at: off_t) -> isize, SYS_pread64, ESPIPE;
    pread64(out: *mut c_void, n: usize, at: off_t) -> isize, SYS_pread64, ESPIPE;
    pwrite(data: *const c_void, n: usize, at: off_t) -> isize, SYS_pwrite64, ESPIPE;
    pwrite64(data: *const c_void, n: usize, at: off_t) -> isize, SYS_pwrite64, ESPIPE;
    fsync() -> c_int, SYS_fsync, EINVAL;
    fdatasync() -> c_int, SYS_fdatasync, EINVAL;
    ftruncate(length: off_t) -> c_int, SYS_ftruncate, EINVAL;
    ftruncate64(length: off_t) -> c_int, SYS_ftruncate, EINVAL;
    flock(op: c_int) -> c_int, SYS_flock, EINVAL;
}

/// Defines calls that move data between two descriptors: with a simulated one among them they fail with `EINVAL`, upon
/// which std and others copy through a buffer.
macro_rules! refused_between {
    ($($name:ident($a:ident, $b:ident $(, $arg:ident: $t:ty)*), $number:ident $(, order $x:ident $y:ident)?;)*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($a: c_int, $b: c_int, $($arg: $t),*) -> isize {
            if ours($a) || ours($b) {
                return fail(Errno::EINVAL) as isize;
            }
            real!($number, $a, $b $(, $arg)*)
        }
    )* };
}
refused_between! {
    sendfile(out, input, at: *mut off_t, n: usize), SYS_sendfile;
    sendfile64(out, input, at: *mut off_t, n: usize), SYS_sendfile;
    tee(input, out, n: usize, flags: c_uint), SYS_tee;
}

/// As above, with the descriptors as first and third argument.
macro_rules! refused_between_offsets {
    ($($name:ident, $number:ident;)*) => { $(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            input: c_int, input_at: *mut off_t, out: c_int, out_at: *mut off_t, n: usize, flags: c_uint,
        ) -> isize {
            if ours(input) || ours(out) {
                return fail(Errno::EINVAL) as isize;
            }
            real!($number, input, input_at, out, out_at, n, flags)
        }
    )* };
}
refused_between_offsets! {
    splice, SYS_splice;
    copy_file_range, SYS_copy_file_range;
}
