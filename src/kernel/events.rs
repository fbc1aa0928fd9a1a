//! What will happen, ordered by virtual time: timers, packets, scheduled faults.
//!
//! The kernel pushes an [`Event`] with its time and fires it when the clock gets there. Two events of one instant fire in
//! the order in which they were pushed. Cancelling is lazy: an event carries a generation, and whoever fires it ignores an
//! outdated one; [`Events::stale`] counts those so that the heap is swept before they outnumber the rest.

use super::descriptor::ObjectId;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that happens at a point of virtual time.
#[derive(Debug)]
pub(crate) enum Event {
    /// The deadline of a blocked thread.
    Deadline { thread: u32, generation: u32 },
    /// A timerfd expires.
    Timer { object: ObjectId, generation: u32 },
    /// The threads of a host may go on, unless it was stalled anew.
    StallEnds { host: u16 },
    /// A thread may go on, unless it was stalled anew.
    ThreadStallEnds { thread: u32 },
    /// A packet, a segment or a signal of the network arrives.
    Net(super::net::NetEvent),
}

struct Entry {
    at: u64,
    seq: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

/// The queue of what will happen.
#[derive(Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Entry>,
    seq: u64,
    stale: usize,
}

impl Events {
    /// Forgets everything, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.seq = 0;
        self.stale = 0;
    }

    /// Adds an event at `at` (virtual nanoseconds).
    pub(crate) fn push(&mut self, at: u64, event: Event) {
        self.seq += 1;
        self.heap.push(Entry {
            at,
            seq: self.seq,
            event,
        });
    }

    /// When the next event is due; `u64::MAX` if nothing is pending.
    #[inline]
    pub(crate) fn next_at(&self) -> u64 {
        self.heap.peek().map_or(u64::MAX, |e| e.at)
    }

    /// Every event with its time, outdated ones too, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &Event)> {
        self.heap.iter().map(|e| (e.at, &e.event))
    }

    /// Takes the next event, if one is due at or before `now`.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<Event> {
        if self.next_at() > now {
            return None;
        }
        self.heap.pop().map(|e| e.event)
    }

    /// An outdated event was popped.
    pub(crate) fn popped_stale(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }

    /// One more event in the heap is outdated. Returns whether a [`sweep`](Events::sweep) is worth its cost.
    pub(crate) fn stale(&mut self) -> bool {
        self.stale += 1;
        self.stale > 64 && self.stale * 2 > self.heap.len()
    }

    /// Drops the events that `live` does not want.
    pub(crate) fn sweep(&mut self, live: impl Fn(&Event) -> bool) {
        self.heap.retain(|e| live(&e.event));
        self.stale = 0;
    }
}
