//! malloc(3) and its kin. What the program allocates on simulated threads comes from a heap of its own at a fixed address,
//! so that addresses follow from the seed too: parking_lot seeds its fairness by the address of a lock, and any map keyed by
//! pointers iterates in their order. Everybody else (the kernel, the harness, libc itself) gets libc's heap, because what they
//! allocate may outlive the run or depend on the company that the run is in. Blocks go back to where they came from.
//!
//! `calls` has the functions as the program calls them, `arena` the blocks of one program, `regions` where arenas lie, `collect` what is done about
//! the memory of dead programs.
//!
//! Only the thread that runs touches the heap of the program, so it needs no lock. `thread/image.rs` winds it back between
//! the runs of a batch, `thread/power.rs` tells of the death of programs.

mod arena;
mod calls;
mod collect;
mod regions;

use super::raw;
use crate::kernel::thread;
use arena::{Arena, HEADER, UNIT, class_of};
use regions::{BASE, HOSTS, LIMIT, Regions, SPACE};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

/// From this size on blocks are cleared by pages.
const LARGE: usize = 4 << 20;
/// So many bytes of dead programs are worth a collection, and more where it has a lot to look at.
const WORTH: usize = 8 << 20;

/// The state of the shared arena: all of it, so that copying it and the memory that it has given out would be a copy.
#[derive(Clone)]
pub(crate) struct State(Arena);

struct Heap {
    /// The arena of the program that runs.
    current: *mut Arena,
    /// That of the test's own host.
    shared: Arena,
    /// Those of the other hosts, by their numbers less one; `None` for a dead program's.
    arenas: Vec<Option<Box<Arena>>>,
    /// The number of each host's arena; 0 for one that has none.
    of_host: Vec<u32>,
    /// The host whose arena is the current one.
    host: u16,
    regions: Regions,
    /// Bytes that programs left which died since the last collection, and how many are worth the next one.
    dead: usize,
    worth: usize,
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
    current: std::ptr::null_mut(),
    shared: Arena::new(0, BASE),
    arenas: Vec::new(),
    of_host: Vec::new(),
    host: 0,
    regions: Regions::new(),
    dead: 0,
    worth: WORTH,
    until: u32::MAX,
    held: false,
}));

/// The executable's code, start and end: who calls from there is the program.
#[unsafe(link_section = "squall_keep")]
static PROGRAM: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

// The symbols hand the caller's address on as a last argument. They stand here and not beside the functions, so that a
// linker which takes only the objects it needs takes them with the heap. They are weak: a program that brings an allocator under these
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
    malloc = sym calls::malloc,
    calloc = sym calls::calloc,
    realloc = sym calls::realloc,
    memalign = sym calls::memalign,
    posix_memalign = sym calls::posix_memalign,
    free = sym calls::free,
    usable = sym calls::usable,
);

/// What the symbols lead to, for a preloaded library: a symbol that assembly defines is not visible outside of it, so the
/// package `preload/` defines them in its own way. The last argument is the caller's return address.
pub mod preload {
    pub use super::calls::{calloc, free, malloc, memalign, posix_memalign, realloc, usable};
}

/// Finds out where the program's code is. Until then everything comes from libc's heap.
pub(crate) fn prepare() {
    // SAFETY: called before a run, when no thread of it exists.
    let heap = unsafe { &mut *HEAP.0.get() };
    heap.until = 1;
    heap.held = false;
    heap.current = &raw mut heap.shared;
    heap.host = 0;
    heap.of_host.clear();
    heap.dead = 0;
    heap.worth = WORTH;
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
    State(unsafe { (*HEAP.0.get()).shared.clone() })
}

/// Forgets every block that was allocated since `state` was taken. Called on the carrier, between runs, when nothing that
/// is still to be used refers to them.
pub(crate) fn wind_back(state: &State) {
    // SAFETY: called on the carrier, between runs.
    let heap = unsafe { &mut *HEAP.0.get() };
    heap.shared.wind_back(&state.0);
    heap.regions.wind_back(&mut heap.shared);
    heap.arenas.clear();
    heap.of_host.clear();
}

/// A thread of `host` gets its turn: what it allocates comes from its program's arena.
#[inline]
pub(crate) fn turn(host: u16) {
    let heap = heap();
    if heap.host != host {
        heap.change(host);
    }
}

