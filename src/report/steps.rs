//! From events to steps: who did what where, with what is of no interest left out and what belongs together in one. `story`
//! chooses among them.

use super::phrases::{self, phrase};
use super::{Recorded, Site};
use crate::kernel::{About, Event, What};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Whose column it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(super) enum Actor {
    /// A thread, by its number.
    Thread(u32),
    /// A task, by its number as an entity.
    Task(u32),
}

/// Something that an actor did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: u64,
    pub(super) actor: Actor,
    pub(super) host: u16,
    /// What it did, or did one after the other.
    pub(super) did: Vec<String>,
    /// Where, in short; empty if that is not known.
    pub(super) place: String,
    /// It was made to give way here, and could have gone on.
    pub(super) preempted: bool,
    /// That is all that there is to say of it.
    only_gave_way: bool,
}

/// What an actor that is not through waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) site: Site,
    /// The lock or semaphore, by its number.
    pub(super) lock: Option<u32>,
}

/// What became of a run.
pub(super) struct Told {
    pub(super) steps: Vec<Step>,
    /// Where each actor waits that is not through.
    pub(super) waiting: BTreeMap<Actor, Waiting>,
    /// Who holds a lock of tokio's, by the lock's number.
    pub(super) holders: HashMap<u32, Vec<Actor>>,
}

/// What is polled at present on a thread, and how far the poll has come.
#[derive(Clone, Default)]
struct Poll<'a> {
    /// The last place at which something was polled that may have to be waited for, and which lock it was.
    at: Option<(&'a Site, Option<u32>)>,
    /// The poll ends there because its budget is gone.
    cut_short: bool,
}

struct Teller<'a> {
    all: &'a Recorded,
    steps: Vec<Step>,
    polls: HashMap<Actor, Poll<'a>>,
    waiting: BTreeMap<Actor, Waiting>,
    holders: HashMap<u32, Vec<Actor>>,
    /// The threads that do something at a place of the program's own.
    placed: HashSet<u32>,
    /// The words of memory in whose order something can lie.
    shared: HashSet<u32>,
}

/// The steps of a run, told up to the event `end`.
pub(super) fn tell(all: &Recorded, end: usize) -> Told {
    let events = &all.events[..end.min(all.events.len())];
    // A worker of a runtime that polls the program's tasks does nothing of the program's itself.
    let placed = |event: &&Event| event.task.is_none() && place(all, event).is_some();
    let placed = events.iter().filter(placed);
    let mut teller = Teller {
        all,
        steps: Vec::new(),
        polls: HashMap::new(),
        waiting: BTreeMap::new(),
        holders: HashMap::new(),
        placed: placed.map(|event| event.thread).collect(),
        shared: shared(all, events),
    };
    // Events of no thread are those of the end.
    let events = events
        .iter()
        .filter(|event| (event.thread as usize) < all.threads.len());
    events.for_each(|event| teller.event(event));
    Told {
        steps: passed_over(teller.steps),
        waiting: teller.waiting,
        holders: teller.holders,
    }
}

/// Where an event happened, unless a runtime was at work for itself: being built, or between two polls.
pub(super) fn place<'a>(all: &'a Recorded, event: &Event) -> Option<&'a Site> {
    let itself = |site: &Site| {
        ["block_on", "Builder::build"]
            .iter()
            .any(|own| site.via.ends_with(own))
    };
    all.site(event).filter(|site| !itself(site))
}

/// The words that several access, and at least one of them changes.
fn shared(all: &Recorded, events: &[Event]) -> HashSet<u32> {
    let mut seen: HashMap<u32, (Actor, bool, bool)> = HashMap::new();
    for event in events {
        if let What::Access {
            write,
            about: About::Word { number, .. },
        } = event.what
            && place(all, event).is_some_and(|site| phrases::access(site, write, number).is_some())
        {
            let by = actor(event);
            let (first, several, written) = seen.entry(number).or_insert((by, false, false));
            *several |= *first != by;
            *written |= write;
        }
    }
    let shared = seen
        .into_iter()
        .filter(|(_, (_, several, written))| *several && *written);
    shared.map(|(number, _)| number).collect()
}

/// Who did it.
pub(super) fn actor(event: &Event) -> Actor {
    event.task.map_or(Actor::Thread(event.thread), Actor::Task)
}

