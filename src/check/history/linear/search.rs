//! The search for an order: Wing and Gong's, with Lowe's memory of what was tried ("Testing for linearizability", 2017), and his
//! just-in-time rule: operations are put in order only when one of them must be, since it ended before another began.
//!
//! A *configuration* is the set of operations that have been put in order, and the state that they lead to. A frame holds
//! the configurations that can be reached before the most urgent operation is put in order, found by breadth first, so that short ways
//! are tried before long ones; each that the urgent operation can follow becomes the next frame. What cuts the search short,
//! and never changes its answer:
//!
//! - An operation that leaves every state as it is, is put in order as soon as it is legal.
//! - Of operations that differ in nothing but their times, the most urgent goes first.
//! - Before a write that does not look, all other such writes under way whose value nobody can have seen are hidden.
//! - Where all is such writes and reads, a read whose value nobody can write any more ends the attempt.

use super::facts::Facts;
use super::problem::{Found, Item, Limits, NEVER, NONE, Order, Steps};
use crate::kernel;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// A fast hash of words, the same on every machine.
#[derive(Default, Clone, Copy)]
pub(super) struct Words(u64);

impl Hasher for Words {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }
    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }
    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

/// How to build a [`Words`].
pub(super) type ByWords = BuildHasherDefault<Words>;

/// A configuration that a frame reached: the parent's, and some items more.
struct Node {
    parent: u32,
    from: u32,
    to: u32,
    state: u32,
    /// The urgent item is among them.
    over: bool,
}

/// The configurations from which one urgent item is still to be put in order.
struct Frame {
    nodes: Vec<Node>,
    /// The items of the nodes, each node's in a row.
    items: Vec<u32>,
    /// The next node to look at, and whether the urgent item was tried there.
    head: usize,
    tried: bool,
    /// What was put in order when this frame was entered.
    entered: Vec<u32>,
}

impl Frame {
    fn new(state: u32, entered: Vec<u32>) -> Self {
        let root = Node {
            parent: NONE,
            from: 0,
            to: 0,
            state,
            over: false,
        };
        Frame {
            nodes: vec![root],
            items: Vec::new(),
            head: 0,
            tried: false,
            entered,
        }
    }

    /// The items that lead from the frame's beginning to a node.
    fn path(&self, node: usize) -> Vec<u32> {
        let mut parts = Vec::new();
        let mut at = node as u32;
        while at != NONE {
            let node = &self.nodes[at as usize];
            parts.push(&self.items[node.from as usize..node.to as usize]);
            at = node.parent;
        }
        parts.iter().rev().flat_map(|p| p.iter().copied()).collect()
    }

    fn push(&mut self, parent: usize, added: &[u32], state: u32, over: bool) {
        let from = self.items.len() as u32;
        self.items.extend_from_slice(added);
        self.nodes.push(Node {
            parent: parent as u32,
            from,
            to: self.items.len() as u32,
            state,
            over,
        });
    }
}

/// A search for an order.
pub(super) struct Search<'a> {
    items: &'a [Item],
    steps: &'a mut dyn Steps,
    order: Order,
    limits: Limits,
    taken: u64,
    /// When to say again that this is no endless loop.
    sign_of_life: u64,
    words: usize,
    facts: Facts,
    /// What is in order now, a bit for each item.
    done: Vec<u64>,
    /// How many items must be put in order, and before which place all of these are.
    required: u32,
    base: u32,
    left: u32,
    tried: HashSet<Box<[u64]>, ByWords>,
    /// The longest beginning of an order, its state, and how many were left.
    longest: Option<(Vec<u32>, u32, u32)>,
    key: Vec<u64>,
    out: Vec<u32>,
}

