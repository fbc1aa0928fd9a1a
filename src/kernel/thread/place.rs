//! Where an address lies, as far as it matters to whether threads share it. Called by `abi/sancov.rs` for each access of
//! instrumented code, so most answers must be quick.

use super::slot::{STACKS, Slot};
use super::{MY_SLOT, machine};
use crate::kernel::memory::Place;

/// How much address space stacks may take, beginning at [`STACKS`].
const REACH: usize = 1 << 43;

/// The place of an address that the running simulated thread is about to access; `None` if nobody else has ever been there:
/// the thread's own stack, as far as no other thread was seen on it, and its thread-local storage.
#[inline]
pub(crate) fn place(address: usize) -> Option<Place> {
    // SAFETY: a simulated thread set it at its birth; slots are leaked boxes. Only the running thread reads or changes what
    // is used here, and only for this stretch.
    let mine = unsafe { &mut *MY_SLOT.get() };
    let offset = address.wrapping_sub(mine.stack.0);
    if offset < mine.stack.1 {
        let seen = (mine.foreign.0..mine.foreign.1).contains(&offset);
        return seen.then(|| Place::on_stack(mine.thread, offset));
    }
    if address.wrapping_sub(mine.tls) < mine.image.len() {
        return None;
    }
    if address.wrapping_sub(STACKS) < REACH {
        return Some(on_foreign_stack(address));
    }
    Some(Place::at(address))
}

/// As [`place`] for what threads share as a rule, wherever it lies.
#[inline]
pub(crate) fn place_even_if_own(address: usize) -> Place {
    place(address).unwrap_or_else(|| {
        // SAFETY: as in `place`.
        let mine = unsafe { &*MY_SLOT.get() };
        let offset = address.wrapping_sub(mine.stack.0);
        match offset < mine.stack.1 {
            true => Place::on_stack(mine.thread, offset),
            false => Place::at(address),
        }
    })
}

/// The place on another thread's stack: what threads in a scope share, say.
fn on_foreign_stack(address: usize) -> Place {
    let m = machine();
    for i in 0..m.slots.len() {
        let Slot {
            stack,
            thread,
            foreign,
            ..
        } = m.slot(i);
        let offset = address.wrapping_sub(stack.0);
        if offset < stack.1 {
            let word = offset & !7;
            *foreign = match *foreign {
                (_, 0) => (word, word + 8),
                (start, end) => (start.min(word), end.max(word + 8)),
            };
            return Place::on_stack(*thread, offset);
        }
    }
    Place::at(address)
}
