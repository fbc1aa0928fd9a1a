//! How behaviours, latencies and failures are written in files, read by `serde`. Every table refuses fields that it does not know.
//!
//! Latencies: `"20ms"`, or a table with one of `fixed`, `uniform`, `exponential`, `log_normal`, `bimodal`, `recorded`.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::super::link::Latency;
use super::behaviour::{
    Behaviour, BrownOut, Capacity, ColdStart, Flapping, RateLimit, Since, Window,
};
use super::mode::FailureMode;
use crate::units;

#[cfg(feature = "schema")]
mod schema;

/// Reads `30s`, `0ms` and the like.
pub(super) fn duration(text: &str) -> Option<Duration> {
    units::time(text).map(Duration::from_nanos)
}

/// A duration as [`duration`] reads it, in the largest unit that needs no fraction.
pub(super) fn duration_text(time: Duration) -> String {
    let ns = super::super::link::ns(time);
    let units = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
    ];
    let fits = units
        .iter()
        .find(|(_, size)| ns > 0 && ns.is_multiple_of(*size));
    fits.map_or(format!("{ns}ns"), |(unit, size)| {
        format!("{}{unit}", ns / size)
    })
}

/// A duration in a file.
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a duration in quotes: {}", units::DURATION_FORM)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                duration(text).map(Time).ok_or_else(|| {
                    E::custom(format!(
                        "{text:?} is no duration; it is {}",
                        units::DURATION_FORM
                    ))
                })
            }
        }
        from.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for FailureMode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<FailureMode, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = FailureMode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a failure in quotes, such as \"status 503\" or \"reset\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<FailureMode, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Text)
    }
}

