//! A recorded run as a time line: lanes for tasks and threads, events on them, polls and waits as spans, messages and wakes as
//! arrows, fault windows and measured series. Columns of numbers rather than objects, as a run can have a hundred thousand
//! events. `html` and `perfetto` show it.

use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::phrases::{phrase, task_name, thread_name};
use super::steps::{self, Actor};
use super::{Recorded, tracks};
use crate::kernel::{Event, What};

/// Everything that a time line shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Timeline {
    /// Hosts' names by their numbers.
    pub(crate) hosts: Vec<String>,
    /// Lanes, those of a host side by side.
    pub(crate) lanes: Vec<Lane>,
    /// What events and places say; events refer to it. The first is empty.
    pub(crate) texts: Vec<String>,
    pub(crate) events: Columns,
    /// Polls and waits.
    pub(crate) spans: Vec<Span>,
    /// Messages and wakes.
    pub(crate) arrows: Vec<Arrow>,
    /// While a fault was in force.
    pub(crate) windows: Vec<tracks::Window>,
    /// What was measured.
    pub(crate) series: Vec<tracks::Series>,
    /// Operations of clients.
    pub(crate) operations: Vec<tracks::Operation>,
    /// Spans of `tracing`, from their making to their end.
    pub(crate) scopes: Vec<tracks::Scope>,
}

/// A row of the time line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Lane {
    pub(crate) host: u16,
    pub(crate) name: String,
    pub(crate) task: bool,
}

/// One entry for each event, in the order in which they happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Columns {
    /// Nanoseconds since the event before.
    pub(crate) later: Vec<u64>,
    pub(crate) lane: Vec<u32>,
    pub(crate) kind: Vec<Kind>,
    /// What happened: an index into the texts.
    pub(crate) text: Vec<u32>,
    /// Where: an index into the texts.
    pub(crate) place: Vec<u32>,
    /// Decisions taken by then, since the event before.
    pub(crate) decisions: Vec<u64>,
}

/// What sort of event it is. Serialized as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Call = 0,
    Wait = 1,
    Wake = 2,
    Task = 3,
    Memory = 4,
    Scheduler = 5,
    World = 6,
    Output = 7,
    Log = 8,
    Panic = 9,
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// A stretch of time on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Span(
    /// The lane.
    pub(crate) u32,
    /// The first event.
    pub(crate) u32,
    /// The last event.
    pub(crate) u32,
    /// 0 a poll, 1 a wait, 2 a span of `tracing` that is entered.
    pub(crate) u8,
);

/// From an event to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Arrow(
    /// 0 a message, 1 a wake.
    pub(crate) u8,
    /// The event that it starts from.
    pub(crate) u32,
    /// The event that it leads to.
    pub(crate) u32,
);

/// The kind of a poll's span.
pub(crate) const POLL: u8 = 0;
/// The kind of a wait's span.
pub(crate) const WAIT: u8 = 1;
/// The kind of the span of a span of `tracing`.
pub(crate) const SCOPE: u8 = 2;
/// The kind of a message's arrow.
pub(crate) const MESSAGE: u8 = 0;
/// The kind of a wake's arrow.
pub(crate) const WAKE: u8 = 1;

/// The time line of a recorded run.
pub(crate) fn timeline(all: &Recorded) -> Timeline {
    let mut maker = Maker::new(all);
    for (i, event) in all.events.iter().enumerate() {
        maker.event(i as u32, event);
    }
    maker.finish()
}

struct Maker<'a> {
    all: &'a Recorded,
    out: Timeline,
    lanes: HashMap<Actor, u32>,
    texts: HashMap<String, u32>,
    before: (u64, u64),
    /// The poll that a thread is in: the event that it began with, and the task's lane.
    polls: HashMap<u32, (u32, u32)>,
    /// The wait that a thread is in: its event.
    waits: HashMap<u32, u32>,
    /// Who has been woken and has not gone on yet: by which events.
    woken: HashMap<Actor, u32>,
    /// The spans of `tracing` that are entered, by their numbers, and the threads that entered them: their events.
    entered: HashMap<(u32, u64), u32>,
    wires: HashMap<(u32, bool), Direction>,
    tracks: tracks::Reader,
}

/// What is on its way from one end of a connection to the other.
#[derive(Default)]
struct Direction {
    sent: u64,
    received: u64,
    /// Sends of which something has not arrived yet: where in the stream each ends, and its event.
    open: VecDeque<(u64, u32)>,
}

