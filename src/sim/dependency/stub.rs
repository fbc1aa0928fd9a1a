//! [`Stub`]: what a test holds of a dependency, and the state that its servers share with it.
//!
//! The state belongs to all hosts: servers, typed callers and the test. It is only touched with the turn kept, so that a host
//! which crashes never holds its lock, and whoever is to be woken is woken after the lock was given back.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::behaviour::{Behaviour, BehaviourError};
use super::calls::{Call, Outcome};
use super::mode::FailureMode;
use super::race::race;
use super::slots::Slots;
use crate::fault::Disturbances;
use crate::kernel;
use crate::sim::scope;

/// Makes the error reply of a protocol that has no statuses of its own.
pub(super) type Refusal = Arc<dyn Fn(u16) -> Vec<u8> + Send + Sync>;

/// A dependency, as a test breaks, heals and inspects it while the world runs.
///
/// Made by [`Sim::line_dependency`](crate::Sim::line_dependency) and its kin; a typed [`Dependency`](super::Dependency) dereferences to
/// one. Clones are handles of the same dependency.
#[derive(Clone)]
pub struct Stub {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    /// Whether it is a host of the world.
    host: bool,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) behaviour: Behaviour,
    /// How every call fails at present, or this share of them.
    pub(super) broken: Option<(FailureMode, f64)>,
    /// The number of the disturbance that this is.
    disturbance: Option<usize>,
    /// When it started last, in virtual nanoseconds.
    pub(super) started: u64,
    /// How often it started.
    pub(super) starts: u64,
    /// When it last came back by a restart or by being healed.
    pub(super) came_back: Option<u64>,
    /// Of the rate limit: when the next call would be due if all came evenly.
    pub(super) due: u64,
    pub(super) slots: Slots,
    pub(super) calls: Vec<Call>,
    pub(super) refusal: Option<Refusal>,
    /// The names of the hosts that called, by their numbers.
    pub(super) clients: BTreeMap<u16, String>,
    version: u64,
    watchers: BTreeMap<u64, Waker>,
    next_watcher: u64,
}

impl State {
    pub(super) fn down(&self, now: u64) -> bool {
        self.broken
            .is_some_and(|(mode, _)| mode == FailureMode::Refused)
            || self.behaviour.down(self.started, now)
    }

    /// Something that whoever waits for changes must look at. Returns whom to wake.
    fn changed(&mut self) -> Vec<Waker> {
        self.version += 1;
        let mut wake: Vec<Waker> = std::mem::take(&mut self.watchers).into_values().collect();
        wake.extend(self.slots.grant(self.behaviour.capacity));
        wake
    }
}

/// Virtual nanoseconds since the start of the run.
pub(super) fn now() -> u64 {
    kernel::now().unwrap_or(0)
}

impl Stub {
    /// # Panics
    /// If the behaviour cannot be.
    #[track_caller]
    pub(super) fn new(name: &str, host: bool, behaviour: Behaviour) -> Stub {
        must(name, behaviour.check());
        let state = State {
            behaviour,
            broken: None,
            disturbance: None,
            started: now(),
            starts: 0,
            came_back: None,
            due: 0,
            slots: Slots::default(),
            calls: Vec::new(),
            refusal: None,
            clients: BTreeMap::new(),
            version: 0,
            watchers: BTreeMap::new(),
            next_watcher: 0,
        };
        let shared = Shared {
            name: name.to_owned(),
            host,
            state: Mutex::new(state),
        };
        Stub {
            shared: Arc::new(shared),
        }
    }

