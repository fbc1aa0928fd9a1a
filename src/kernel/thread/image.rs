//! The image of the program's statics: taken before the first run of a batch, put back after each run.
//!
//! Lazily initialised statics, counters, global pools and one-time flags are then as pristine in the hundredth run of a
//! process as in the first, at the cost of copying the executable's writable data (tens of kilobytes). What it does not
//! cover: memory that statics of before the image own and change in place, and the data of shared libraries. What a run
//! leaves on the program's heap is forgotten with it. Squall's own statics are kept apart, in the section
//! `squall_keep`.

use super::keys;
use crate::kernel::abi::heap;
use std::ffi::c_void;

unsafe extern "C" {
    static mut __start_squall_keep: u8;
    static mut __stop_squall_keep: u8;
}

struct Range {
    at: usize,
    bytes: Box<[u8]>,
}

/// A copy of the executable's writable data.
pub struct Snapshot {
    ranges: Vec<Range>,
    keys: keys::Mark,
    heap: heap::State,
}

/// Why statics cannot be restored here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Restoring statics would corrupt an allocator that keeps its books in them.
    #[error(
        "the program's global allocator does not use libc's malloc, and its state would be torn"
    )]
    Allocator,
    /// No writable segment was found.
    #[error("the executable's writable data could not be located")]
    Layout,
}

/// The writable data of the executable, less what the loader makes read-only after relocation.
pub(super) fn writable() -> Vec<(usize, usize)> {
    unsafe extern "C" fn first(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        out: *mut c_void,
    ) -> libc::c_int {
        // SAFETY: dl_iterate_phdr passes a valid record, and `out` is the vector given to it below.
        let (info, out) = unsafe { (&*info, &mut *out.cast::<Vec<(usize, usize)>>()) };
        // SAFETY: the array has dlpi_phnum entries for the life of the program.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let base = info.dlpi_addr as usize;
        let read_only: Vec<(usize, usize)> = headers
            .iter()
            .filter(|h| h.p_type == libc::PT_GNU_RELRO)
            .map(|h| {
                let start = (base + h.p_vaddr as usize) & !4095;
                let end = (base + (h.p_vaddr + h.p_memsz) as usize) & !4095;
                (start, end)
            })
            .collect();
        for h in headers {
            if h.p_type != libc::PT_LOAD || h.p_flags & libc::PF_W == 0 {
                continue;
            }
            let mut start = base + h.p_vaddr as usize;
            let end = start + h.p_memsz as usize;
            for (from, to) in &read_only {
                if (*from..*to).contains(&start) {
                    start = (*to).min(end);
                }
            }
            if start < end {
                out.push((start, end));
            }
        }
        1
    }
    let mut out: Vec<(usize, usize)> = Vec::with_capacity(8);
    // SAFETY: the callback matches the signature, and the vector outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut out).cast()) };
    out
}

/// Whether Rust's global allocator ends in libc's `malloc`: a large block must then show in its statistics.
fn allocator_is_libc() -> bool {
    const SIZE: usize = (1 << 20) + 13;
    // SAFETY: mallinfo2 only reads the allocator's counters.
    let before = unsafe { libc::mallinfo2() };
    let block = std::hint::black_box(Vec::<u8>::with_capacity(SIZE));
    // SAFETY: as above.
    let after = unsafe { libc::mallinfo2() };
    drop(block);
    (after.hblkhd + after.uordblks).wrapping_sub(before.hblkhd + before.uordblks) >= SIZE
}

/// Copies the program's statics. Call it between runs, on the carrier.
///
/// # Errors
/// Where restoring them later would not be sound.
pub fn snapshot() -> Result<Snapshot, Unsupported> {
    if !allocator_is_libc() {
        return Err(Unsupported::Allocator);
    }
    // SAFETY: only the addresses are taken.
    let (keep_start, keep_end) = (
        &raw const __start_squall_keep as usize,
        &raw const __stop_squall_keep as usize,
    );
    let mut spans = Vec::new();
    for (start, end) in writable() {
        if start <= keep_start && keep_end <= end {
            spans.push((start, keep_start));
            spans.push((keep_end, end));
        } else {
            spans.push((start, end));
        }
    }
    spans.retain(|(start, end)| start < end);
    if spans.is_empty() {
        return Err(Unsupported::Layout);
    }
    let keys = keys::mark();
    let mut ranges = Vec::with_capacity(spans.len());
    for (at, end) in spans {
        // SAFETY: the span lies in a mapped, readable segment of the executable.
        let bytes: Box<[u8]> =
            unsafe { std::slice::from_raw_parts(at as *const u8, end - at) }.into();
        ranges.push(Range { at, bytes });
    }
    Ok(Snapshot {
        ranges,
        keys,
        heap: heap::state(),
    })
}

impl Snapshot {
    /// Puts the statics back, and with `heap` the program's heap: every block that simulated threads allocated since is
    /// forgotten, and the next run gets the same addresses. Call it on the carrier, when no simulation runs, and leave the
    /// heap alone where something that is not put back may refer to it: what a closure captured, say.
    pub fn restore(&self, heap: bool) {
        self.keys.delete_newer();
        if heap {
            heap::wind_back(&self.heap);
        }
        for range in &self.ranges {
            // SAFETY: the span is writable and as long as the copy. No simulated thread is alive, and the carrier holds no
            // reference into statics but to squall's own, which are not in the span.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    range.bytes.as_ptr(),
                    range.at as *mut u8,
                    range.bytes.len(),
                );
            }
        }
    }

    /// Bytes that a restore copies.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|r| r.bytes.len()).sum()
    }

    /// Whether there is nothing to restore.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}
