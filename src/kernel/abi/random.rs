//! getrandom(2), getentropy(3), arc4random(3).

use super::raw::{next, real};
use super::{quick, ret_size, ret_unit, simulated};
use crate::kernel::{Cost, Errno};
use std::ffi::{c_int, c_uint, c_void};

/// Fills the caller's memory from the entropy stream.
///
/// # Safety
/// `out` must point to `n` writable bytes.
pub(super) unsafe fn fill(name: &'static str, out: *mut c_void, n: usize) -> isize {
    ret_size(quick(name, Cost::CALL, |k| {
        if n > 0 {
            if out.is_null() {
                return Err(Errno::EFAULT);
            }
            // SAFETY: the caller's promise; zeroing first makes every byte initialised.
            let bytes = unsafe {
                std::ptr::write_bytes(out.cast::<u8>(), 0, n);
                std::slice::from_raw_parts_mut(out.cast::<u8>(), n)
            };
            k.entropy(bytes);
        }
        Ok(n)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(out: *mut c_void, n: usize, flags: c_uint) -> isize {
    if !simulated() {
        return real!(SYS_getrandom, out, n, flags);
    }
    // SAFETY: the caller's contract is the same.
    unsafe { fill("getrandom", out, n) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(out: *mut c_void, n: usize) -> c_int {
    if !simulated() {
        return next!(c"getentropy", fn(*mut c_void, usize) -> c_int, out, n);
    }
    if n > 256 {
        return ret_unit(Err(Errno::EIO));
    }
    // SAFETY: the caller's contract is the same.
    unsafe { fill("getentropy", out, n) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn arc4random() -> u32 {
    if !simulated() {
        return next!(c"arc4random", fn() -> u32);
    }
    let mut v = 0u32;
    // SAFETY: the pointer is that of a local of four bytes.
    unsafe { fill("arc4random", (&raw mut v).cast(), 4) };
    v
}

#[unsafe(no_mangle)]
unsafe extern "C" fn arc4random_buf(out: *mut c_void, n: usize) {
    if !simulated() {
        return next!(c"arc4random_buf", fn(*mut c_void, usize) -> (), out, n);
    }
    // SAFETY: the caller's contract is the same.
    unsafe { fill("arc4random_buf", out, n) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn arc4random_uniform(bound: u32) -> u32 {
    if !simulated() {
        return next!(c"arc4random_uniform", fn(u32) -> u32, bound);
    }
    let mut v = 0u32;
    // SAFETY: the pointer is that of a local of four bytes.
    unsafe { fill("arc4random_uniform", (&raw mut v).cast(), 4) };
    ((u64::from(v) * u64::from(bound)) >> 32) as u32
}
