//! What is broken at present: the fault windows in force, whoever opened them. One board for each run; nemeses open and close
//! windows, `heal` closes them all.
//!
//! Whoever changes the world takes the *turn* first, so that what is decided by the state of the world still holds when it is
//! done. The lock itself is never held while the kernel is called: such a call may let another thread go on.

use super::script::{Act, Lasting, Script, Undo};
use crate::fault::Disturbances;
use crate::kernel::{self, HostState};
use crate::sim::scope;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A fault in force, as [`Sim::faults`](crate::Sim::faults) lists them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct FaultWindow {
    /// Its number in the run; windows are counted from 1 in the order of their beginnings.
    pub id: u64,
    /// The kind of fault.
    pub kind: super::FaultKind,
    /// What it does to whom.
    pub what: String,
    /// The hosts that it hits.
    pub hosts: Vec<String>,
    /// When it began, since the start of the run.
    pub began: Duration,
}

struct Window {
    seen: FaultWindow,
    /// In the order in which the steps were done.
    undo: Vec<Undo>,
    /// Which nemesis opened it.
    by: u32,
}

#[derive(Default)]
struct State {
    windows: Vec<Window>,
    /// Windows so far.
    opened: u64,
    /// Nemeses so far.
    nemeses: u32,
    /// Those whose threads have not ended.
    running: u32,
    /// They are to end.
    stops: bool,
    /// Somebody has the turn.
    taken: bool,
}

/// What may be broken at the same time.
pub(super) struct Limits {
    /// Among these hosts, so many may be out of action.
    pub(super) candidates: Vec<u16>,
    pub(super) most_down: u32,
    /// Of these a majority keeps running, and its members see each other.
    pub(super) quorum: Vec<u16>,
}

