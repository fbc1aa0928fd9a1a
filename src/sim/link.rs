//! Links between hosts, as a test changes them while the world runs.

use crate::kernel;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The number of the host with this name.
fn id(name: &str) -> u16 {
    let hosts = kernel::hosts();
    match hosts.iter().find(|h| h.name == name) {
        Some(host) => host.id,
        None => {
            let known: Vec<String> = hosts.into_iter().map(|h| format!("{:?}", h.name)).collect();
            panic!(
                "there is no host {name:?}; the hosts are {}",
                known.join(", ")
            )
        }
    }
}

/// Cuts (or repairs) both directions between two hosts.
pub(super) fn cut(a: &str, b: &str, down: bool) {
    let (a, b) = (id(a), id(b));
    kernel::link_down(a, b, down);
    kernel::link_down(b, a, down);
}

/// Cuts (or repairs) one direction.
pub(super) fn cut_oneway(from: &str, to: &str, down: bool) {
    kernel::link_down(id(from), id(to), down);
}

/// Sets the travel time of one direction.
pub(super) fn latency(from: &str, to: &str, range: &RangeInclusive<Duration>) {
    let ns = |d: &Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    assert!(
        range.start() <= range.end(),
        "the shortest travel time, {:?}, is longer than the longest, {:?}",
        range.start(),
        range.end()
    );
    kernel::link_latency(id(from), id(to), ns(range.start()), ns(range.end()));
}