impl<'a> Search<'a> {
    /// A search among sorted items. With `explain`, what it finds where there is no order has the longest beginning.
    pub(super) fn new(
        items: &'a [Item],
        steps: &'a mut dyn Steps,
        order: Order,
        limits: Limits,
        explain: bool,
    ) -> Self {
        let required = items.iter().filter(|i| !i.optional).count() as u32;
        Search {
            // To get as far as possible, even where it is known to lead nowhere.
            facts: match explain {
                true => Facts::of(items, steps).without_foresight(),
                false => Facts::of(items, steps),
            },
            items,
            steps,
            order,
            limits,
            taken: 0,
            sign_of_life: 0,
            words: 0,
            done: vec![0; items.len().div_ceil(64)],
            required,
            base: 0,
            left: required,
            tried: HashSet::default(),
            longest: explain.then(|| (Vec::new(), NONE, u32::MAX)),
            key: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Searches; says how many steps it took as well.
    pub(super) fn run(mut self) -> (Found, u64) {
        let found = self.search();
        (found, self.taken)
    }

    fn search(&mut self) -> Found {
        let init = self.steps.init();
        let mut seen = Vec::new();
        self.observe(init, &mut seen);
        let mut frames = vec![Frame::new(init, seen)];
        self.note(&frames, &[], init);
        loop {
            if self.left == 0 {
                return Found::Order(order(&frames));
            }
            let Some(frame) = frames.last_mut() else {
                let (longest, state, _) = self.longest.take().unwrap_or_default();
                return Found::Nothing { longest, state };
            };
            if self.taken >= self.sign_of_life {
                self.sign_of_life = self.taken + 1_024;
                kernel::alive();
            }
            if self.taken > self.limits.steps || self.words > self.limits.words {
                return Found::GaveUp;
            }
            let at = frame.head;
            let Some(node) = frame.nodes.get(at) else {
                let frame = frames.pop().unwrap_or_else(|| Frame::new(NONE, Vec::new()));
                self.undo(&frame.entered);
                continue;
            };
            let state = node.state;
            let path = frame.path(at);
            if node.over {
                frame.head += 1;
                self.redo(&path);
                frames.push(Frame::new(state, path));
                self.note(&frames, &[], state);
                continue;
            }
            self.redo(&path);
            self.taken += 1;
            let candidates = self.candidates();
            let urgent = candidates[0];
            if self.facts.hopeless(urgent, state) {
                frame.head += 1;
                self.undo(&path);
                continue;
            }
            if !frame.tried {
                frame.tried = true;
                let next = self.follow(state, urgent, urgent, &candidates).pop();
                if let Some((mut added, state, _)) = next {
                    self.redo(&added);
                    let mut entered = path;
                    entered.append(&mut added);
                    frames.push(Frame::new(state, entered));
                    self.note(&frames, &[], state);
                    continue;
                }
                // With the urgent item tried, the node's configuration itself may be the longest yet.
                self.note(&frames, &path, state);
            }
            let Some(frame) = frames.last_mut() else {
                continue;
            };
            for place in &candidates[1..] {
                for (added, state, over) in self.follow(state, *place, urgent, &candidates) {
                    frame.push(at, &added, state, over);
                }
            }
            frame.head += 1;
            frame.tried = false;
            self.undo(&path);
        }
    }

    /// The configurations that follow when `place` is put in order next, unless they were tried: the items that this adds, the state,
    /// and whether the urgent one is among them.
    fn follow(
        &mut self,
        state: u32,
        place: u32,
        urgent: u32,
        candidates: &[u32],
    ) -> Vec<(Vec<u32>, u32, bool)> {
        let item = &self.items[place as usize];
        let mut reached = std::mem::take(&mut self.out);
        reached.clear();
        self.taken += 1;
        self.steps.step(state, item.op, &mut reached);
        let mut all = Vec::new();
        for next in reached.iter().copied() {
            // What need not happen and changes nothing is left out.
            if item.optional && next == state {
                continue;
            }
            let mut added = Vec::new();
            if self.facts.leaves[place as usize] != NONE {
                self.hide(place, candidates, &mut added);
            }
            self.flip(place);
            added.push(place);
            let dead = self.facts.dead(state, next);
            if !dead {
                self.observe(next, &mut added);
            }
            let over = self.has(urgent);
            if !dead && self.is_new(next) {
                all.push((added.clone(), next, over));
            }
            self.undo(&added);
        }
        self.out = reached;
        all
    }

    /// Puts in order, before the overwriting `place`, the other overwriting items under way that nobody can have seen.
    fn hide(&mut self, place: u32, candidates: &[u32], added: &mut Vec<u32>) {
        let mut more = candidates.to_vec();
        loop {
            let before = added.len();
            for other in more {
                if other != place && self.facts.unseen[other as usize] && !self.has(other) {
                    self.flip(other);
                    added.push(other);
                }
            }
            if added.len() == before {
                return;
            }
            more = self.candidates();
        }
    }

    /// Puts everything in order that may be next and leaves `state` as it is.
    fn observe(&mut self, state: u32, added: &mut Vec<u32>) {
        if !self.facts.observers {
            return;
        }
        loop {
            let mut any = false;
            for place in self.candidates() {
                let item = &self.items[place as usize];
                if !item.observer || item.optional {
                    continue;
                }
                let legal = match self.facts.only_in[place as usize] {
                    NONE => {
                        self.taken += 1;
                        let mut to = Vec::new();
                        self.steps.step(state, item.op, &mut to);
                        to.contains(&state)
                    }
                    only => only == state,
                };
                if legal {
                    self.flip(place);
                    added.push(place);
                    any = true;
                }
            }
            if !any {
                return;
            }
        }
    }

    /// What may be put in order next, the most urgent first, what may be left out last. Never empty while something is left.
    fn candidates(&mut self) -> Vec<u32> {
        let mut some = Vec::new();
        let mut looked_at = 0;
        let mut first_end = NEVER;
        for place in self.base..self.required {
            let item = &self.items[place as usize];
            if self.order == Order::RealTime && item.start > first_end {
                break;
            }
            looked_at += 1;
            if self.has(place) || !self.may_follow(item) {
                continue;
            }
            some.push(place);
            first_end = first_end.min(item.end);
        }
        let by_time = self.order == Order::RealTime;
        some.sort_by_key(|place| {
            let item = &self.items[*place as usize];
            (if by_time { item.end } else { 0 }, item.due, *place)
        });
        for place in self.required..self.items.len() as u32 {
            let item = &self.items[place as usize];
            if by_time && item.start > first_end {
                break;
            }
            if !self.has(place) && !self.facts.unseen[place as usize] && self.may_follow(item) {
                some.push(place);
            }
        }
        self.taken += looked_at / 64;
        if by_time && self.facts.classes {
            self.thin(&mut some);
        }
        some
    }

    fn may_follow(&self, item: &Item) -> bool {
        self.order == Order::RealTime || item.before == NONE || self.has(item.before)
    }

    /// Keeps the most urgent of each class.
    fn thin(&self, candidates: &mut Vec<u32>) {
        let mut kept: Vec<u32> = Vec::with_capacity(candidates.len());
        candidates.retain(|place| {
            let class = self.items[*place as usize].class;
            let first = class == NONE || !kept.contains(&class);
            kept.push(class);
            first
        });
    }

    fn has(&self, place: u32) -> bool {
        self.done[place as usize / 64] >> (place % 64) & 1 == 1
    }

    fn flip(&mut self, place: u32) {
        self.done[place as usize / 64] ^= 1 << (place % 64);
        let on = self.has(place);
        self.facts.count(place, on);
        if place >= self.required {
            return;
        }
        if !on {
            self.left += 1;
            self.base = self.base.min(place);
            return;
        }
        self.left -= 1;
        while self.base < self.required && self.has(self.base) {
            self.base += 1;
        }
    }

    fn redo(&mut self, path: &[u32]) {
        for place in path {
            self.flip(*place);
        }
    }

    fn undo(&mut self, path: &[u32]) {
        for place in path.iter().rev() {
            self.flip(*place);
        }
    }

    /// Whether the configuration was not tried; it is from now on.
    fn is_new(&mut self, state: u32) -> bool {
        let first = self.base as usize / 64;
        let middle = (self.required as usize).div_ceil(64).max(first);
        self.key.clear();
        self.key.push(u64::from(state) << 32 | first as u64);
        self.key
            .extend_from_slice(&self.done[first..middle.min(self.done.len())]);
        while self.key.len() > 1 && self.key.last() == Some(&0) {
            self.key.pop();
        }
        let window = self.key.len() as u64;
        if middle < self.done.len() {
            self.key.extend_from_slice(&self.done[middle..]);
            while self.key.len() as u64 > window && self.key.last() == Some(&0) {
                self.key.pop();
            }
        }
        self.key.push(window);
        if self.tried.contains(&self.key[..]) {
            return false;
        }
        self.words += self.key.len() + 4;
        self.tried.insert(self.key.clone().into_boxed_slice())
    }

    /// Remembers the configuration if it is the longest yet.
    fn note(&mut self, frames: &[Frame], path: &[u32], state: u32) {
        let Some((longest, its, fewest)) = &mut self.longest else {
            return;
        };
        if self.left < *fewest {
            *longest = order(frames);
            longest.extend_from_slice(path);
            *its = state;
            *fewest = self.left;
        }
    }
}

/// What the frames have put in order.
fn order(frames: &[Frame]) -> Vec<u32> {
    frames
        .iter()
        .flat_map(|f| f.entered.iter().copied())
        .collect()
}
