//! What the seed makes of a nemesis: first which kinds of faults a run has and how bad they get (swarm), then, fault by fault, whom
//! it hits, how badly and how long.
//!
//! Each question has a label (`kernel::label_kind`): the nemesis, the kind of fault, and the occurrence. An answer of 0 always means the
//! plainest: no fault, the mildest, the shortest, the first host.

use super::Nemesis;
use super::fault::ns;
use super::kind::FaultKind;
use super::options::NemesisOptions;
use super::parts::{Parts, drift_text, jump_text, list, split, swizzle, ways};
use super::script::{Act, Lasting, Pattern, Script};
use crate::fault::shape::Shape;
use crate::kernel::{self, Delay, HostState, LinkChange, MILLION, OCCURRENCE_BITS};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A run's share of a kind's range goes up in so many steps.
const LEVELS: u64 = 8;
/// And a value lies on one of so many places in it.
const PLACES: u64 = 1024;

/// The label of a question.
pub(super) fn label(nemesis: u32, kind: u32, occurrence: u64) -> u32 {
    let occurrence = occurrence as u32 & ((1 << OCCURRENCE_BITS) - 1);
    (nemesis & 0xf) << (OCCURRENCE_BITS + 6) | kind << OCCURRENCE_BITS | occurrence
}

fn ask(label: u32, n: u64) -> u64 {
    kernel::draw_planned(label, n).unwrap_or(0)
}

/// A question whose answer is yes with so many chances in a million; 0 is no.
fn chance(label: u32, share: f64) -> bool {
    let millionths = (share * MILLION as f64).round() as u64;
    match millionths {
        0 => false,
        // Even what is certain can be shrunk away.
        _ => ask(label, MILLION) >= (MILLION - millionths).max(1),
    }
}

/// What a run has of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Active {
    pub(super) kind: FaultKind,
    /// How bad it gets, and how long it lasts: so many of [`LEVELS`] parts of the range, less one.
    worst: u64,
    longest: u64,
}

/// What a run has of a nemesis.
#[derive(Debug)]
pub(super) struct Swarm {
    pub(super) active: Vec<Active>,
    /// Nanoseconds.
    pub(super) period: u64,
    /// After so many nanoseconds one fault more may be in force.
    pub(super) escalation: u64,
}

impl Swarm {
    /// Draws it. `None` in a run without faults.
    pub(super) fn draw(me: u32, options: &NemesisOptions, kinds: &[FaultKind]) -> Option<Swarm> {
        let own = label(me, 0, 0);
        if kinds.is_empty() || !chance(own, 1.0 - options.calm) {
            return None;
        }
        // The longest period is the plainest, and the slowest escalation.
        let slow = |range: &RangeInclusive<Duration>| {
            let (least, most) = (ns(*range.start()), ns(*range.end()));
            most - (most - least) / PLACES * ask(own, PLACES)
        };
        let period = slow(&options.period);
        let escalation = slow(&options.escalation);
        let share = options.enabled.unwrap_or(match kinds.len() {
            1 => 1.0,
            2 => 0.75,
            3..=7 => 0.5,
            _ => 0.25,
        });
        let mut active = Vec::new();
        for kind in kinds {
            let label = label(me, kind.number(), 0);
            if chance(label, share) {
                active.push(Active {
                    kind: *kind,
                    worst: ask(label, LEVELS),
                    longest: ask(label, LEVELS),
                });
            }
        }
        Some(Swarm {
            active,
            period,
            escalation,
        })
    }

    /// The run's own ranges, for the page of a failure.
    pub(super) fn text(&self, options: &NemesisOptions) -> String {
        let kinds = self.active.iter().map(|active| active.text(options));
        format!(
            "nemesis, every {:?}, one more at once after {:?}: {}",
            Duration::from_nanos(self.period),
            Duration::from_nanos(self.escalation),
            kinds.collect::<Vec<_>>().join("; ")
        )
    }
}

/// An occurrence of a fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strike {
    active: Active,
    pattern: u64,
    /// How bad and how long, as places in the run's range.
    bad: u64,
    long: u64,
}

impl Active {
    /// Whether it strikes in a period, and then how long after the period's beginning.
    pub(super) fn strikes(
        self,
        me: u32,
        occurrence: u64,
        firing: f64,
        period: u64,
    ) -> Option<(u64, Strike)> {
        let label = label(me, self.kind.number(), occurrence);
        if !chance(label, firing) {
            return None;
        }
        let when = period / 64 * ask(label, 64);
        let strike = Strike {
            active: self,
            pattern: ask(label, Pattern::COUNT),
            bad: ask(label, PLACES),
            long: ask(label, PLACES),
        };
        Some((when, strike))
    }

    /// The most of a range that the run has.
    fn top(self, least: u64, most: u64, level: u64) -> u64 {
        least + (u128::from(most - least) * u128::from(level + 1) / u128::from(LEVELS)) as u64
    }