/// Shares by failure: `{ reset = 0.01, "status 503" = 0.02 }`.
#[derive(Default)]
struct Shares(Vec<(FailureMode, f64)>);

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Shares, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Shares;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a table of shares by failure, such as { reset = 0.01, \"status 503\" = 0.02 }",
                )
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Shares, M::Error> {
                let mut shares: Vec<(FailureMode, f64)> = Vec::new();
                while let Some((mode, share)) = map.next_entry::<FailureMode, f64>()? {
                    if shares.iter().any(|(known, _)| *known == mode) {
                        return Err(M::Error::custom(format!(
                            "the failure `{mode}` is there twice"
                        )));
                    }
                    shares.push((mode, share));
                }
                Ok(Shares(shares))
            }
        }
        from.deserialize_map(Table)
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Distribution {
    Fixed(Time),
    Uniform((Time, Time)),
    Exponential(Exponential),
    LogNormal(LogNormal),
    Bimodal(Box<Bimodal>),
    Recorded(Vec<Time>),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Exponential {
    least: Time,
    mean: Time,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct LogNormal {
    median: Time,
    sigma: f64,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Bimodal {
    usual: Latency,
    other: Latency,
    share: f64,
}

impl Distribution {
    /// The constructors of [`Latency`] panic at what is refused here.
    fn latency(self) -> Result<Latency, String> {
        Ok(match self {
            Distribution::Fixed(Time(time)) => Latency::fixed(time),
            Distribution::Uniform((Time(least), Time(most))) if least > most => {
                let (least, most) = (duration_text(least), duration_text(most));
                return Err(format!(
                    "uniform: the shortest time comes first; {least} is longer than {most}"
                ));
            }
            Distribution::Uniform((Time(least), Time(most))) => Latency::uniform(least..=most),
            Distribution::Exponential(e) => Latency::exponential(e.least.0, e.mean.0),
            Distribution::LogNormal(l) if !(0.0..=4.0).contains(&l.sigma) => {
                return Err(format!(
                    "log_normal.sigma: a number from 0 to 4, not {}",
                    l.sigma
                ));
            }
            Distribution::LogNormal(l) => Latency::log_normal(l.median.0, l.sigma),
            Distribution::Bimodal(b) if !(0.0..=1.0).contains(&b.share) => {
                return Err(format!(
                    "bimodal.share: a number from 0 to 1, not {}",
                    b.share
                ));
            }
            Distribution::Bimodal(b) => Latency::bimodal(b.usual, b.other, b.share),
            Distribution::Recorded(times) if times.is_empty() => {
                return Err("recorded: at least one time".to_owned());
            }
            Distribution::Recorded(times) => Latency::recorded(times.into_iter().map(|t| t.0)),
        })
    }
}

/// A duration in quotes, or a table with one of `fixed`, `uniform`, `exponential`, `log_normal`, `bimodal`, `recorded`.
impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Latency, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Latency;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a duration in quotes, or a table such as { uniform = [\"1ms\", \"5ms\"] }",
                )
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Latency, E> {
                Time::deserialize(text.into_deserializer()).map(|t| Latency::fixed(t.0))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Latency, M::Error> {
                let distribution = Distribution::deserialize(MapAccessDeserializer::new(map))?;
                distribution.latency().map_err(M::Error::custom)
            }
        }
        from.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct OutageText {
    at: Time,
    lasts: Option<Time>,
    #[serde(default)]
    since: Since,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct BrownOutText {
    at: Time,
    lasts: Option<Time>,
    #[serde(default)]
    since: Since,
    latency: Option<Latency>,
    slower: Option<f64>,
    #[serde(default)]
    errors: Shares,
}

fn window(at: Time, lasts: Option<Time>, since: Since) -> Window {
    Window {
        at: at.0,
        lasts: lasts.map_or(Duration::MAX, |t| t.0),
        since,
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct FlappingText {
    period: Time,
    up: f64,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RateLimitText {
    calls: u32,
    per: Time,
    burst: Option<u32>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct CapacityText {
    slots: u32,
    queue: u32,
    overflow: Option<FailureMode>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct ColdStartText {
    lasts: Time,
    slower: f64,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct BehaviourText {
    latency: Option<Latency>,
    #[serde(default)]
    errors: Shares,
    #[serde(default)]
    outages: Vec<OutageText>,
    #[serde(default)]
    brown_outs: Vec<BrownOutText>,
    flapping: Option<FlappingText>,
    rate_limit: Option<RateLimitText>,
    capacity: Option<CapacityText>,
    cold_start: Option<ColdStartText>,
}

/// As the methods of [`Behaviour`] are named, and checked.
impl<'de> Deserialize<'de> for Behaviour {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Behaviour, D::Error> {
        let text = BehaviourText::deserialize(from)?;
        let mut behaviour = Behaviour::healthy();
        if let Some(latency) = text.latency {
            behaviour.latency = latency;
        }
        for (mode, share) in text.errors.0 {
            behaviour = behaviour.error(mode, share);
        }
        for o in text.outages {
            behaviour = behaviour.outage(window(o.at, o.lasts, o.since));
        }
        for b in text.brown_outs {
            let mut brown_out = BrownOut::new(window(b.at, b.lasts, b.since));
            brown_out.latency = b.latency;
            brown_out.slower = b.slower.unwrap_or(1.0);
            for (mode, share) in b.errors.0 {
                brown_out = brown_out.error(mode, share);
            }
            behaviour = behaviour.brown_out(brown_out);
        }
        behaviour.flapping = text.flapping.map(|f| Flapping {
            period: f.period.0,
            up: f.up,
        });
        behaviour.rate_limit = text.rate_limit.map(|r| RateLimit {
            calls: r.calls,
            per: r.per.0,
            burst: r.burst,
        });
        behaviour.capacity = text.capacity.map(|c| Capacity {
            slots: c.slots,
            queue: c.queue,
            overflow: c.overflow.unwrap_or(FailureMode::Status(503)),
        });
        behaviour.cold_start = text.cold_start.map(|c| ColdStart {
            lasts: c.lasts.0,
            slower: c.slower,
        });
        behaviour.check().map_err(D::Error::custom)?;
        Ok(behaviour)
    }
}
