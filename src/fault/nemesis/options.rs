//! The ranges that a nemesis draws from. Plain data, after TigerBeetle's VOPR: every field is a share, a time, a number, or a range of
//! one; a run draws its own, narrower ranges from them, and prints those when it fails.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

type Times = RangeInclusive<Duration>;

/// How often, how many and how long: what [`Nemesis::options`](super::Nemesis::options) takes.
///
/// ```
/// use squall::{Nemesis, NemesisOptions};
/// use std::time::Duration;
/// let rare = NemesisOptions { firing: 0.05, ..NemesisOptions::default() };
/// let nemesis = Nemesis::all().options(rare);
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct NemesisOptions {
    /// The share of runs without any fault, counted to a fifth of a hundredth. Default 0.2.
    pub calm: f64,
    /// The share of its kinds of faults that a run has. Default `None`: a quarter where eight kinds or more are possible, half of three to
    /// seven, three quarters of two, a single one in each run that is not calm.
    pub enabled: Option<f64>,
    /// The chance that a kind which a run has strikes in a period. Default 0.25.
    pub firing: f64,
    /// How long a period is; a run draws one value. Default 200 ms to 3 s.
    pub period: Times,
    /// Nothing happens before. Default 0.
    pub after: Duration,
    /// No fault begins so long after the first could. Default `None`: until the run ends or is healed.
    pub lasting: Option<Duration>,
    /// The most faults in force at once: in the beginning, and in the end. Default 1 to 3.
    pub combined: RangeInclusive<u32>,
    /// After so long one more may be in force at once; a run draws one value. Default 2 s to 10 s.
    pub escalation: Times,
    /// The most hosts that are down, paused or stalled at once. Default `None`: a minority of those that can be hit, but one at least.
    pub most_down: Option<u32>,
    /// Faults of hosts.
    pub hosts: HostRanges,
    /// Faults of links.
    pub links: LinkRanges,
    /// How long a dependency misbehaves. Default 100 ms to 20 s.
    pub dependency_for: Times,
}

/// Ranges of the faults that hit hosts.
#[derive(Clone, PartialEq, Debug)]
pub struct HostRanges {
    /// How long a machine or a process stays down. Default 100 ms to 10 s.
    pub down_for: Times,
    /// How long a machine is frozen. Default 10 ms to 10 s.
    pub pause_for: Times,
    /// How long the threads of a process stand still. Default 1 ms to 2 s.
    pub stall_for: Times,
    /// How far a wall clock jumps, either way. Default 1 ms to 60 s.
    pub clock_jump: Times,
    /// How many microseconds in a second a wall clock gains or loses. Default 100 to 100,000.
    pub clock_drift: RangeInclusive<u32>,
    /// How long it is wrong, or drifts. Default 1 s to 30 s.
    pub clock_wrong_for: Times,
    /// How many descriptors more a process may open. Default 0 to 8.
    pub descriptors: RangeInclusive<u32>,
    /// For how long. Default 100 ms to 10 s.
    pub descriptors_for: Times,
}