    fn times(self, options: &NemesisOptions) -> RangeInclusive<Duration> {
        let (hosts, links) = (&options.hosts, &options.links);
        match self.kind {
            FaultKind::Crash | FaultKind::Kill => &hosts.down_for,
            FaultKind::Pause => &hosts.pause_for,
            FaultKind::Stall => &hosts.stall_for,
            FaultKind::ClockJump | FaultKind::ClockDrift => &hosts.clock_wrong_for,
            FaultKind::Descriptors => &hosts.descriptors_for,
            FaultKind::Partition => &links.partition_for,
            FaultKind::Hold => &links.hold_for,
            FaultKind::Swizzle => &links.swizzle_for,
            FaultKind::Dependency => &options.dependency_for,
            FaultKind::Bounce | FaultKind::Reset => return Duration::ZERO..=Duration::ZERO,
            FaultKind::Loss
            | FaultKind::Latency
            | FaultKind::Bandwidth
            | FaultKind::Duplication
            | FaultKind::Reordering
            | FaultKind::Corruption
            | FaultKind::SlowClose => &links.degraded_for,
        }
        .clone()
    }

    fn text(self, options: &NemesisOptions) -> String {
        let times = self.times(options);
        let longest = self.top(ns(*times.start()), ns(*times.end()), self.longest);
        let longest = Duration::from_nanos(longest);
        match (self.kind, self.worst_text(options)) {
            (FaultKind::Bounce | FaultKind::Reset, _) => self.kind.to_string(),
            (kind, None) => format!("{kind} up to {longest:?}"),
            (kind, Some(worst)) => format!("{kind} {worst} up to {longest:?}"),
        }
    }

    /// How bad it can get in this run.
    fn worst_text(self, options: &NemesisOptions) -> Option<String> {
        let (worst, last) = (PLACES - 1, PLACES - 1);
        let strike = Strike {
            active: self,
            pattern: 0,
            bad: worst,
            long: last,
        };
        match self.kind {
            FaultKind::ClockJump => {
                let by = strike.time(&options.hosts.clock_jump);
                Some(format!("by {by:?}"))
            }
            FaultKind::ClockDrift => Some(drift_text(strike.drift(options))),
            FaultKind::Descriptors => Some(format!("{} more", strike.room(options))),
            _ => strike.change(options).map(|change| format!("({change})")),
        }
    }
}

impl Strike {
    /// A value of a range, small ones more often than large ones: the square of a uniform one.
    fn value(&self, least: u64, most: u64, level: u64, place: u64) -> u64 {
        let width = self.active.top(least, most, level) - least;
        let square = u128::from(place * place);
        let last = u128::from((PLACES - 1) * (PLACES - 1));
        least + (u128::from(width) * square / last) as u64
    }

    fn magnitude(&self, least: u64, most: u64) -> u64 {
        self.value(least, most, self.active.worst, self.bad)
    }

    fn time(&self, range: &RangeInclusive<Duration>) -> Duration {
        Duration::from_nanos(self.magnitude(ns(*range.start()), ns(*range.end())))
    }

    fn share(&self, range: &RangeInclusive<f64>) -> u32 {
        let millionths = |share: f64| (share * MILLION as f64).round() as u64;
        self.magnitude(millionths(*range.start()), millionths(*range.end())) as u32
    }

    fn lasting(&self, options: &NemesisOptions) -> u64 {
        let times = self.active.times(options);
        let (least, most) = (ns(*times.start()), ns(*times.end()));
        self.value(least, most, self.active.longest, self.long)
    }

    fn drift(&self, options: &NemesisOptions) -> i32 {
        let range = &options.hosts.clock_drift;
        self.magnitude(u64::from(*range.start()), u64::from(*range.end())) as i32
    }

    /// How many descriptors more; the mildest is most.
    fn room(&self, options: &NemesisOptions) -> u32 {
        let range = &options.hosts.descriptors;
        let (least, most) = (*range.start(), *range.end());
        most - self.magnitude(0, u64::from(most - least)) as u32
    }

    /// What it does to a link, if it is of the kind that changes how packets travel.
    fn change(&self, options: &NemesisOptions) -> Option<LinkChange> {
        let links = &options.links;
        Some(match self.active.kind {
            FaultKind::Loss => LinkChange::Loss(self.share(&links.loss)),
            FaultKind::Latency => {
                let (least, mean) = (
                    self.time(&links.least_latency),
                    self.time(&links.mean_latency),
                );
                LinkChange::Delay(Delay::Exponential(ns(least), ns(mean)))
            }
            FaultKind::Bandwidth => {
                let (least, most) = (*links.bandwidth.start(), *links.bandwidth.end());
                // What is bad here is little.
                LinkChange::Bandwidth(Some(most - self.magnitude(0, most - least)))
            }
            FaultKind::Duplication => LinkChange::Duplication(self.share(&links.duplication)),
            FaultKind::Reordering => {
                let by = self.time(&links.reordered_by);
                LinkChange::Reordering(self.share(&links.reordering), ns(by))
            }
            FaultKind::Corruption => LinkChange::Corruption(self.share(&links.corruption)),
            FaultKind::SlowClose => LinkChange::SlowClose(ns(self.time(&links.slow_close))),
            _ => return None,
        })
    }

