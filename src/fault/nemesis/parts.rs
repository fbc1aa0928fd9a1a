//! What faults are made of: who is cut off or clogged, in which order, and how that is told. `fault` has it for the faults of a plan, `draw` for those that
//! the seed chooses.

use super::board::names;
use super::script::{Act, Pattern};
use crate::fault::shape::{Shape, directions};
use std::time::Duration;

/// The parts of a script: in words, the hosts, the steps, the later ones.
pub(super) type Parts = (String, Vec<u16>, Vec<Act>, Vec<(u64, Act)>);

/// A partition of hosts in this order.
pub(super) fn split(shape: &Shape, hosts: Vec<u16>) -> Parts {
    let mut cut = directions(shape, &hosts);
    cut.sort_unstable();
    let text = format!("{shape:?} of {}", list(&hosts));
    let acts = cut.iter().map(|(from, to)| Act::Cut(*from, *to)).collect();
    (text, hosts, acts, Vec::new())
}

/// Some of the hosts, which the pattern chooses, are clogged one by one, with each other host of `hosts` and with `others`, and let go in another order.
pub(super) fn swizzle(
    mut hosts: Vec<u16>,
    others: Vec<u16>,
    time: u64,
    pattern: &mut Pattern,
) -> Parts {
    let all: Vec<u16> = hosts.iter().chain(&others).copied().collect();
    pattern.shuffle(&mut hosts);
    let count = 1 + pattern.below(hosts.len() as u64) as usize;
    hosts.truncate(count);
    let mut release = hosts.clone();
    pattern.shuffle(&mut release);
    let ways = |host: u16| {
        let others = all.iter().copied().filter(move |other| *other != host);
        others.flat_map(move |other| [(host, other), (other, host)])
    };
    let step = time / (2 * count as u64).max(1);
    let mut later = Vec::new();
    let mut held: Vec<(u16, u16)> = Vec::new();
    for (i, host) in hosts.iter().enumerate() {
        for way in ways(*host) {
            if !held.contains(&way) {
                held.push(way);
                later.push((step * i as u64, Act::Hold(way.0, way.1)));
            }
        }
    }
    // A way is let go with the last of its two ends that is clogged.
    for (i, host) in release.iter().enumerate() {
        for way in ways(*host) {
            let still = |end: &u16| release[i + 1..].contains(end);
            if !still(&way.0) && !still(&way.1) {
                later.push((step * (count + i) as u64, Act::Release(way.0, way.1)));
            }
        }
    }
    let now = later.iter().take_while(|(at, _)| *at == 0).count();
    let acts = later.drain(..now).map(|(_, act)| act).collect();
    let text = format!("{}, let go in the order {}", list(&hosts), list(&release));
    (text, hosts, acts, later)
}

/// The host that a shape names.
pub(super) fn alone(shape: &Shape) -> Option<String> {
    match shape {
        Shape::Isolate(name) => Some(name.clone()),
        Shape::OneWay(shape) => alone(shape),
        _ => None,
    }
}

/// From each of one group to each of the other.
pub(super) fn ways(from: &[u16], to: &[u16]) -> Vec<(u16, u16)> {
    let pairs = from.iter().flat_map(|a| to.iter().map(|b| (*a, *b)));
    pairs.filter(|(a, b)| a != b).collect()
}

pub(super) fn jump_text(by: i64) -> String {
    let way = if by < 0 { "back" } else { "forward" };
    format!("{way} by {:?}", Duration::from_nanos(by.unsigned_abs()))
}

pub(super) fn drift_text(ppm: i32) -> String {
    format!("by {ppm} microseconds in a second")
}

/// Hosts in words.
pub(super) fn list(hosts: &[u16]) -> String {
    names(hosts).join(", ")
}
