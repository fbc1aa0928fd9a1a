//! Statics that each host has for itself. Hosts share the memory of one process, but signals are handled per process, and the
//! crates that do so keep their books in statics: tokio's registry would tell the tasks of every host of a signal that one of
//! them got. So these few statics (tens of bytes) are found in the executable's symbol table and put aside and back
//! when another host's thread gets its turn.
//!
//! Called by the machine at each switch, and when a test starts its first host. In an executable without a symbol table nothing is
//! found, hosts share these statics like all others, and [`found`] says so.

use super::image::writable;
use crate::kernel::abi::real::modules;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU8, Ordering};

/// What the mangled names of the statics contain: the path of the modules that handle signals.
const PATHS: [&[u8]; 4] = [
    b"5tokio6signal",
    b"20signal_hook_registry",
    b"11signal_hook",
    b"5ctrlc",
];
/// Statics of more bytes are not meant.
const LARGEST: u64 = 4096;

/// One static: where it is, and its bytes in a process that has just begun.
struct Place {
    at: usize,
    pristine: Box<[u8]>,
}

/// The statics, and what they are on each host that does not run now.
#[derive(Default)]
pub(super) struct Statics {
    places: Vec<Place>,
    searched: bool,
    /// This run has more than one host.
    on: bool,
    /// By host; `None` for one whose program has not begun or is over.
    aside: Vec<Option<Box<[u8]>>>,
    /// Whose they are now.
    owner: u16,
}

/// Whether the executable has a symbol table: 0 before that is known, then 1 for no and 2 for yes.
#[unsafe(link_section = "squall_keep")]
static SYMBOLS: AtomicU8 = AtomicU8::new(0);

/// Whether signals are per host here: false if the executable has no symbol table.
pub(super) fn found() -> bool {
    SYMBOLS.load(Ordering::Relaxed) == 2
}

impl Statics {
    /// A run begins: the statics are as they were made, or the first host's to change.
    pub(super) fn reset(&mut self) {
        self.on = false;
        self.aside.clear();
        self.owner = 0;
    }

    /// There is a second host.
    pub(super) fn begin(&mut self) {
        if !self.searched {
            self.searched = true;
            let places = search();
            SYMBOLS.store(if places.is_some() { 2 } else { 1 }, Ordering::Relaxed);
            self.places = places.unwrap_or_default();
        }
        self.on = !self.places.is_empty();
    }

    /// The program of a host is over; its next one begins with pristine statics.
    pub(super) fn forget(&mut self, host: u16) {
        if let Some(aside) = self.aside.get_mut(usize::from(host)) {
            *aside = None;
        }
        if self.owner == host {
            // What is in memory is nobody's any more.
            self.owner = NOBODY;
        }
    }

    /// A thread of `host` gets its turn.
    #[inline]
    pub(super) fn turn(&mut self, host: u16) {
        if self.on && host != self.owner {
            // What is put aside outlives the run, so it must not come from the program's heap.
            super::outside_kernel(|| self.exchange(host));
        }
    }

    #[cold]
    fn exchange(&mut self, host: u16) {
        let length: usize = self.places.iter().map(|p| p.pristine.len()).sum();
        let most = usize::from(if self.owner == NOBODY {
            host
        } else {
            host.max(self.owner)
        });
        if self.aside.len() <= most {
            self.aside.resize_with(most + 1, || None);
        }
        if self.owner != NOBODY {
            let mut bytes = Vec::with_capacity(length);
            for place in &self.places {
                // SAFETY: the place lies in the executable's writable data, and no thread runs but this one, which is in the
                // kernel and uses none of these statics.
                bytes.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(place.at as *const u8, place.pristine.len())
                });
            }
            self.aside[usize::from(self.owner)] = Some(bytes.into());
        }
        let back = self.aside[usize::from(host)].take();
        let mut from = 0;
        for place in &self.places {
            let n = place.pristine.len();
            let bytes = back
                .as_ref()
                .map_or(&place.pristine[..], |b| &b[from..from + n]);
            from += n;
            // SAFETY: as above; whoever holds references into these statics is a thread of a host whose bytes are put
            // back before it goes on.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place.at as *mut u8, n) };
        }
        self.owner = host;
    }
}

