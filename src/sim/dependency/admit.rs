//! What a dependency does with one call: whether it is let in, how long it takes and how it is to be answered. The servers and
//! the typed double come in here with each call, and answer as they are told.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use super::super::link::ns;
use super::behaviour::RateLimit;
use super::calls::{Call, Outcome, host_name};
use super::mode::FailureMode;
use super::slots::Entry;
use super::stub::{State, Stub, now, sleep};
use crate::kernel::{self, Domain, MILLION};

/// How a call is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// As the handler says; so many bytes at a time, in so many nanoseconds, if that is given.
    Serve { drip: Option<(u32, u64)> },
    /// With this status; after so many nanoseconds it may be tried again, if that is known.
    Refuse { status: u16, again: Option<u64> },
    /// The connection is reset.
    Reset,
    /// With bytes that nobody understands, of one of several kinds.
    Malformed(u64),
    /// The connection is closed.
    Empty,
    /// Not at all.
    Never,
    /// It is down: there should not even be a connection.
    Down,
}

/// How many kinds of malformed answers there are.
const MALFORMED: u64 = 3;

/// A call under way. Dropping it ends the call.
#[derive(Debug)]
pub(super) struct Ticket {
    stub: Stub,
    /// Where it is among the calls.
    at: usize,
    /// Of which start of the dependency it is.
    start: u64,
    waits: Option<u64>,
    served: bool,
    outcome: Option<Outcome>,
    finished: bool,
}

fn draw(domain: Domain, n: u64) -> u64 {
    kernel::draw(domain, n).unwrap_or(0)
}

/// Whether something of this share happens, and what: the highest answers stand for failures, 0 for none.
fn pick(errors: &[(FailureMode, f64)]) -> Option<FailureMode> {
    let millionths = |share: f64| (share * MILLION as f64).round() as u64;
    match errors {
        [] => return None,
        [(mode, share)] if millionths(*share) >= MILLION => return Some(*mode),
        _ => {}
    }
    let answer = draw(Domain::Faults, MILLION);
    let mut edge = MILLION;
    for (mode, share) in errors {
        edge = edge.saturating_sub(millionths(*share));
        if answer >= edge {
            return Some(*mode);
        }
    }
    None
}

impl State {
    /// Takes a call from the rate limit, or says after how many nanoseconds there will be one.
    fn limited(&mut self, limit: RateLimit, now: u64) -> Option<u64> {
        let interval = (ns(limit.per) / u64::from(limit.calls)).max(1);
        let early = interval.saturating_mul(u64::from(limit.burst.unwrap_or(limit.calls)) - 1);
        let due = self.due.max(now);
        if due - now > early {
            return Some(due - now - early);
        }
        self.due = due.saturating_add(interval);
        None
    }

    /// How many times as long as usual it takes, for having been down lately.
    fn cold(&self, now: u64) -> f64 {
        let Some(cold) = self.behaviour.cold_start else {
            return 1.0;
        };
        let back = self.behaviour.returned(self.started, now);
        let back = back.max(self.came_back);
        let still = back.is_some_and(|back| now - back.min(now) < ns(cold.lasts));
        if still { cold.slower } else { 1.0 }
    }
}

impl Stub {
    /// A call arrives from a host. Waits for its turn and for as long as the call takes, and says how to answer it.
    pub(super) async fn admit(&self, what: String, client: u16) -> (Ticket, Answer) {
        let mut ticket = self.begin(what, client);
        let at = now();
        if self.with(|s| s.down(at)) {
            return ticket.failing(FailureMode::Refused);
        }
        let again = self.with(|s| {
            let limit = s.behaviour.rate_limit?;
            s.limited(limit, at)
        });
        if again.is_some() {
            ticket.outcome = Some(Outcome::Limited);
            return (ticket, Answer::Refuse { status: 429, again });
        }
        let (entry, overflow) = self.with(|s| {
            let capacity = s.behaviour.capacity;
            (s.slots.enter(capacity), capacity.map(|c| c.overflow))
        });
        match entry {
            Entry::Served => ticket.served = true,
            Entry::Waits(id) => {
                ticket.waits = Some(id);
                poll_fn(|cx| match self.with(|s| s.slots.turn(id, cx.waker())) {
                    (true, _) => Poll::Ready(()),
                    (false, _) => Poll::Pending,
                })
                .await;
                ticket.waits = None;
                ticket.served = true;
            }
            Entry::Full => {
                let mode = overflow.unwrap_or(FailureMode::Status(503));
                let (mut ticket, answer) = ticket.failing(mode);
                ticket.outcome = Some(Outcome::Overflowed);
                return (ticket, answer);
            }
        }
        self.work(ticket).await
    }

