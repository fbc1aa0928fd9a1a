//! What lies between two hosts, per direction: how long a packet travels, or what becomes of it instead. Called by whatever
//! sends something to another host, and by the doors through which a test changes links.

use super::NetEvent;
use super::flow::{CLIENT, SERVER};
use crate::kernel::events::Event;
use crate::kernel::path::{Delay, LinkChange, MILLION};
use crate::kernel::{Domain, Kernel};
use std::collections::BTreeMap;

/// How long packets travel unless a test says otherwise, in nanoseconds.
pub(super) const USUAL: (u64, u64) = (200_000, 1_000_000);
/// The most bytes that travel in one piece of a TCP stream.
const SEGMENT: u32 = 65_483;
/// What a TCP segment and a datagram weigh beyond their payload, in bytes.
pub(super) const TCP_HEADER: u64 = 52;
pub(super) const UDP_HEADER: u64 = 28;

/// One direction between two hosts.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    delay: Delay,
    /// Added to the travel time: up to so many nanoseconds.
    jitter: u64,
    /// Bytes in a second.
    bandwidth: Option<u64>,
    /// Bytes that may wait for those before them.
    queue: Option<u64>,
    /// Shares in millionths.
    loss: u32,
    duplication: u32,
    reordering: u32,
    corruption: u32,
    /// How much longer a reordered datagram travels at most, in nanoseconds.
    reordered_by: u64,
    /// The most payload bytes of a TCP segment.
    pub(super) segment: u32,
    /// How much longer the end of a stream travels, in nanoseconds.
    pub(super) slow_close: u64,
    /// Packets are lost.
    down: bool,
    /// Packets wait.
    hold: bool,
    /// Until then the wire is busy with what was sent before (virtual nanoseconds).
    busy_until: u64,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            delay: Delay::Uniform(USUAL.0, USUAL.1),
            jitter: 0,
            bandwidth: None,
            queue: None,
            loss: 0,
            duplication: 0,
            reordering: 0,
            corruption: 0,
            reordered_by: 0,
            segment: SEGMENT,
            slow_close: 0,
            down: false,
            hold: false,
            busy_until: 0,
        }
    }
}

/// All links; those that nobody changed are like the default.
pub(crate) struct Links {
    default: Link,
    /// No link was changed.
    usual: bool,
    /// By sender and receiver.
    special: BTreeMap<(u16, u16), Link>,
    /// The packets that wait, in the order in which they were sent.
    held: BTreeMap<(u16, u16), Vec<NetEvent>>,
}

impl Default for Links {
    fn default() -> Links {
        Links {
            default: Link::default(),
            usual: true,
            special: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }
}

/// What becomes of a packet.
enum Fate {
    /// It arrives then (virtual nanoseconds).
    Arrives(u64),
    Lost,
    /// It waits until the link lets go of it.
    Held,
}

impl Links {
    pub(crate) fn clear(&mut self) {
        if !self.usual {
            self.default = Link::default();
            self.usual = true;
        }
        self.special.clear();
        self.held.clear();
    }

    /// The link from one host to another.
    #[inline]
    pub(super) fn get(&self, from: u16, to: u16) -> &Link {
        if self.usual || self.special.is_empty() {
            return &self.default;
        }
        self.special.get(&(from, to)).unwrap_or(&self.default)
    }

    /// The link from one host to another, to change.
    fn get_mut(&mut self, from: u16, to: u16) -> &mut Link {
        self.special
            .entry((from, to))
            .or_insert_with(|| self.default.clone())
    }
}

impl Link {
    /// Whether datagrams may fare otherwise than segments do.
    fn unreliable(&self) -> bool {
        self.duplication | self.reordering | self.corruption != 0
    }

    /// How it is now, in the respect that a change is about.
    fn setting(&self, like: &LinkChange) -> LinkChange {
        match like {
            LinkChange::Delay(_) => LinkChange::Delay(self.delay.clone()),
            LinkChange::Jitter(_) => LinkChange::Jitter(self.jitter),
            LinkChange::Bandwidth(_) => LinkChange::Bandwidth(self.bandwidth),
            LinkChange::Queue(_) => LinkChange::Queue(self.queue),
            LinkChange::Loss(_) => LinkChange::Loss(self.loss),
            LinkChange::Duplication(_) => LinkChange::Duplication(self.duplication),
            LinkChange::Reordering(..) => {
                LinkChange::Reordering(self.reordering, self.reordered_by)
            }
            LinkChange::Corruption(_) => LinkChange::Corruption(self.corruption),
            LinkChange::Segment(_) => LinkChange::Segment(self.segment),
            LinkChange::SlowClose(_) => LinkChange::SlowClose(self.slow_close),
            LinkChange::Down(_) => LinkChange::Down(self.down),
            LinkChange::Hold(_) => LinkChange::Hold(self.hold),
            LinkChange::Reset => LinkChange::Reset,
            LinkChange::Default => LinkChange::Default,
        }
    }

