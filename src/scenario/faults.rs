//! `[nemesis]`: which faults, against whom, within which ranges, and what happens on a timeline.

use super::error::ScenarioError;
use super::values::{Count, Drift, Kind, Names, Parts, Range, Share, Small, SomeTime, Time};
use crate::fault::{Fault, Nemesis, NemesisOptions, Plan, Shape};
use crate::sim::Latency;
use crate::sim::dependency::Stub;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct NemesisText {
    /// `false`: only the plan.
    #[serde(default = "yes")]
    drawn: bool,
    only: Option<Vec<Kind>>,
    #[serde(default)]
    without: Vec<Kind>,
    crashing: Option<Names>,
    #[serde(default)]
    between: Vec<(Names, Names)>,
    #[serde(default)]
    among: Vec<Names>,
    #[serde(default)]
    breaking: Vec<String>,
    at_most_down: Option<Small>,
    #[cfg_attr(feature = "schema", schemars(with = "Option<Names>"))]
    keeping_quorum: Option<Spanned<Names>>,
    calm: Option<Share>,
    enabled: Option<Share>,
    firing: Option<Share>,
    #[cfg_attr(feature = "schema", schemars(with = "Option<Range<Time>>"))]
    period: Option<Spanned<Range<Time>>>,
    after: Option<Time>,
    lasting: Option<Time>,
    combined: Option<Range<Small>>,
    escalation: Option<Range<Time>>,
    #[serde(default)]
    hosts: HostsText,
    #[serde(default)]
    links: LinksText,
    dependency_for: Option<Range<Time>>,
    #[serde(default)]
    plan: Vec<Entry>,
}

fn yes() -> bool {
    true
}

/// `[nemesis.hosts]`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct HostsText {
    down_for: Option<Range<Time>>,
    pause_for: Option<Range<Time>>,
    stall_for: Option<Range<Time>>,
    clock_jump: Option<Range<Time>>,
    clock_drift: Option<Range<Parts>>,
    clock_wrong_for: Option<Range<Time>>,
    descriptors: Option<Range<Small>>,
    descriptors_for: Option<Range<Time>>,
}

/// `[nemesis.links]`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct LinksText {
    partition_for: Option<Range<Time>>,
    one_way: Option<Share>,
    loss: Option<Range<Share>>,
    least_latency: Option<Range<Time>>,
    mean_latency: Option<Range<Time>>,
    bandwidth: Option<Range<Count>>,
    duplication: Option<Range<Share>>,
    reordering: Option<Range<Share>>,
    reordered_by: Option<Range<Time>>,
    corruption: Option<Range<Share>>,
    slow_close: Option<Range<Time>>,
    degraded_for: Option<Range<Time>>,
    hold_for: Option<Range<Time>>,
    swizzle_for: Option<Range<Time>>,
}