/// Ranges of the faults that hit links.
#[derive(Clone, PartialEq, Debug)]
pub struct LinkRanges {
    /// How long a partition lasts. Default 100 ms to 20 s.
    pub partition_for: Times,
    /// The share of partitions, and of other faults of links, that hit one direction only. Default 0.25.
    pub one_way: f64,
    /// The share of packets that are lost. Default 0 to 0.3.
    pub loss: RangeInclusive<f64>,
    /// The least one-way delay. Default 0 to 30 ms.
    pub least_latency: Times,
    /// The mean of the exponential delay on top of it. Default 30 ms to 100 ms.
    pub mean_latency: Times,
    /// Bytes in a second; the lower, the worse. Default 20,000 to 10,000,000.
    pub bandwidth: RangeInclusive<u64>,
    /// The share of datagrams that arrive twice. Default 0 to 0.5.
    pub duplication: RangeInclusive<f64>,
    /// The share of datagrams that are late. Default 0 to 0.5.
    pub reordering: RangeInclusive<f64>,
    /// How late they are at most. Default 1 ms to 100 ms.
    pub reordered_by: Times,
    /// The share of datagrams that are changed. Default 0 to 0.1.
    pub corruption: RangeInclusive<f64>,
    /// How much longer the end of a stream travels. Default 1 ms to 5 s.
    pub slow_close: Times,
    /// How long loss, latency, bandwidth, duplication, reordering, corruption and slow closing last. Default 100 ms to 20 s.
    pub degraded_for: Times,
    /// How long packets are held. Default 1 ms to 5 s.
    pub hold_for: Times,
    /// How long a swizzle takes from the first clog to the last release. Default 1 s to 10 s.
    pub swizzle_for: Times,
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Default for NemesisOptions {
    fn default() -> Self {
        NemesisOptions {
            calm: 0.2,
            enabled: None,
            firing: 0.25,
            period: ms(200)..=secs(3),
            after: Duration::ZERO,
            lasting: None,
            combined: 1..=3,
            escalation: secs(2)..=secs(10),
            most_down: None,
            hosts: HostRanges::default(),
            links: LinkRanges::default(),
            dependency_for: ms(100)..=secs(20),
        }
    }
}

impl Default for HostRanges {
    fn default() -> Self {
        HostRanges {
            down_for: ms(100)..=secs(10),
            pause_for: ms(10)..=secs(10),
            stall_for: ms(1)..=secs(2),
            clock_jump: ms(1)..=secs(60),
            clock_drift: 100..=100_000,
            clock_wrong_for: secs(1)..=secs(30),
            descriptors: 0..=8,
            descriptors_for: ms(100)..=secs(10),
        }
    }
}

impl Default for LinkRanges {
    fn default() -> Self {
        LinkRanges {
            partition_for: ms(100)..=secs(20),
            one_way: 0.25,
            loss: 0.0..=0.3,
            least_latency: ms(0)..=ms(30),
            mean_latency: ms(30)..=ms(100),
            bandwidth: 20_000..=10_000_000,
            duplication: 0.0..=0.5,
            reordering: 0.0..=0.5,
            reordered_by: ms(1)..=ms(100),
            corruption: 0.0..=0.1,
            slow_close: ms(1)..=secs(5),
            degraded_for: ms(100)..=secs(20),
            hold_for: ms(1)..=secs(5),
            swizzle_for: secs(1)..=secs(10),
        }
    }
}

fn share(name: &str, value: f64) {
    assert!(
        (0.0..=1.0).contains(&value),
        "nemesis: {name} is a share from 0 to 1, not {value}"
    );
}

fn range<T: PartialOrd + Debug>(name: &str, range: &RangeInclusive<T>) {
    assert!(
        range.start() <= range.end(),
        "nemesis: {name} begins with {:?}, which is more than {:?}, its end",
        range.start(),
        range.end()
    );
}

fn shares(name: &str, value: &RangeInclusive<f64>) {
    share(name, *value.start());
    share(name, *value.end());
    range(name, value);
}

impl NemesisOptions {
    /// # Panics
    /// If a value is out of its range, with a line that names it.
    pub(super) fn check(&self) {
        share("calm", self.calm);
        self.enabled.inspect(|value| share("enabled", *value));
        share("firing", self.firing);
        range("period", &self.period);
        assert!(
            *self.period.start() >= ms(1),
            "nemesis: a period is at least 1 ms long, not {:?}",
            self.period.start()
        );
        range("combined", &self.combined);
        range("escalation", &self.escalation);
        range("dependency_for", &self.dependency_for);
        let hosts = &self.hosts;
        range("down_for", &hosts.down_for);
        range("pause_for", &hosts.pause_for);
        range("stall_for", &hosts.stall_for);
        range("clock_jump", &hosts.clock_jump);
        range("clock_drift", &hosts.clock_drift);
        assert!(
            *hosts.clock_drift.end() <= 900_000,
            "nemesis: a clock drifts by 900,000 parts in a million at most, not {}",
            hosts.clock_drift.end()
        );
        range("clock_wrong_for", &hosts.clock_wrong_for);
        range("descriptors", &hosts.descriptors);
        range("descriptors_for", &hosts.descriptors_for);
        let links = &self.links;
        range("partition_for", &links.partition_for);
        share("one_way", links.one_way);
        shares("loss", &links.loss);
        range("least_latency", &links.least_latency);
        range("mean_latency", &links.mean_latency);
        range("bandwidth", &links.bandwidth);
        assert!(
            *links.bandwidth.start() > 0,
            "nemesis: a bandwidth is at least 1 byte a second"
        );
        shares("duplication", &links.duplication);
        shares("reordering", &links.reordering);
        range("reordered_by", &links.reordered_by);
        shares("corruption", &links.corruption);
        range("slow_close", &links.slow_close);
        range("degraded_for", &links.degraded_for);
        range("hold_for", &links.hold_for);
        range("swizzle_for", &links.swizzle_for);
    }
}
