//! Faults by name: what a test can say that breaks, and the script of it in the world as it is. `plan` puts them on a timeline; `parts` knows what the
//! larger ones are made of.

use super::kind::FaultKind;
use super::parts::{alone, drift_text, jump_text, list, split, swizzle, ways};
use super::script::{Act, Breakable, Lasting, Pattern, Script};
use crate::fault::names::{Hosts, numbers};
use crate::fault::shape::Shape;
use crate::kernel::{Delay, LinkChange, MILLION};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One fault, for a [`Plan`](super::Plan).
///
/// ```
/// use squall::{Fault, Shape};
/// use std::time::Duration;
/// let faults = [
///     Fault::crash("a"),
///     Fault::partition("a", ["b", "c"]),
///     Fault::split(Shape::MajoritiesRing, ["a", "b", "c"]),
///     Fault::loss("a", "b", 0.1).one_way(),
///     Fault::jump_clock_back("c", Duration::from_secs(30)),
/// ];
/// # let _ = faults;
/// ```
#[derive(Clone)]
pub struct Fault {
    kind: FaultKind,
    what: What,
}

#[derive(Clone)]
enum What {
    Hosts(Vec<String>, fn(u16) -> Act),
    Stall(Vec<String>),
    Jump(Vec<String>, i64),
    Drift(Vec<String>, i32),
    Descriptors(Vec<String>, u32),
    Link {
        a: Vec<String>,
        b: Vec<String>,
        one_way: bool,
        does: LinkWhat,
    },
    Split(Shape, Vec<String>),
    Swizzle(Vec<String>),
    Break(Arc<dyn Breakable>),
}

#[derive(Clone)]
enum LinkWhat {
    Cut,
    Hold,
    Reset,
    Set(LinkChange),
}

