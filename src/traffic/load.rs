//! The shape of a load: when requests arrive, or how many users there are. Data only; `drive` carries it out.

use super::pieces::{self, Piece, Pieces, Spacing};
use super::rate::Rate;
use super::trace::{Entry, Trace};
use crate::sim::Latency;
use std::sync::Arc;
use std::time::Duration;

/// When requests arrive.
///
/// Open loads (all but [`users`](Load::users)) have their arrivals planned whatever becomes of the requests before, as those of people who do not know
/// of each other. Arrivals are those of a Poisson process of the given rate unless [`evenly`](Load::evenly) says otherwise. Loads are put one after the
/// other with [`then`](Load::then) and on top of each other with [`overlay`](Load::overlay).
///
/// ```
/// use squall::traffic::{Load, millis, rps, secs};
///
/// let day = Load::ramp(rps(0), rps(100), secs(30))
///     .then(Load::constant(rps(100), secs(60)))
///     .then(Load::spike(rps(100), rps(2_000)).at(secs(5)).lasting(secs(2)))
///     .overlay(Load::users(20, secs(90)).think(millis(500)));
/// assert_eq!(day.length(), secs(107));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a load does nothing until it is given to Sim::traffic"]
pub struct Load {
    pub(super) parts: Vec<Part>,
    length: Duration,
}

/// One source of arrivals, and when it begins.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) at: Duration,
    pub(super) source: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Rate(Curve, Spacing),
    Trace(Arc<[Entry]>),
    Users(Users),
}

/// How a rate changes. Times in seconds, rates in requests a second.
#[derive(Clone, Debug)]
pub(super) enum Curve {
    Pieces(Arc<[Piece]>),
    /// Low, high, period, length.
    Swing(f64, f64, f64, f64),
    /// Rate, on, off, length.
    Bursts(f64, f64, f64, f64),
    /// The pieces, and from when to when the load is unusual.
    Spike(Arc<[Piece]>, Duration, Duration),
}

impl Curve {
    pub(super) fn pieces(&self) -> Pieces {
        match self {
            Curve::Pieces(pieces) | Curve::Spike(pieces, ..) => {
                let pieces = pieces.clone();
                Box::new((0..pieces.len()).map(move |i| pieces[i]))
            }
            Curve::Swing(low, high, period, seconds) => {
                pieces::swing(*low, *high, *period, *seconds)
            }
            Curve::Bursts(rate, on, off, seconds) => pieces::bursts(*rate, *on, *off, *seconds),
        }
    }
}

fn flat(rate: Rate, time: Duration) -> Piece {
    slope(rate, rate, time)
}

fn slope(from: Rate, to: Rate, time: Duration) -> Piece {
    Piece {
        seconds: time.as_secs_f64(),
        from: from.per_second(),
        to: to.per_second(),
    }
}

impl Load {
    fn of(source: Source, length: Duration) -> Load {
        assert!(!length.is_zero(), "a load lasts longer than no time");
        let at = Duration::ZERO;
        Load {
            parts: vec![Part { at, source }],
            length,
        }
    }

    fn pieces(pieces: impl IntoIterator<Item = Piece>, length: Duration) -> Load {
        let curve = Curve::Pieces(pieces.into_iter().collect());
        Load::of(Source::Rate(curve, Spacing::Poisson), length)
    }

    /// The same rate all the time.
    ///
    /// # Panics
    /// If a time is zero that must not be; so do the other constructors.
    pub fn constant(rate: Rate, lasting: Duration) -> Load {
        Load::pieces([flat(rate, lasting)], lasting)
    }

    /// A rate that goes linearly from one value to another.
    pub fn ramp(from: Rate, to: Rate, lasting: Duration) -> Load {
        Load::pieces([slope(from, to, lasting)], lasting)
    }