/// The program of a host is over, and so is its arena. Called inside the kernel.
pub(crate) fn program_dies(host: u16) {
    let heap = heap();
    let Some(number) = heap.of_host.get_mut(usize::from(host)).map(std::mem::take) else {
        return;
    };
    if let Some(arena) = heap.arenas.get_mut((number as usize).wrapping_sub(1))
        && let Some(mut arena) = arena.take()
    {
        heap.regions.retire(&mut arena);
        heap.dead += arena.given;
        if heap.host == host {
            // The host may allocate before another one gets its turn, in a program that begins anew.
            heap.change(host);
        }
    }
}

/// Whether a collection is worth its cost.
#[inline]
pub(crate) fn collection_is_due() -> bool {
    let heap = heap();
    heap.dead >= heap.worth
}

/// Gives back the memory that dead programs left and that nothing which lives can reach. `stacks` are all stacks, `live` the parts of
/// them in use. Called inside the kernel.
///
/// # Safety
/// As that of [`collect::collect`].
pub(crate) unsafe fn collect(stacks: &[(usize, usize)], live: &[(usize, usize)]) {
    let heap = heap();
    // SAFETY: the caller's promise.
    let collected =
        unsafe { collect::collect(&heap.shared, &heap.arenas, &mut heap.regions, stacks, live) };
    heap.dead = 0;
    heap.worth = match collected {
        Ok(scanned) => WORTH.max(scanned / 2),
        // The system does not say what memory there is, and will not later: it all stays until the end of the run.
        Err(_) => usize::MAX,
    };
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

impl Heap {
    /// A block of at least `size` usable bytes, a multiple of `alignment`, which is a power of two; null without memory.
    /// `zeroed` blocks hold zeros.
    #[inline]
    fn allocate(&mut self, size: usize, alignment: usize, zeroed: bool) -> *mut c_void {
        let room = if alignment > UNIT { alignment } else { 0 };
        let Some(total) = size
            .max(1)
            .checked_add(HEADER + room)
            .filter(|total| *total < SPACE)
        else {
            return no_memory();
        };
        let (class, total) = class_of(total);
        // SAFETY: `prepare` set it before anything was simulated, and arenas are boxed or the heap's own.
        let arena = unsafe { &mut *self.current };
        let Some((start, clean)) = arena.take(class, total, &mut self.regions) else {
            return no_memory();
        };
        let first = (start + HEADER).next_multiple_of(alignment.max(UNIT));
        // SAFETY: the block is `total` bytes from `start`, mapped and nobody else's; `first` leaves room for the header.
        unsafe {
            arena::begin(start, first, class, total);
            if zeroed && !clean {
                clear(first, size);
            }
        }
        first as *mut c_void
    }

    /// Takes a block back: it goes to the arena that it came from, if that is not a dead program's.
    #[inline]
    fn release(&mut self, block: *mut c_void) {
        // SAFETY: the program gives back what it was given.
        let (start, _) = unsafe { arena::block_of(block as usize) };
        if start < HOSTS {
            return self.shared.put(start);
        }
        let Some(span) = self.regions.span_at(start) else {
            return;
        };
        let number = self.regions.spans[span].arena;
        // SAFETY: as in `allocate`.
        let current = unsafe { &mut *self.current };
        if current.number == number {
            return current.put(start);
        }
        match self.arenas.get_mut(number as usize - 1) {
            Some(Some(arena)) => arena.put(start),
            // SAFETY: the block was in use, so its header is there. Its address is not used again.
            _ => unsafe { (*(start as *mut arena::Header)).live = false },
        }
    }

    /// A host's arena becomes the current one, and is made if need be.
    #[cold]
    fn change(&mut self, host: u16) {
        self.host = host;
        if host == 0 {
            self.current = &raw mut self.shared;
            return;
        }
        let index = usize::from(host);
        if self.of_host.get(index).is_none_or(|number| *number == 0) {
            // What describes the arenas is no part of the program's heap.
            thread::outside_kernel(|| {
                if self.of_host.len() <= index {
                    self.of_host.resize(index + 1, 0);
                }
                let number = self.arenas.len() as u32 + 1;
                self.of_host[index] = number;
                self.arenas.push(Some(Box::new(Arena::new(number, HOSTS))));
            });
        }
        let number = self.of_host[index];
        if let Some(Some(arena)) = self.arenas.get_mut(number as usize - 1) {
            self.current = &raw mut **arena;
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
        if size >= LARGE && regions::give_back(start, end) {
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

#[cfg(test)]
mod tests {
    use super::arena::{CLASSES, HEADER, SMALL, class_of, size_of_class};
    use super::{BASE, LIMIT};
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
            assert!(class < CLASSES && size_of_class(class as u8) == total);
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
