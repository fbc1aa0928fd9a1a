//! What code calls that was compiled with LLVM's instrumentation of memory accesses, which `cargo squall test --points
//! memory` adds: before each load and store (the SanitizerCoverage pass), in place of each atomic operation (the
//! ThreadSanitizer pass, whose atomics need none of its runtime), and at each edge of the control flow.
//!
//! Nothing else of the sanitizers is used. The symbols are weak: where a real sanitizer is linked, its own count. Each hands
//! the caller's address on as a last argument. While no simulation runs, an access costs a call and a compared byte.

use super::heap;
use crate::kernel::memory::Place;
use crate::kernel::thread;
use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// Whether accesses count now: a simulation runs, and the program has instrumented code.
#[unsafe(link_section = "squall_keep")]
static ARMED: AtomicU8 = AtomicU8::new(0);
/// A byte for each edge, 1 once the edge was taken and 2 once that was told; null without edges.
#[unsafe(link_section = "squall_keep")]
static TAKEN: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
/// How many were taken that have not been told.
#[unsafe(link_section = "squall_keep")]
static NEW: AtomicU32 = AtomicU32::new(0);
/// How many edges the program's instrumented code has. They are numbered from 1.
#[unsafe(link_section = "squall_keep")]
static EDGES: AtomicU32 = AtomicU32::new(0);

std::arch::global_asm!(
    ".macro squall_access name, to, size",
    ".weak \\name",
    ".type \\name, @function",
    "\\name:",
    "cmp byte ptr [rip + {armed}], 0",
    "jne 1f",
    "ret",
    "1:",
    "mov rsi, [rsp]",
    "mov edx, \\size",
    "jmp \\to",
    ".size \\name, . - \\name",
    ".endm",
    ".text",
    "squall_access __sanitizer_cov_load1, {load}, 1",
    "squall_access __sanitizer_cov_load2, {load}, 2",
    "squall_access __sanitizer_cov_load4, {load}, 4",
    "squall_access __sanitizer_cov_load8, {load}, 8",
    "squall_access __sanitizer_cov_load16, {load}, 16",
    "squall_access __sanitizer_cov_store1, {store}, 1",
    "squall_access __sanitizer_cov_store2, {store}, 2",
    "squall_access __sanitizer_cov_store4, {store}, 4",
    "squall_access __sanitizer_cov_store8, {store}, 8",
    "squall_access __sanitizer_cov_store16, {store}, 16",
    ".purgem squall_access",
    ".weak __sanitizer_cov_trace_pc_guard",
    ".type __sanitizer_cov_trace_pc_guard, @function",
    "__sanitizer_cov_trace_pc_guard:",
    "cmp byte ptr [rip + {armed}], 0",
    "je 1f",
    "mov eax, [rdi]",
    "mov rcx, [rip + {taken}]",
    "cmp byte ptr [rcx + rax], 0",
    "jne 1f",
    "mov byte ptr [rcx + rax], 1",
    "inc dword ptr [rip + {new}]",
    "1:",
    "ret",
    ".size __sanitizer_cov_trace_pc_guard, . - __sanitizer_cov_trace_pc_guard",
    ".weak __sanitizer_cov_trace_pc_guard_init",
    ".type __sanitizer_cov_trace_pc_guard_init, @function",
    "__sanitizer_cov_trace_pc_guard_init:",
    "jmp {number}",
    ".size __sanitizer_cov_trace_pc_guard_init, . - __sanitizer_cov_trace_pc_guard_init",
    armed = sym ARMED,
    taken = sym TAKEN,
    new = sym NEW,
    load = sym load,
    store = sym store,
    number = sym number,
);

/// Numbers the edges of one object file's code, before `main`.
unsafe extern "C" fn number(start: *mut u32, stop: *mut u32) {
    // SAFETY: the pass hands in the bounds of the section that holds its numbers, all of them zero at first; it does so
    // once for each object file.
    let guards = unsafe { std::slice::from_raw_parts_mut(start, stop.offset_from(start) as usize) };
    if guards.first() != Some(&0) {
        return;
    }
    for guard in guards {
        *guard = EDGES.fetch_add(1, Ordering::Relaxed) + 1;
    }
}

/// How many edges the program's instrumented code has; 0 if it has none.
pub(crate) fn edges() -> u32 {
    EDGES.load(Ordering::Relaxed)
}