    /// Each of the rates for so long.
    ///
    /// # Panics
    /// If there is none.
    pub fn stairs(rates: impl IntoIterator<Item = Rate>, each: Duration) -> Load {
        let steps: Vec<Piece> = rates.into_iter().map(|rate| flat(rate, each)).collect();
        let many = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        assert!(many > 0, "stairs have at least one step");
        Load::pieces(steps, each * many)
    }

    /// `usual`, and for a short while `peak`: see [`Spike`].
    pub fn spike(usual: Rate, peak: Rate) -> Spike {
        Spike {
            usual,
            peak,
            at: Duration::from_secs(10),
            lasting: Duration::from_secs(1),
            tail: None,
        }
    }

    /// A rate that swings between two values as a sine does, from the lower one on: with a period of 24 h the days of a
    /// service whose users sleep.
    pub fn sine(low: Rate, high: Rate, period: Duration, lasting: Duration) -> Load {
        assert!(
            !period.is_zero(),
            "the period of a load is longer than no time"
        );
        let (low, high) = (low.per_second(), high.per_second());
        let curve = Curve::Swing(low, high, period.as_secs_f64(), lasting.as_secs_f64());
        Load::of(Source::Rate(curve, Spacing::Poisson), lasting)
    }

    /// `rate` for `on`, nothing for `off`, and so on.
    pub fn bursts(rate: Rate, on: Duration, off: Duration, lasting: Duration) -> Load {
        assert!(!on.is_zero(), "a burst lasts longer than no time");
        let (on, off) = (on.as_secs_f64(), off.as_secs_f64());
        let curve = Curve::Bursts(rate.per_second(), on, off, lasting.as_secs_f64());
        Load::of(Source::Rate(curve, Spacing::Poisson), lasting)
    }

    /// The requests of a recording, each when it came then.
    pub fn trace(trace: Trace) -> Load {
        let length = trace.length().max(Duration::from_nanos(1));
        Load::of(Source::Trace(trace.entries()), length)
    }

    /// So many users, each of whom waits for an answer before the next request: a closed loop. See [`Users`].
    pub fn users(users: u32, lasting: Duration) -> Users {
        assert!(users > 0, "a load has at least one user");
        assert!(!lasting.is_zero(), "a load lasts longer than no time");
        Users {
            users,
            lasting,
            think: Latency::fixed(Duration::ZERO),
            ramp: Duration::ZERO,
        }
    }

    /// Then another load.
    pub fn then(mut self, next: impl Into<Load>) -> Load {
        let next = next.into();
        let begin = self.length;
        let later = next.parts.into_iter().map(|part| Part {
            at: part.at + begin,
            ..part
        });
        self.parts.extend(later);
        self.length += next.length;
        self
    }

    /// Another load at the same time; it begins when this one does.
    pub fn overlay(mut self, other: impl Into<Load>) -> Load {
        let other = other.into();
        self.parts.extend(other.parts);
        self.length = self.length.max(other.length);
        self
    }

    /// Nothing for so long, and then this load: to shift one that is laid over another.
    pub fn after(mut self, quiet: Duration) -> Load {
        for part in &mut self.parts {
            part.at += quiet;
        }
        self.length += quiet;
        self
    }

    /// Arrivals as regular as a clock's, as k6's are: 100 rps for 10 s are exactly 1,000 requests.
    pub fn evenly(mut self) -> Load {
        for part in &mut self.parts {
            if let Source::Rate(_, spacing) = &mut part.source {
                *spacing = Spacing::Even;
            }
        }
        self
    }

