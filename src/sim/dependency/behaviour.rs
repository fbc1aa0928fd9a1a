//! What a dependency does, as data: how long it takes, how it fails, and when. Checked here, read from text in `text.rs`, acted
//! out by `control.rs`.

use std::time::Duration;

use super::super::link::{Latency, ns};
use super::mode::FailureMode;

/// What a dependency does: data, made in code or read by `serde` (unknown fields are refused).
///
/// The default answers every call at once. Nothing is checked while it is put together; [`check`](Behaviour::check) does that, and so
/// do reading it, starting a dependency with it and [`set`](super::Stub::set).
///
/// ```
/// use squall::dependency::{BrownOut, Window};
/// use squall::{Behaviour, FailureMode, Latency};
/// use std::time::Duration;
///
/// let (ms, s) = (Duration::from_millis, Duration::from_secs);
/// let payments = Behaviour::healthy()
///     .latency(Latency::log_normal(ms(40), 0.4))
///     .error(FailureMode::Status(503), 0.02)
///     .error(FailureMode::Reset, 0.01)
///     .outage(Window::at(s(60)).lasting(s(10)))
///     .brown_out(BrownOut::new(Window::at(s(120)).lasting(s(30))).slower(10.0))
///     .rate_limit(100, s(1))
///     .capacity(8, 50)
///     .cold_start(s(20), 5.0);
/// assert!(payments.check().is_ok());
///
/// let wrong = Behaviour::healthy().error(FailureMode::Reset, 1.5).check().unwrap_err();
/// assert_eq!(wrong.to_string(), "errors.reset: a share is a number from 0 to 1, not 1.5");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    pub(super) latency: Latency,
    pub(super) errors: Vec<(FailureMode, f64)>,
    pub(super) outages: Vec<Window>,
    pub(super) brown_outs: Vec<BrownOut>,
    pub(super) flapping: Option<Flapping>,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) capacity: Option<Capacity>,
    pub(super) cold_start: Option<ColdStart>,
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour {
            latency: Latency::fixed(Duration::ZERO),
            errors: Vec::new(),
            outages: Vec::new(),
            brown_outs: Vec::new(),
            flapping: None,
            rate_limit: None,
            capacity: None,
            cold_start: None,
        }
    }
}

/// A stretch of time: from when, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) since: Since,
}

/// What the times of a [`Window`] count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// The start of the run.
    #[default]
    Run,
    /// The last start of the dependency: of its host's program, or when the typed double was made.
    Start,
}

impl Window {
    /// From `at` on, without an end, after the start of the run.
    pub fn at(at: Duration) -> Window {
        Window {
            at,
            lasts: Duration::MAX,
            since: Since::Run,
        }
    }

    /// With an end.
    #[must_use]
    pub fn lasting(self, lasts: Duration) -> Window {
        Window { lasts, ..self }
    }

    /// Counted from the last start of the dependency.
    #[must_use]
    pub fn since_start(self) -> Window {
        Window {
            since: Since::Start,
            ..self
        }
    }

    /// In virtual nanoseconds, for a dependency that started then; the end is not included.
    pub(super) fn span(&self, started: u64) -> (u64, u64) {
        let base = match self.since {
            Since::Run => 0,
            Since::Start => started,
        };
        let from = ns(self.at).saturating_add(base);
        (from, from.saturating_add(ns(self.lasts)))
    }

    fn check(&self, field: &str) -> Result<(), BehaviourError> {
        if self.lasts.is_zero() {
            return Err(wrong(
                format!("{field}.lasts"),
                "a window lasts some time, such as 10s",
            ));
        }
        Ok(())
    }
}

/// A window in which a dependency works badly instead of not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct BrownOut {
    pub(super) window: Window,
    pub(super) latency: Option<Latency>,
    pub(super) slower: f64,
    pub(super) errors: Vec<(FailureMode, f64)>,
}

impl BrownOut {
    /// One that changes nothing yet.
    pub fn new(window: Window) -> BrownOut {
        BrownOut {
            window,
            latency: None,
            slower: 1.0,
            errors: Vec::new(),
        }
    }

    /// The latency meanwhile. Default: that of the behaviour.
    #[must_use]
    pub fn latency(mut self, latency: impl Into<Latency>) -> BrownOut {
        self.latency = Some(latency.into());
        self
    }

    /// The latency meanwhile is so many times as long, 1 to 1,000,000.
    #[must_use]
    pub fn slower(mut self, times: f64) -> BrownOut {
        self.slower = times;
        self
    }

    /// Meanwhile this share of the calls, 0 to 1, fails so. As soon as one is set, those of the behaviour do not count meanwhile.
    #[must_use]
    pub fn error(mut self, mode: FailureMode, share: f64) -> BrownOut {
        put(&mut self.errors, mode, share);
        self
    }
}

