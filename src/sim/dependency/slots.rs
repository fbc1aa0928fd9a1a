//! Who is being served and who waits for his turn, where a dependency can do only so much at a time. Plain state, held under
//! the lock of `control.rs`, which wakes whom this returns.

use std::collections::VecDeque;
use std::task::Waker;

use super::behaviour::Capacity;

#[derive(Default)]
pub(super) struct Slots {
    busy: u32,
    /// The oldest first.
    waiting: VecDeque<Waiter>,
    next: u64,
}

struct Waiter {
    id: u64,
    /// The slot is its own; it has not noticed yet.
    granted: bool,
    waker: Option<Waker>,
}

/// What became of somebody who wants a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// He has one.
    Served,
    /// He waits, under this number.
    Waits(u64),
    /// There is no room to wait.
    Full,
}

impl Slots {
    pub(super) fn enter(&mut self, capacity: Option<Capacity>) -> Entry {
        let Some(capacity) = capacity else {
            self.busy += 1;
            return Entry::Served;
        };
        let queue = self.waiting.iter().filter(|w| !w.granted).count();
        if self.busy < capacity.slots && queue == 0 {
            self.busy += 1;
            return Entry::Served;
        }
        if queue >= capacity.queue as usize {
            return Entry::Full;
        }
        self.next += 1;
        self.waiting.push_back(Waiter {
            id: self.next,
            granted: false,
            waker: None,
        });
        Entry::Waits(self.next)
    }

    /// Whether it is the turn of a waiter, who has the slot then; and a waker to be dropped outside of the lock.
    pub(super) fn turn(&mut self, id: u64, waker: &Waker) -> (bool, Option<Waker>) {
        let Some(at) = self.waiting.iter().position(|w| w.id == id) else {
            return (true, None);
        };
        if self.waiting[at].granted {
            let waiter = self.waiting.remove(at);
            return (true, waiter.and_then(|w| w.waker));
        }
        (false, self.waiting[at].waker.replace(waker.clone()))
    }

    /// A waiter goes away before it is his turn, or without having noticed that it is.
    pub(super) fn gives_up(&mut self, id: u64, capacity: Option<Capacity>) -> Vec<Waker> {
        let Some(at) = self.waiting.iter().position(|w| w.id == id) else {
            return Vec::new();
        };
        let granted = self.waiting.remove(at).is_some_and(|w| w.granted);
        if granted {
            self.leave(capacity)
        } else {
            Vec::new()
        }
    }

    /// Somebody gives his slot back. Returns whom to wake.
    pub(super) fn leave(&mut self, capacity: Option<Capacity>) -> Vec<Waker> {
        self.busy = self.busy.saturating_sub(1);
        self.grant(capacity)
    }

    /// Gives free slots to those who wait. Returns whom to wake.
    pub(super) fn grant(&mut self, capacity: Option<Capacity>) -> Vec<Waker> {
        let slots = capacity.map_or(u32::MAX, |c| c.slots);
        let mut wake = Vec::new();
        for waiter in self.waiting.iter_mut().filter(|w| !w.granted) {
            if self.busy >= slots {
                break;
            }
            self.busy += 1;
            waiter.granted = true;
            wake.extend(waiter.waker.take());
        }
        wake
    }

    /// Nobody is served or waits any more: the program that kept them is over, and its wakers are of no use.
    pub(super) fn clear(&mut self) {
        self.busy = 0;
        std::mem::forget(std::mem::take(&mut self.waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::super::FailureMode;
    use super::*;

    const TWO: Option<Capacity> = Some(Capacity {
        slots: 2,
        queue: 2,
        overflow: FailureMode::Reset,
    });

    #[test]
    fn slots_then_a_queue_in_order_then_nothing() {
        let waker = Waker::noop();
        let mut slots = Slots::default();
        assert_eq!(slots.enter(TWO), Entry::Served);
        assert_eq!(slots.enter(TWO), Entry::Served);
        let (Entry::Waits(a), Entry::Waits(b)) = (slots.enter(TWO), slots.enter(TWO)) else {
            panic!("the queue has room for two");
        };
        assert_eq!(slots.enter(TWO), Entry::Full);
        assert!(!slots.turn(a, waker).0 && !slots.turn(b, waker).0);
        assert_eq!(slots.leave(TWO).len(), 1);
        assert!(!slots.turn(b, waker).0 && slots.turn(a, waker).0);
        // Whoever comes now queues behind `b`.
        assert!(matches!(slots.enter(TWO), Entry::Waits(_)));
    }

    #[test]
    fn a_slot_that_nobody_noticed_goes_to_the_next() {
        let waker = Waker::noop();
        let mut slots = Slots::default();
        slots.enter(TWO);
        slots.enter(TWO);
        let (Entry::Waits(a), Entry::Waits(b)) = (slots.enter(TWO), slots.enter(TWO)) else {
            panic!("the queue has room for two");
        };
        slots.turn(b, waker);
        slots.leave(TWO);
        assert_eq!(slots.gives_up(a, TWO).len(), 1);
        assert!(slots.turn(b, waker).0);
        // More slots let more in.
        let Entry::Waits(c) = slots.enter(TWO) else {
            panic!("the queue has room");
        };
        slots.turn(c, waker);
        assert_eq!(slots.grant(None).len(), 1);
    }
}
