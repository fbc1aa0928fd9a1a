//! malloc(3) and its kin. What the program allocates on simulated threads comes from a heap of its own at a fixed address,
//! so that addresses follow from the seed too: parking_lot seeds its fairness by the address of a lock, and any map keyed by
//! pointers iterates in their order. Everybody else (the kernel, the harness, libc itself) gets libc's heap, because what they
//! allocate may outlive the run or depend on the company that the run is in. Blocks go back to where they came from.
//!
//! Only the thread that runs touches the heap of the program, so it needs no lock. `thread/image.rs` winds it back between
//! the runs of a batch.

use super::raw;
use crate::kernel::thread;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the heap begins: far from everything that the system places by itself.
const BASE: usize = 0x1000_0000_0000;
/// One past its last possible address.
const LIMIT: usize = BASE + (1 << 40);
/// What is mapped at a time, at least.
const CHUNK: usize = 1 << 20;
/// What stays in memory when the heap is wound back; the rest returns to the system.
const KEEP: usize = 16 << 20;
/// From this size on blocks are cleared by pages.
const LARGE: usize = 4 << 20;
/// The alignment of every block.
const UNIT: usize = 16;
/// Sizes up to here have a class for each unit, larger ones four for each doubling.
const SMALL: usize = 1024;
const SMALL_CLASSES: usize = SMALL / UNIT;
/// Enough for blocks as large as the whole heap.
const CLASSES: usize = SMALL_CLASSES + 4 * 30;

/// Before each block's first byte.
#[repr(C)]
struct Header {
    class: u32,
    /// From the block's start to its first byte, which an alignment may have moved.
    offset: u32,
    /// The bytes that the caller may use.
    usable: usize,
}
const HEADER: usize = size_of::<Header>();

/// The state of the heap: all of it, so that copying it and the memory below `top` would be a copy of the heap.
#[derive(Clone)]
pub(crate) struct State {
    /// The first address that was never given out.
    top: usize,
    /// Freed blocks of each class, chained through their first word.
    free: [usize; CLASSES],
}

struct Heap {
    state: State,
    /// One past the last mapped address.
    mapped: usize,
    /// Memory from here on is still as the system gave it: zero.
    touched: usize,
    /// Allocations until the one before which another thread may go on.
    until: u32,
    /// Whether no other thread may go on.
    held: bool,
}

struct Shared(UnsafeCell<Heap>);
// SAFETY: exactly one thread of the simulation runs at a time, and only it, or the carrier between runs, gets at the heap.
unsafe impl Sync for Shared {}

#[unsafe(link_section = "squall_keep")]
static HEAP: Shared = Shared(UnsafeCell::new(Heap {
    state: State {
        top: BASE,
        free: [0; CLASSES],
    },
    mapped: BASE,
    touched: BASE,
    until: u32::MAX,
    held: false,
}));

/// The executable's code, start and end: who calls from there is the program.
#[unsafe(link_section = "squall_keep")]
static PROGRAM: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

// libc's own, under the names that it keeps for this purpose.
unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

// The symbols hand the caller's address on as a last argument. They are weak: a program that brings an allocator under these
// very names keeps it, and goes without addresses that follow from the seed.
std::arch::global_asm!(
    ".macro squall_allocates name, to, caller",
    ".weak \\name",
    ".type \\name, @function",
    "\\name:",
    "mov \\caller, [rsp]",
    "jmp \\to",
    ".size \\name, . - \\name",
    ".endm",
    ".text",
    "squall_allocates malloc, {malloc}, rsi",
    "squall_allocates calloc, {calloc}, rdx",
    "squall_allocates realloc, {realloc}, rdx",
    "squall_allocates memalign, {memalign}, rdx",
    "squall_allocates aligned_alloc, {memalign}, rdx",
    "squall_allocates posix_memalign, {posix_memalign}, rcx",
    "squall_allocates free, {free}, rsi",
    "squall_allocates malloc_usable_size, {usable}, rsi",
    ".purgem squall_allocates",
    malloc = sym malloc,
    calloc = sym calloc,
    realloc = sym realloc,
    memalign = sym memalign,
    posix_memalign = sym posix_memalign,
    free = sym free,
    usable = sym usable,
);