    /// Looks at the state or changes it. `f` must not wake anybody nor draw.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        kernel::keep_turn(|| {
            let state = self.shared.state.lock();
            f(&mut state.unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Changes the state, and wakes whoever waits for that.
    fn change(&self, f: impl FnOnce(&mut State)) {
        let wake = self.with(|s| {
            f(s);
            s.changed()
        });
        wake.into_iter().for_each(Waker::wake);
    }

    /// Its name; where it has a host, the host's.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its host, to be crashed, restarted or cut off as any other; a typed double has none.
    pub fn host(&self) -> Option<super::super::Host> {
        let id = kernel::hosts();
        let id = id.into_iter().find(|h| h.name == self.shared.name);
        id.filter(|_| self.shared.host).map(Into::into)
    }

    /// What it does from now on; calls under way go on as they began. What [`break_with`](Stub::break_with) broke stays broken.
    ///
    /// # Panics
    /// If the behaviour cannot be, with the field and what would do; [`Behaviour::check`] asks without a panic.
    #[track_caller]
    pub fn set(&self, behaviour: Behaviour) {
        must(self.name(), behaviour.check());
        kernel::tell(|| format!("dependency {}: behaves anew", self.name()));
        self.change(|s| s.behaviour = behaviour);
    }

    /// What it does, apart from what was broken.
    pub fn behaviour(&self) -> Behaviour {
        self.with(|s| s.behaviour.clone())
    }

    /// From now on every call fails so, until [`heal`](Stub::heal); calls under way go on as they began, but for
    /// [`FailureMode::Refused`], which resets their connections.
    ///
    /// # Panics
    /// If the numbers of the mode cannot be, such as `Status(200)`.
    #[track_caller]
    pub fn break_with(&self, mode: FailureMode) {
        self.break_some_with(mode, 1.0);
    }

    /// From now on this share of the calls fails so, 0 to 1; the others fare as the behaviour says.
    ///
    /// # Panics
    /// As [`break_with`](Stub::break_with); if the share does not lie within 0 and 1; and if it is less than 1 for
    /// [`FailureMode::Refused`], which is a state of the whole.
    #[track_caller]
    pub fn break_some_with(&self, mode: FailureMode, share: f64) {
        let name = self.name();
        if let Some(problem) = mode.problem() {
            panic!("the dependency {name:?} cannot be broken with `{mode}`: {problem}");
        }
        assert!(
            (0.0..=1.0).contains(&share),
            "the dependency {name:?}: a share of calls is a number from 0 to 1, not {share}"
        );
        assert!(
            mode != FailureMode::Refused || share == 1.0,
            "the dependency {name:?}: `refused` is a state of the whole dependency; break_with sets it, Behaviour::flapping does it in turns"
        );
        kernel::tell(|| match share {
            1.0 => format!("dependency {name}: breaks, {mode}"),
            _ => format!("dependency {name}: {share} of the calls break, {mode}"),
        });
        self.note_fault("fault.begin", mode);
        let what = format!("{name}: {mode}");
        let number = scope::of_run::<Disturbances>().begins(&what, None);
        self.undisturbed(Some(number));
        self.broken_as(Some((mode, share)));
    }

    /// Ends what [`break_with`](Stub::break_with) began. Windows, errors and limits of its behaviour stay: they are what it is like;
    /// [`set`](Stub::set) changes that.
    pub fn heal(&self) {
        let Some((mode, _)) = self.broken() else {
            return;
        };
        kernel::tell(|| format!("dependency {}: heals", self.name()));
        self.note_fault("fault.end", mode);
        self.undisturbed(None);
        self.broken_as(None);
    }

    /// What the test broke is whole again, or broken otherwise.
    fn undisturbed(&self, next: Option<usize>) {
        if let Some(before) = self.with(|s| std::mem::replace(&mut s.disturbance, next)) {
            scope::of_run::<Disturbances>().ends(before);
        }
    }

    /// The outages and brown-outs of its behaviour, in virtual nanoseconds.
    pub(crate) fn windows(&self) -> Vec<(String, u64, u64)> {
        self.with(|s| {
            let windows = s.behaviour.windows(s.started);
            let named =
                windows.map(|(what, from, to)| (format!("{}: {what}", self.shared.name), from, to));
            named.collect()
        })
    }

    /// Breaks or heals it without a word.
    pub(super) fn broken_as(&self, how: Option<(FailureMode, f64)>) {
        let at = now();
        self.change(|s| {
            let refused = |how: Option<(FailureMode, f64)>| {
                how.is_some_and(|(mode, _)| mode == FailureMode::Refused)
            };
            if refused(s.broken) && !refused(how) {
                s.came_back = Some(at);
            }
            s.broken = how;
        });
    }

    /// How it is broken at present, and for which share of the calls.
    pub fn broken(&self) -> Option<(FailureMode, f64)> {
        self.with(|s| s.broken)
    }

    fn note_fault(&self, kind: &'static str, mode: FailureMode) {
        kernel::note(kind, || {
            serde_json::json!({
                "id": format!("dependency {}", self.name()),
                "what": mode.to_string(),
                "hosts": [self.name()],
            })
            .to_string()
        });
    }

    /// Whether it is up: no outage, not flapped away, not broken with [`FailureMode::Refused`], and its host, if it has one, runs.
    pub fn is_up(&self) -> bool {
        let running = |host: super::super::Host| host.state() == super::super::HostState::Running;
        let at = now();
        !self.with(|s| s.down(at)) && self.host().is_none_or(running)
    }

    /// Over protocols without statuses: how it says that it refuses, from the number (429 for the rate limit). Default:
    /// `ERR 503 Service Unavailable`, as a line or in a frame. No end of line or length belongs to it.
    pub fn refuse_with<B: Into<Vec<u8>>>(&self, reply: impl Fn(u16) -> B + Send + Sync + 'static) {
        let reply: Refusal = Arc::new(move |status| reply(status).into());
        self.with(|s| s.refusal = Some(reply));
    }

    /// Every call that it got so far, in the order of their arrival. Connections that were refused are no calls: it never saw them.
    pub fn calls(&self) -> Vec<Call> {
        self.with(|s| s.calls.clone())
    }

    /// How many of its calls came to what; those under way are left out.
    pub fn counts(&self) -> BTreeMap<Outcome, u64> {
        self.with(|s| {
            let mut counts = BTreeMap::new();
            for outcome in s.calls.iter().filter_map(Call::outcome) {
                *counts.entry(outcome).or_insert(0) += 1;
            }
            counts
        })
    }

    /// Its program starts. What an earlier one left is no more.
    pub(super) fn starts(&self) {
        let at = now();
        self.change(|s| {
            s.started = at;
            s.starts += 1;
            if s.starts > 1 {
                s.came_back = Some(at);
                s.slots.clear();
                s.due = 0;
                let under_way = s.calls.iter_mut().filter(|call| call.end.is_none());
                under_way.for_each(|call| call.end = Some((at, Outcome::Cut)));
            }
        });
    }

    /// Waits until it is down, or up.
    pub(super) async fn until(&self, down: bool) {
        loop {
            let at = now();
            let (is, next, version) = self.with(|s| {
                (
                    s.down(at),
                    s.behaviour.next_change(s.started, at),
                    s.version,
                )
            });
            if is == down {
                return;
            }
            let changed = Changed {
                stub: self,
                version,
                id: None,
            };
            match next {
                None => changed.await,
                Some(next) => {
                    race(sleep(next - at), changed).await;
                }
            }
        }
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub")
            .field("name", &self.shared.name)
            .field("broken", &self.broken())
            .finish_non_exhaustive()
    }
}

#[track_caller]
fn must(name: &str, checked: Result<(), BehaviourError>) {
    if let Err(e) = checked {
        panic!("the dependency {name:?} cannot behave so: {e}");
    }
}

/// Sleeps for so many virtual nanoseconds, to the millisecond; not at all for 0.
pub(super) async fn sleep(ns: u64) {
    if ns > 0 {
        tokio::time::sleep(Duration::from_nanos(ns)).await;
    }
}

/// Resolves when the state is no longer of this version.
struct Changed<'a> {
    stub: &'a Stub,
    version: u64,
    id: Option<u64>,
}

impl Future for Changed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (version, id) = (self.version, self.id);
        // What was there before is dropped outside of the lock.
        let (id, _before) = self.stub.with(|s| {
            if s.version != version {
                return (None, None);
            }
            let id = id.unwrap_or_else(|| {
                s.next_watcher += 1;
                s.next_watcher
            });
            (Some(id), s.watchers.insert(id, cx.waker().clone()))
        });
        self.id = id;
        match id {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // Dropped outside of the lock.
            let _waker = self.stub.with(|s| s.watchers.remove(&id));
        }
    }
}
