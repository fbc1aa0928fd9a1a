//! Memory of dead programs: what a host's program had allocated when it crashed is nobody's to free. A test that crashes hosts
//! ten thousand times would run out of memory, so now and then the pages of such blocks are given back to the system.
//!
//! Hosts share one process: what a dead program allocated may be in use by others (an entry that it pushed into a list of the
//! test's, a waker that it left in a channel). So this is a conservative garbage collector: of the blocks that dead
//! programs allocated it spares each that anything alive may point to, even into its middle, where anything alive is every other
//! block, the stacks and registers of threads that live, and all other writable memory of the process. The addresses of
//! what it gives back are not used again: what a scan finds must not decide what the program sees.
//!
//! Called by `thread/abandon.rs`, with nothing else running.

use super::{BASE, Header, Heap, heap};
use crate::kernel::abi::raw;
use std::collections::BTreeMap;
use std::ops::Range;

/// The heap may grow by so many bytes before another search is worth its while.
const ENOUGH: usize = 32 << 20;
const PAGE: usize = 4096;
/// Beyond so much heap blocks cannot be numbered, and beyond so much other memory a search would take seconds: there it is left
/// alone.
const MOST_HEAP: usize = 64 << 30;
const MOST_ROOTS: usize = 2 << 30;
/// No block: the place of a hole.
const HOLE: u32 = u32::MAX;

/// What the collector remembers until the heap is wound back.
pub(super) struct Collected {
    /// Ranges of dead blocks whose pages were given back, by their start.
    holes: BTreeMap<usize, usize>,
    /// The top of the heap after the last search.
    top: usize,
}

impl Collected {
    pub(super) const fn new() -> Collected {
        Collected {
            holes: BTreeMap::new(),
            top: 0,
        }
    }

    /// The heap was wound back to `top`.
    pub(super) fn clear(&mut self, top: usize) {
        self.holes.clear();
        self.top = top;
    }
}

/// A block, or a hole, in the order of their addresses.
struct Block {
    /// From [`BASE`], in units of sixteen bytes: an address here would look like a reference to the block.
    start: u32,
    /// Its epoch, or [`HOLE`].
    epoch: u32,
    marked: bool,
    used: bool,
}

/// Whether the heap has grown so much that a search is worth its while.
pub(crate) fn due() -> bool {
    let heap = heap();
    heap.state.top - heap.collected.top.max(BASE) >= ENOUGH && heap.state.top - BASE < MOST_HEAP
}

/// Gives back the memory of blocks that programs of dead epochs allocated and nothing alive refers to. `stacks` are those of
/// the threads that live, the caller's included; `not_roots` is other memory that need not be looked at. Returns how many bytes it gave back.
///
/// # Safety
/// Every range of `stacks` must be readable. No other thread may run meanwhile.
pub(crate) unsafe fn collect(alive: impl Fn(u32) -> bool, stacks: &[Range<usize>], not_roots: &[Range<usize>]) -> usize {
    let roots = writable_memory(not_roots);
    let heap = heap();
    let roots = roots.filter(|all| all.iter().map(ExactSizeIterator::len).sum::<usize>() <= MOST_ROOTS);
    let Some(roots) = roots else {
        heap.collected.top = heap.state.top;
        return 0;
    };
    let mut blocks = list(heap);
    let mut todo: Vec<u32> = Vec::new();
    for (index, block) in blocks.iter_mut().enumerate() {
        if block.used && alive(block.epoch) {
            block.marked = true;
            todo.push(index as u32);
        }
    }
    for range in stacks.iter().chain(&roots) {
        // SAFETY: stacks by the caller's promise; the others were readable a moment ago, and nobody unmaps them meanwhile.
        unsafe { look(range.clone(), &mut blocks, &mut todo) };
    }
    while let Some(index) = todo.pop() {
        let range = range_of(&blocks, index as usize, heap.state.top);
        // SAFETY: a block that is in use is mapped.
        unsafe { look(range, &mut blocks, &mut todo) };
    }
    let freed = give_back(heap, &blocks);
    heap.collected.top = heap.state.top;
    freed
}

fn address(start: u32) -> usize {
    BASE + start as usize * 16
}

