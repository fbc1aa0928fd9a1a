//! Reads and writes in numbers: which write each read saw, and what comes before what in causal order.

use super::record::Moment;
use std::collections::{BTreeMap, BTreeSet};

/// A read or a write.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// The operation's place in the history.
    pub place: usize,
    pub client: u32,
    pub key: u32,
    /// `None`: no value.
    pub value: Option<u32>,
    pub write: bool,
    /// Its outcome is known.
    pub known: bool,
    /// Nothing that its client did later comes after it in causal order.
    pub alone: bool,
    /// It comes after nothing that its client did before.
    pub first: bool,
    pub invoked: Moment,
    pub ended: Option<Moment>,
}

/// The write whose version a read saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// None: the key had never had a value.
    Initial,
    /// This one.
    Write(usize),
    /// Nobody knows: it saw no value, and several may have taken it away, or a value that may come of a write of which it is not
    /// known what it wrote.
    Anyone,
}

/// The events of a history in the order of their invocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    pub events: Vec<Event>,
    /// By event: what it saw; of a write itself.
    pub sources: Vec<Source>,
    by_key: Vec<Vec<usize>>,
    /// By write: the reads that saw it.
    readers: Vec<Vec<usize>>,
    /// By event: the chain that it belongs to and its place there, 1 the first.
    chains: Vec<(usize, u32)>,
    /// By event: how many of each chain come before it in causal order, or are it.
    clocks: Vec<Vec<u32>>,
    from_nowhere: Option<usize>,
    circle: Option<Vec<usize>>,
}

impl Versions {
    /// Two writes of one key and value, if there are.
    pub(super) fn twins(events: &[Event]) -> Option<(&Event, &Event)> {
        let mut known: BTreeMap<(u32, u32), &Event> = BTreeMap::new();
        let written = events.iter().filter_map(|e| Some((e, (e.key, e.value?))));
        for (event, what) in written.filter(|(e, _)| e.write) {
            if let Some(other) = known.insert(what, event) {
                return Some((other, event));
            }
        }
        None
    }

    pub(super) fn of(events: Vec<Event>, unclear: &BTreeSet<u32>) -> Self {
        let keys = events.iter().map(|e| e.key + 1).max().unwrap_or(0);
        let mut versions = Versions {
            by_key: vec![Vec::new(); keys as usize],
            ..Versions::default()
        };
        let mut writers: BTreeMap<(u32, Option<u32>), usize> = BTreeMap::new();
        for (at, event) in events.iter().enumerate().filter(|(_, e)| e.write) {
            versions.by_key[event.key as usize].push(at);
            writers.insert((event.key, event.value), at);
        }
        for (at, event) in events.iter().enumerate() {
            let writer = writers.get(&(event.key, event.value));
            versions
                .sources
                .push(match (event.write, event.value, writer) {
                    (true, ..) => Source::Write(at),
                    (false, Some(_), Some(writer)) => Source::Write(*writer),
                    _ if unclear.contains(&event.key) => Source::Anyone,
                    (false, None, None) => Source::Initial,
                    (false, None, Some(_)) => Source::Anyone,
                    (false, Some(_), None) => {
                        versions.from_nowhere.get_or_insert(at);
                        Source::Anyone
                    }
                });
        }
        versions.events = events;
        versions.put_in_order();
        versions
    }

    /// What comes right before an event in causal order: what its client did, and what it saw.
    fn before(&self, last_of: &[Option<usize>], at: usize) -> [Option<usize>; 2] {
        let saw = match self.sources[at] {
            Source::Write(write) if write != at => Some(write),
            _ => None,
        };
        [last_of[at], saw]
    }