/// Up and down in turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flapping {
    pub(super) period: Duration,
    pub(super) up: f64,
}

impl Flapping {
    /// Nanoseconds of a period, and how many of them it is up.
    pub(super) fn span(&self) -> (u64, u64) {
        let period = ns(self.period).max(2);
        let up = (period as f64 * self.up) as u64;
        (period, up.clamp(1, period - 1))
    }
}

/// So many calls in so much time, by the generic cell rate algorithm (a token bucket in integers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateLimit {
    pub(super) calls: u32,
    pub(super) per: Duration,
    /// So many at once; `None` for all of `calls`.
    pub(super) burst: Option<u32>,
}

/// So many calls at a time, and so many that wait for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) slots: u32,
    pub(super) queue: u32,
    /// How a call fails that finds the queue full.
    pub(super) overflow: FailureMode,
}

/// Slower for a while after it was down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ColdStart {
    pub(super) lasts: Duration,
    pub(super) slower: f64,
}

/// A field of a [`Behaviour`] that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BehaviourError {
    field: String,
    problem: String,
}

impl BehaviourError {
    /// The field, by the name that it has in a file: `errors.reset`, `outages[0].lasts`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it, and what would do.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

fn wrong(field: impl Into<String>, problem: impl Into<String>) -> BehaviourError {
    BehaviourError {
        field: field.into(),
        problem: problem.into(),
    }
}

/// One share for each way to fail, in an order that does not depend on who wrote them down.
fn put(errors: &mut Vec<(FailureMode, f64)>, mode: FailureMode, share: f64) {
    errors.retain(|(known, _)| *known != mode);
    errors.push((mode, share));
    errors.sort_by_key(|(mode, _)| *mode);
}

impl Behaviour {
    /// Answers every call at once and never fails.
    pub fn healthy() -> Behaviour {
        Behaviour::default()
    }

    /// How long it works on a call: a time, a range or any [`Latency`], as links take them. What the network takes comes on top.
    /// tokio's timers count in milliseconds and round up. Default: 0.
    #[must_use]
    pub fn latency(mut self, latency: impl Into<Latency>) -> Behaviour {
        self.latency = latency.into();
        self
    }

    /// This share of the calls, 0 to 1 and counted to a millionth, fails so. The shares of all modes add up to 1 at most. Default: none.
    #[must_use]
    pub fn error(mut self, mode: FailureMode, share: f64) -> Behaviour {
        put(&mut self.errors, mode, share);
        self
    }

    /// It is down in this window: connections are refused, those that are open are reset at its start.
    #[must_use]
    pub fn outage(mut self, window: Window) -> Behaviour {
        self.outages.push(window);
        self
    }

    /// It works badly in a window. Where windows overlap the first counts.
    #[must_use]
    pub fn brown_out(mut self, brown_out: BrownOut) -> Behaviour {
        self.brown_outs.push(brown_out);
        self
    }

    /// Up and down in turns, from its start on: of each `period` it is up for the share `up`, more than 0 and less than 1, and then
    /// down as in an outage. Default: always up.
    #[must_use]
    pub fn flapping(mut self, period: Duration, up: f64) -> Behaviour {
        self.flapping = Some(Flapping { period, up });
        self
    }

    /// At most `calls` in any time of length `per`, and as many at once; more are refused with status 429 (over HTTP with
    /// `retry-after`). Default: no limit.
    #[must_use]
    pub fn rate_limit(mut self, calls: u32, per: Duration) -> Behaviour {
        self.rate_limit = Some(RateLimit {
            calls,
            per,
            burst: None,
        });
        self
    }

    /// As [`rate_limit`](Behaviour::rate_limit), but only so many at once, 1 to `calls`: the others spread over the time.
    #[must_use]
    pub fn rate_limit_with_burst(mut self, calls: u32, per: Duration, burst: u32) -> Behaviour {
        self.rate_limit = Some(RateLimit {
            calls,
            per,
            burst: Some(burst),
        });
        self
    }

    /// At most `slots` calls at a time, at least 1; `queue` more wait for their turn, in order; what finds the queue full is refused with
    /// status 503. Default: no limit.
    #[must_use]
    pub fn capacity(self, slots: u32, queue: u32) -> Behaviour {
        self.capacity_or(slots, queue, FailureMode::Status(503))
    }

    /// As [`capacity`](Behaviour::capacity), but what finds the queue full fails so.
    #[must_use]
    pub fn capacity_or(mut self, slots: u32, queue: u32, overflow: FailureMode) -> Behaviour {
        self.capacity = Some(Capacity {
            slots,
            queue,
            overflow,
        });
        self
    }

