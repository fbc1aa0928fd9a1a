//! What dead programs leave goes back to the system once nothing that lives can reach it: a conservative mark over all that could
//! hold a pointer, as in Boehm's collector. Their addresses are never given out again in a run, so what is given back, and when, cannot
//! be noticed: a word that only looks like a pointer costs memory, not determinism.
//!
//! Roots are every writable page of the process that is in memory, but for the stacks that nobody uses and for
//! what this heap itself keeps, of which only blocks in use count that are not a dead program's. A pointer may point anywhere into
//! a block. One that is hidden (compressed, or xored with something) is not found.
//!
//! Called by [`super::collect`], in a door of the thread room, when the dead hold enough.

use super::arena::{Arena, HEADER, Header, UNIT, size_of_class};
use super::regions::{BASE, HOSTS, Regions, give_back};
use std::fs::File;
use std::os::unix::fs::FileExt;

const PAGE: usize = 4096;
/// Larger pieces are read only where they are in memory.
const SPARSE: usize = 1 << 20;

/// The blocks of a dead program's span.
struct Dead {
    span: usize,
    start: usize,
    end: usize,
    /// A bit for each unit at which a block in use begins, and which of these were reached.
    blocks: Vec<u64>,
    reached: Vec<u64>,
    /// The span is one block.
    single: bool,
}

fn bit(bits: &[u64], at: usize) -> bool {
    bits[at / 64] & (1 << (at % 64)) != 0
}

fn set(bits: &mut [u64], at: usize) {
    bits[at / 64] |= 1 << (at % 64);
}

impl Dead {
    /// The start of the block that an address lies in, as a number of units.
    fn block_at(&self, address: usize) -> Option<usize> {
        let at = address
            .checked_sub(self.start)
            .filter(|_| address < self.end)?
            / UNIT;
        let block = if self.single {
            bit(&self.blocks, 0).then_some(0)?
        } else {
            let mut word = at / 64;
            let mut bits = self.blocks[word] & (u64::MAX >> (63 - at % 64));
            while bits == 0 {
                word = word.checked_sub(1)?;
                bits = self.blocks[word];
            }
            word * 64 + 63 - bits.leading_zeros() as usize
        };
        let start = self.start + block * UNIT;
        // SAFETY: a block begins there, and was not given back.
        let size = unsafe { size_at(start) };
        (start + HEADER..start + size)
            .contains(&address)
            .then_some(block)
    }
}

/// The size of the block that begins at an address.
///
/// # Safety
/// One must.
unsafe fn size_at(start: usize) -> usize {
    // SAFETY: the caller's promise.
    size_of_class(unsafe { (*(start as *const Header)).class })
}

/// Each block in use from `start` to `end`, which is a seamless row of blocks: its start and size.
///
/// # Safety
/// It must be.
unsafe fn blocks(start: usize, end: usize, mut each: impl FnMut(usize, usize)) {
    let mut at = start;
    while at < end {
        // SAFETY: the caller's promise.
        let (size, live) = unsafe { (size_at(at), (*(at as *const Header)).live) };
        if live {
            each(at, size);
        }
        at += size;
    }
}

struct Mark<'a> {
    regions: &'a Regions,
    pagemap: File,
    dead: Vec<Dead>,
    /// Which of `dead` each span is, plus one.
    of_span: Vec<u32>,
    /// What was reached and not looked at yet: which of `dead`, and the block.
    todo: Vec<(u32, u32)>,
    top: usize,
    /// Bytes looked at.
    scanned: usize,
}

