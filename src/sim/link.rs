//! Links between hosts, as a test changes them while the world runs.

use super::names::{Hosts, numbers};
use crate::kernel::{self, Delay, LinkChange, MILLION};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// How long packets travel: a distribution of times.
///
/// ```
/// use squall::Latency;
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let lan = Latency::uniform(ms(0)..=ms(1));
/// let wan = Latency::log_normal(ms(40), 0.3);
/// let flaky = Latency::bimodal(lan, Latency::exponential(ms(200), ms(100)), 0.02);
/// # let _ = (wan, flaky);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Latency(Delay);

impl Latency {
    /// Always the same time.
    pub fn fixed(time: Duration) -> Latency {
        Latency(Delay::Uniform(ns(time), ns(time)))
    }

    /// Each time of the range is as likely as any other.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn uniform(range: RangeInclusive<Duration>) -> Latency {
        let (least, most) = (*range.start(), *range.end());
        assert!(
            least <= most,
            "the shortest travel time, {least:?}, is longer than the longest, {most:?}"
        );
        Latency(Delay::Uniform(ns(least), ns(most)))
    }

    /// `least`, and on top of it an exponential distribution whose mean is `mean`.
    pub fn exponential(least: Duration, mean: Duration) -> Latency {
        Latency(Delay::Exponential(ns(least), ns(mean)))
    }

    /// Log-normal, as latencies measured over wide areas are: half of the packets take longer than `median`; `sigma` is the
    /// standard deviation of the logarithm. With 0.5 one packet in a hundred takes more than 3.2 times the median.
    ///
    /// # Panics
    /// If `sigma` does not lie within 0 and 4.
    pub fn log_normal(median: Duration, sigma: f64) -> Latency {
        assert!(
            (0.0..=4.0).contains(&sigma),
            "sigma is a number from 0 to 4, not {sigma}"
        );
        Latency(Delay::LogNormal(ns(median), sigma))
    }

    /// `usual`, but a `share` of the packets takes `other`.
    ///
    /// # Panics
    /// If `share` does not lie within 0 and 1.
    pub fn bimodal(usual: Latency, other: Latency, share: f64) -> Latency {
        let share = ratio("the share of the other mode", share);
        Latency(Delay::Bimodal(Arc::new((usual.0, other.0)), share))
    }

    /// One of times that were measured somewhere, each as likely as the others.
    ///
    /// # Panics
    /// If there is none.
    pub fn recorded(times: impl IntoIterator<Item = Duration>) -> Latency {
        let mut times: Vec<u64> = times.into_iter().map(ns).collect();
        assert!(
            !times.is_empty(),
            "a recorded latency needs at least one time"
        );
        times.sort_unstable();
        Latency(Delay::Recorded(times.into()))
    }

    /// A sample in nanoseconds; `below(n)` answers with a number in `0..n`, 0 being the shortest time.
    pub(super) fn sample(&self, below: &mut dyn FnMut(u64) -> u64) -> u64 {
        self.0.sample(below)
    }

    /// As the kernel knows it.
    pub(crate) fn delay(&self) -> Delay {
        self.0.clone()
    }
}

impl From<Latency> for Delay {
    fn from(latency: Latency) -> Delay {
        latency.0
    }
}

/// A range stands for the uniform distribution over it.
impl From<RangeInclusive<Duration>> for Latency {
    fn from(range: RangeInclusive<Duration>) -> Latency {
        Latency::uniform(range)
    }
}

/// A time stands for itself.
impl From<Duration> for Latency {
    fn from(time: Duration) -> Latency {
        Latency::fixed(time)
    }
}

/// Nanoseconds; more than 584 years are as good as 584 years.
pub(super) fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A share in millionths.
pub(super) fn ratio(what: &str, share: f64) -> u32 {
    assert!(
        (0.0..=1.0).contains(&share),
        "{what} is a number from 0 to 1, not {share}"
    );
    (share * MILLION as f64).round() as u32
}

/// Some links of the world, to be changed: made by [`Sim::link`](super::Sim::link), [`Sim::link_oneway`](super::Sim::link_oneway) and
/// [`Sim::network`](super::Sim::network). A change holds from now on, for packets that leave; what is on its way still arrives as it
/// would have.
///
/// ```no_run
/// # fn example(sim: squall::Sim) {
/// use std::time::Duration;
/// sim.link("orders", "inventory")
///     .latency(Duration::from_millis(20))
///     .jitter(Duration::from_millis(5))
///     .bandwidth(1_000_000)
///     .loss(0.01);
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a link does nothing until one of its methods is called"]
pub struct Link {
    /// The directions. `None` stands for every host.
    ways: Vec<(Option<u16>, Option<u16>)>,
}

impl Link {
    /// Every link of the world.
    pub(super) fn all() -> Link {
        Link {
            ways: vec![(None, None)],
        }
    }

    /// From each of the first to each of the second.
    pub(super) fn oneway(from: impl Hosts, to: impl Hosts) -> Link {
        let (from, to) = (numbers(from), numbers(to));
        let pairs = from.iter().flat_map(|a| to.iter().map(|b| (*a, *b)));
        Link {
            ways: pairs
                .filter(|(a, b)| a != b)
                .map(|(a, b)| (Some(a), Some(b)))
                .collect(),
        }
    }

