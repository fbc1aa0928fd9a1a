//! Partitions by shape: which of several hosts can still talk to which. The shapes are Jepsen's.

use super::Link;
use crate::fault::Shape;
use crate::fault::names::{Hosts, numbers};
use crate::fault::shape::directions;
use crate::kernel::{self, Domain};

/// A partition that was made. It lasts until it is healed; dropping this does not end it.
#[derive(Clone, Debug)]
#[must_use = "the partition lasts until it is healed; keep this, or use Sim::heal_network"]
pub struct Partition {
    link: Link,
    cut: Vec<(u16, u16)>,
}

impl Partition {
    /// Repairs what this partition cut. A link that another partition cut too is repaired with it.
    pub fn heal(&self) {
        self.link.repair();
    }

    /// Whether what `from` sends to `to` is lost by it.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn cuts(&self, from: impl Hosts, to: impl Hosts) -> bool {
        let (from, to) = (numbers(from), numbers(to));
        from.iter()
            .any(|a| to.iter().any(|b| self.cut.contains(&(*a, *b))))
    }
}

/// Cuts links between the hosts so that the shape results.
pub(super) fn split(shape: &Shape, hosts: impl Hosts) -> Partition {
    let mut hosts = numbers(hosts);
    assert!(
        hosts.len() > 1,
        "a partition divides at least two hosts, not {}",
        hosts.len()
    );
    shuffle(&mut hosts);
    let mut cut = directions(shape, &hosts);
    cut.sort_unstable();
    let link = Link::of(cut.iter().copied());
    link.partition();
    Partition { link, cut }
}

/// A random order of the hosts, the seed's choice.
fn shuffle(hosts: &mut [u16]) {
    for i in (1..hosts.len()).rev() {
        let with = kernel::draw(Domain::Faults, i as u64 + 1).unwrap_or(0);
        hosts.swap(i, with as usize);
    }
}