/// `[[nemesis.plan]]`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Entry {
    at: Time,
    #[cfg_attr(feature = "schema", schemars(with = "FaultText"))]
    fault: Spanned<FaultText>,
    lasting: Option<SomeTime>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum FaultText {
    Crash(Names),
    Kill(Names),
    Bounce(Names),
    Pause(Names),
    Stall(Names),
    Swizzle(Names),
    ClockJump(Jump),
    ClockDrift(DriftText),
    Descriptors(DescriptorsText),
    Partition(Pair),
    Split(Split),
    Hold(Pair),
    Reset(Pair),
    Loss(Shared),
    Duplication(Shared),
    Corruption(Shared),
    Reordering(Reordered),
    Latency(Slow),
    Bandwidth(Narrow),
    SlowClose(Late),
    Dependency(String),
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Jump {
    hosts: Names,
    by: SomeTime,
    #[serde(default)]
    back: bool,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct DriftText {
    hosts: Names,
    ppm: Drift,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct DescriptorsText {
    hosts: Names,
    more: Small,
}

/// The link between two groups.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Pair {
    a: Names,
    b: Names,
    #[serde(default)]
    one_way: bool,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Split {
    shape: ShapeText,
    hosts: Names,
    #[serde(default)]
    one_way: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum ShapeText {
    IsolateOne,
    Halves,
    MinorityThird,
    MajoritiesRing,
    Bridge,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Shared {
    a: Names,
    b: Names,
    #[serde(default)]
    one_way: bool,
    share: Share,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Reordered {
    a: Names,
    b: Names,
    #[serde(default)]
    one_way: bool,
    share: Share,
    by: SomeTime,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Slow {
    a: Names,
    b: Names,
    #[serde(default)]
    one_way: bool,
    latency: Latency,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Narrow {
    a: Names,
    b: Names,
    #[serde(default)]
    one_way: bool,
    bytes_per_second: Count,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Late {
    a: Names,
    b: Names,
    #[serde(default)]
    one_way: bool,
    more: SomeTime,
}

impl FaultText {
    fn fault(&self, dependency: &dyn Fn(&str) -> Stub) -> Fault {
        let way = |fault: Fault, one_way: bool| match one_way {
            true => fault.one_way(),
            false => fault,
        };
        match self {
            FaultText::Crash(hosts) => Fault::crash(&hosts.0),
            FaultText::Kill(hosts) => Fault::kill(&hosts.0),
            FaultText::Bounce(hosts) => Fault::bounce(&hosts.0),
            FaultText::Pause(hosts) => Fault::pause(&hosts.0),
            FaultText::Stall(hosts) => Fault::stall(&hosts.0),
            FaultText::Swizzle(hosts) => Fault::swizzle(&hosts.0),
            FaultText::ClockJump(f) if f.back => Fault::jump_clock_back(&f.hosts.0, f.by.0),
            FaultText::ClockJump(f) => Fault::jump_clock_forward(&f.hosts.0, f.by.0),
            FaultText::ClockDrift(f) => Fault::drift_clock(&f.hosts.0, f.ppm.0),
            FaultText::Descriptors(f) => Fault::descriptors(&f.hosts.0, f.more.0),
            FaultText::Partition(f) => way(Fault::partition(&f.a.0, &f.b.0), f.one_way),
            FaultText::Split(f) => {
                let shape = match f.shape {
                    ShapeText::IsolateOne => Shape::IsolateOne,
                    ShapeText::Halves => Shape::Halves,
                    ShapeText::MinorityThird => Shape::MinorityThird,
                    ShapeText::MajoritiesRing => Shape::MajoritiesRing,
                    ShapeText::Bridge => Shape::Bridge,
                };
                way(Fault::split(shape, &f.hosts.0), f.one_way)
            }
            FaultText::Hold(f) => way(Fault::hold(&f.a.0, &f.b.0), f.one_way),
            FaultText::Reset(f) => way(Fault::reset(&f.a.0, &f.b.0), f.one_way),
            FaultText::Loss(f) => way(Fault::loss(&f.a.0, &f.b.0, f.share.0), f.one_way),
            FaultText::Duplication(f) => {
                way(Fault::duplication(&f.a.0, &f.b.0, f.share.0), f.one_way)
            }
            FaultText::Corruption(f) => {
                way(Fault::corruption(&f.a.0, &f.b.0, f.share.0), f.one_way)
            }
            FaultText::Reordering(f) => {
                let fault = Fault::reordering(&f.a.0, &f.b.0, f.share.0, f.by.0);
                way(fault, f.one_way)
            }
            FaultText::Latency(f) => {
                way(Fault::latency(&f.a.0, &f.b.0, f.latency.clone()), f.one_way)
            }
            FaultText::Bandwidth(f) => {
                let fault = Fault::bandwidth(&f.a.0, &f.b.0, f.bytes_per_second.0);
                way(fault, f.one_way)
            }
            FaultText::SlowClose(f) => way(Fault::slow_close(&f.a.0, &f.b.0, f.more.0), f.one_way),
            FaultText::Dependency(name) => Fault::broken(dependency(name)),
        }
    }
}

impl NemesisText {
    /// What needs more than one place of the file.
    pub(super) fn check(&self, path: &Path, text: &str) -> Result<(), ScenarioError> {
        let wrong = |span, message: &str| {
            Err(ScenarioError::at(
                path,
                text,
                span,
                message.to_owned(),
                None,
            ))
        };
        if let Some(period) = &self.period
            && period.get_ref().0.0 < Duration::from_millis(1)
        {
            return wrong(period.span(), "a period is at least 1ms long");
        }
        if let Some(quorum) = &self.keeping_quorum
            && quorum.get_ref().0.len() > 16
        {
            return wrong(quorum.span(), "at most sixteen hosts keep a quorum");
        }
        for entry in &self.plan {
            let needs = matches!(
                entry.fault.get_ref(),
                FaultText::Stall(_) | FaultText::Swizzle(_)
            );
            if needs && entry.lasting.is_none() {
                return wrong(
                    entry.fault.span(),
                    "this fault needs a length: say `lasting`",
                );
            }
        }
        Ok(())
    }

    pub(super) fn nemesis(&self, dependency: &dyn Fn(&str) -> Stub) -> Nemesis {
        let mut plan = Plan::new();
        for entry in &self.plan {
            plan = plan.at(entry.at.0, entry.fault.get_ref().fault(dependency));
            if let Some(lasting) = &entry.lasting {
                plan = plan.lasting(lasting.0);
            }
        }
        if !self.drawn {
            return plan.into();
        }
        let mut nemesis = Nemesis::all().options(self.options());
        if let Some(kinds) = &self.only {
            nemesis = nemesis.only(kinds.iter().map(|kind| kind.0));
        }
        nemesis = nemesis.without(self.without.iter().map(|kind| kind.0));
        if let Some(hosts) = &self.crashing {
            nemesis = nemesis.crashing(&hosts.0);
        }
        for (a, b) in &self.between {
            nemesis = nemesis.between(&a.0, &b.0);
        }
        for hosts in &self.among {
            nemesis = nemesis.among(&hosts.0);
        }
        for name in &self.breaking {
            nemesis = nemesis.breaking(dependency(name));
        }
        if let Some(hosts) = &self.keeping_quorum {
            nemesis = nemesis.keeping_quorum(&hosts.get_ref().0);
        }
        nemesis.and(plan)
    }

    fn options(&self) -> NemesisOptions {
        let mut o = NemesisOptions::default();
        let times = |to: &mut std::ops::RangeInclusive<Duration>, from: &Option<Range<Time>>| {
            if let Some(range) = from {
                *to = range.times();
            }
        };
        let shares = |to: &mut std::ops::RangeInclusive<f64>, from: &Option<Range<Share>>| {
            if let Some(range) = from {
                *to = range.0.0..=range.1.0;
            }
        };
        let numbers = |to: &mut std::ops::RangeInclusive<u32>, from: &Option<Range<Small>>| {
            if let Some(range) = from {
                *to = range.0.0..=range.1.0;
            }
        };
        o.calm = self.calm.map_or(o.calm, |share| share.0);
        o.enabled = self.enabled.map(|share| share.0);
        o.firing = self.firing.map_or(o.firing, |share| share.0);
        if let Some(period) = &self.period {
            o.period = period.get_ref().times();
        }
        o.after = self.after.as_ref().map_or(o.after, |time| time.0);
        o.lasting = self.lasting.as_ref().map(|time| time.0);
        numbers(&mut o.combined, &self.combined);
        times(&mut o.escalation, &self.escalation);
        o.most_down = self.at_most_down.map(|hosts| hosts.0);
        times(&mut o.dependency_for, &self.dependency_for);
        let (h, from) = (&mut o.hosts, &self.hosts);
        times(&mut h.down_for, &from.down_for);
        times(&mut h.pause_for, &from.pause_for);
        times(&mut h.stall_for, &from.stall_for);
        times(&mut h.clock_jump, &from.clock_jump);
        if let Some(range) = &from.clock_drift {
            h.clock_drift = range.0.0..=range.1.0;
        }
        times(&mut h.clock_wrong_for, &from.clock_wrong_for);
        numbers(&mut h.descriptors, &from.descriptors);
        times(&mut h.descriptors_for, &from.descriptors_for);
        let (l, from) = (&mut o.links, &self.links);
        times(&mut l.partition_for, &from.partition_for);
        l.one_way = from.one_way.map_or(l.one_way, |share| share.0);
        shares(&mut l.loss, &from.loss);
        times(&mut l.least_latency, &from.least_latency);
        times(&mut l.mean_latency, &from.mean_latency);
        if let Some(range) = &from.bandwidth {
            l.bandwidth = range.0.0..=range.1.0;
        }
        shares(&mut l.duplication, &from.duplication);
        shares(&mut l.reordering, &from.reordering);
        times(&mut l.reordered_by, &from.reordered_by);
        shares(&mut l.corruption, &from.corruption);
        times(&mut l.slow_close, &from.slow_close);
        times(&mut l.degraded_for, &from.degraded_for);
        times(&mut l.hold_for, &from.hold_for);
        times(&mut l.swizzle_for, &from.swizzle_for);
        o
    }
}