    /// For so long after it was down (its host restarted, an outage, flapping or [`FailureMode::Refused`] ended) its latency is
    /// `slower` times as long, 1 to 1,000,000. Default: no difference.
    #[must_use]
    pub fn cold_start(mut self, lasts: Duration, slower: f64) -> Behaviour {
        self.cold_start = Some(ColdStart { lasts, slower });
        self
    }

    /// Whether it can be.
    ///
    /// # Errors
    /// The first field that cannot, with what would do.
    pub fn check(&self) -> Result<(), BehaviourError> {
        check_errors("errors", &self.errors)?;
        let at_once = self.latency == Latency::fixed(Duration::ZERO);
        let check_slower = |field: String, slower: f64, at_once: bool| {
            if !(1.0..=1e6).contains(&slower) {
                let problem = format!("a factor from 1 to 1000000, not {slower}");
                return Err(wrong(field, problem));
            }
            if slower > 1.0 && at_once {
                let problem = "it multiplies the latency, which is 0; set `latency`, too";
                return Err(wrong(field, problem));
            }
            Ok(())
        };
        for (i, window) in self.outages.iter().enumerate() {
            window.check(&format!("outages[{i}]"))?;
        }
        for (i, brown_out) in self.brown_outs.iter().enumerate() {
            let field = format!("brown_outs[{i}]");
            brown_out.window.check(&field)?;
            check_errors(&format!("{field}.errors"), &brown_out.errors)?;
            let at_once = at_once && brown_out.latency.is_none();
            check_slower(format!("{field}.slower"), brown_out.slower, at_once)?;
            if *brown_out == BrownOut::new(brown_out.window) {
                let problem = "it changes nothing; set `latency`, `slower` or `errors`";
                return Err(wrong(field, problem));
            }
        }
        if let Some(flapping) = &self.flapping {
            if flapping.period < Duration::from_millis(2) {
                let problem =
                    "a period is at least 2ms: the timers of its host count in milliseconds";
                return Err(wrong("flapping.period", problem));
            }
            if !(flapping.up > 0.0 && flapping.up < 1.0) {
                let problem = format!(
                    "the share of the time that it is up is more than 0 and less than 1, not {}; for one that is always down use an outage",
                    flapping.up
                );
                return Err(wrong("flapping.up", problem));
            }
        }
        if let Some(limit) = &self.rate_limit {
            if limit.calls == 0 {
                let problem = "at least 1 call; an outage lets none through";
                return Err(wrong("rate_limit.calls", problem));
            }
            if limit.per.is_zero() {
                let problem = "the time that so many calls are for, such as 1s";
                return Err(wrong("rate_limit.per", problem));
            }
            let burst = limit.burst.unwrap_or(limit.calls);
            if !(1..=limit.calls).contains(&burst) {
                let problem = format!("1 to `calls`, which is {}, not {burst}", limit.calls);
                return Err(wrong("rate_limit.burst", problem));
            }
        }
        if let Some(capacity) = &self.capacity {
            if capacity.slots == 0 {
                let problem = "at least 1 slot; an outage lets none through";
                return Err(wrong("capacity.slots", problem));
            }
            check_mode("capacity.overflow", capacity.overflow)?;
        }
        if let Some(cold) = &self.cold_start {
            if cold.lasts.is_zero() {
                let problem = "a cold start lasts some time, such as 30s";
                return Err(wrong("cold_start.lasts", problem));
            }
            check_slower("cold_start.slower".to_owned(), cold.slower, at_once)?;
        }
        Ok(())
    }
}

/// Whether single calls can fail so.
fn check_mode(field: &str, mode: FailureMode) -> Result<(), BehaviourError> {
    if mode == FailureMode::Refused {
        let problem = "`refused` is a state of the whole dependency and no answer to one call; use outages, flapping or break_with";
        return Err(wrong(field, problem));
    }
    mode.problem()
        .map_or(Ok(()), |problem| Err(wrong(field, problem)))
}

fn check_errors(field: &str, errors: &[(FailureMode, f64)]) -> Result<(), BehaviourError> {
    for (mode, share) in errors {
        let field = format!("{field}.{mode}");
        check_mode(&field, *mode)?;
        if !(0.0..=1.0).contains(share) {
            let problem = format!("a share is a number from 0 to 1, not {share}");
            return Err(wrong(field, problem));
        }
    }
    let sum: f64 = errors.iter().map(|(_, share)| share).sum();
    if sum > 1.000_000_5 {
        let problem = format!("the shares add up to {sum}; together they may come to 1 at most");
        return Err(wrong(field, problem));
    }
    Ok(())
}