impl<'a> Maker<'a> {
    fn new(all: &'a Recorded) -> Maker<'a> {
        let mut out = Timeline {
            hosts: all.hosts.clone(),
            texts: vec![String::new()],
            ..Timeline::default()
        };
        let mut actors: BTreeMap<(u16, Actor), ()> = BTreeMap::new();
        for event in &all.events {
            actors.insert((event.host, steps::actor(event)), ());
        }
        let mut lanes = HashMap::new();
        for (host, actor) in actors.into_keys() {
            // A thread that changes hosts is where it was first.
            lanes.entry(actor).or_insert_with(|| {
                out.lanes.push(Lane {
                    host,
                    name: match actor {
                        Actor::Thread(thread) if thread as usize >= all.threads.len() => {
                            "the world".to_owned()
                        }
                        Actor::Thread(_) | Actor::Task(_) => steps::title(all, actor),
                    },
                    task: matches!(actor, Actor::Task(_)),
                });
                out.lanes.len() as u32 - 1
            });
        }
        Maker {
            all,
            out,
            lanes,
            texts: HashMap::new(),
            before: (0, 0),
            polls: HashMap::new(),
            waits: HashMap::new(),
            woken: HashMap::new(),
            entered: HashMap::new(),
            wires: HashMap::new(),
            tracks: tracks::Reader::default(),
        }
    }

    fn text(&mut self, text: String) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&known) = self.texts.get(&text) {
            return known;
        }
        let number = self.out.texts.len() as u32;
        self.out.texts.push(text.clone());
        self.texts.insert(text, number);
        number
    }

    fn event(&mut self, number: u32, event: &Event) {
        let actor = steps::actor(event);
        let lane = self.lanes[&actor];
        let site = self.all.site(event);
        let said = phrase(self.all, event, site).unwrap_or_else(|| self.words(event));
        let text = self.text(said);
        let place = site.map(|site| match site.via.as_str() {
            "" => site.place.short(),
            via => format!("{} ({via})", site.place.short()),
        });
        let place = self.text(place.unwrap_or_default());
        let columns = &mut self.out.events;
        columns.later.push(event.at.saturating_sub(self.before.0));
        columns
            .decisions
            .push(event.decisions.saturating_sub(self.before.1));
        columns.lane.push(lane);
        columns.kind.push(kind(&event.what));
        columns.text.push(text);
        columns.place.push(place);
        self.before = (
            event.at.max(self.before.0),
            event.decisions.max(self.before.1),
        );
        self.goes_on(number, event, actor);
        self.connects(number, event, actor, lane);
        if let What::Note { kind, data } = &event.what
            && let Some((phase, id)) = self.tracks.note(event.at, kind, data)
        {
            self.scope(number, event.thread, lane, &phase, id);
        }
    }

    /// Whoever does something has gone on.
    fn goes_on(&mut self, number: u32, event: &Event, actor: Actor) {
        let goes_on = match event.what {
            What::PollBegins { task } => Actor::Task(task),
            _ => actor,
        };
        if let Some(by) = self.woken.remove(&goes_on) {
            self.out.arrows.push(Arrow(WAKE, by, number));
        }
        if !matches!(event.what, What::Block { .. })
            && let Some(since) = self.waits.remove(&event.thread)
        {
            let lane = self.out.events.lane[since as usize];
            self.out.spans.push(Span(lane, since, number, WAIT));
        }
    }

    fn connects(&mut self, number: u32, event: &Event, actor: Actor, lane: u32) {
        match &event.what {
            What::PollBegins { task } => {
                let lane = self.lanes.get(&Actor::Task(*task)).copied().unwrap_or(lane);
                self.polls.insert(event.thread, (number, lane));
            }
            What::PollEnds { .. } => {
                if let Some((since, lane)) = self.polls.remove(&event.thread) {
                    self.out.spans.push(Span(lane, since, number, POLL));
                }
            }
            What::Block { .. } => {
                self.waits.insert(event.thread, number);
            }
            What::WakesTask { task } if actor != Actor::Task(*task) => {
                self.woken.entry(Actor::Task(*task)).or_insert(number);
            }
            What::Wake { thread, .. } if *thread != event.thread => {
                self.woken.entry(Actor::Thread(*thread)).or_insert(number);
                if let Some(since) = self.waits.remove(thread) {
                    let lane = self.out.events.lane[since as usize];
                    self.out.spans.push(Span(lane, since, number, WAIT));
                }
            }
            What::Call {
                name,
                result,
                error: None,
                wire: Some(wire),
                ..
            } if *result > 0 => {
                let bytes = *result as u64;
                if super::phrases::SENDS.contains(&name.as_ref()) {
                    let way = self.wires.entry((wire.number, wire.client)).or_default();
                    way.sent += bytes;
                    way.open.push_back((way.sent, number));
                } else if super::phrases::RECEIVES.contains(&name.as_ref()) {
                    let way = self.wires.entry((wire.number, !wire.client)).or_default();
                    way.received += bytes;
                    while let Some(&(_, by)) =
                        way.open.front().filter(|open| open.0 <= way.received)
                    {
                        way.open.pop_front();
                        self.out.arrows.push(Arrow(MESSAGE, by, number));
                    }
                }
            }
            _ => {}
        }
    }

    /// A span of `tracing` is entered or left.
    fn scope(&mut self, number: u32, thread: u32, lane: u32, phase: &str, id: u64) {
        match phase {
            "enters" => {
                self.entered.insert((thread, id), number);
            }
            "leaves" => {
                if let Some(since) = self.entered.remove(&(thread, id)) {
                    self.out.spans.push(Span(lane, since, number, SCOPE));
                }
            }
            _ => {}
        }
    }

    /// An event that no story tells.
    fn words(&self, event: &Event) -> String {
        let thread = |thread| thread_name(self.all, thread);
        let task = |task| task_name(self.all, task);
        match &event.what {
            What::ThreadBorn { thread: born } => format!("starts {}", thread(*born)),
            What::Wake { thread: woken, .. } => format!("{} can go on", thread(*woken)),
            What::Switch {
                to,
                preempted: true,
            } => format!("gives way to {}", thread(*to)),
            What::Switch { to, .. } => format!("{} goes on", thread(*to)),
            What::TaskBorn { task: born } => format!("spawns {}", task(*born)),
            What::PollBegins { task: polled } => format!("polls {}", task(*polled)),
            What::PollEnds {
                task: polled,
                ready,
            } => match ready {
                true => format!("{} is done", task(*polled)),
                false => format!("{} has to wait", task(*polled)),
            },
            What::WakesTask { task: woken } => format!("wakes {}", task(*woken)),
            What::TaskDied { task: over } => format!("{} is over", task(*over)),
            What::Note { kind, data } => note(kind, data),
            What::TimeJump { from } => {
                let passed = event.at.saturating_sub(*from);
                format!(
                    "nothing happens for {}",
                    crate::run::show_nanoseconds(passed)
                )
            }
            what => what.to_string(),
        }
    }

    fn finish(mut self) -> Timeline {
        // What is not over at the end lasts until then.
        let last = (self.out.events.lane.len() as u32).saturating_sub(1);
        let polls = self
            .polls
            .into_values()
            .map(|(since, lane)| Span(lane, since, last, POLL));
        let lanes = &self.out.events.lane;
        let waits = self.waits.into_values();
        let waits = waits.map(|since| Span(lanes[since as usize], since, last, WAIT));
        let entered = self.entered.into_values();
        let entered = entered.map(|since| Span(lanes[since as usize], since, last, SCOPE));
        let mut open: Vec<Span> = polls.chain(waits).chain(entered).collect();
        open.sort_by_key(|span| (span.1, span.0));
        self.out.spans.extend(open);
        self.out.spans.sort_by_key(|span| (span.1, span.2));
        let end = self.before.0;
        let tracks = self.tracks.finish(end);
        self.out.windows = tracks.windows;
        self.out.series = tracks.series;
        self.out.operations = tracks.operations;
        self.out.scopes = tracks.scopes;
        self.out
    }
}