/// What the symbols lead to, for a preloaded library: a symbol that assembly defines is not visible outside of it, so the
/// package `preload/` defines them in its own way. The last argument is the caller's return address.
pub mod preload {
    pub use super::{calloc, free, malloc, memalign, posix_memalign, realloc, usable};
}

/// Finds out where the program's code is. Until then everything comes from libc's heap.
pub(crate) fn prepare() {
    // SAFETY: called before a run, when no thread of it exists.
    let heap = unsafe { &mut *HEAP.0.get() };
    heap.until = 1;
    heap.held = false;
    if PROGRAM[1].load(Ordering::Relaxed) == 0 {
        let (start, end) = thread::program_code();
        PROGRAM[0].store(start, Ordering::Relaxed);
        PROGRAM[1].store(end, Ordering::Relaxed);
    }
}

/// Where in the program's code an address lies, the same in every process of a build; 0 outside it.
#[inline]
pub(super) fn place_in_program(address: usize) -> u64 {
    let (start, end) = (
        PROGRAM[0].load(Ordering::Relaxed),
        PROGRAM[1].load(Ordering::Relaxed),
    );
    if (start..end).contains(&address) {
        (address - start) as u64
    } else {
        0
    }
}

/// The state of the heap, to be handed to [`wind_back`] between runs.
pub(crate) fn state() -> State {
    // SAFETY: called on the carrier, between runs.
    unsafe { (*HEAP.0.get()).state.clone() }
}

/// Forgets every block that was allocated since `state` was taken. Called on the carrier, between runs, when nothing that
/// is still to be used refers to them.
pub(crate) fn wind_back(state: &State) {
    // SAFETY: called on the carrier, between runs.
    let heap = unsafe { &mut *HEAP.0.get() };
    heap.state.clone_from(state);
    let keep = (state.top + KEEP).next_multiple_of(4096);
    if heap.touched > keep {
        // SAFETY: the range is the heap's own, and nobody uses it any more.
        unsafe {
            raw::call6(
                libc::SYS_madvise,
                [
                    keep,
                    heap.mapped - keep,
                    libc::MADV_DONTNEED as usize,
                    0,
                    0,
                    0,
                ],
            )
        };
        heap.touched = keep;
    }
}

/// Whether the running thread is the program's, and calls from the program's code.
#[inline]
fn is_program(caller: usize) -> bool {
    caller.wrapping_sub(PROGRAM[0].load(Ordering::Relaxed))
        < PROGRAM[1]
            .load(Ordering::Relaxed)
            .wrapping_sub(PROGRAM[0].load(Ordering::Relaxed))
        && thread::simulated()
}

#[inline]
fn is_ours(block: *mut c_void) -> bool {
    (BASE..LIMIT).contains(&(block as usize))
}

/// The class of a block of so many bytes, header included, and the size of that class.
#[inline]
fn class_of(size: usize) -> (usize, usize) {
    if size <= SMALL {
        let units = size.div_ceil(UNIT);
        return (units - 1, units * UNIT);
    }
    // Which doubling, counted from SMALL, and which quarter of it.
    let doubling = (size - 1).ilog2() as usize;
    let quarter = 1 << (doubling - 2);
    let steps = (size - (1 << doubling)).div_ceil(quarter);
    let class = SMALL_CLASSES + (doubling - SMALL.ilog2() as usize) * 4 + steps - 1;
    (class, (1 << doubling) + steps * quarter)
}