impl<'a> Teller<'a> {
    fn event(&mut self, event: &Event) {
        let site = place(self.all, event);
        let actor = actor(event);
        match &event.what {
            What::Switch {
                preempted: true, ..
            } => self.gives_way(event, site),
            What::Awaits { about } => self.polls_leaf(event, site, about),
            What::CutShort => {
                if let Some(poll) = self.polls.get_mut(&actor) {
                    poll.cut_short = true;
                }
            }
            What::Kept => self.keeps_waker(actor, site),
            What::PollEnds { ready: false, .. } => self.pends(event),
            What::PollEnds { ready: true, .. } => {
                self.goes_on(actor);
                self.add(event, None, "ends".to_owned());
                self.polls.remove(&actor);
            }
            What::PollBegins { .. }
            | What::TaskPicked { .. }
            | What::Round { .. }
            | What::Budget { .. } => {
                self.scheduler(event);
            }
            What::Block { .. } if site.is_none() => self.scheduler(event),
            What::Releases {
                about: About::Word { number, .. },
            } => {
                if let Some(holders) = self.holders.get_mut(number)
                    && let Some(at) = holders.iter().position(|holder| *holder == actor)
                {
                    holders.remove(at);
                    self.add(event, site, format!("gives back #{number}"));
                }
            }
            What::TaskBorn { task } if site.is_some() => {
                let text = format!("spawns {}", phrases::task_name(self.all, *task));
                self.goes_on(actor);
                self.add(event, site, text);
            }
            What::WakesTask { task } if site.is_some() && actor != Actor::Task(*task) => {
                self.goes_on(actor);
                let text = format!("wakes {}", phrases::task_name(self.all, *task));
                self.add(event, site, text);
            }
            What::Access {
                write,
                about: About::Word { number, .. },
            } => {
                if self.shared.contains(number)
                    && let Some(text) = site.and_then(|site| phrases::access(site, *write, *number))
                {
                    self.goes_on(actor);
                    self.add(event, site, text);
                }
            }
            What::ThreadDied => {
                // Of interest only right after what it did.
                let last = self.steps.last_mut().filter(|last| last.actor == actor);
                last.into_iter()
                    .for_each(|last| last.did.push("ends".to_owned()));
            }
            // The workers of a runtime come and go behind the program's back.
            What::Wake { thread, .. } if !self.placed.contains(thread) => {}
            _ => {
                if let Some(text) = phrase(self.all, event, site) {
                    self.goes_on(actor);
                    self.add(event, site, text);
                }
            }
        }
    }

    /// The actor goes on beyond what it polled last: it has got it.
    fn goes_on(&mut self, actor: Actor) {
        self.waiting.remove(&actor);
        if let Some(poll) = self.polls.get_mut(&actor)
            && let Some((_, Some(lock))) = poll.at.take()
        {
            self.holds(actor, lock);
        }
    }

    fn holds(&mut self, actor: Actor, lock: u32) {
        let holders = self.holders.entry(lock).or_default();
        if !holders.contains(&actor) {
            holders.push(actor);
        }
    }

    fn polls_leaf(&mut self, event: &Event, site: Option<&'a Site>, about: &About) {
        let Some(site) = site else {
            return;
        };
        let actor = actor(event);
        let lock = match about {
            About::Word { number, .. } if is_lock(site) => Some(*number),
            _ => None,
        };
        let poll = self.polls.entry(actor).or_default();
        // One await polls several things, one inside the other.
        let same = poll
            .at
            .is_some_and(|(last, _)| last.place == site.place && lock_is(poll.at, lock));
        if same {
            if lock.is_some() {
                poll.at = Some((site, lock));
            }
        } else {
            self.goes_on(actor);
            self.polls.entry(actor).or_default().at = Some((site, lock));
        }
        let text = phrases::leaf(site, lock);
        // What was waited for is there now: said when it goes on beyond it.
        let told = self.steps.last().is_some_and(|last| {
            last.actor == actor
                && last.place == site.place.short()
                && last
                    .did
                    .last()
                    .is_some_and(|did| text.starts_with(did.as_str()))
        });
        match told {
            true => {
                if let Some(did) = self.steps.last_mut().and_then(|last| last.did.last_mut()) {
                    *did = text;
                }
            }
            false => self.add(event, Some(site), text),
        }
    }

    fn keeps_waker(&mut self, actor: Actor, site: Option<&'a Site>) {
        let Some(site) = site else {
            return;
        };
        let poll = self.polls.entry(actor).or_default();
        match poll.at {
            Some((last, _)) if last.place == site.place => {}
            _ => poll.at = Some((site, None)),
        }
    }

    /// A poll ends, and what was polled waits.
    fn pends(&mut self, event: &Event) {
        let actor = actor(event);
        let Some(poll) = self.polls.get_mut(&actor) else {
            return;
        };
        let cut_short = std::mem::take(&mut poll.cut_short);
        let Some((site, lock)) = poll.at.take() else {
            return;
        };
        let short = site.place.short();
        let leaf = phrases::leaf(site, lock);
        let text = match cut_short {
            true => leaf.clone(),
            false => phrases::awaits(site, lock),
        };
        self.waiting.insert(
            actor,
            Waiting {
                site: site.clone(),
                lock: lock.filter(|_| !cut_short),
            },
        );
        if cut_short && let Some(lock) = lock {
            // It has the lock, and is made to give way before it can use it.
            self.holds(actor, lock);
        }
        match self.steps.last_mut() {
            Some(last)
                if last.actor == actor && last.place == short && last.did.last() == Some(&leaf) =>
            {
                last.did.pop();
                last.did.push(text);
                last.preempted = cut_short;
            }
            _ => {
                self.add(event, Some(site), text);
                if let Some(last) = self.steps.last_mut() {
                    last.preempted = cut_short;
                }
            }
        }
    }