pub(super) fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn signed(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn millionths(what: &str, share: f64) -> u32 {
    assert!(
        (0.0..=1.0).contains(&share),
        "{what} is a share from 0 to 1, not {share}"
    );
    (share * MILLION as f64).round() as u32
}

impl Fault {
    fn hosts(kind: FaultKind, hosts: &impl Hosts, act: fn(u16) -> Act) -> Fault {
        let what = What::Hosts(hosts.names(), act);
        Fault { kind, what }
    }

    fn link(kind: FaultKind, a: impl Hosts, b: impl Hosts, does: LinkWhat) -> Fault {
        let what = What::Link {
            a: a.names(),
            b: b.names(),
            one_way: false,
            does,
        };
        Fault { kind, what }
    }

    /// Machines crash; they are started again when the fault ends.
    pub fn crash(hosts: impl Hosts) -> Fault {
        Fault::hosts(FaultKind::Crash, &hosts, Act::Crash)
    }

    /// Processes are killed; they are started again when the fault ends.
    pub fn kill(hosts: impl Hosts) -> Fault {
        Fault::hosts(FaultKind::Kill, &hosts, Act::Kill)
    }

    /// Machines crash and start again at once.
    pub fn bounce(hosts: impl Hosts) -> Fault {
        Fault::hosts(FaultKind::Bounce, &hosts, Act::Bounce)
    }

    /// Machines freeze until the fault ends.
    pub fn pause(hosts: impl Hosts) -> Fault {
        Fault::hosts(FaultKind::Pause, &hosts, Act::Pause)
    }

    /// The threads of processes stand still for as long as the fault lasts, which must be said: see [`Plan::lasting`](super::Plan::lasting).
    pub fn stall(hosts: impl Hosts) -> Fault {
        let what = What::Stall(hosts.names());
        Fault {
            kind: FaultKind::Stall,
            what,
        }
    }

    /// Wall clocks jump forward, and back when the fault ends.
    pub fn jump_clock_forward(hosts: impl Hosts, by: Duration) -> Fault {
        let what = What::Jump(hosts.names(), signed(by));
        Fault {
            kind: FaultKind::ClockJump,
            what,
        }
    }

    /// Wall clocks jump back, and forward when the fault ends.
    pub fn jump_clock_back(hosts: impl Hosts, by: Duration) -> Fault {
        let what = What::Jump(hosts.names(), -signed(by));
        Fault {
            kind: FaultKind::ClockJump,
            what,
        }
    }

    /// Wall clocks gain so many microseconds in a second, or lose them if `ppm` is negative; when the fault ends they stay as wrong as they are.
    ///
    /// # Panics
    /// If `ppm` is not one of -900,000 to 1,000,000.
    pub fn drift_clock(hosts: impl Hosts, ppm: i32) -> Fault {
        assert!(
            (-900_000..=1_000_000).contains(&ppm),
            "a wall clock drifts by -900,000 to 1,000,000 parts in a million, not {ppm}"
        );
        let what = What::Drift(hosts.names(), ppm);
        Fault {
            kind: FaultKind::ClockDrift,
            what,
        }
    }

    /// Processes may open only so many descriptors more than they have open when the fault begins.
    pub fn descriptors(hosts: impl Hosts, more: u32) -> Fault {
        let what = What::Descriptors(hosts.names(), more);
        Fault {
            kind: FaultKind::Descriptors,
            what,
        }
    }

    /// The hosts of one group cannot reach those of the other.
    pub fn partition(a: impl Hosts, b: impl Hosts) -> Fault {
        Fault::link(FaultKind::Partition, a, b, LinkWhat::Cut)
    }

    /// A partition of Jepsen's shapes; the seed says who is where.
    pub fn split(shape: Shape, hosts: impl Hosts) -> Fault {
        let what = What::Split(shape, hosts.names());
        Fault {
            kind: FaultKind::Partition,
            what,
        }
    }

    /// Packets wait until the fault ends.
    pub fn hold(a: impl Hosts, b: impl Hosts) -> Fault {
        Fault::link(FaultKind::Hold, a, b, LinkWhat::Hold)
    }

    /// Hosts are clogged one by one, each with all others of them, in the first half of the time, and let go in another order in the second. How long that takes
    /// must be said: see [`Plan::lasting`](super::Plan::lasting).
    pub fn swizzle(hosts: impl Hosts) -> Fault {
        let what = What::Swizzle(hosts.names());
        Fault {
            kind: FaultKind::Swizzle,
            what,
        }
    }

    /// TCP connections between the hosts are reset, once.
    pub fn reset(a: impl Hosts, b: impl Hosts) -> Fault {
        Fault::link(FaultKind::Reset, a, b, LinkWhat::Reset)
    }

    /// This share of packets is lost.
    ///
    /// # Panics
    /// If the share does not lie within 0 and 1; so do the other functions that take one.
    pub fn loss(a: impl Hosts, b: impl Hosts, share: f64) -> Fault {
        let change = LinkChange::Loss(millionths("loss", share));
        Fault::link(FaultKind::Loss, a, b, LinkWhat::Set(change))
    }

    /// Packets travel so long: a time, a range, or a [`Latency`](crate::Latency).
    pub fn latency(a: impl Hosts, b: impl Hosts, latency: impl Into<Delay>) -> Fault {
        let change = LinkChange::Delay(latency.into());
        Fault::link(FaultKind::Latency, a, b, LinkWhat::Set(change))
    }

    /// So many bytes travel in a second.
    ///
    /// # Panics
    /// If it is 0.
    pub fn bandwidth(a: impl Hosts, b: impl Hosts, bytes_per_second: u64) -> Fault {
        assert!(
            bytes_per_second > 0,
            "a bandwidth is at least 1 byte a second; Fault::partition lets nothing through"
        );
        let change = LinkChange::Bandwidth(Some(bytes_per_second));
        Fault::link(FaultKind::Bandwidth, a, b, LinkWhat::Set(change))
    }

    /// This share of datagrams arrives twice.
    ///
    /// # Panics
    /// As [`loss`](Fault::loss).
    pub fn duplication(a: impl Hosts, b: impl Hosts, share: f64) -> Fault {
        let change = LinkChange::Duplication(millionths("duplication", share));
        Fault::link(FaultKind::Duplication, a, b, LinkWhat::Set(change))
    }

    /// This share of datagrams is up to so much later.
    ///
    /// # Panics
    /// As [`loss`](Fault::loss).
    pub fn reordering(a: impl Hosts, b: impl Hosts, share: f64, by: Duration) -> Fault {
        let change = LinkChange::Reordering(millionths("reordering", share), ns(by));
        Fault::link(FaultKind::Reordering, a, b, LinkWhat::Set(change))
    }

    /// This share of datagrams arrives with a byte changed.
    ///
    /// # Panics
    /// As [`loss`](Fault::loss).
    pub fn corruption(a: impl Hosts, b: impl Hosts, share: f64) -> Fault {
        let change = LinkChange::Corruption(millionths("corruption", share));
        Fault::link(FaultKind::Corruption, a, b, LinkWhat::Set(change))
    }

    /// The end of a TCP stream travels so much longer.
    pub fn slow_close(a: impl Hosts, b: impl Hosts, more: Duration) -> Fault {
        let change = LinkChange::SlowClose(ns(more));
        Fault::link(FaultKind::SlowClose, a, b, LinkWhat::Set(change))
    }

    /// A dependency, or anything else that can be broken and healed.
    pub fn broken(what: impl Breakable + 'static) -> Fault {
        Fault {
            kind: FaultKind::Dependency,
            what: What::Break(Arc::new(what)),
        }
    }

    /// Only what the first group sends to the second is hit, or what the first side of a shape sends. Does nothing to faults that hit no links.
    #[must_use]
    pub fn one_way(mut self) -> Fault {
        match &mut self.what {
            What::Link { one_way, .. } => *one_way = true,
            What::Split(shape, _) => *shape = shape.clone().one_way(),
            _ => {}
        }
        self
    }

    /// The kind that it is of.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Whether it is over as soon as it has begun.
    pub(super) fn is_moment(&self) -> bool {
        matches!(self.kind, FaultKind::Bounce | FaultKind::Reset)
    }

    /// Whether it needs a length.
    pub(super) fn needs_length(&self) -> bool {
        matches!(self.kind, FaultKind::Stall | FaultKind::Swizzle)
    }

    /// Every host that it names.
    pub(super) fn named(&self) -> Vec<String> {
        match &self.what {
            What::Hosts(hosts, _)
            | What::Stall(hosts)
            | What::Jump(hosts, _)
            | What::Drift(hosts, _)
            | What::Descriptors(hosts, _)
            | What::Swizzle(hosts) => hosts.clone(),
            What::Split(shape, hosts) => hosts.iter().cloned().chain(alone(shape)).collect(),
            What::Link { a, b, .. } => a.iter().chain(b).cloned().collect(),
            What::Break(_) => Vec::new(),
        }
    }

    /// What it does in the world as it is.
    ///
    /// # Panics
    /// If there is no host of a name.
    pub(super) fn script(&self, lasting: Lasting, pattern: u64) -> Script {
        let mut pattern = Pattern(pattern);
        let (text, hosts, acts, later) = match &self.what {
            What::Hosts(names, act) => {
                let hosts = numbers(names);
                let acts = hosts.iter().map(|host| act(*host)).collect();
                (String::new(), hosts, acts, Vec::new())
            }
            What::Stall(names) => {
                let hosts = numbers(names);
                let Lasting::For(time) = lasting else {
                    unreachable!("squall bug: a stall without a length")
                };
                let acts = hosts.iter().map(|host| Act::Stall(*host, time)).collect();
                (String::new(), hosts, acts, Vec::new())
            }
            What::Jump(names, by) => {
                let hosts = numbers(names);
                let acts = hosts.iter().map(|host| Act::Jump(*host, *by)).collect();
                (jump_text(*by), hosts, acts, Vec::new())
            }
            What::Drift(names, ppm) => {
                let hosts = numbers(names);
                let acts = hosts.iter().map(|host| Act::Drift(*host, *ppm)).collect();
                (drift_text(*ppm), hosts, acts, Vec::new())
            }
            What::Descriptors(names, more) => {
                let hosts = numbers(names);
                let acts = hosts.iter().map(|host| Act::Descriptors(*host, *more));
                let text = format!("{more} more at most");
                let acts = acts.collect();
                (text, hosts, acts, Vec::new())
            }
            What::Link {
                a,
                b,
                one_way,
                does,
            } => {
                let (a, b) = (numbers(a), numbers(b));
                let mut ways = ways(&a, &b);
                if !one_way {
                    ways.extend(super::parts::ways(&b, &a));
                    ways.sort_unstable();
                    ways.dedup();
                }
                let act = |(from, to): &(u16, u16)| match does {
                    LinkWhat::Cut => Act::Cut(*from, *to),
                    LinkWhat::Hold => Act::Hold(*from, *to),
                    LinkWhat::Reset => Act::Reset(*from, *to),
                    LinkWhat::Set(change) => Act::Set(*from, *to, change.clone()),
                };
                let how = match does {
                    LinkWhat::Set(change) => format!(": {change}"),
                    _ => String::new(),
                };
                let arrow = if *one_way { "->" } else { "<->" };
                let text = format!("{} {arrow} {}{how}", list(&a), list(&b));
                let acts = ways.iter().map(act).collect();
                (text, [a, b].concat(), acts, Vec::new())
            }
            What::Split(shape, names) => {
                let mut hosts = numbers(names);
                pattern.shuffle(&mut hosts);
                split(shape, hosts)
            }
            What::Swizzle(names) => {
                let Lasting::For(time) = lasting else {
                    unreachable!("squall bug: a swizzle without a length")
                };
                swizzle(numbers(names), Vec::new(), time, &mut pattern)
            }
            What::Break(what) => {
                let acts = vec![Act::Break(what.clone(), pattern.0)];
                (what.name(), Vec::new(), acts, Vec::new())
            }
        };
        Script::new(self.kind, &text, hosts, acts, later, lasting)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.named().join(", "))
    }
}