impl Heap {
    /// A block of at least `size` usable bytes, a multiple of `alignment`, which is a power of two; null without memory.
    /// `zeroed` blocks hold zeros.
    #[inline]
    fn allocate(&mut self, size: usize, alignment: usize, zeroed: bool) -> *mut c_void {
        let room = if alignment > UNIT { alignment } else { 0 };
        let Some(total) = size
            .max(1)
            .checked_add(HEADER + room)
            .filter(|total| *total < LIMIT - BASE)
        else {
            return no_memory();
        };
        let (class, total) = class_of(total);
        let mut clean = false;
        let start = match self.state.free[class] {
            0 => {
                let start = self.state.top;
                if total > self.mapped - start && !self.grow(total) {
                    return no_memory();
                }
                clean = start >= self.touched;
                self.state.top = start + total;
                self.touched = self.touched.max(self.state.top);
                start
            }
            start => {
                // SAFETY: a freed block's first word links to the next one of its class.
                self.state.free[class] = unsafe { *(start as *const usize) };
                start
            }
        };
        let first = (start + HEADER).next_multiple_of(alignment.max(UNIT));
        let usable = start + total - first;
        // SAFETY: the block is `total` bytes from `start`, mapped and nobody else's; `first` leaves room for the header.
        unsafe {
            ((first - HEADER) as *mut Header).write(Header {
                class: class as u32,
                offset: (first - start) as u32,
                usable,
            });
            if zeroed && !clean {
                clear(first, size);
            }
        }
        first as *mut c_void
    }

    /// Maps memory until `total` bytes lie between the top and what is mapped.
    #[cold]
    fn grow(&mut self, total: usize) -> bool {
        let size = (total - (self.mapped - self.state.top)).next_multiple_of(CHUNK);
        if size > LIMIT - self.mapped {
            return false;
        }
        let args = [
            self.mapped,
            size,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as usize,
            usize::MAX,
            0,
        ];
        // SAFETY: the mapping replaces nothing, and the range is used by nobody else.
        let at = unsafe { raw::call6(libc::SYS_mmap, args) };
        if at != self.mapped as isize {
            return false;
        }
        self.mapped += size;
        true
    }

    /// Takes a block back.
    #[inline]
    fn release(&mut self, block: *mut c_void) {
        // SAFETY: `allocate` wrote the header before the block's first byte, and the block is at least a word long.
        unsafe {
            let header = (block as usize - HEADER) as *const Header;
            let class = (*header).class as usize;
            let start = block as usize - (*header).offset as usize;
            *(start as *mut usize) = self.state.free[class];
            self.state.free[class] = start;
        }
    }
}

/// Fills memory of the heap with zeros. Of large blocks whole pages go back to the system, which gives zeros for them when they
/// are touched: programs reserve tables of gigabytes that they hardly use.
///
/// # Safety
/// The range must be the heap's and nobody else's.
unsafe fn clear(first: usize, size: usize) {
    let (start, end) = (first.next_multiple_of(4096), (first + size) & !4095);
    // SAFETY: the caller's promise; the pages lie within the range, and the rest of it before and behind them.
    unsafe {
        if size >= LARGE
            && raw::call6(
                libc::SYS_madvise,
                [start, end - start, libc::MADV_DONTNEED as usize, 0, 0, 0],
            ) == 0
        {
            (first as *mut u8).write_bytes(0, start - first);
            (end as *mut u8).write_bytes(0, first + size - end);
            return;
        }
        (first as *mut u8).write_bytes(0, size);
    }
}

#[cold]
fn no_memory() -> *mut c_void {
    raw::set_errno(libc::ENOMEM);
    std::ptr::null_mut()
}

/// The heap, for the running thread.
#[inline]
fn heap() -> &'static mut Heap {
    // SAFETY: only the running thread gets here; nothing in this file calls out while it holds the reference.
    unsafe { &mut *HEAP.0.get() }
}

/// Keeps every other thread from going on before an allocation, or no longer; says how it was.
pub(crate) fn hold(held: bool) -> bool {
    if !thread::simulated() {
        return false;
    }
    std::mem::replace(&mut heap().held, held)
}

/// Before an allocation of the program, or a step that counts as one: another thread may go on if it is time.
#[inline]
pub(super) fn step() {
    let heap = heap();
    heap.until = heap.until.wrapping_sub(1);
    if heap.until == 0 {
        preempted();
    }
}

#[cold]
fn preempted() {
    // What unwinds holds locks of the loader's and of the runtime's.
    if heap().held || std::thread::panicking() {
        heap().until = 1;
        return;
    }
    let me = thread::me();
    let (until, next) = thread::with_kernel(|k| k.at_allocation());
    heap().until = until;
    if next != me {
        thread::switch(me, next);
    }
}