/// Lets accesses count from now on, or no longer. Called by the carrier.
pub(crate) fn arm(on: bool) {
    if edges() == 0 {
        std::hint::black_box(HELD);
        return;
    }
    if TAKEN.load(Ordering::Relaxed).is_null() {
        let taken = vec![0u8; edges() as usize + 1].leak();
        TAKEN.store(taken.as_mut_ptr(), Ordering::Relaxed);
    }
    ARMED.store(u8::from(on), Ordering::Release);
}

unsafe extern "C" fn load(address: usize, caller: usize, size: usize) {
    access(address, size, false, caller);
}

unsafe extern "C" fn store(address: usize, caller: usize, size: usize) {
    if access(address, size, true, caller) {
        thread::with_kernel(|k| k.changed());
    }
}

/// A scheduling point before an access, if others may see what it does; returns whether it was one that does.
#[inline]
fn access(address: usize, size: usize, write: bool, caller: usize) -> bool {
    if !thread::simulated() {
        return false;
    }
    let Some(place) = thread::place(address) else {
        return false;
    };
    let words = (address + size - 1) / 8 - address / 8 + 1;
    let site = heap::place_in_program(caller);
    let (next, told) =
        thread::with_kernel(|k| (k.access(place, words, site, write), k.trace.recording()));
    let Some(next) = next else {
        return false;
    };
    go_on(next, place, site);
    if told {
        thread::with_kernel(|k| k.tell_access(place, write));
    }
    true
}

/// A scheduling point before an atomic operation; returns whether there was one.
#[inline]
fn atomic<T>(address: *mut T, write: bool, caller: usize) -> bool {
    if ARMED.load(Ordering::Relaxed) == 0 || !thread::simulated() {
        return false;
    }
    let place = thread::place_even_if_own(address as usize);
    let site = heap::place_in_program(caller);
    let (next, told) = thread::with_kernel(|k| (k.atomic(place, site, write), k.trace.recording()));
    go_on(next, place, site);
    if told {
        thread::with_kernel(|k| k.tell_access(place, write));
    }
    true
}

#[inline]
fn go_on(next: u32, place: Place, site: u64) {
    let me = thread::me();
    if next != me {
        thread::switch(me, next);
    }
    thread::with_kernel(|k| k.memory.accessed(place, me, site));
}

/// The edges that were taken for the first time in this process since this was last asked.
pub(crate) fn take_edges() -> Vec<u32> {
    if NEW.swap(0, Ordering::Relaxed) == 0 {
        return Vec::new();
    }
    let taken = TAKEN.load(Ordering::Relaxed);
    let mut edges = Vec::new();
    for edge in 1..=self::edges() {
        // SAFETY: `arm` made room for every edge. Only the thread that runs writes here, and this is the carrier, between runs.
        let byte = unsafe { &mut *taken.add(edge as usize) };
        if *byte == 1 {
            *byte = 2;
            edges.push(edge);
        }
    }
    edges
}

/// Tells the kernel that an atomic operation changed memory that others see.
#[inline]
fn changed(point: bool, changed: bool) {
    if point && changed {
        thread::with_kernel(|k| k.changed());
    }
}