    /// Between each of the first and each of the second.
    pub(super) fn between(a: impl Hosts, b: impl Hosts) -> Link {
        let mut link = Link::oneway(a, b);
        let back: Vec<_> = link.ways.iter().map(|(a, b)| (*b, *a)).collect();
        for way in back {
            if !link.ways.contains(&way) {
                link.ways.push(way);
            }
        }
        link
    }

    /// The directions between hosts of these numbers.
    pub(super) fn of(ways: impl IntoIterator<Item = (u16, u16)>) -> Link {
        let ways = ways.into_iter().map(|(a, b)| (Some(a), Some(b)));
        Link {
            ways: ways.collect(),
        }
    }

    fn change(&self, change: &LinkChange) -> &Link {
        for (from, to) in &self.ways {
            kernel::change_link(*from, *to, change);
        }
        self
    }

    /// How long packets travel. Default: uniform from 200 us to 1 ms.
    pub fn latency(&self, latency: impl Into<Latency>) -> &Link {
        self.change(&LinkChange::Delay(latency.into().0))
    }

    /// Added to the latency of each packet: uniform from 0 to `most`. Default: none.
    pub fn jitter(&self, most: Duration) -> &Link {
        self.change(&LinkChange::Jitter(ns(most)))
    }

    /// Bytes in a second, headers included (52 bytes a TCP segment, 28 a datagram). Packets wait for those before them.
    /// Default: no limit.
    ///
    /// # Panics
    /// If it is 0: that is what [`partition`](Link::partition) is for.
    pub fn bandwidth(&self, bytes_per_second: u64) -> &Link {
        assert!(
            bytes_per_second > 0,
            "a bandwidth is at least 1 byte a second; partition() lets nothing through"
        );
        self.change(&LinkChange::Bandwidth(Some(bytes_per_second)))
    }

    /// No limit to the bandwidth any more, as at the start.
    pub fn unlimited_bandwidth(&self) -> &Link {
        self.change(&LinkChange::Bandwidth(None))
    }

    /// So many bytes may wait where there is a bandwidth; packets beyond them are lost. One packet always fits. Default: no limit.
    pub fn queue(&self, bytes: u64) -> &Link {
        self.change(&LinkChange::Queue(Some(bytes)))
    }

    /// The share of packets that are lost, 0 to 1. TCP repeats what was lost, which shows as delay, and gives up with
    /// `ETIMEDOUT` after its usual time. Default: 0.
    ///
    /// # Panics
    /// If the share does not lie within 0 and 1; so do the other methods that take a share. It counts to a millionth.
    pub fn loss(&self, share: f64) -> &Link {
        self.change(&LinkChange::Loss(ratio("loss", share)))
    }

    /// The share of datagrams that arrive twice, 0 to 1, each copy in a time of its own. Default: 0. A TCP stream does not
    /// show what was duplicated.
    ///
    /// # Panics
    /// As [`loss`](Link::loss).
    pub fn duplication(&self, share: f64) -> &Link {
        self.change(&LinkChange::Duplication(ratio("duplication", share)))
    }

    /// The share of datagrams, 0 to 1, that take up to `by` longer, so that later ones overtake them. Default: 0; but
    /// datagrams overtake each other wherever the latency varies. TCP segments never do.
    ///
    /// # Panics
    /// As [`loss`](Link::loss).
    pub fn reordering(&self, share: f64, by: Duration) -> &Link {
        self.change(&LinkChange::Reordering(ratio("reordering", share), ns(by)))
    }

    /// The share of datagrams, 0 to 1, that arrive with one byte changed, as after a router with faulty memory that
    /// computes the checksum anew. Default: 0. TCP segments are never changed: their checksum loses them, which is [`loss`](Link::loss).
    ///
    /// # Panics
    /// As [`loss`](Link::loss).
    pub fn corruption(&self, share: f64) -> &Link {
        self.change(&LinkChange::Corruption(ratio("corruption", share)))
    }

    /// The most payload bytes of a TCP segment, 1 to 65,483; what is out of the range counts as the end of the range. Default: 65,483. An Ethernet has 1448.
    pub fn segment(&self, bytes: u32) -> &Link {
        self.change(&LinkChange::Segment(bytes))
    }

    /// The end of a TCP stream (what `shutdown` and `close` send) travels so much longer than its data. Default: 0.
    pub fn slow_close(&self, more: Duration) -> &Link {
        self.change(&LinkChange::SlowClose(ns(more)))
    }

    /// Nothing gets through: packets that leave from now on are lost.
    pub fn partition(&self) -> &Link {
        self.change(&LinkChange::Down(true))
    }

    /// Ends a [`partition`](Link::partition). Everything else stays as it was set.
    pub fn repair(&self) -> &Link {
        self.change(&LinkChange::Down(false))
    }

    /// Packets wait at the link until [`release`](Link::release). TCP goes on repeating, and all of it waits.
    pub fn hold(&self) -> &Link {
        self.change(&LinkChange::Hold(true))
    }

    /// Packets that waited since [`hold`](Link::hold) travel now, in the order in which they were sent.
    pub fn release(&self) -> &Link {
        self.change(&LinkChange::Hold(false))
    }

    /// Resets the TCP connections that cross the link, in whichever direction they were made: both ends see `ECONNRESET`
    /// at once, as when a middlebox has lost its state. One that is still being made is refused.
    pub fn reset_connections(&self) -> &Link {
        self.change(&LinkChange::Reset)
    }

    /// Everything as at the start of the run; packets that were held travel.
    pub fn heal(&self) -> &Link {
        self.change(&LinkChange::Default)
    }
}
