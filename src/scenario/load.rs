//! `[traffic.NAME]`: the load, what requests are about, what clients do, and what is wanted of it all.

use super::error::ScenarioError;
use super::values::{Count, Exponent, Few, PerTime, Share, Small, SomeTime, Time};
use crate::sim::{Latency, Sim};
use crate::traffic::{Keys, Load, Retry, Thresholds, Trace, Traffic};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct TrafficText {
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Stage>"))]
    stages: Spanned<Vec<Stage>>,
    #[serde(default)]
    overlay: Vec<Stage>,
    #[serde(default)]
    evenly: bool,
    #[serde(default)]
    operations: BTreeMap<String, Few>,
    #[cfg_attr(feature = "schema", schemars(with = "Option<KeysText>"))]
    keys: Option<Spanned<KeysText>>,
    timeout: Option<SomeTime>,
    patience: Option<SomeTime>,
    retry: Option<RetryText>,
    limit: Option<Count>,
    warm_up: Option<Time>,
    drain: Option<Time>,
    #[cfg_attr(feature = "schema", schemars(with = "Option<SomeTime>"))]
    resolution: Option<Spanned<SomeTime>>,
    #[cfg_attr(feature = "schema", schemars(with = "Option<Share>"))]
    objective: Option<Spanned<Share>>,
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    expect: Option<Spanned<String>>,
    /// Read from `expect` once the place is known, and that place.
    #[serde(skip)]
    wanted: Option<(Thresholds, String)>,
}