/// A note that has no words: its kind and what it says.
fn note(kind: &str, data: &str) -> String {
    if let Some(words) = (kind == "span").then(|| super::notes::span(data)).flatten() {
        return words;
    }
    match serde_json::from_str::<serde_json::Value>(data) {
        Ok(serde_json::Value::Object(data)) => {
            let word = |(key, value): (&String, &serde_json::Value)| match value.as_str() {
                Some(text) => format!("{key} {text}"),
                None => format!("{key} {value}"),
            };
            let words: Vec<String> = data.iter().map(word).collect();
            format!("{kind}: {}", words.join(", "))
        }
        _ => format!("{kind}: {data}"),
    }
}

fn kind(what: &What) -> Kind {
    match what {
        What::Call { .. } => Kind::Call,
        What::Block { .. } | What::Awaits { .. } | What::Kept => Kind::Wait,
        What::Wake { .. } | What::WakesTask { .. } | What::Releases { .. } => Kind::Wake,
        What::ThreadBorn { .. }
        | What::ThreadDied
        | What::TaskBorn { .. }
        | What::TaskDied { .. }
        | What::PollBegins { .. }
        | What::PollEnds { .. } => Kind::Task,
        What::Access { .. } => Kind::Memory,
        What::Switch { .. }
        | What::TimeJump { .. }
        | What::CutShort
        | What::TaskPicked { .. }
        | What::Budget { .. }
        | What::Round { .. } => Kind::Scheduler,
        What::Note { kind, .. } if matches!(kind.as_ref(), "event" | "span") => Kind::Log,
        What::Fault { .. } | What::Note { .. } => Kind::World,
        What::Output { .. } => Kind::Output,
        What::Panic { .. } => Kind::Panic,
    }
}