    fn change(&mut self, change: &LinkChange) {
        match change {
            LinkChange::Delay(delay) => self.delay = delay.clone(),
            LinkChange::Jitter(ns) => self.jitter = *ns,
            LinkChange::Bandwidth(rate) => self.bandwidth = *rate,
            LinkChange::Queue(bytes) => self.queue = *bytes,
            LinkChange::Loss(share) => self.loss = *share,
            LinkChange::Duplication(share) => self.duplication = *share,
            LinkChange::Reordering(share, by) => {
                (self.reordering, self.reordered_by) = (*share, *by)
            }
            LinkChange::Corruption(share) => self.corruption = *share,
            LinkChange::Segment(bytes) => self.segment = (*bytes).clamp(1, SEGMENT),
            LinkChange::SlowClose(ns) => self.slow_close = *ns,
            LinkChange::Down(down) => self.down = *down,
            LinkChange::Hold(hold) => self.hold = *hold,
            LinkChange::Reset => {}
            LinkChange::Default => *self = Link::default(),
        }
    }
}

impl Kernel {
    /// Changes a direction of a link; `None` stands for every host. What is on its way still arrives.
    pub(crate) fn change_link(&mut self, from: Option<u16>, to: Option<u16>, change: &LinkChange) {
        // Copied here: what the program's own heap holds is gone after the run.
        let change = &change.owned();
        self.world_changes(|k| {
            let name =
                |host: Option<u16>| host.map_or("*", |h| k.hosts[usize::from(h)].name.as_str());
            format!("link {} -> {}: {change}", name(from), name(to))
        });
        let everywhere = from.is_none() && to.is_none();
        let links = &mut self.net.links;
        links.usual = false;
        if everywhere && *change == LinkChange::Default {
            links.default.change(change);
            links.special.clear();
            links.usual = true;
        } else if everywhere {
            links.default.change(change);
            links
                .special
                .values_mut()
                .for_each(|link| link.change(change));
        } else {
            let all = 0..self.hosts.len() as u16;
            let chosen = |one: Option<u16>| one.map_or(all.clone(), |one| one..one + 1);
            for a in chosen(from) {
                for b in chosen(to).filter(|b| *b != a) {
                    links.get_mut(a, b).change(change);
                }
            }
        }
        match change {
            LinkChange::Hold(false) | LinkChange::Default => self.release_held(),
            LinkChange::Reset => self.reset_crossing(from, to),
            _ => {}
        }
    }

    /// How a direction of a link is now, in the respect that a change is about.
    pub(crate) fn link_setting(&self, from: u16, to: u16, like: &LinkChange) -> LinkChange {
        self.net.links.get(from, to).setting(like)
    }

    /// A decision that a fault of this share happens. 0, the simplest answer, is that it does not.
    fn fault(&mut self, share: u32) -> bool {
        share > 0 && self.oracle.below(Domain::Faults, MILLION) >= MILLION - u64::from(share)
    }

    /// What becomes of a packet of `size` bytes that leaves now and must not arrive before `earliest`.
    #[inline]
    fn travel(&mut self, from: u16, to: u16, size: u64, earliest: u64) -> Fate {
        if self.net.links.usual {
            let extra = self.oracle.below(Domain::Network, USUAL.1 - USUAL.0 + 1);
            return Fate::Arrives((self.now + USUAL.0 + extra).max(earliest));
        }
        self.travel_specially(from, to, size, earliest)
    }

    fn travel_specially(&mut self, from: u16, to: u16, size: u64, earliest: u64) -> Fate {
        let link = self.net.links.get(from, to);
        if link.down {
            return Fate::Lost;
        }
        let (hold, loss, jitter) = (link.hold, link.loss, link.jitter);
        if self.fault(loss) {
            return Fate::Lost;
        }
        if hold {
            return Fate::Held;
        }
        let link = self.net.links.get(from, to);
        let mut leaves = self.now;
        if let Some(rate) = link.bandwidth {
            let per_byte = |bytes: u64| u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
            leaves = link.busy_until.max(self.now);
            let waiting = u128::from(leaves - self.now) * u128::from(rate) / 1_000_000_000;
            if link
                .queue
                .is_some_and(|most| waiting + u128::from(size) > u128::from(most.max(size)))
            {
                return Fate::Lost;
            }
            leaves = leaves.saturating_add(u64::try_from(per_byte(size)).unwrap_or(u64::MAX));
            self.net.links.get_mut(from, to).busy_until = leaves;
        }
        let link = self.net.links.get(from, to);
        let oracle = &mut self.oracle;
        let mut below = |n| oracle.below(Domain::Network, n);
        let mut time = link.delay.sample(&mut below);
        if jitter > 0 {
            time = time.saturating_add(below(jitter + 1));
        }
        Fate::Arrives(leaves.saturating_add(time).max(earliest))
    }