/// The fault windows of a run.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: kernel::Bell,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> Turn<'_> {
        let taken = |state: &State| state.taken;
        let take = |state: &mut State| state.taken = true;
        self.changed.wait_here(&self.state, taken, take);
        Turn(self)
    }

    /// One nemesis more; its number.
    pub(super) fn enlist(&self) -> u32 {
        let mut state = self.lock();
        state.running += 1;
        state.nemeses += 1;
        state.nemeses - 1
    }

    /// A nemesis has ended.
    pub(super) fn dismiss(&self) {
        self.lock().running -= 1;
        self.changed.ring();
    }

    /// Sleeps until then (virtual nanoseconds); false if the nemesis is to end.
    pub(super) async fn sleep_until(&self, at: u64) -> bool {
        let stays = |state: &State| !state.stops;
        let on = |state: &mut State| !state.stops;
        self.changed.wait(&self.state, Some(at), stays, on).await
    }

    /// Ends all nemeses; what they broke stays broken.
    pub(super) async fn stop(&self) {
        self.lock().stops = true;
        self.changed.ring();
        let runs = |state: &State| state.running > 0;
        let end = |state: &mut State| state.stops = false;
        self.changed.wait(&self.state, None, runs, end).await;
    }

    /// The windows in force.
    pub(crate) fn windows(&self) -> Vec<FaultWindow> {
        self.lock().windows.iter().map(|w| w.seen.clone()).collect()
    }

    /// How many of them this nemesis opened.
    pub(super) fn count(&self, by: u32) -> usize {
        self.lock().windows.iter().filter(|w| w.by == by).count()
    }

    /// Opens a window, unless that would break more than the limits allow, or what another fault has broken the same way
    /// already. Its number, if anything came of it that lasts.
    pub(super) fn begin(&self, by: u32, script: &Script, limits: Option<&Limits>) -> Option<u64> {
        let _turn = self.turn();
        if let Some(limits) = limits
            && !self.allows(script, limits)
        {
            return None;
        }
        let seen = {
            let mut state = self.lock();
            state.opened += 1;
            FaultWindow {
                id: state.opened,
                kind: script.kind,
                what: script.text.clone(),
                hosts: names(&script.hosts),
                began: Duration::from_nanos(kernel::now().unwrap_or(0)),
            }
        };
        told("fault.begin", &seen);
        let id = seen.id;
        let mut undo = Vec::new();
        for act in &script.acts {
            undo.extend(act.perform(|undo| self.mends(undo)));
        }
        if script.lasting == Lasting::Moment || (undo.is_empty() && script.later.is_empty()) {
            told("fault.end", &seen);
            return None;
        }
        self.lock().windows.push(Window { seen, undo, by });
        Some(id)
    }

    /// A later step of a window, if that is still open.
    pub(super) fn step(&self, id: u64, act: &Act) {
        let _turn = self.turn();
        if !self.lock().windows.iter().any(|w| w.seen.id == id) {
            return;
        }
        let done = act.perform(|undo| self.mends(undo));
        let released = {
            let mut state = self.lock();
            let Some(window) = state.windows.iter_mut().find(|w| w.seen.id == id) else {
                return;
            };
            window.undo.extend(done);
            let holds = |undo: &Undo| matches!((undo, act), (Undo::Release(a, b), Act::Release(c, d)) if (a, b) == (c, d));
            let at = window.undo.iter().position(holds);
            at.map(|at| window.undo.remove(at))
        };
        if let Some(undo) = released
            && !self.mends(&undo)
        {
            undo.perform();
        }
    }

    /// Closes a window: undoes what it did, last things first.
    pub(super) fn end(&self, id: u64) {
        self.end_where(id, |_| true);
    }

    /// Undoes of a window what `which` says; it is closed if nothing is left.
    pub(super) fn end_where(&self, id: u64, which: impl Fn(&Undo) -> bool) {
        let _turn = self.turn();
        let (due, over) = {
            let mut state = self.lock();
            let Some(at) = state.windows.iter().position(|w| w.seen.id == id) else {
                return;
            };
            let window = &mut state.windows[at];
            let undo = std::mem::take(&mut window.undo);
            let (mut due, kept): (Vec<Undo>, Vec<Undo>) = undo.into_iter().partition(|u| which(u));
            let over = kept.is_empty();
            window.undo = kept;
            let seen = window.seen.clone();
            if over {
                state.windows.remove(at);
            }
            due.retain_mut(|undo| !inherited(&mut state.windows, id, undo));
            (due, over.then_some(seen))
        };
        due.iter().rev().for_each(Undo::perform);
        if let Some(seen) = over {
            told("fault.end", &seen);
        }
    }

    /// Whether a window will put the same thing right.
    fn mends(&self, undo: &Undo) -> bool {
        let state = self.lock();
        let mut all = state.windows.iter().flat_map(|w| &w.undo);
        all.any(|other| other.same_as(undo))
    }

    fn allows(&self, script: &Script, limits: &Limits) -> bool {
        let state = self.lock();
        let undone: Vec<Undo> = state.windows.iter().flat_map(|w| w.undo.clone()).collect();
        drop(state);
        // One fault at a time makes a link lossy, or a host short of descriptors: two would not add up.
        let taken = |act: &Act| match act {
            Act::Set(from, to, change) => undone
                .iter()
                .any(|undo| undo.same_as(&Undo::Set(*from, *to, change.clone()))),
            Act::Descriptors(host, _) => undone
                .iter()
                .any(|undo| undo.same_as(&Undo::Descriptors(*host, 0))),
            Act::Drift(host, _) => undone
                .iter()
                .any(|undo| undo.same_as(&Undo::NoDrift(*host))),
            Act::Jump(host, _) => undone
                .iter()
                .any(|undo| matches!(undo, Undo::Jump(other, _) if other == host)),
            Act::Break(what, _) => undone.iter().any(
                |undo| matches!(undo, Undo::Heal(other) if std::sync::Arc::ptr_eq(other, what)),
            ),
            _ => false,
        };
        if script.acts.iter().any(taken) {
            return false;
        }
        let steps = || {
            script
                .acts
                .iter()
                .chain(script.later.iter().map(|(_, a)| a))
        };
        let falls: Vec<u16> = steps().filter_map(Act::takes_down).collect();
        let down = |host: u16| {
            falls.contains(&host)
                || kernel::host_state(host) != HostState::Running
                || undone.iter().any(|undo| undo.down() == Some(host))
        };
        let out = limits.candidates.iter().filter(|host| down(**host));
        if !falls.is_empty() && out.count() > limits.most_down as usize {
            return false;
        }
        let cut: Vec<(u16, u16)> = undone
            .iter()
            .filter_map(Undo::cut)
            .chain(steps().filter_map(Act::cuts))
            .collect();
        let up: Vec<u16> = limits
            .quorum
            .iter()
            .copied()
            .filter(|h| !down(*h))
            .collect();
        limits.quorum.is_empty() || clique(&up, &cut) > limits.quorum.len() / 2
    }
}