    fn put_in_order(&mut self) {
        let n = self.events.len();
        // Each client is a chain, but for the events that nothing follows.
        let mut chain_of: BTreeMap<u32, usize> = BTreeMap::new();
        let mut lengths: Vec<u32> = Vec::new();
        let mut latest: BTreeMap<u32, usize> = BTreeMap::new();
        let mut previous = vec![None; n];
        self.readers = vec![Vec::new(); n];
        for (at, event) in self.events.iter().enumerate() {
            if !event.first {
                previous[at] = latest.get(&event.client).copied();
            }
            if let Source::Write(write) = self.sources[at]
                && !event.write
            {
                self.readers[write].push(at);
            }
            if event.alone {
                self.chains.push((usize::MAX, 0));
                continue;
            }
            let chain = *chain_of.entry(event.client).or_insert(lengths.len());
            if chain == lengths.len() {
                lengths.push(0);
            }
            lengths[chain] += 1;
            self.chains.push((chain, lengths[chain]));
            latest.insert(event.client, at);
        }
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); n];
        let mut waits = vec![0; n];
        for (at, waits) in waits.iter_mut().enumerate() {
            for before in self.before(&previous, at).into_iter().flatten() {
                after[before].push(at);
                *waits += 1;
            }
        }
        self.clocks = vec![Vec::new(); n];
        let mut ready: Vec<usize> = (0..n).filter(|at| waits[*at] == 0).collect();
        let mut left = n;
        while let Some(at) = ready.pop() {
            left -= 1;
            let mut clock = vec![0; lengths.len()];
            for before in self.before(&previous, at).into_iter().flatten() {
                for (mine, its) in clock.iter_mut().zip(&self.clocks[before]) {
                    *mine = (*mine).max(*its);
                }
            }
            let (chain, place) = self.chains[at];
            if let Some(mine) = clock.get_mut(chain) {
                *mine = place;
            }
            self.clocks[at] = clock;
            for next in std::mem::take(&mut after[at]) {
                waits[next] -= 1;
                if waits[next] == 0 {
                    ready.push(next);
                }
            }
        }
        if left > 0 {
            self.circle = Some(self.walk_back(&previous, &waits));
        }
    }

    /// A circle: from an event that waits, back through what waits too, until one comes again.
    fn walk_back(&self, previous: &[Option<usize>], waits: &[i32]) -> Vec<usize> {
        let mut path: Vec<usize> = waits.iter().position(|w| *w > 0).into_iter().collect();
        while let Some(at) = path.last() {
            let before = self.before(previous, *at);
            let Some(before) = before.into_iter().flatten().find(|b| waits[*b] > 0) else {
                break;
            };
            if let Some(start) = path.iter().position(|p| *p == before) {
                path.drain(..start);
                break;
            }
            path.push(before);
        }
        path.reverse();
        path
    }

    pub(super) fn out_of_nowhere(&self) -> Option<usize> {
        self.from_nowhere
    }

    /// Events each of which must have come before the next, and the last before the first.
    pub(super) fn circle(&self) -> Option<Vec<usize>> {
        self.circle.clone()
    }

    /// All reads, in the order of their invocation.
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> {
        (0..self.events.len()).filter(|at| !self.events[*at].write)
    }

    /// All writes of a key, in the order of their invocation.
    pub(super) fn writes_of(&self, key: u32) -> impl Iterator<Item = usize> {
        self.by_key[key as usize].iter().copied()
    }

    /// Whether `a` comes before `b` in causal order.
    pub(super) fn causes(&self, a: usize, b: usize) -> bool {
        if self.events[a].alone {
            return self.readers[a]
                .iter()
                .any(|r| *r == b || self.causes(*r, b));
        }
        let (chain, place) = self.chains[a];
        a != b && self.clocks[b][chain] >= place
    }

    /// Whether the version of `a` is certainly older than that of `b`.
    pub(super) fn older(&self, a: Source, b: Source) -> bool {
        match (a, b) {
            (Source::Initial, Source::Write(_)) => true,
            (Source::Write(a), Source::Write(b)) => self.causes(a, b),
            _ => false,
        }
    }

    /// Whether two reads certainly saw different versions.
    pub(super) fn differ(&self, a: Source, b: Source) -> bool {
        a != b && a != Source::Anyone && b != Source::Anyone
    }

    /// Whether `a` had ended when `b` was invoked.
    pub(super) fn precedes(&self, a: usize, b: usize) -> bool {
        self.events[a]
            .ended
            .is_some_and(|ended| ended < self.events[b].invoked)
    }

    /// A way from `a` to `b` in causal order, both included: the writes and the reads that saw them.
    pub(super) fn chain(&self, a: usize, b: usize) -> Vec<usize> {
        let mut chain = vec![b];
        let mut at = b;
        while at != a && chain.len() < 20 {
            // The read that saw a write behind which `a` is, latest in the client's order; or `a` itself, if it is of the same client.
            let client = self.events[at].client;
            if self.events[a].client == client
                && !self.events[a].alone
                && self.chains[a].1 <= self.chains[at].1
            {
                chain.push(a);
                break;
            }
            let hop = (0..self.events.len()).find_map(|r| match self.sources[r] {
                Source::Write(w)
                    if !self.events[r].write
                        && (r == at || self.causes(r, at) && self.events[r].client == client)
                        && (w == a || self.causes(a, w)) =>
                {
                    Some((r, w))
                }
                _ => None,
            });
            let Some((read, write)) = hop else { break };
            chain.extend([read, write]);
            at = write;
        }
        if !chain.contains(&a) {
            chain.push(a);
        }
        chain
    }
}
