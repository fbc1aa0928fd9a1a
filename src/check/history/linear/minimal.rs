//! From a part of a history that has no order to a few operations that have none.
//!
//! What is taken away must not make the history wrong in another way: without the write, its read would be wrong alone. So of what
//! remains, everything but the last operation has an order, and so has all of it once time is not looked at (or, where that was not so
//! from the beginning, the last operation with some of the others).

use super::problem::{Found, Item, Limits, NEVER, NONE, Order, Steps, sorted};
use super::search::Search;

/// What makes a history that has no order have one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relaxed {
    /// The last operation may be anywhere.
    Last,
    /// Every operation may be anywhere.
    All,
    /// Every operation may be anywhere, and all but the last may be left out.
    Some,
}

/// Makes it smaller.
pub(super) struct Minimal<'a> {
    steps: &'a mut dyn Steps,
    order: Order,
    limits: Limits,
    /// Steps that may still be taken.
    purse: u64,
}

impl<'a> Minimal<'a> {
    pub(super) fn new(steps: &'a mut dyn Steps, order: Order, limits: Limits) -> Self {
        Minimal {
            steps,
            order,
            limits,
            purse: limits.steps.saturating_mul(4),
        }
    }

    /// Some of `items`, which have no order, that have none either; `items` if nothing smaller is found in time.
    pub(super) fn of(&mut self, items: Vec<Item>) -> Vec<Item> {
        let (items, last) = match self.order {
            Order::RealTime => self.beginning(items),
            Order::Program => (items, NONE),
        };
        let all = [Relaxed::Last, Relaxed::All, Relaxed::Some];
        let relaxed = all.into_iter().find(|r| self.holds_if(*r, &items, last));
        self.thin(items, last, relaxed)
    }

    /// The shortest beginning that has no order, and the operation whose end ends it.
    fn beginning(&mut self, items: Vec<Item>) -> (Vec<Item>, u32) {
        let mut ends: Vec<u64> = items
            .iter()
            .map(|i| i.end)
            .filter(|e| *e != NEVER)
            .collect();
        ends.sort_unstable();
        ends.dedup();
        // Everything up to the end `hi` has none.
        let (mut lo, mut hi) = (0, ends.len().saturating_sub(1));
        while lo < hi {
            let middle = (lo + hi) / 2;
            match self.has_none(&until(&items, ends[middle])) {
                true => hi = middle,
                false => lo = middle + 1,
            }
        }
        let Some(end) = ends.get(hi) else {
            return (items, NONE);
        };
        let cut = until(&items, *end);
        // Where the search gave up on some of them, the cut may be wrong: then all of it.
        let cut = if self.has_none(&cut) { cut } else { items };
        let last = cut.iter().filter(|i| i.end != NEVER).max_by_key(|i| i.end);
        let last = last.map_or(NONE, |i| i.op);
        (cut, last)
    }

    fn thin(&mut self, mut items: Vec<Item>, last: u32, relaxed: Option<Relaxed>) -> Vec<Item> {
        let mut size = items.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            let mut removed = false;
            while at < items.len() && self.purse > 0 {
                let end = (at + size).min(items.len());
                // Where nothing makes it right, only what changes nothing can be taken away without making it wrong otherwise.
                let goes = |i: &Item| i.op != last && (relaxed.is_some() || i.observer);
                let kept = items.iter().enumerate();
                let kept = kept.filter(|(n, i)| !(at..end).contains(n) || !goes(i));
                let fewer: Vec<Item> = kept.map(|(_, i)| i.clone()).collect();
                if fewer.len() < items.len() && self.is_as_good(&fewer, last, relaxed) {
                    items = fewer;
                    removed = true;
                } else {
                    at = end;
                }
            }
            if self.purse == 0 || size == 1 && !removed {
                return sorted(items);
            }
            size = (size / 2).max(1);
        }
    }

    fn is_as_good(&mut self, items: &[Item], last: u32, relaxed: Option<Relaxed>) -> bool {
        let rest: Vec<Item> = items.iter().filter(|i| i.op != last).cloned().collect();
        self.has_none(items)
            && (last == NONE || self.has_one(&rest))
            && relaxed.is_none_or(|r| self.holds_if(r, items, last))
    }

    fn holds_if(&mut self, relaxed: Relaxed, items: &[Item], last: u32) -> bool {
        if last == NONE && relaxed != Relaxed::All {
            return false;
        }
        let relax = |item: &Item| {
            let mut item = item.clone();
            if relaxed != Relaxed::Last || item.op == last {
                item.start = 0;
                item.end = NEVER;
            }
            item.optional |= relaxed == Relaxed::Some && item.op != last;
            item
        };
        let mut items: Vec<Item> = items.iter().map(relax).collect();
        if relaxed == Relaxed::Some {
            items.retain(|i| !i.optional || !i.observer);
        }
        let order = std::mem::replace(&mut self.order, Order::RealTime);
        let holds = self.has_one(&items);
        self.order = order;
        holds
    }

    fn has_none(&mut self, items: &[Item]) -> bool {
        matches!(self.search(items), Found::Nothing { .. })
    }

    fn has_one(&mut self, items: &[Item]) -> bool {
        matches!(self.search(items), Found::Order(_))
    }

    fn search(&mut self, items: &[Item]) -> Found {
        let items = sorted(items.to_vec());
        let mut limits = self.limits;
        limits.steps = (limits.steps / 2).min(self.purse);
        let (found, taken) = Search::new(&items, self.steps, self.order, limits, false).run();
        self.purse = self
            .purse
            .saturating_sub(taken + items.len() as u64 / 8 + 1);
        found
    }
}

/// What was known at `end`: what had not ended then may have taken effect or not.
fn until(items: &[Item], end: u64) -> Vec<Item> {
    let begun = items.iter().filter(|i| i.start <= end);
    let known = begun.filter_map(|item| {
        let mut item = item.clone();
        if item.end > end && !item.optional {
            item.optional = true;
            item.end = NEVER;
        }
        (!item.optional || !item.observer).then_some(item)
    });
    known.collect()
}