/// The usable size of a block of the program's heap.
fn usable_size(block: *mut c_void) -> usize {
    // SAFETY: `allocate` wrote the header before the block's first byte.
    unsafe { (*((block as usize - HEADER) as *const Header)).usable }
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

#[cfg(test)]
mod tests {
    use super::{BASE, HEADER, LIMIT, SMALL, class_of};
    use crate::kernel::testing::run;
    use crate::kernel::{Config, End};
    use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};

    #[test]
    fn classes_are_ordered_and_waste_little() {
        let mut last = (0, 0);
        let sizes = (1..5_000)
            .chain((13..39).flat_map(|bits| [-1i64, 0, 1].map(|d| ((1i64 << bits) + d) as usize)));
        for size in sizes {
            let (class, total) = class_of(size);
            assert!(
                total >= size && total - size < 16.max(size / 4 + 1),
                "{size} gets {total}"
            );
            assert_eq!(
                class_of(total),
                (class, total),
                "a class holds its own size"
            );
            assert!(
                (class, total) == last || (class > last.0 && total > last.1) || size < SMALL,
                "{size}"
            );
            assert!(class < super::CLASSES);
            last = (class, total);
        }
    }

    #[test]
    fn a_large_block_is_clear_again_when_it_is_used_again() {
        let outcome = run(Config::default(), || {
            let layout = Layout::from_size_align((9 << 20) + 100, 16).unwrap();
            // SAFETY: each block is used within its layout and freed with it.
            unsafe {
                let dirty = alloc(layout);
                dirty.write_bytes(7, layout.size());
                dealloc(dirty, layout);
                let clear = alloc_zeroed(layout);
                assert_eq!(clear, dirty);
                let bytes = std::slice::from_raw_parts(clear, layout.size());
                assert!(bytes.iter().all(|byte| *byte == 0));
                dealloc(clear, layout);
            }
        });
        assert_eq!(outcome.end, End::Returned);
    }

    fn in_heap(address: usize) -> bool {
        (BASE + HEADER..LIMIT).contains(&address)
    }

    #[test]
    fn blocks_are_aligned_apart_and_zeroed_on_request() {
        let outcome = run(Config::default(), || {
            // SAFETY: each block is used within its layout and freed with it.
            unsafe {
                let mut blocks = Vec::new();
                for round in 0..3u8 {
                    for size in [1usize, 15, 16, 17, 100, 1_024, 1_025, 40_000, 3 << 20] {
                        for align in [1, 16, 64, 4_096] {
                            let layout = Layout::from_size_align(size, align).unwrap();
                            let zeroed = alloc_zeroed(layout);
                            assert!(
                                in_heap(zeroed as usize) && (zeroed as usize).is_multiple_of(align)
                            );
                            assert!(
                                std::slice::from_raw_parts(zeroed, size)
                                    .iter()
                                    .all(|b| *b == 0)
                            );
                            zeroed.write_bytes(round + 1, size);
                            blocks.push((zeroed, layout, round + 1));
                        }
                    }
                    // Every second one goes back and is given out again, with another's bytes in it.
                    let mut odd = false;
                    blocks.retain(|(block, layout, byte)| {
                        assert!(
                            std::slice::from_raw_parts(*block, layout.size())
                                .iter()
                                .all(|b| b == byte)
                        );
                        odd = !odd;
                        if odd {
                            dealloc(*block, *layout);
                        }
                        !odd
                    });
                }
                let small = Layout::from_size_align(24, 8).unwrap();
                let block = alloc(small);
                block.write_bytes(7, 24);
                let grown = realloc(block, small, 100_000);
                assert!(
                    std::slice::from_raw_parts(grown, 24)
                        .iter()
                        .all(|b| *b == 7)
                );
                dealloc(grown, Layout::from_size_align(100_000, 8).unwrap());
            }
        });
        assert_eq!(outcome.end, End::Returned);
    }
}
