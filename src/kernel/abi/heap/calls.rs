//! malloc(3) and its kin as the program calls them: who calls, and from which of the two heaps the block comes or came. The symbols of `heap` lead here
//! with the caller's address, and those of `preload/`. Nobody else calls them.

use super::{BASE, LIMIT, UNIT, arena, heap, is_program, no_memory, step};
use crate::kernel::abi::raw;
use crate::kernel::thread;
use std::ffi::{c_int, c_void};

// libc's own, under the names that it keeps for this purpose.
unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

#[inline]
fn is_ours(block: *mut c_void) -> bool {
    (BASE..LIMIT).contains(&(block as usize))
}

/// The usable size of a block of the program's heap.
fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: the program asks about what it was given.
    unsafe { arena::block_of(block as usize) }.1
}

/// # Safety
/// As the function of libc.
pub unsafe extern "C" fn malloc(size: usize, caller: usize) -> *mut c_void {
    if is_program(caller) {
        step();
        return heap().allocate(size, UNIT, false);
    }
    // SAFETY: malloc has no precondition.
    unsafe { __libc_malloc(size) }
}

/// # Safety
/// As the function of libc.
pub unsafe extern "C" fn calloc(count: usize, size: usize, caller: usize) -> *mut c_void {
    if is_program(caller) {
        step();
        return match count.checked_mul(size) {
            Some(size) => heap().allocate(size, UNIT, true),
            None => no_memory(),
        };
    }
    // SAFETY: calloc has no precondition.
    unsafe { __libc_calloc(count, size) }
}

/// # Safety
/// As the function of libc.
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize, caller: usize) -> *mut c_void {
    if !is_ours(block) {
        if block.is_null() {
            // SAFETY: malloc has no precondition.
            return unsafe { malloc(size, caller) };
        }
        // SAFETY: the block is libc's, by the caller's contract.
        return unsafe { __libc_realloc(block, size) };
    }
    if size == 0 {
        // SAFETY: the block is ours and live.
        unsafe { free(block, caller) };
        return std::ptr::null_mut();
    }
    let usable = usable_size(block);
    if size <= usable {
        return block;
    }
    // SAFETY: the new block holds at least `size`, more than is copied; the two do not overlap.
    unsafe {
        let new = malloc(size, caller);
        if !new.is_null() {
            std::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), usable);
            free(block, caller);
        }
        new
    }
}

/// # Safety
/// As the function of libc.
pub unsafe extern "C" fn memalign(alignment: usize, size: usize, caller: usize) -> *mut c_void {
    if !is_program(caller) {
        // SAFETY: memalign has no precondition.
        return unsafe { __libc_memalign(alignment, size) };
    }
    if !alignment.is_power_of_two() || alignment > 1 << 30 {
        raw::set_errno(libc::EINVAL);
        return std::ptr::null_mut();
    }
    step();
    heap().allocate(size, alignment, false)
}

/// # Safety
/// As the function of libc.
pub unsafe extern "C" fn posix_memalign(
    out: *mut *mut c_void,
    alignment: usize,
    size: usize,
    caller: usize,
) -> c_int {
    if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<usize>()) {
        return libc::EINVAL;
    }
    // The function leaves errno alone.
    let errno = raw::errno();
    // SAFETY: memalign has no precondition.
    let block = unsafe { memalign(alignment, size, caller) };
    raw::set_errno(errno);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller passes a writable pointer.
    unsafe { *out = block };
    0
}

/// # Safety
/// As the function of libc.
pub unsafe extern "C" fn free(block: *mut c_void, _: usize) {
    if !is_ours(block) {
        // SAFETY: the block is libc's or null, by the caller's contract.
        return unsafe { __libc_free(block) };
    }
    // The carrier drops what a run left behind, perhaps after the heap was wound back: nothing to do then.
    if thread::in_simulation() {
        heap().release(block);
    }
}

/// # Safety
/// As the function of libc.
pub unsafe extern "C" fn usable(block: *mut c_void, _: usize) -> usize {
    if is_ours(block) {
        return usable_size(block);
    }
    // SAFETY: the block is libc's or null, by the caller's contract.
    raw::next!(c"malloc_usable_size", fn(*mut c_void) -> usize, block)
}