    /// The scheduler of a runtime is at work on a thread: what drives it has been polled, and waits.
    fn scheduler(&mut self, event: &Event) {
        let driver = Actor::Thread(event.thread);
        if self
            .polls
            .get(&driver)
            .is_some_and(|poll| poll.at.is_some())
        {
            let event = Event {
                task: None,
                ..event.clone()
            };
            self.pends(&event);
        }
    }

    fn add(&mut self, event: &Event, site: Option<&Site>, text: String) {
        let place = site.map(|site| site.place.short()).unwrap_or_default();
        let actor = actor(event);
        if let Some(last) = self.steps.last_mut()
            && last.actor == actor
            && !last.preempted
            && (last.place == place || place.is_empty())
        {
            last.did.push(text);
            return;
        }
        self.steps.push(Step {
            at: event.at,
            actor,
            host: event.host,
            did: vec![text],
            place,
            preempted: false,
            only_gave_way: false,
        });
    }

    fn gives_way(&mut self, event: &Event, site: Option<&Site>) {
        let Some(site) = site else {
            return;
        };
        let place = site.place.short();
        let actor = actor(event);
        if let Some(last) = self.steps.last_mut()
            && last.actor == actor
            && last.place == place
        {
            last.preempted = true;
            return;
        }
        let via = match site.via.as_str() {
            "" => String::new(),
            via => format!("in {via}"),
        };
        self.steps.push(Step {
            at: event.at,
            actor,
            host: event.host,
            did: vec![via],
            place,
            preempted: true,
            only_gave_way: true,
        });
    }
}

fn lock_is(at: Option<(&Site, Option<u32>)>, lock: Option<u32>) -> bool {
    match at {
        Some((_, Some(before))) => lock.is_none_or(|lock| lock == before),
        _ => true,
    }
}

/// Whether what is awaited holds a permit until it is given back.
fn is_lock(site: &Site) -> bool {
    ["Mutex", "RwLock", "Semaphore"]
        .iter()
        .any(|kind| site.via.contains(kind))
}

/// Only what gave way to somebody who then did something counts as such.
fn passed_over(steps: Vec<Step>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for step in steps {
        if let Some(last) = out.last_mut()
            && last.actor == step.actor
            && last.preempted
        {
            last.preempted = false;
            if last.only_gave_way {
                out.pop();
            }
        }
        match out.last_mut() {
            Some(last)
                if last.actor == step.actor
                    && (last.place == step.place || step.place.is_empty()) =>
            {
                last.did.extend(step.did);
                last.preempted = step.preempted;
            }
            _ => out.push(step),
        }
    }
    out.iter_mut()
        .for_each(|step| step.did = together(std::mem::take(&mut step.did)));
    out
}

/// Repetitions in one, and of many things the first and the last.
fn together(did: Vec<String>) -> Vec<String> {
    let runs = did.chunk_by(|a, b| a == b);
    let mut out: Vec<String> = runs
        .map(|run| match run.len() {
            1 => run[0].clone(),
            n => format!("{} ({n} times)", run[0]),
        })
        .collect();
    if out.len() > 2 * ENDS + 1 {
        let more = out.len() - 2 * ENDS;
        out.splice(ENDS..ENDS + more, [format!("... {more} more ...")]);
    }
    out
}

/// Of many things done at one place so many are told from the beginning, and as many from the end.
const ENDS: usize = 2;

/// How a column is headed.
pub(super) fn title(all: &Recorded, actor: Actor) -> String {
    match actor {
        Actor::Thread(thread) => {
            let name = phrases::thread_name(all, thread);
            let born = |event: &&Event| event.what == What::ThreadBorn { thread };
            let born = all
                .events
                .iter()
                .find(born)
                .and_then(|event| all.site(event));
            match born.filter(|_| name.starts_with("thread ")) {
                Some(site) => format!("{name} ({})", site.place.short()),
                None => name,
            }
        }
        Actor::Task(task) => match phrases::task_of(all, task) {
            Some(facts) => format!(
                "{} ({})",
                phrases::task_name(all, task),
                phrases::short_place(&facts.spawned_at)
            ),
            None => phrases::task_name(all, task),
        },
    }
}