/// A part of the load.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Stage {
    Constant(Constant),
    Ramp(Ramp),
    Stairs(Stairs),
    Spike(SpikeText),
    Sine(Sine),
    Bursts(Bursts),
    Users(UsersText),
    Trace(TraceText),
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Constant {
    rate: PerTime,
    lasting: SomeTime,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Ramp {
    from: PerTime,
    to: PerTime,
    lasting: SomeTime,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Stairs {
    #[cfg_attr(feature = "schema", schemars(with = "Vec<PerTime>"))]
    rates: Spanned<Vec<PerTime>>,
    each: SomeTime,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct SpikeText {
    usual: PerTime,
    peak: PerTime,
    at: Option<SomeTime>,
    lasting: Option<SomeTime>,
    tail: Option<SomeTime>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Sine {
    low: PerTime,
    #[cfg_attr(feature = "schema", schemars(with = "PerTime"))]
    high: Spanned<PerTime>,
    period: SomeTime,
    lasting: SomeTime,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Bursts {
    rate: PerTime,
    on: SomeTime,
    off: SomeTime,
    lasting: SomeTime,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct UsersText {
    users: Few,
    lasting: SomeTime,
    think: Option<Latency>,
    ramp: Option<SomeTime>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct TraceText {
    /// From the directory of the scenario file.
    #[cfg_attr(feature = "schema", schemars(with = "PathBuf"))]
    file: Spanned<PathBuf>,
    #[serde(skip)]
    read: Option<Trace>,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum KeysText {
    Uniform(Count),
    Hot(Hot),
    Zipf(Zipf),
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Hot {
    hot: Count,
    keys: Count,
    share: Share,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Zipf {
    keys: Count,
    exponent: Exponent,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RetryText {
    most: Small,
    pause: Option<Time>,
    #[serde(default)]
    exponential: bool,
    cap: Option<SomeTime>,
    #[serde(default)]
    jitter: bool,
    budget: Option<Share>,
    #[serde(default)]
    unless: Vec<String>,
}

impl TrafficText {
    /// What needs more than one place of the file, or another file.
    pub(super) fn complete(&mut self, path: &Path, text: &str) -> Result<(), ScenarioError> {
        let wrong = |span, message: String| Err(ScenarioError::at(path, text, span, message, None));
        if self.stages.get_ref().is_empty() {
            return wrong(
                self.stages.span(),
                "a load has at least one stage".to_owned(),
            );
        }
        for stage in self.stages.get_mut().iter_mut().chain(&mut self.overlay) {
            match stage {
                Stage::Stairs(stairs) if stairs.rates.get_ref().is_empty() => {
                    return wrong(
                        stairs.rates.span(),
                        "stairs have at least one step".to_owned(),
                    );
                }
                Stage::Sine(sine) if sine.high.get_ref().0 < sine.low.0 => {
                    let message = "`high` is less than `low`".to_owned();
                    return wrong(sine.high.span(), message);
                }
                Stage::Trace(trace) => {
                    let directory = path.parent().unwrap_or(Path::new(""));
                    match Trace::read(directory.join(trace.file.get_ref())) {
                        Ok(read) => trace.read = Some(read),
                        Err(error) => return wrong(trace.file.span(), error.to_string()),
                    }
                }
                _ => {}
            }
        }
        if let Some(keys) = &self.keys {
            let message = match keys.get_ref() {
                KeysText::Hot(hot) if hot.hot.0 >= hot.keys.0 => {
                    Some("`hot` keys are fewer than all `keys`")
                }
                KeysText::Zipf(zipf) if zipf.keys.0 > 1 << 40 => {
                    Some("Zipf's law is for 1 to 2^40 keys")
                }
                _ => None,
            };
            if let Some(message) = message {
                return wrong(keys.span(), message.to_owned());
            }
        }
        if let Some(resolution) = &self.resolution
            && resolution.get_ref().0 < std::time::Duration::from_millis(1)
        {
            return wrong(
                resolution.span(),
                "the resolution is at least 1ms".to_owned(),
            );
        }
        if let Some(objective) = &self.objective
            && !(objective.get_ref().0 > 0.0 && objective.get_ref().0 < 1.0)
        {
            let message = "an objective lies between 0 and 1, such as 0.999".to_owned();
            return wrong(objective.span(), message);
        }
        if let Some(expect) = &self.expect {
            let read: Result<Thresholds, _> = expect.get_ref().parse();
            match read {
                Ok(wanted) => {
                    let place = ScenarioError::at(path, text, expect.span(), String::new(), None);
                    let place = format!("{}:{}:{}", path.display(), place.line(), place.column());
                    self.wanted = Some((wanted, place));
                }
                Err(error) => {
                    let span = expect.span();
                    // Behind the quote, if the text stands there as it is.
                    let quoted = text.get(span.start + 1..span.end.saturating_sub(1));
                    let place = match quoted == Some(expect.get_ref().as_str()) {
                        true => {
                            span.start + 1 + error.span().start..span.start + 1 + error.span().end
                        }
                        false => span,
                    };
                    let (message, help) = (error.message().to_owned(), error.help());
                    let help = help.map(str::to_owned);
                    return Err(ScenarioError::at(path, text, place, message, help));
                }
            }
        }
        Ok(())
    }

    pub(super) fn load(&self) -> Load {
        let mut stages = self.stages.get_ref().iter().map(Stage::load);
        let first = stages
            .next()
            .unwrap_or_else(|| unreachable!("squall bug: a load without a stage"));
        let load = stages.fold(first, Load::then);
        let load = self
            .overlay
            .iter()
            .map(Stage::load)
            .fold(load, Load::overlay);
        match self.evenly {
            true => load.evenly(),
            false => load,
        }
    }

    pub(super) fn traffic(&self, sim: &Sim, name: &str) -> Traffic {
        let mut traffic = sim.traffic(name, self.load());
        for (operation, weight) in &self.operations {
            traffic = traffic.operation(operation, weight.0);
        }
        if let Some(keys) = &self.keys {
            traffic = traffic.keys(keys.get_ref().keys());
        }
        if let Some(time) = &self.timeout {
            traffic = traffic.timeout(time.0);
        }
        if let Some(time) = &self.patience {
            traffic = traffic.patience(time.0);
        }
        if let Some(retry) = &self.retry {
            traffic = traffic.retry(retry.retry());
        }
        if let Some(limit) = self.limit {
            traffic = traffic.limit(limit.0);
        }
        if let Some(time) = &self.warm_up {
            traffic = traffic.warm_up(time.0);
        }
        if let Some(time) = &self.drain {
            traffic = traffic.drain(time.0);
        }
        if let Some(time) = &self.resolution {
            traffic = traffic.resolution(time.get_ref().0);
        }
        if let Some(share) = &self.objective {
            traffic = traffic.objective(share.get_ref().0);
        }
        match &self.wanted {
            Some((wanted, place)) => traffic.expecting_at(wanted.clone(), place.clone()),
            None => traffic,
        }
    }
}

impl Stage {
    fn load(&self) -> Load {
        match self {
            Stage::Constant(c) => Load::constant(c.rate.0, c.lasting.0),
            Stage::Ramp(r) => Load::ramp(r.from.0, r.to.0, r.lasting.0),
            Stage::Stairs(s) => Load::stairs(s.rates.get_ref().iter().map(|r| r.0), s.each.0),
            Stage::Spike(s) => {
                let mut spike = Load::spike(s.usual.0, s.peak.0);
                if let Some(at) = &s.at {
                    spike = spike.at(at.0);
                }
                if let Some(lasting) = &s.lasting {
                    spike = spike.lasting(lasting.0);
                }
                if let Some(tail) = &s.tail {
                    spike = spike.tail(tail.0);
                }
                spike.into()
            }
            Stage::Sine(s) => Load::sine(s.low.0, s.high.get_ref().0, s.period.0, s.lasting.0),
            Stage::Bursts(b) => Load::bursts(b.rate.0, b.on.0, b.off.0, b.lasting.0),
            Stage::Users(u) => {
                let mut users = Load::users(u.users.0, u.lasting.0);
                if let Some(think) = &u.think {
                    users = users.think(think.clone());
                }
                if let Some(ramp) = &u.ramp {
                    users = users.ramp(ramp.0);
                }
                users.into()
            }
            Stage::Trace(t) => match &t.read {
                Some(trace) => Load::trace(trace.clone()),
                None => unreachable!("squall bug: a trace that was not read"),
            },
        }
    }
}

impl KeysText {
    fn keys(&self) -> Keys {
        match self {
            KeysText::Uniform(keys) => Keys::uniform(keys.0),
            KeysText::Hot(h) => Keys::hot(h.hot.0, h.keys.0, h.share.0),
            KeysText::Zipf(z) => Keys::zipf(z.keys.0, z.exponent.0),
        }
    }
}

impl RetryText {
    fn retry(&self) -> Retry {
        let pause = self
            .pause
            .as_ref()
            .map_or(std::time::Duration::ZERO, |t| t.0);
        let mut retry = match (self.exponential, pause.is_zero()) {
            (true, _) => Retry::exponential(self.most.0, pause),
            (false, true) => Retry::immediate(self.most.0),
            (false, false) => Retry::fixed(self.most.0, pause),
        };
        if let Some(cap) = &self.cap {
            retry = retry.cap(cap.0);
        }
        if self.jitter {
            retry = retry.jitter();
        }
        if let Some(budget) = self.budget {
            retry = retry.budget(budget.0);
        }
        self.unless
            .iter()
            .fold(retry, |retry, kind| retry.unless(kind))
    }
}