impl Mark<'_> {
    /// Looks at each word of a piece of memory.
    ///
    /// # Safety
    /// It must be readable.
    unsafe fn scan(&mut self, start: usize, end: usize) {
        let (start, end) = (start.next_multiple_of(8), end & !7);
        self.scanned += end.saturating_sub(start);
        let mut at = start;
        while at < end {
            // SAFETY: the caller's promise. Nobody else runs; what the words mean does not matter.
            let word = unsafe { (at as *const usize).read_volatile() };
            if word.wrapping_sub(HOSTS) < self.top - HOSTS {
                self.reach(word);
            }
            at += 8;
        }
    }

    /// As [`scan`](Mark::scan), but only the pages that are in memory: whoever never touched a page put no pointer there.
    ///
    /// # Safety
    /// As there.
    unsafe fn scan_present(&mut self, start: usize, end: usize) -> std::io::Result<()> {
        const AT_ONCE: usize = 4096;
        let mut entries = vec![0u8; AT_ONCE * 8];
        let (first, last) = (start / PAGE, end.div_ceil(PAGE));
        for from in (first..last).step_by(AT_ONCE) {
            let count = AT_ONCE.min(last - from);
            let bytes = &mut entries[..count * 8];
            self.pagemap.read_exact_at(bytes, from as u64 * 8)?;
            for i in 0..count {
                // Bit 63: in memory, bit 62: swapped out.
                if entries[i * 8 + 7] & 0xc0 != 0 {
                    let page = (from + i) * PAGE;
                    // SAFETY: the caller's promise.
                    unsafe { self.scan(page.max(start), (page + PAGE).min(end)) };
                }
            }
        }
        Ok(())
    }

    /// Something that looks like a pointer into the hosts' space.
    fn reach(&mut self, address: usize) {
        let Some(span) = self.regions.span_at(address) else {
            return;
        };
        let Some(index) = self.of_span[span].checked_sub(1) else {
            return;
        };
        let dead = &mut self.dead[index as usize];
        let Some(block) = dead.block_at(address) else {
            return;
        };
        if !bit(&dead.reached, block) {
            set(&mut dead.reached, block);
            self.todo.push((index, block as u32));
        }
    }

    /// Follows what was reached to its end.
    fn follow(&mut self) -> std::io::Result<()> {
        while let Some((index, block)) = self.todo.pop() {
            let start = self.dead[index as usize].start + block as usize * UNIT;
            // SAFETY: a block in use begins there.
            unsafe { self.scan_block(start, size_at(start))? };
        }
        Ok(())
    }

    /// # Safety
    /// A block must begin there.
    unsafe fn scan_block(&mut self, start: usize, size: usize) -> std::io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            if size >= SPARSE {
                return self.scan_present(start + HEADER, start + size);
            }
            self.scan(start + HEADER, start + size);
        }
        Ok(())
    }
}

/// The writable memory of the process, less what is `known`, which is sorted.
fn writable(known: &[(usize, usize)]) -> std::io::Result<Vec<(usize, usize)>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut out = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let range = words.next().and_then(|w| w.split_once('-'));
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let Some((Some(mut start), Some(end))) = range.map(|(a, b)| (number(a), number(b))) else {
            continue;
        };
        if !words.next().is_some_and(|w| w.starts_with("rw")) {
            continue;
        }
        for (from, to) in known {
            if *to > start && *from < end {
                if *from > start {
                    out.push((start, *from));
                }
                start = *to;
            }
        }
        if start < end {
            out.push((start, end));
        }
    }
    Ok(out)
}