/// The turn, until it is dropped.
struct Turn<'b>(&'b Board);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().taken = false;
        self.0.changed.ring();
    }
}

/// Whether something need not be undone now: a window that is still open undoes it, or, where two put back what was before, now
/// puts back this one's.
fn inherited(windows: &mut [Window], id: u64, undo: &Undo) -> bool {
    let others = windows.iter_mut().filter(|w| w.seen.id != id);
    for other in others.flat_map(|w| &mut w.undo) {
        if other.same_as(undo) {
            match (&mut *other, undo) {
                (Undo::Set(.., value), Undo::Set(.., before)) => value.clone_from(before),
                (Undo::Descriptors(_, value), Undo::Descriptors(_, before)) => *value = *before,
                _ => {}
            }
            return true;
        }
    }
    false
}

/// How many of the hosts, at most sixteen, see each other.
fn clique(hosts: &[u16], cut: &[(u16, u16)]) -> usize {
    let severed = |a: u16, b: u16| cut.contains(&(a, b)) || cut.contains(&(b, a));
    let sets = 0u32..1 << hosts.len().min(16);
    let whole = |set: &u32| {
        let members: Vec<u16> = (0..hosts.len())
            .filter(|i| set >> i & 1 == 1)
            .map(|i| hosts[i])
            .collect();
        let mut pairs = members.iter().enumerate();
        pairs.all(|(i, a)| members[i + 1..].iter().all(|b| !severed(*a, *b)))
    };
    let sizes = sets.filter(whole).map(|set| set.count_ones() as usize);
    sizes.max().unwrap_or(0)
}

/// The names of hosts.
pub(super) fn names(hosts: &[u16]) -> Vec<String> {
    let all = kernel::hosts();
    let name = |id: &u16| all.iter().find(|h| h.id == *id).map(|h| h.name.clone());
    hosts.iter().filter_map(name).collect()
}

/// The record learns of a window, and so does whoever measures the recovery from it.
fn told(kind: &'static str, window: &FaultWindow) {
    let disturbances = scope::of_run::<Disturbances>();
    match kind {
        "fault.begin" => {
            disturbances.begins(&window.what, Some(window.id));
        }
        _ => disturbances.window_ends(window.id),
    }
    kernel::note(kind, || {
        serde_json::json!({
            "id": window.id,
            "kind": window.kind.name(),
            "what": window.what,
            "hosts": window.hosts,
        })
        .to_string()
    });
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("windows", &self.windows())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_see_each_other_are_counted() {
        assert_eq!(clique(&[], &[]), 0);
        assert_eq!(clique(&[1, 2, 3], &[]), 3);
        assert_eq!(clique(&[1, 2, 3], &[(1, 2)]), 2);
        assert_eq!(clique(&[1, 2, 3, 4, 5], &[(1, 2), (4, 3)]), 3);
        assert_eq!(clique(&[1, 2], &[(2, 1)]), 1);
    }
}