    /// How long requests arrive.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// The operations that its traces name.
    pub(super) fn operations(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for part in &self.parts {
            if let Source::Trace(entries) = &part.source {
                for name in entries.iter().filter_map(|entry| entry.operation.as_ref()) {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
            }
        }
        names
    }

    /// From when to when the load itself is unusual.
    pub(super) fn spikes(&self) -> impl Iterator<Item = (Duration, Duration)> {
        self.parts.iter().filter_map(|part| match part.source {
            Source::Rate(Curve::Spike(_, from, to), _) => Some((part.at + from, part.at + to)),
            _ => None,
        })
    }
}

/// A load with a spike in it, made by [`Load::spike`]. The spike counts as a disturbance: the report says how long the service took
/// to recover from it.
///
/// ```
/// use squall::traffic::{Load, rps, secs};
/// // 50 rps for 5 s, 2,000 rps for 2 s, 50 rps for 20 s.
/// let load: Load = Load::spike(rps(50), rps(2_000)).at(secs(5)).lasting(secs(2)).tail(secs(20)).into();
/// assert_eq!(load.length(), secs(27));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a load does nothing until it is given to Sim::traffic"]
pub struct Spike {
    usual: Rate,
    peak: Rate,
    at: Duration,
    lasting: Duration,
    tail: Option<Duration>,
}

impl Spike {
    /// When it comes. Default: after 10 s.
    pub fn at(mut self, at: Duration) -> Spike {
        self.at = at;
        self
    }

    /// How long it lasts. Default: 1 s.
    pub fn lasting(mut self, lasting: Duration) -> Spike {
        self.lasting = lasting;
        self
    }

    /// How long the usual load goes on after it. Default: as long as before it, but at least 10 s.
    pub fn tail(mut self, tail: Duration) -> Spike {
        self.tail = Some(tail);
        self
    }

    /// As [`Load::then`].
    pub fn then(self, next: impl Into<Load>) -> Load {
        Load::from(self).then(next)
    }

    /// As [`Load::overlay`].
    pub fn overlay(self, other: impl Into<Load>) -> Load {
        Load::from(self).overlay(other)
    }

    /// As [`Load::evenly`].
    pub fn evenly(self) -> Load {
        Load::from(self).evenly()
    }
}

impl From<Spike> for Load {
    fn from(spike: Spike) -> Load {
        assert!(
            !spike.lasting.is_zero(),
            "a spike lasts longer than no time"
        );
        let tail = spike.tail.unwrap_or(spike.at.max(Duration::from_secs(10)));
        let end = spike.at + spike.lasting;
        let pieces = [
            flat(spike.usual, spike.at),
            flat(spike.peak, spike.lasting),
            flat(spike.usual, tail),
        ];
        let pieces = pieces.into_iter().filter(|piece| piece.seconds > 0.0);
        let curve = Curve::Spike(pieces.collect(), spike.at, end);
        Load::of(Source::Rate(curve, Spacing::Poisson), end + tail)
    }
}

/// Users who wait for each answer, made by [`Load::users`].
///
/// ```
/// use squall::Latency;
/// use squall::traffic::{Load, millis, secs};
/// let load = Load::users(50, secs(60))
///     .think(Latency::exponential(millis(100), secs(2)))
///     .ramp(secs(10));
/// assert_eq!(Load::from(load).length(), secs(60));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a load does nothing until it is given to Sim::traffic"]
pub struct Users {
    pub(super) users: u32,
    pub(super) lasting: Duration,
    pub(super) think: Latency,
    pub(super) ramp: Duration,
}

impl Users {
    /// How long each waits between an answer and the next request. Default: not at all.
    pub fn think(mut self, time: impl Into<Latency>) -> Users {
        self.think = time.into();
        self
    }

    /// They come one after the other within so long. Default: all at once.
    pub fn ramp(mut self, within: Duration) -> Users {
        self.ramp = within;
        self
    }

    /// As [`Load::then`].
    pub fn then(self, next: impl Into<Load>) -> Load {
        Load::from(self).then(next)
    }

    /// As [`Load::overlay`].
    pub fn overlay(self, other: impl Into<Load>) -> Load {
        Load::from(self).overlay(other)
    }
}

impl From<Users> for Load {
    fn from(users: Users) -> Load {
        let length = users.lasting;
        Load::of(Source::Users(users), length)
    }
}

impl From<Trace> for Load {
    fn from(trace: Trace) -> Load {
        Load::trace(trace)
    }
}