/// Stands for no host.
const NOBODY: u16 = u16::MAX;

/// The executable's file in memory, unmapped when dropped.
struct File {
    at: *mut libc::c_void,
    size: usize,
}

impl File {
    fn open() -> Option<File> {
        let file = std::fs::File::open("/proc/self/exe").ok()?;
        let size = file.metadata().ok()?.len() as usize;
        // SAFETY: a private, read-only mapping at an address of the system's choice.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            )
        };
        (at != libc::MAP_FAILED).then_some(File { at, size })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable for its size until it is dropped. A file that runs is not written to.
        unsafe { std::slice::from_raw_parts(self.at.cast(), self.size) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nobody borrows from it any more.
        unsafe { libc::munmap(self.at, self.size) };
    }
}

/// A section of an ELF file.
struct Section {
    kind: u32,
    address: u64,
    offset: u64,
    size: u64,
    link: u32,
}

/// A little-endian number of `n` bytes.
fn number(bytes: &[u8], at: u64, n: usize) -> Option<u64> {
    let part = bytes.get(at as usize..)?.get(..n)?;
    Some(part.iter().rev().fold(0, |sum, b| sum << 8 | u64::from(*b)))
}

fn sections(elf: &[u8]) -> Option<Vec<Section>> {
    const HEADER: u64 = 64;
    let table = number(elf, 40, 8)?;
    let count = number(elf, 60, 2)?;
    (0..count)
        .map(|i| {
            let at = table + i * HEADER;
            Some(Section {
                kind: number(elf, at + 4, 4)? as u32,
                address: number(elf, at + 16, 8)?,
                offset: number(elf, at + 24, 8)?,
                size: number(elf, at + 32, 8)?,
                link: number(elf, at + 40, 4)? as u32,
            })
        })
        .collect()
}

/// The statics; `None` if the executable has no symbol table.
fn search() -> Option<Vec<Place>> {
    const SYMTAB: u32 = 2;
    const RELA: u32 = 4;
    const NOBITS: u32 = 8;
    const SYMBOL: u64 = 24;
    const OBJECT: u64 = 1;
    let file = File::open()?;
    let elf = file.bytes();
    let sections = sections(elf)?;
    let table = sections.iter().find(|s| s.kind == SYMTAB)?;
    let names = sections.get(table.link as usize)?;
    let base = modules::loaded().first()?.base;
    let data = writable();
    let mut found: Vec<(u64, u64, u16)> = Vec::new();
    for at in (table.offset..table.offset + table.size).step_by(SYMBOL as usize) {
        let size = number(elf, at + 16, 8)?;
        if number(elf, at + 4, 1)? & 0xf != OBJECT || !(1..=LARGEST).contains(&size) {
            continue;
        }
        let start = names.offset + number(elf, at, 4)?;
        let name = elf.get(start as usize..)?;
        let name = &name[..name.iter().take(512).position(|b| *b == 0).unwrap_or(0)];
        if PATHS
            .iter()
            .any(|path| name.windows(path.len()).any(|w| w == *path))
        {
            found.push((
                number(elf, at + 8, 8)?,
                size,
                number(elf, at + 6, 2)? as u16,
            ));
        }
    }
    let mut places = Vec::new();
    for (address, size, section) in found {
        let at = (base + address) as usize;
        let inside = data
            .iter()
            .any(|(from, to)| (*from..*to).contains(&at) && at + size as usize <= *to);
        let Some(section) = sections.get(usize::from(section)).filter(|_| inside) else {
            continue;
        };
        let relocated = sections.iter().filter(|s| s.kind == RELA).any(|s| {
            let entries = (s.offset..s.offset + s.size).step_by(24);
            entries
                .map(|at| number(elf, at, 8))
                .any(|place| place.is_none_or(|p| (address..address + size).contains(&p)))
        });
        if relocated {
            // What it is at the start is the loader's work, so the file does not say it. None is known.
            continue;
        }
        let pristine = if section.kind == NOBITS {
            vec![0; size as usize]
        } else {
            let from = (section.offset + address - section.address) as usize;
            elf.get(from..from + size as usize)?.to_vec()
        };
        places.push(Place {
            at,
            pristine: pristine.into(),
        });
    }
    Some(places)
}