    /// Sends a packet of a stream, which must not overtake the one before: that arrives at `earliest`. It takes so much
    /// `later` than it would. Returns when what follows may arrive, `None` if this is lost or held.
    pub(super) fn send_in_order(
        &mut self,
        (from, to): (u16, u16),
        size: u64,
        earliest: u64,
        later: u64,
        event: NetEvent,
    ) -> Option<u64> {
        match self.travel(from, to, size, earliest) {
            Fate::Arrives(at) => {
                self.net_at(at.saturating_add(later), event);
                Some(at)
            }
            Fate::Held => {
                self.net
                    .links
                    .held
                    .entry((from, to))
                    .or_default()
                    .push(event);
                None
            }
            Fate::Lost => None,
        }
    }

    /// Sends what travels on its own: a datagram of `size` bytes, or the news that one had no receiver.
    pub(crate) fn send_alone(&mut self, from: u16, to: u16, size: usize, mut event: NetEvent) {
        let size = UDP_HEADER + size as u64;
        let mut later = 0;
        let link = self.net.links.get(from, to);
        if link.unreliable() {
            let (twice, late, changed) = (link.duplication, link.reordering, link.corruption);
            let by = link.reordered_by;
            if self.fault(twice) {
                let copy = event.clone();
                self.send_one(from, to, size, 0, copy);
            }
            if self.fault(late) {
                later = self.oracle.below(Domain::Faults, by.saturating_add(1));
            }
            if self.fault(changed) {
                let oracle = &mut self.oracle;
                event.corrupt(&mut |n| oracle.below(Domain::Faults, n));
            }
        }
        self.send_one(from, to, size, later, event);
    }

    fn send_one(&mut self, from: u16, to: u16, size: u64, later: u64, event: NetEvent) {
        match self.travel(from, to, size, 0) {
            Fate::Arrives(at) => self.net_at(at.saturating_add(later), event),
            Fate::Held => self
                .net
                .links
                .held
                .entry((from, to))
                .or_default()
                .push(event),
            Fate::Lost => {
                if let NetEvent::Datagram { datagram, .. } | NetEvent::Copy { datagram, .. } = event
                {
                    self.net.spare(datagram.data);
                }
            }
        }
    }

    /// Lets go of what waits at links that hold no more.
    fn release_held(&mut self) {
        let mut held = std::mem::take(&mut self.net.links.held);
        held.retain(|(from, to), events| {
            if self.net.links.get(*from, *to).hold {
                return true;
            }
            let mut earliest = 0;
            for event in events.drain(..) {
                let stream = match event {
                    NetEvent::Packet { flow, to, .. } => Some((flow, 1 - to)),
                    _ => None,
                };
                let last = stream.and_then(|(flow, side)| {
                    Some(self.net.flows.get(flow)?.ends[side].wire.last_arrival)
                });
                // In their order: what was held together does not fall apart.
                earliest = earliest.max(last.unwrap_or(0));
                let Fate::Arrives(at) = self.travel(*from, *to, 0, earliest) else {
                    continue;
                };
                earliest = at;
                if let Some((flow, side)) = stream
                    && let Some(f) = self.net.flows.get_mut(flow)
                {
                    f.ends[side].wire.last_arrival = at;
                }
                self.net_at(at, event);
            }
            false
        });
        self.net.links.held = held;
    }

    /// Resets every connection between the hosts: both ends get one, as from a middlebox that lost its memory.
    fn reset_crossing(&mut self, from: Option<u16>, to: Option<u16>) {
        let matches = |a: u16, b: u16| from.is_none_or(|f| f == a) && to.is_none_or(|t| t == b);
        let crossing = self
            .net
            .flows
            .between(|a, b| matches(a, b) || matches(b, a));
        for flow in crossing {
            for side in [CLIENT, SERVER] {
                self.flow_reset(flow, side);
                self.flow_orphan_dies(flow, side);
            }
        }
    }

    /// Lets something of the network happen at `at` (virtual nanoseconds).
    pub(crate) fn net_at(&mut self, at: u64, event: NetEvent) {
        self.events.push(at, Event::Net(event));
    }
}