/// Gives back what dead programs left and nothing reaches. `stacks` are all stacks, sorted, `live` the parts of them in use; an
/// arena that is `None` is a dead program's. Returns how
/// many bytes were looked at.
///
/// # Errors
/// Where the system does not say what memory there is; nothing is given back then.
///
/// # Safety
/// No other thread may run, and `live` must hold all that threads which go on will look at, registers included.
pub(super) unsafe fn collect(
    shared: &Arena,
    arenas: &[Option<Box<Arena>>],
    regions: &mut Regions,
    stacks: &[(usize, usize)],
    live: &[(usize, usize)],
) -> std::io::Result<usize> {
    let is_dead = |arena: u32| arenas.get(arena as usize - 1).is_none_or(Option::is_none);
    let mut dead = Vec::new();
    let mut of_span = vec![0; regions.spans.len()];
    for (index, span) in regions.spans.iter().enumerate() {
        if !is_dead(span.arena) || span.left.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let units = (span.end - span.start).div_ceil(UNIT);
        let mut d = Dead {
            span: index,
            start: span.start,
            end: span.end,
            blocks: vec![0; units.div_ceil(64)],
            reached: vec![0; units.div_ceil(64)],
            single: false,
        };
        match &span.left {
            // SAFETY: the span is a row of blocks of which nothing was given back.
            None => unsafe {
                d.single = size_at(span.start) == span.end - span.start;
                blocks(span.start, span.end, |start, _| {
                    set(&mut d.blocks, (start - span.start) / UNIT);
                });
            },
            Some(left) => {
                for offset in left {
                    let start = span.start + *offset as usize * UNIT;
                    // SAFETY: a block that was kept begins there. Its program is dead, but others may have freed it.
                    if unsafe { (*(start as *const Header)).live } {
                        set(&mut d.blocks, *offset as usize);
                    }
                }
                // SAFETY: as above, if there is any.
                d.single = left == &[0] && unsafe { size_at(span.start) } == span.end - span.start;
            }
        }
        dead.push(d);
        of_span[index] = dead.len() as u32;
    }
    let mut known: Vec<(usize, usize)> = stacks.to_vec();
    known.extend(regions.mapped());
    known.sort_unstable();
    let mut mark = Mark {
        top: regions.top(),
        regions,
        pagemap: File::open("/proc/self/pagemap")?,
        dead,
        of_span,
        todo: Vec::new(),
        scanned: 0,
    };
    // What this function has allocated is in the memory that it looks at, but holds no address of a block's inside.
    // SAFETY: the pieces are mapped and readable, blocks are where the arenas say, and the caller vouches for `live`.
    unsafe {
        for (start, end) in writable(&known)? {
            mark.scan_present(start, end)?;
        }
        for (start, end) in live {
            mark.scan(*start, *end);
        }
        let mut failed = Ok(());
        let mut look = |start, size| {
            if failed.is_ok() {
                failed = mark.scan_block(start, size);
            }
        };
        blocks(BASE, shared.next, &mut look);
        for arena in arenas.iter().flatten() {
            let spans = regions.spans.iter().enumerate();
            for (index, span) in spans.filter(|(_, s)| s.arena == arena.number) {
                let end = match arena.span == Some(index) {
                    true => arena.next,
                    false => span.end,
                };
                blocks(span.start, end, &mut look);
            }
        }
        failed?;
    }
    mark.follow()?;
    let Mark { dead, scanned, .. } = mark;
    for d in &dead {
        // SAFETY: nothing reaches what is not marked, and the program that had it is dead.
        let left = unsafe { sweep(d) };
        regions.spans[d.span].left = Some(left);
    }
    Ok(scanned)
}

/// Gives back the pages of a span on which no block lies that was reached; returns where those begin, in units.
///
/// # Safety
/// Nobody may use the other blocks any more.
unsafe fn sweep(d: &Dead) -> Vec<u32> {
    let mut left = Vec::new();
    // Pages before this one are dealt with.
    let mut page = d.start;
    let end = d.end.next_multiple_of(PAGE);
    for (at, word) in d.reached.iter().enumerate() {
        let mut bits = *word;
        while bits != 0 {
            let block = at * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            left.push(block as u32);
            let start = d.start + block * UNIT;
            // SAFETY: a block begins there.
            let size = unsafe { size_at(start) };
            if start & !(PAGE - 1) > page {
                // SAFETY: whole pages of the span on which no block lies that was reached.
                unsafe { give_back(page, start & !(PAGE - 1)) };
            }
            page = page.max((start + size).next_multiple_of(PAGE));
        }
    }
    if end > page {
        // SAFETY: as above.
        unsafe { give_back(page, end) };
    }
    left
}