/// From a block's start to the next one's.
fn range_of(blocks: &[Block], index: usize, top: usize) -> Range<usize> {
    let end = blocks.get(index + 1).map_or(top, |b| address(b.start));
    address(blocks[index].start)..end
}

/// Every block, those that are free and holes included.
fn list(heap: &Heap) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = BASE;
    while at < heap.state.top {
        let start = ((at - BASE) / 16) as u32;
        if let Some(end) = heap.collected.holes.get(&at) {
            blocks.push(Block {
                start,
                epoch: HOLE,
                marked: false,
                used: false,
            });
            at = *end;
            continue;
        }
        // SAFETY: every block begins with a header, whether it is in use or free, and is not in a hole.
        let header = unsafe { &*(at as *const Header) };
        blocks.push(Block {
            start,
            epoch: header.epoch(),
            marked: false,
            used: header.offset != 0,
        });
        at += header.size();
    }
    blocks
}

/// Marks every block that a word of the range may refer to.
///
/// # Safety
/// The range must be readable.
unsafe fn look(range: Range<usize>, blocks: &mut [Block], todo: &mut Vec<u32>) {
    let top = heap().state.top;
    let mut at = range.start.next_multiple_of(8);
    while at + 8 <= range.end {
        // SAFETY: the caller's promise.
        let word = unsafe { (at as *const usize).read_volatile() };
        at += 8;
        if !(BASE..top).contains(&word) {
            continue;
        }
        let unit = ((word - BASE) / 16) as u32;
        let index = blocks.partition_point(|b| b.start <= unit) - 1;
        let block = &mut blocks[index];
        if block.used && !block.marked {
            block.marked = true;
            todo.push(index as u32);
        }
    }
}

/// Gives back the pages that lie within runs of dead blocks. Returns how many bytes were new among them.
fn give_back(heap: &mut Heap, blocks: &[Block]) -> usize {
    let dead = |b: &Block| b.epoch == HOLE || (b.used && !b.marked);
    let mut freed = 0;
    let mut index = 0;
    while index < blocks.len() {
        if !dead(&blocks[index]) {
            index += 1;
            continue;
        }
        let first = index;
        while index < blocks.len() && dead(&blocks[index]) {
            index += 1;
        }
        let start = address(blocks[first].start);
        let end = range_of(blocks, index - 1, heap.state.top).end;
        let pages = start.next_multiple_of(PAGE)..end & !(PAGE - 1);
        let known: usize = heap.collected.holes.range(start..end).map(|(a, b)| b - a).sum();
        if pages.len() < PAGE || known == end - start {
            continue;
        }
        // SAFETY: the pages are the heap's own, all of them belong to blocks that nobody refers to.
        unsafe { raw::call6(libc::SYS_madvise, [pages.start, pages.len(), libc::MADV_DONTNEED as usize, 0, 0, 0]) };
        let inside: Vec<usize> = heap.collected.holes.range(start..end).map(|(a, _)| *a).collect();
        inside.iter().for_each(|a| {
            heap.collected.holes.remove(a);
        });
        heap.collected.holes.insert(start, end);
        freed += end - start - known;
    }
    freed
}

/// The process' private writable memory but for the heap and `except`; `None` if the system does not say.
fn writable_memory(except: &[Range<usize>]) -> Option<Vec<Range<usize>>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split(' ');
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else {
            continue;
        };
        if !rights.starts_with("rw") || !rights.ends_with('p') {
            continue;
        }
        let mut ends = range.split('-').filter_map(|n| usize::from_str_radix(n, 16).ok());
        let (Some(start), Some(end)) = (ends.next(), ends.next()) else {
            continue;
        };
        if (BASE..super::LIMIT).contains(&start) {
            continue;
        }
        // Mappings of neighbours may be one line: cut out what is excepted.
        let mut rest: Vec<_> = std::iter::once(start..end).collect();
        for hole in except {
            rest = rest
                .into_iter()
                .flat_map(|r| [r.start..r.end.min(hole.start), r.start.max(hole.end)..r.end])
                .filter(|r| r.start < r.end)
                .collect();
        }
        all.extend(rest);
    }
    Some(all)
}