/// The atomic operations of one width. They are as strong as there are: only one simulated thread runs at a time anyway, and
/// on other threads stronger than asked for is right too.
macro_rules! atomics {
    ($module:ident, $atomic:ident, $int:ty, $bits:literal) => {
        mod $module {
            use super::*;
            use Ordering::SeqCst;

            std::arch::global_asm!(
                ".macro squall_atomic name, to, caller",
                ".weak __tsan_atomic\\name",
                ".type __tsan_atomic\\name, @function",
                "__tsan_atomic\\name:",
                "mov \\caller, [rsp]",
                "jmp \\to",
                ".size __tsan_atomic\\name, . - __tsan_atomic\\name",
                ".endm",
                ".text",
                concat!("squall_atomic ", $bits, "_load, {load}, rdx"),
                concat!("squall_atomic ", $bits, "_store, {store}, rcx"),
                concat!("squall_atomic ", $bits, "_exchange, {exchange}, rcx"),
                concat!("squall_atomic ", $bits, "_fetch_add, {fetch_add}, rcx"),
                concat!("squall_atomic ", $bits, "_fetch_sub, {fetch_sub}, rcx"),
                concat!("squall_atomic ", $bits, "_fetch_and, {fetch_and}, rcx"),
                concat!("squall_atomic ", $bits, "_fetch_or, {fetch_or}, rcx"),
                concat!("squall_atomic ", $bits, "_fetch_xor, {fetch_xor}, rcx"),
                concat!("squall_atomic ", $bits, "_fetch_nand, {fetch_nand}, rcx"),
                concat!("squall_atomic ", $bits, "_compare_exchange_val, {compare_exchange}, r9"),
                ".purgem squall_atomic",
                load = sym load,
                store = sym store,
                exchange = sym exchange,
                fetch_add = sym fetch_add,
                fetch_sub = sym fetch_sub,
                fetch_and = sym fetch_and,
                fetch_or = sym fetch_or,
                fetch_xor = sym fetch_xor,
                fetch_nand = sym fetch_nand,
                compare_exchange = sym compare_exchange,
            );

            unsafe extern "C" fn load(at: *mut $int, _: c_int, caller: usize) -> $int {
                atomic(at, false, caller);
                // SAFETY: the instrumented code passes what its own atomic operation would have used.
                unsafe { $atomic::from_ptr(at) }.load(SeqCst)
            }

            unsafe extern "C" fn store(at: *mut $int, value: $int, _: c_int, caller: usize) {
                let point = atomic(at, true, caller);
                // SAFETY: as in `load`.
                let before = unsafe { $atomic::from_ptr(at) }.swap(value, SeqCst);
                changed(point, before != value);
            }

            unsafe extern "C" fn exchange(at: *mut $int, value: $int, _: c_int, caller: usize) -> $int {
                let point = atomic(at, true, caller);
                // SAFETY: as in `load`.
                let before = unsafe { $atomic::from_ptr(at) }.swap(value, SeqCst);
                changed(point, before != value);
                before
            }

            unsafe extern "C" fn compare_exchange(
                at: *mut $int,
                expected: $int,
                value: $int,
                _: c_int,
                _: c_int,
                caller: usize,
            ) -> $int {
                let point = atomic(at, true, caller);
                // SAFETY: as in `load`.
                let result = unsafe { $atomic::from_ptr(at) }.compare_exchange(expected, value, SeqCst, SeqCst);
                changed(point, result.is_ok() && expected != value);
                result.unwrap_or_else(|found| found)
            }

            macro_rules! fetch {
                ($operation:ident) => {
                    unsafe extern "C" fn $operation(at: *mut $int, value: $int, _: c_int, caller: usize) -> $int {
                        let point = atomic(at, true, caller);
                        // SAFETY: as in `load`.
                        let object = unsafe { $atomic::from_ptr(at) };
                        let before = object.$operation(value, SeqCst);
                        changed(point, object.load(SeqCst) != before);
                        before
                    }
                };
            }
            fetch!(fetch_add);
            fetch!(fetch_sub);
            fetch!(fetch_and);
            fetch!(fetch_or);
            fetch!(fetch_xor);
            fetch!(fetch_nand);
        }
    };
}
atomics!(bits8, AtomicU8, u8, "8");
atomics!(bits16, AtomicU16, u16, "16");
atomics!(bits32, AtomicU32, u32, "32");
atomics!(bits64, AtomicU64, u64, "64");

std::arch::global_asm!(
    ".weak __tsan_atomic_thread_fence",
    ".type __tsan_atomic_thread_fence, @function",
    "__tsan_atomic_thread_fence:",
    "jmp {fence}",
    ".size __tsan_atomic_thread_fence, . - __tsan_atomic_thread_fence",
    ".weak __tsan_atomic_signal_fence",
    ".type __tsan_atomic_signal_fence, @function",
    "__tsan_atomic_signal_fence:",
    "jmp {fence}",
    ".size __tsan_atomic_signal_fence, . - __tsan_atomic_signal_fence",
    fence = sym full_fence,
);

unsafe extern "C" fn full_fence(_: c_int) {
    fence(Ordering::SeqCst);
}

/// Declares the symbols of this file, and a table of them.
macro_rules! held {
    ($($name:ident)*) => {
        unsafe extern "C" {
            $(fn $name();)*
        }
        /// A linker takes from a library only what is missing when it gets there, and crates that come later on its line may be
        /// the first to miss some of these.
        static HELD: &[unsafe extern "C" fn()] = &[$($name),*];
    };
}
held! {
    __sanitizer_cov_load1 __sanitizer_cov_trace_pc_guard
    __tsan_atomic8_load __tsan_atomic16_load __tsan_atomic32_load __tsan_atomic64_load __tsan_atomic_thread_fence
}
