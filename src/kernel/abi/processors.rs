//! sched_getaffinity(2) and its kin, sched_getcpu(3), get_nprocs(3) and sysconf(3): which processors there are, as the host of the caller has them.

use super::raw::{next, real};
use super::{pthread_result, simulated};
use crate::kernel::thread;
use crate::kernel::{Errno, Result};
use std::ffi::{c_int, c_long};

/// Writes an affinity mask of the host's processors; returns its length in bytes.
///
/// # Safety
/// `out` must point to `size` writable bytes.
unsafe fn affinity(size: usize, out: *mut u8) -> Result<usize> {
    let cpus = thread::with_kernel(|k| k.host().cpus) as usize;
    if size * 8 < cpus || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the caller's promise.
    let mask = unsafe {
        std::ptr::write_bytes(out, 0, size);
        std::slice::from_raw_parts_mut(out, size)
    };
    for cpu in 0..cpus {
        mask[cpu / 8] |= 1 << (cpu % 8);
    }
    Ok(8)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(
    pid: libc::pid_t,
    size: usize,
    out: *mut libc::cpu_set_t,
) -> c_int {
    if !simulated() {
        return next!(
            c"sched_getaffinity",
            fn(libc::pid_t, usize, *mut libc::cpu_set_t) -> c_int,
            pid,
            size,
            out
        );
    }
    // SAFETY: the caller passes `size` writable bytes.
    super::ret_unit(unsafe { affinity(size, out.cast()) }.map(|_| ()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_getaffinity_np(
    t: libc::pthread_t,
    size: usize,
    out: *mut libc::cpu_set_t,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_getaffinity_np",
            fn(libc::pthread_t, usize, *mut libc::cpu_set_t) -> c_int,
            t,
            size,
            out
        );
    }
    // SAFETY: the caller passes `size` writable bytes.
    pthread_result(unsafe { affinity(size, out.cast()) }.map(|_| ()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sched_setaffinity(
    pid: libc::pid_t,
    size: usize,
    mask: *const libc::cpu_set_t,
) -> c_int {
    if !simulated() {
        return real!(SYS_sched_setaffinity, pid, size, mask) as c_int;
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setaffinity_np(
    t: libc::pthread_t,
    size: usize,
    mask: *const libc::cpu_set_t,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_setaffinity_np",
            fn(libc::pthread_t, usize, *const libc::cpu_set_t) -> c_int,
            t,
            size,
            mask
        );
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getcpu() -> c_int {
    if !simulated() {
        return next!(c"sched_getcpu", fn() -> c_int);
    }
    thread::with_kernel(|k| (k.sched.current % k.host().cpus) as c_int)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sysconf(name: c_int) -> c_long {
    if simulated() {
        match name {
            libc::_SC_NPROCESSORS_ONLN | libc::_SC_NPROCESSORS_CONF => {
                return c_long::from(thread::with_kernel(|k| k.host().cpus));
            }
            libc::_SC_OPEN_MAX => {
                return c_long::from(thread::with_kernel(|k| k.host().descriptor_limit));
            }
            _ => {}
        }
    }
    next!(c"sysconf", fn(c_int) -> c_long, name)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn get_nprocs() -> c_int {
    if !simulated() {
        return next!(c"get_nprocs", fn() -> c_int);
    }
    thread::with_kernel(|k| k.host().cpus as c_int)
}
