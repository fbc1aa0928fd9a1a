//! Blocks, and the arenas that they come from. The test's own host has one arena, a contiguous piece of memory; each start of
//! a program on another host gets one of its own, made of regions, so that what a dead program leaves does not share pages with what
//! lives. Which arena serves follows from the thread that runs, and so do addresses.
//!
//! Called by the doors in [`super`] and by [`super::collect`], which walks the blocks.

use super::regions::Regions;

/// The alignment of every block.
pub(super) const UNIT: usize = 16;
/// Sizes up to here have a class for each unit, larger ones four for each doubling.
pub(super) const SMALL: usize = 1024;
const SMALL_CLASSES: usize = SMALL / UNIT;
/// Enough for blocks as large as the whole heap.
pub(super) const CLASSES: usize = SMALL_CLASSES + 4 * 30;

/// Before each block's first byte, and at its start, where that is not the same place because of an alignment.
#[repr(C)]
pub(super) struct Header {
    pub(super) class: u8,
    /// Whether the block is in use; only the header at its start says so.
    pub(super) live: bool,
    /// From the block's start to its first byte.
    pub(super) offset: u32,
    /// The bytes that the caller may use.
    pub(super) usable: usize,
}
pub(super) const HEADER: usize = size_of::<Header>();

/// The class of a block of so many bytes, header included, and the size of that class.
#[inline]
pub(super) fn class_of(size: usize) -> (usize, usize) {
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

/// The size of the blocks of a class.
#[inline]
pub(super) fn size_of_class(class: u8) -> usize {
    let class = usize::from(class);
    if class < SMALL_CLASSES {
        return (class + 1) * UNIT;
    }
    let (doubling, step) = ((class - SMALL_CLASSES) / 4, (class - SMALL_CLASSES) % 4);
    let base = SMALL << doubling;
    base + (step + 1) * (base / 4)
}

/// Where the blocks of one program come from.
#[derive(Clone)]
pub(super) struct Arena {
    /// 0 for the arena of the test's own host.
    pub(super) number: u32,
    /// Freed blocks of each class, chained through the word behind their header.
    free: [usize; CLASSES],
    /// Memory that was never given out: from here to the end.
    pub(super) next: usize,
    pub(super) end: usize,
    /// Memory from here on is as the system gave it: zero.
    pub(super) untouched: usize,
    /// Bytes of its blocks in spans that are full.
    pub(super) given: usize,
    /// The span that `next` and `end` lie in; only the shared arena has none.
    pub(super) span: Option<usize>,
}

impl Arena {
    pub(super) const fn new(number: u32, next: usize) -> Arena {
        Arena {
            number,
            free: [0; CLASSES],
            next,
            end: next,
            untouched: next,
            given: 0,
            span: None,
        }
    }

    /// A block of `total` bytes, which is what its class has, and whether it is known to be zero.
    #[inline]
    pub(super) fn take(
        &mut self,
        class: usize,
        total: usize,
        regions: &mut Regions,
    ) -> Option<(usize, bool)> {
        match self.free[class] {
            0 => {
                let start = if total <= self.end - self.next {
                    let start = self.next;
                    self.next = start + total;
                    start
                } else {
                    regions.refill(self, total)?
                };
                Some((start, start >= self.untouched))
            }
            start => {
                // SAFETY: the word behind a freed block's header links to the next one of its class.
                self.free[class] = unsafe { *((start + HEADER) as *const usize) };
                Some((start, false))
            }
        }
    }

    /// Takes a block back that begins at `start`.
    #[inline]
    pub(super) fn put(&mut self, start: usize) {
        // SAFETY: `start` is the start of a block of this arena, which begins with a header and is longer than that.
        unsafe {
            let header = start as *mut Header;
            let class = usize::from((*header).class);
            (*header).live = false;
            *((start + HEADER) as *mut usize) = self.free[class];
            self.free[class] = start;
        }
    }

    /// Everything is as in the copy, but for what is mapped and what has been touched since.
    pub(super) fn wind_back(&mut self, copy: &Arena) {
        let (end, touched) = (self.end, self.next.max(self.untouched));
        self.clone_from(copy);
        self.end = end;
        self.untouched = touched;
    }
}

/// Writes the headers of a block of `total` bytes at `start` whose first byte is at `first`.
///
/// # Safety
/// The block must be mapped and nobody else's, and `first` leave room for a header.
#[inline]
pub(super) unsafe fn begin(start: usize, first: usize, class: usize, total: usize) {
    let header = |offset: usize| Header {
        class: class as u8,
        live: true,
        offset: offset as u32,
        usable: start + total - first,
    };
    // SAFETY: the caller's promise.
    unsafe {
        ((first - HEADER) as *mut Header).write(header(first - start));
        if first - HEADER != start {
            (start as *mut Header).write(header(0));
        }
    }
}

/// The block that has its first byte at `first`: its start, and what the caller may use.
///
/// # Safety
/// `first` must be what the program was given.
#[inline]
pub(super) unsafe fn block_of(first: usize) -> (usize, usize) {
    // SAFETY: the header lies before the first byte.
    let header = unsafe { &*((first - HEADER) as *const Header) };
    (first - header.offset as usize, header.usable)
}
