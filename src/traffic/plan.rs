//! Carries out a load: a thread of its own sleeps until each arrival is due, to the nanosecond (tokio's timers have a resolution of a
//! millisecond), hands the request to the test's runtime, and takes samples in between. Called by `drive`.

use super::cx::Request;
use super::keys::Keys;
use super::load::{Load, Source, Users};
use super::pieces::Arrivals;
use super::send::{Shared, draw};
use super::signs::Sample;
use super::trace::Entry;
use crate::drawn::by_weight;
use crate::kernel;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// What requests are about.
pub(super) struct Mix {
    pub(super) operations: Vec<(u32, Arc<str>)>,
    pub(super) keys: Option<Keys>,
    pub(super) ids: AtomicU64,
    pub(super) resolution: u64,
}

impl Mix {
    /// The next request.
    fn request(&self, shared: &Shared, planned: u64, user: Option<u32>) -> Request {
        let weights = self.operations.iter().map(|(weight, _)| *weight);
        let number = match self.operations.len() {
            1 => 0,
            _ => by_weight(weights, draw).unwrap_or(0),
        };
        let key = self.keys.as_ref().map(|keys| keys.sample(&mut draw));
        self.of(
            number,
            self.operations[number].1.clone(),
            key,
            user,
            shared.start + planned,
        )
    }

    /// The next request of a trace.
    fn recorded(&self, shared: &Shared, planned: u64, entry: &Entry) -> Request {
        let mut request = match &entry.operation {
            None => self.request(shared, planned, None),
            Some(name) => {
                let number = shared.lock().operation(name, self.resolution);
                let key = match entry.key {
                    Some(_) => None,
                    None => self.keys.as_ref().map(|keys| keys.sample(&mut draw)),
                };
                self.of(number, name.clone(), key, None, shared.start + planned)
            }
        };
        request.key = entry.key.or(request.key);
        request
    }

    fn of(
        &self,
        number: usize,
        operation: Arc<str>,
        key: Option<u64>,
        user: Option<u32>,
        planned: u64,
    ) -> Request {
        Request {
            id: self.ids.fetch_add(1, Ordering::Relaxed),
            operation,
            number,
            key,
            user,
            planned,
            draws: Default::default(),
        }
    }
}

/// What happens next at one source of arrivals.
struct Stream {
    at: u64,
    kind: Kind,
    /// When it happens, in nanoseconds since the start of the traffic.
    due: Option<u64>,
}

enum Kind {
    Rate(Arrivals),
    Trace(Arc<[Entry]>, usize),
    Users(Users, u32),
}

impl Stream {
    fn advance(&mut self) {
        let within = match &mut self.kind {
            Kind::Rate(arrivals) => arrivals.next(&mut draw).map(|s| (s * 1e9) as u64),
            Kind::Trace(entries, next) => {
                *next += 1;
                entries.get(*next - 1).map(|entry| ns(entry.at))
            }
            Kind::Users(users, next) => {
                *next += 1;
                let each = ns(users.ramp) / u64::from(users.users);
                (*next <= users.users).then(|| each * u64::from(*next - 1))
            }
        };
        self.due = within.map(|within| self.at + within);
    }
}

pub(super) fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Everything that a traffic does over time.
pub(super) struct Plan {
    pub(super) name: Arc<str>,
    pub(super) load: Load,
    pub(super) mix: Arc<Mix>,
    /// Nanoseconds between samples.
    pub(super) every: u64,
    /// Nanoseconds after the last arrival after which what is still under way is dropped.
    pub(super) drain: u64,
}

impl Plan {
    /// Does it; returns when everything is over.
    pub(super) async fn carry_out(self, shared: &Arc<Shared>, runtime: &Handle) {
        let mut streams: Vec<Stream> = self.load.parts.iter().map(stream).collect();
        streams.iter_mut().for_each(Stream::advance);
        let length = ns(self.load.length());
        let mut sample_due = 0;
        let mut end = None;
        loop {
            let next = streams
                .iter()
                .enumerate()
                .filter_map(|(i, stream)| Some((stream.due?, i)))
                .min();
            let due = match (next, end) {
                (Some((due, _)), _) => due,
                (None, Some(end)) => end,
                // The load lasts as long as it says, arrivals or not.
                (None, None) => length,
            };
            wait(shared, due.min(sample_due)).await;
            if shared.lock().done() {
                return;
            }
            if sample_due <= due {
                self.sample(shared, sample_due);
                sample_due += self.every;
                continue;
            }
            match (next, end) {
                (Some((due, i)), _) => {
                    self.arrival(shared, runtime, &streams[i], due);
                    streams[i].advance();
                }
                (None, None) => {
                    shared.all_planned();
                    end = Some(length.saturating_add(self.drain));
                }
                (None, Some(_)) => return shared.cut_off(),
            }
        }
    }

    fn sample(&self, shared: &Shared, at: u64) {
        let in_flight = shared.lock().total.in_flight;
        let sample = Sample::take(&self.name, at, in_flight);
        shared.lock().samples.push(sample);
    }

    fn arrival(&self, shared: &Arc<Shared>, runtime: &Handle, stream: &Stream, due: u64) {
        let request = match &stream.kind {
            Kind::Users(users, next) => {
                let until = shared.start + stream.at + ns(users.lasting);
                return self.user(shared, runtime, users, *next - 1, until);
            }
            Kind::Rate(_) => self.mix.request(shared, due, None),
            Kind::Trace(entries, next) => self.mix.recorded(shared, due, &entries[*next - 1]),
        };
        let Some(task) = shared.enter() else { return };
        if !shared.arrives(task, &request) {
            return shared.leave(task);
        }
        let (shared, request) = (shared.clone(), Arc::new(request));
        let served = shared.clone();
        let handle = runtime.spawn(async move {
            served.serve(task, request).await;
            served.leave(task);
        });
        shared.entered(task, handle);
    }

    fn user(&self, shared: &Arc<Shared>, runtime: &Handle, users: &Users, user: u32, until: u64) {
        let Some(task) = shared.enter() else { return };
        let (served, mix) = (shared.clone(), self.mix.clone());
        let think = users.think.delay();
        let handle = runtime.spawn(async move {
            let next = || mix.request(&served, served.now(), Some(user));
            served.user(task, until, think, next).await;
            served.leave(task);
        });
        shared.entered(task, handle);
    }
}

fn stream(part: &super::load::Part) -> Stream {
    let kind = match &part.source {
        Source::Rate(curve, spacing) => Kind::Rate(Arrivals::new(curve.pieces(), *spacing)),
        Source::Trace(entries) => Kind::Trace(entries.clone(), 0),
        Source::Users(users) => Kind::Users(users.clone(), 0),
    };
    Stream {
        at: ns(part.at),
        kind,
        due: None,
    }
}

/// Sleeps until so many nanoseconds after the start of the traffic.
async fn wait(shared: &Shared, until: u64) {
    loop {
        let now = shared.now();
        if now >= until {
            return;
        }
        kernel::rest(until - now).await;
    }
}