    /// What it does in the world as it is; `None` if there is nothing that it could hit.
    pub(super) fn script(&self, nemesis: &Nemesis) -> Option<Script> {
        let options = &nemesis.options;
        let mut pattern = Pattern(self.pattern);
        let kind = self.active.kind;
        let lasting = match kind {
            FaultKind::Bounce | FaultKind::Reset => Lasting::Moment,
            _ => Lasting::For(self.lasting(options)),
        };
        let (text, hosts, acts, later) = if kind.hits_hosts() {
            let mut hosts = nemesis.candidates();
            // Only a program that runs has something to lose.
            hosts.retain(|host| kernel::host_state(*host) == HostState::Running);
            let at = pattern.below(hosts.len() as u64) as usize;
            let host = *hosts.get(at)?;
            let back = pattern.below(2) == 1;
            let (text, act) = match kind {
                FaultKind::Crash => (String::new(), Act::Crash(host)),
                FaultKind::Kill => (String::new(), Act::Kill(host)),
                FaultKind::Bounce => (String::new(), Act::Bounce(host)),
                FaultKind::Pause => (String::new(), Act::Pause(host)),
                FaultKind::Stall => (String::new(), Act::Stall(host, self.lasting(options))),
                FaultKind::ClockJump => {
                    let by = ns(self.time(&options.hosts.clock_jump));
                    let by = i64::try_from(by).unwrap_or(i64::MAX);
                    let by = if back { -by } else { by };
                    (jump_text(by), Act::Jump(host, by))
                }
                FaultKind::ClockDrift => {
                    let ppm = self.drift(options);
                    let ppm = if back { -ppm } else { ppm };
                    (drift_text(ppm), Act::Drift(host, ppm))
                }
                _ => {
                    let more = self.room(options);
                    (format!("{more} more at most"), Act::Descriptors(host, more))
                }
            };
            (text, vec![host], vec![act], Vec::new())
        } else if kind == FaultKind::Dependency {
            let at = pattern.below(nemesis.breakables.len() as u64) as usize;
            let what = nemesis.breakables.get(at)?;
            let act = Act::Break(what.clone(), self.pattern);
            (what.name(), Vec::new(), vec![act], Vec::new())
        } else {
            self.on_links(nemesis, lasting, &mut pattern)?
        };
        Some(Script::new(kind, &text, hosts, acts, later, lasting))
    }

    fn on_links(
        &self,
        nemesis: &Nemesis,
        lasting: Lasting,
        pattern: &mut Pattern,
    ) -> Option<Parts> {
        let options = &nemesis.options;
        let mut scopes = nemesis.scopes();
        let at = pattern.below(scopes.len() as u64) as usize;
        if at >= scopes.len() {
            return None;
        }
        let (a, b) = scopes.swap_remove(at);
        let one_way = pattern.happens((options.links.one_way * MILLION as f64) as u64);
        // A group among itself has two sides only by what is drawn.
        let (a, b) = match b {
            Some(b) => (a, b),
            None => {
                let mut hosts = a;
                pattern.shuffle(&mut hosts);
                if self.active.kind == FaultKind::Swizzle
                    && let Lasting::For(time) = lasting
                {
                    return Some(swizzle(hosts, Vec::new(), time, pattern));
                }
                if self.active.kind == FaultKind::Partition {
                    let shapes = [
                        Shape::IsolateOne,
                        Shape::Halves,
                        Shape::MinorityThird,
                        Shape::MajoritiesRing,
                        Shape::Bridge,
                    ];
                    let shape = shapes[pattern.below(shapes.len() as u64) as usize].clone();
                    let shape = if one_way { shape.one_way() } else { shape };
                    return Some(split(&shape, hosts));
                }
                // One link, the links of one host, or a cut through the middle.
                let (left, right) = match pattern.below(3) {
                    0 => (1, 1),
                    1 => (1, hosts.len() - 1),
                    _ => (hosts.len() / 2, hosts.len() - hosts.len() / 2),
                };
                let rest = hosts.split_off(left);
                (hosts, rest[..right.min(rest.len())].to_vec())
            }
        };
        if self.active.kind == FaultKind::Swizzle
            && let Lasting::For(time) = lasting
        {
            return Some(swizzle(a, b, time, pattern));
        }
        let swapped = one_way && pattern.below(2) == 1;
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        let mut all = ways(&a, &b);
        if !one_way {
            all.extend(ways(&b, &a));
            all.sort_unstable();
            all.dedup();
        }
        let change = self.change(options);
        let act = |(from, to): &(u16, u16)| match (self.active.kind, &change) {
            (_, Some(change)) => Act::Set(*from, *to, change.clone()),
            (FaultKind::Partition, _) => Act::Cut(*from, *to),
            (FaultKind::Reset, _) => Act::Reset(*from, *to),
            _ => Act::Hold(*from, *to),
        };
        let arrow = if one_way { "->" } else { "<->" };
        let how = change.as_ref().map(|change| format!(": {change}"));
        let how = how.unwrap_or_default();
        let text = format!("{} {arrow} {}{how}", list(&a), list(&b));
        let acts = all.iter().map(act).collect();
        Some((text, [a, b].concat(), acts, Vec::new()))
    }
}