    /// Takes the time that the call takes, and draws how it is to be answered.
    async fn work(&self, mut ticket: Ticket) -> (Ticket, Answer) {
        let at = now();
        let (broken, errors, latency, slower) = self.with(|s| {
            let brown = s.behaviour.browned_out(s.started, at);
            let errors = brown.map(|b| &b.errors).filter(|errors| !errors.is_empty());
            let errors = errors.unwrap_or(&s.behaviour.errors).clone();
            let latency = brown.and_then(|b| b.latency.as_ref());
            let latency = latency.unwrap_or(&s.behaviour.latency).clone();
            let slower = brown.map_or(1.0, |b| b.slower) * s.cold(at);
            (s.broken, errors, latency, slower)
        });
        let mode = broken.and_then(|broken| pick(&[broken]));
        let mode = mode.or_else(|| pick(&errors));
        let mut time = latency.sample(&mut |n| draw(Domain::Network, n));
        if slower > 1.0 {
            // One multiplication and one rounding: the same on every machine.
            time = (time as f64 * slower) as u64;
        }
        if let Some(FailureMode::Slow(by)) = mode {
            time = time.saturating_add(ns(by));
        }
        if mode == Some(FailureMode::Timeout) {
            // Whatever ends it ends a call that was not to be answered.
            ticket.outcome = Some(Outcome::Failed(FailureMode::Timeout));
        }
        sleep(time).await;
        match mode {
            None => (ticket, Answer::Serve { drip: None }),
            Some(mode) => ticket.failing(mode),
        }
    }

    fn begin(&self, what: String, client: u16) -> Ticket {
        let at = now();
        let call = Call {
            what,
            client,
            start: at,
            end: None,
        };
        if !self.with(|s| s.clients.contains_key(&client)) {
            let name = host_name(client);
            self.with(|s| s.clients.insert(client, name));
        }
        let (at, start) = self.with(|s| {
            s.calls.push(call);
            (s.calls.len() - 1, s.starts)
        });
        let ticket = Ticket {
            stub: self.clone(),
            at,
            start,
            waits: None,
            served: false,
            outcome: None,
            finished: false,
        };
        ticket.note("invoke", None);
        ticket
    }
}

impl Ticket {
    fn failing(mut self, mode: FailureMode) -> (Ticket, Answer) {
        self.outcome = Some(Outcome::Failed(mode));
        let answer = match mode {
            FailureMode::Status(status) => Answer::Refuse {
                status,
                again: None,
            },
            FailureMode::Reset => Answer::Reset,
            FailureMode::Malformed => Answer::Malformed(draw(Domain::Faults, MALFORMED)),
            FailureMode::Timeout => Answer::Never,
            FailureMode::Empty => Answer::Empty,
            FailureMode::Drip { bytes, every } => Answer::Serve {
                drip: Some((bytes, ns(every))),
            },
            FailureMode::Slow(_) => Answer::Serve { drip: None },
            FailureMode::Refused => Answer::Down,
        };
        (self, answer)
    }

    /// It was answered as it was to be.
    pub(super) fn finish(mut self) {
        self.finished = true;
        let outcome = self.outcome.unwrap_or(Outcome::Answered);
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        let at = now();
        let wake: Vec<Waker> = self.stub.with(|s| {
            if s.starts != self.start {
                // The program that it belonged to is over, and so is the call.
                return Vec::new();
            }
            if let Some(call) = s.calls.get_mut(self.at) {
                call.end.get_or_insert((at, outcome));
            }
            let capacity = s.behaviour.capacity;
            match self.waits.take() {
                Some(id) => s.slots.gives_up(id, capacity),
                None if std::mem::take(&mut self.served) => s.slots.leave(capacity),
                None => Vec::new(),
            }
        });
        wake.into_iter().for_each(Waker::wake);
        let phase = match outcome {
            _ if outcome.answered() => "ok",
            Outcome::Failed(FailureMode::Timeout) | Outcome::Cut | Outcome::Abandoned => "info",
            _ => "fail",
        };
        self.note(phase, Some(outcome));
    }

    /// The call as an operation of the history, where the run is told.
    fn note(&self, phase: &str, outcome: Option<Outcome>) {
        kernel::note("op", || {
            let (what, client) = self.stub.with(|s| {
                let call = &s.calls[self.at];
                (call.what.clone(), s.clients.get(&call.client).cloned())
            });
            serde_json::json!({
                "client": client,
                "op": format!("{} {what}", self.stub.name()),
                "phase": phase,
                "outcome": outcome.map(|o| o.to_string()),
            })
            .to_string()
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let at = now();
        let outcome = match self.outcome {
            Some(Outcome::Failed(FailureMode::Timeout)) => Outcome::Failed(FailureMode::Timeout),
            _ if self.stub.with(|s| s.down(at)) => Outcome::Cut,
            _ => Outcome::Abandoned,
        };
        self.end(outcome);
    }
}
