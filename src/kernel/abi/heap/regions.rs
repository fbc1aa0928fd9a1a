//! The memory behind the arenas: two spaces at fixed addresses, one for the test's own host and one whose regions go to
//! the programs of the other hosts, each address once in a run. Used by [`super`] and its rooms.

use super::arena::Arena;
use crate::kernel::abi::raw;
use crate::kernel::thread;

/// Where the heap of the test's own host begins: far from everything that the system places by itself.
pub(super) const BASE: usize = 0x1000_0000_0000;
/// Where the regions of the other hosts begin, and one past their last possible address.
pub(super) const HOSTS: usize = BASE + SPACE;
pub(super) const LIMIT: usize = HOSTS + SPACE;
pub(super) const SPACE: usize = 1 << 40;
/// What is mapped at a time, at least.
const CHUNK: usize = 1 << 20;
/// What stays in memory when a space is wound back; the rest returns to the system.
const KEEP: usize = 16 << 20;
/// The size of a region; larger blocks than a quarter of it get regions of their own.
pub(super) const REGION: usize = 64 << 10;
/// No span.
const NONE: u32 = u32::MAX;

/// One space.
struct Space {
    limit: usize,
    /// One past the last mapped address.
    mapped: usize,
}

impl Space {
    /// Maps memory up to `end`.
    fn grow(&mut self, end: usize) -> bool {
        if end <= self.mapped {
            return true;
        }
        if end > self.limit {
            return false;
        }
        let size = (end - self.mapped)
            .next_multiple_of(CHUNK)
            .min(self.limit - self.mapped);
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

    /// Gives what lies beyond `from` and [`KEEP`] back to the system. Returns from where on memory is zero, if it did.
    fn shrink(&self, from: usize, touched: usize) -> Option<usize> {
        let keep = (from + KEEP).next_multiple_of(4096);
        (touched > keep).then(|| {
            // SAFETY: the range is the heap's own, and nobody uses it any more.
            unsafe { give_back(keep, self.mapped) };
            keep
        })
    }
}

/// Pages return to the system; they are zero when they are touched again.
///
/// # Safety
/// The range must be whole pages of the heap, and nobody's.
pub(super) unsafe fn give_back(start: usize, end: usize) -> bool {
    let args = [start, end - start, libc::MADV_DONTNEED as usize, 0, 0, 0];
    // SAFETY: the caller's promise.
    unsafe { raw::call6(libc::SYS_madvise, args) == 0 }
}

/// One or more regions that an arena was given at once.
pub(super) struct Span {
    pub(super) start: usize,
    /// One past the last block; only for a span that is no longer its arena's current one.
    pub(super) end: usize,
    pub(super) arena: u32,
    /// What is left of a dead program's span: the offsets of its blocks.
    pub(super) left: Option<Vec<u32>>,
}

/// All memory of the heap.
pub(super) struct Regions {
    shared: Space,
    hosts: Space,
    /// The first region that nobody has.
    top: usize,
    /// Hosts' memory from here on is zero.
    untouched: usize,
    pub(super) spans: Vec<Span>,
    /// The span of each region.
    of: Vec<u32>,
}

impl Regions {
    pub(super) const fn new() -> Regions {
        Regions {
            shared: Space {
                limit: HOSTS,
                mapped: BASE,
            },
            hosts: Space {
                limit: LIMIT,
                mapped: HOSTS,
            },
            top: HOSTS,
            untouched: HOSTS,
            spans: Vec::new(),
            of: Vec::new(),
        }
    }

    /// More memory for an arena: a block of `total` bytes, for which the arena has no room.
    #[cold]
    pub(super) fn refill(&mut self, arena: &mut Arena, total: usize) -> Option<usize> {
        if arena.number == 0 {
            let start = arena.next;
            if total > HOSTS - start || !self.shared.grow(start + total) {
                return None;
            }
            arena.next = start + total;
            arena.end = self.shared.mapped;
            return Some(start);
        }
        let own = total > REGION / 4;
        let size = total.next_multiple_of(REGION);
        let start = self.top;
        if size > LIMIT - start || !self.hosts.grow(start + size) {
            return None;
        }
        self.top = start + size;
        arena.untouched = self.untouched;
        if own {
            arena.given += total;
        } else {
            self.retire(arena);
            arena.next = start + total;
            arena.end = start + size;
            arena.span = Some(self.spans.len());
        }
        // These lists outlive the run, and are no part of the program's heap.
        thread::outside_kernel(|| {
            self.of.resize((start - HOSTS) / REGION, NONE);
            let span = self.spans.len() as u32;
            self.of.resize((self.top - HOSTS) / REGION, span);
            self.spans.push(Span {
                start,
                end: start + total,
                arena: arena.number,
                left: None,
            });
        });
        Some(start)
    }

    /// The arena's current span gets no more blocks.
    pub(super) fn retire(&mut self, arena: &mut Arena) {
        if let Some(span) = arena.span {
            self.spans[span].end = arena.next;
            arena.given += arena.next - self.spans[span].start;
        }
    }

    /// The span that an address of the hosts' space lies in.
    #[inline]
    pub(super) fn span_at(&self, address: usize) -> Option<usize> {
        let region = address.wrapping_sub(HOSTS) / REGION;
        self.of
            .get(region)
            .filter(|span| **span != NONE)
            .map(|span| *span as usize)
    }

    /// One past the last address that was given to a host.
    pub(super) fn top(&self) -> usize {
        self.top
    }

    /// What is mapped: both spaces.
    pub(super) fn mapped(&self) -> [(usize, usize); 2] {
        [(BASE, self.shared.mapped), (HOSTS, self.hosts.mapped)]
    }

    /// The shared arena was wound back; gives up all regions.
    pub(super) fn wind_back(&mut self, shared: &mut Arena) {
        if let Some(zero) = self.shared.shrink(shared.next, shared.untouched) {
            shared.untouched = zero;
        }
        self.untouched = self.untouched.max(self.top);
        if let Some(zero) = self.hosts.shrink(HOSTS, self.untouched) {
            self.untouched = zero;
        }
        self.top = HOSTS;
        self.spans.clear();
        self.of.clear();
    }
}
