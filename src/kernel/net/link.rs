//! What lies between two hosts, per direction. Data only, so that a fault plan is a change of fields.

use super::NetEvent;
use crate::kernel::events::Event;
use crate::kernel::{Domain, Kernel};
use std::collections::BTreeMap;

/// One direction between two hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// The shortest and the longest time that a packet travels, in nanoseconds.
    pub(crate) latency: (u64, u64),
    /// Packets are lost.
    pub(crate) down: bool,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            latency: (200_000, 1_000_000),
            down: false,
        }
    }
}

/// All links; those that nobody changed are like the default.
#[derive(Default)]
pub(crate) struct Links {
    default: Link,
    /// By sender and receiver.
    special: BTreeMap<(u16, u16), Link>,
}

impl Links {
    pub(crate) fn clear(&mut self) {
        self.default = Link::default();
        self.special.clear();
    }

    /// The link from one host to another.
    pub(crate) fn get(&self, from: u16, to: u16) -> Link {
        if self.special.is_empty() {
            return self.default;
        }
        self.special.get(&(from, to)).copied().unwrap_or(self.default)
    }

    /// The link from one host to another, to change.
    pub(crate) fn get_mut(&mut self, from: u16, to: u16) -> &mut Link {
        self.special.entry((from, to)).or_insert(self.default)
    }
}

impl Kernel {
    /// Sets the range of travel times from one host to another, in nanoseconds.
    pub(crate) fn link_latency(&mut self, from: u16, to: u16, least: u64, most: u64) {
        self.net.links.get_mut(from, to).latency = (least, most.max(least));
    }

    /// Cuts or repairs the link from one host to another. What is on its way still arrives.
    pub(crate) fn link_down(&mut self, from: u16, to: u16, down: bool) {
        self.net.links.get_mut(from, to).down = down;
    }

    /// When a packet that leaves now arrives, not before `earliest`; `None` if it is lost.
    pub(crate) fn travel(&mut self, from: u16, to: u16, earliest: u64) -> Option<u64> {
        let link = self.net.links.get(from, to);
        if link.down {
            return None;
        }
        let (least, most) = link.latency;
        let jitter = self.oracle.below(Domain::Network, most - least + 1);
        Some((self.now + least + jitter).max(earliest))
    }

    /// Lets something of the network happen at `at` (virtual nanoseconds).
    pub(crate) fn net_at(&mut self, at: u64, event: NetEvent) {
        self.events.push(at, Event::Net(event));
    }
}
