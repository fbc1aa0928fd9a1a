//! What happens at the program's `fault_point!`s: a test arms them by name, for its own run. `sim/points.rs` asks here at each visit.

#![cfg_attr(
    not(squall_kernel),
    allow(dead_code, reason = "where there is no kernel, no macro asks")
)]

use super::cut::Cancelled;
use crate::kernel::{self, Domain};
use crate::sim::scope;
use squall_points::{Kind, Site, Visit};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What an armed point does to who comes there.
#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// Nothing: visits are counted.
    Count,
    Delay(Duration, Duration),
    Fail(String),
    Panic(String),
    Cancel,
    Pause,
}

#[derive(Debug)]
struct State {
    action: Action,
    /// So many visits pass before the first that counts.
    after: u64,
    /// So many fire; `None` for all.
    times: Option<u64>,
    /// The share of the rest that fires, in millionths.
    chance: u64,
    /// Only visits on this host.
    host: Option<u16>,
    visits: u64,
    fired: u64,
    /// Who waits there.
    paused: u64,
    /// Who is paused goes on, by the number of the release.
    releases: u64,
    wakers: Vec<Waker>,
}

/// A point that a test has armed.
#[derive(Debug)]
struct Armed {
    name: String,
    state: Mutex<State>,
    changed: Condvar,
}

/// The points of a run, by name.
#[derive(Default)]
struct Points(Mutex<BTreeMap<String, Arc<Armed>>>);

/// A `fault_point!` of the program in this run: made by [`Sim::fault_point`](crate::Sim::fault_point). Clones are the same point.
///
/// Until it is told what to do it only counts visits. Only one thing happens at a point; the last call counts.
#[derive(Clone, Debug)]
pub struct FaultPoint(Arc<Armed>);

const MILLION: u64 = 1_000_000;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The point of this name.
pub(crate) fn point(name: &str) -> FaultPoint {
    let known = || {
        let points = squall_points::catalogue().iter();
        points.filter(|site| site.kind == Kind::Fault)
    };
    if !known().any(|site| site.name == name) {
        let mut names: Vec<String> = known().map(|site| format!("{:?}", site.name)).collect();
        names.sort_unstable();
        names.dedup();
        let names = match names.is_empty() {
            true => "it has none".to_owned(),
            false => format!("it has {}", names.join(", ")),
        };
        panic!("the program has no fault_point!({name:?}); {names}");
    }
    let points = scope::of_run::<Points>();
    kernel::keep_turn(|| {
        let mut points = locked(&points.0);
        let new = || {
            Arc::new(Armed {
                name: name.to_owned(),
                state: Mutex::new(State {
                    action: Action::Count,
                    after: 0,
                    times: None,
                    chance: MILLION,
                    host: None,
                    visits: 0,
                    fired: 0,
                    paused: 0,
                    releases: 0,
                    wakers: Vec::new(),
                }),
                changed: Condvar::new(),
            })
        };
        FaultPoint(points.entry(name.to_owned()).or_insert_with(new).clone())
    })
}

impl FaultPoint {
    fn set(&self, what: impl FnOnce(&mut State)) -> &Self {
        self.0.with(what);
        self
    }

    /// Who comes there goes on after so much virtual time.
    pub fn delay(&self, time: Duration) -> &Self {
        self.delay_between(time, time)
    }

    /// Who comes there goes on after a virtual time in this range; the seed draws it.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn delay_between(&self, least: Duration, most: Duration) -> &Self {
        assert!(
            least <= most,
            "a delay between {least:?} and {most:?} is an empty range: the least comes first"
        );
        self.set(|state| state.action = Action::Delay(least, most))
    }

    /// The surrounding function returns what the macro's closure makes of `text`.
    ///
    /// Who comes to a place without a closure panics, with a line that says so.
    pub fn error(&self, text: impl Into<String>) -> &Self {
        self.set(|state| state.action = Action::Fail(text.into()))
    }

    /// Who comes there panics with this message.
    pub fn panic(&self, message: impl Into<String>) -> &Self {
        self.set(|state| state.action = Action::Panic(message.into()))
    }

    /// The future around [`cancellable`] in which somebody comes there is dropped, as one is whose client has gone.
    ///
    /// Who comes there outside such a future, or to a place without `async`, panics with a line that says so.
    pub fn cancel(&self) -> &Self {
        self.set(|state| state.action = Action::Cancel)
    }

    /// Who comes there waits until [`release`](FaultPoint::release).
    pub fn pause(&self) -> &Self {
        self.set(|state| state.action = Action::Pause)
    }

    /// Visits are only counted from now on. Who waits there goes on.
    pub fn disarm(&self) -> &Self {
        self.set(|state| state.action = Action::Count).release()
    }

    /// So many visits pass first.
    pub fn after(&self, visits: u64) -> &Self {
        self.set(|state| state.after = state.visits + visits)
    }

    /// It happens to so many visitors from now on, and to no more. Default: to all.
    pub fn times(&self, times: u64) -> &Self {
        self.set(|state| state.times = Some(state.fired + times))
    }

    /// It happens to this share of them; the seed draws at each visit. Default: 1.
    ///
    /// # Panics
    /// If the share is not within 0 to 1.
    pub fn chance(&self, share: f64) -> &Self {
        assert!(
            (0.0..=1.0).contains(&share),
            "the chance of a fault point is a share of its visits, 0 to 1, not {share}"
        );
        self.set(|state| state.chance = (share * MILLION as f64) as u64)
    }

    /// Only visits on the host of this name count. Default: on all.
    ///
    /// # Panics
    /// If there is none.
    pub fn on(&self, host: &str) -> &Self {
        let found = kernel::hosts().into_iter().find(|known| known.name == host);
        let Some(found) = found else {
            panic!("there is no host {host:?}");
        };
        self.set(|state| state.host = Some(found.id))
    }

    /// Those that wait there now go on.
    pub fn release(&self) -> &Self {
        let wakers = self.0.with(|state| {
            state.releases += 1;
            std::mem::take(&mut state.wakers)
        });
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        self
    }

    /// How often somebody came there.
    pub fn visits(&self) -> u64 {
        self.0.with(|state| state.visits)
    }

    /// How often it happened to them. Visits that are only counted have nothing happen to them.
    pub fn fired(&self) -> u64 {
        self.0.with(|state| state.fired)
    }

    /// How many wait there.
    pub fn paused(&self) -> u64 {
        self.0.with(|state| state.paused)
    }

    /// Waits until it has happened to somebody.
    pub async fn reached(&self) {
        poll_fn(|cx| self.0.until(cx, |state| state.fired > 0)).await;
    }
}

impl Armed {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        kernel::keep_turn(|| f(&mut locked(&self.state)))
    }

    /// Ready once it is as it should be; otherwise whoever changes it wakes the task.
    fn until(&self, cx: &Context<'_>, ready: impl FnOnce(&State) -> bool) -> Poll<()> {
        self.with(|state| {
            if ready(state) {
                return Poll::Ready(());
            }
            if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// A visit: what happens to the visitor.
    fn visit(&self) -> Action {
        let here = kernel::my_host();
        let (action, wakers) = self.with(|state| {
            if state.host.is_some_and(|host| host != here) {
                return (Action::Count, Vec::new());
            }
            state.visits += 1;
            let over = state.times.is_some_and(|times| state.fired >= times);
            if state.action == Action::Count || state.visits <= state.after || over {
                return (Action::Count, Vec::new());
            }
            // 0, the plainest answer, is "nothing" where there is a choice.
            let spared = state.chance < MILLION
                && kernel::draw(Domain::Faults, MILLION).unwrap_or(0) < MILLION - state.chance;
            if spared {
                return (Action::Count, Vec::new());
            }
            state.fired += 1;
            (state.action.clone(), std::mem::take(&mut state.wakers))
        });
        wakers.into_iter().for_each(Waker::wake);
        if action != Action::Count {
            kernel::tell(|| format!("fault point \"{}\": {}", self.name, action.words()));
        }
        action
    }
}

impl Action {
    fn words(&self) -> String {
        match self {
            Action::Count => "nothing".to_owned(),
            Action::Delay(least, most) if least == most => format!("a delay of {least:?}"),
            Action::Delay(least, most) => format!("a delay of {least:?} to {most:?}"),
            Action::Fail(text) => format!("fails with \"{text}\""),
            Action::Panic(_) => "a panic".to_owned(),
            Action::Cancel => "cancels the future".to_owned(),
            Action::Pause => "a pause".to_owned(),
        }
    }
}

/// The armed point of a place, and what happens to who comes there now.
fn visited(site: &Site, fails: bool) -> Option<(Arc<Armed>, Action)> {
    let points = scope::if_any::<Points>()?;
    let armed = kernel::keep_turn(|| locked(&points.0).get(site.name).cloned())?;
    let action = armed.visit();
    match &action {
        Action::Count => return None,
        Action::Fail(_) if !fails => panic!(
            "fault_point!({:?}) at {site} is to fail, and has no closure that makes an error: add one, as in \
             fault_point!({:?}, |text| Err(io::Error::other(text)))",
            site.name, site.name
        ),
        Action::Panic(message) => panic!("{message}"),
        _ => {}
    }
    Some((armed, action))
}

fn delay(least: Duration, most: Duration) -> Duration {
    let width = u64::try_from((most - least).as_nanos()).unwrap_or(u64::MAX - 1);
    let more = match width {
        0 => 0,
        width => kernel::draw(Domain::Faults, width + 1).unwrap_or(0),
    };
    least + Duration::from_nanos(more)
}

/// A visit in synchronous code; the error that it fails with.
pub(crate) fn visit(site: &'static Site, fails: bool) -> Option<String> {
    let (armed, action) = visited(site, fails)?;
    #[cfg(squall_madsim)]
    if let Action::Delay(..) | Action::Pause = action {
        kernel::refuse(
            &format!("a delay or a pause at the fault point {:?}", site.name),
            "it would block the thread that everything runs on; write fault_point!(async ..) there",
        );
    }
    match action {
        Action::Fail(text) => return Some(text),
        Action::Delay(least, most) => std::thread::sleep(delay(least, most)),
        Action::Pause => {
            let mut state = locked(&armed.state);
            let releases = state.releases;
            state.paused += 1;
            while state.releases == releases {
                state = (armed.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
            }
            state.paused -= 1;
        }
        Action::Cancel => panic!(
            "fault_point!({:?}) at {site} is to cancel, and is no await: write fault_point!(async {:?})",
            site.name, site.name
        ),
        Action::Count | Action::Panic(_) => {}
    }
    None
}

/// A visit in asynchronous code.
pub(crate) fn visit_async(site: &'static Site, fails: bool) -> Option<Visit> {
    let (armed, action) = visited(site, fails)?;
    match action {
        Action::Fail(text) => Some(Box::pin(std::future::ready(Some(text)))),
        Action::Delay(least, most) => Some(Box::pin(async move {
            let time = delay(least, most);
            match tokio::runtime::Handle::try_current() {
                Ok(_) => tokio::time::sleep(time).await,
                // On another runtime, whose timers are not known here.
                Err(_) => std::thread::sleep(time),
            }
            None
        })),
        Action::Pause => Some(Box::pin(async move {
            let releases = armed.with(|state| {
                state.paused += 1;
                state.releases
            });
            let paused = Paused(armed);
            poll_fn(|cx| paused.0.until(cx, |state| state.releases > releases)).await;
            None
        })),
        Action::Cancel => Some(Box::pin(poll_fn(move |_| {
            assert!(
                CANCEL.replace(Some(true)).is_some(),
                "fault_point!({:?}) at {site} is to cancel, and nothing around it can be: wrap the call in squall::cancellable(..)",
                site.name
            );
            Poll::Pending
        }))),
        Action::Count | Action::Panic(_) => None,
    }
}

/// Somebody waits at a point, until it goes on or is dropped.
struct Paused(Arc<Armed>);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.with(|state| state.paused -= 1);
    }
}

thread_local! {
    /// Whether the innermost cancellable future that is being polled here is to be dropped; `None` outside any.
    static CANCEL: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Puts back what stood in [`CANCEL`], whichever way the poll ends.
struct Nested(Option<bool>);

impl Drop for Nested {
    fn drop(&mut self) {
        CANCEL.set(self.0);
    }
}

/// Runs a future that a fault point which [cancels](FaultPoint::cancel) may drop where it waits.
///
/// ```
/// use std::cell::Cell;
///
/// async fn transfer(from: &Cell<i64>, to: &Cell<i64>) {
///     from.set(from.get() - 3);
///     squall::fault_point!(async "between debit and credit");
///     to.set(to.get() + 3);
/// }
/// # fn main() {
/// let held = squall::Builder::new().seeds(2).run(|sim: squall::Sim| async move {
///     sim.fault_point("between debit and credit").cancel();
///     let (from, to) = (Cell::new(10), Cell::new(0));
///     assert!(squall::cancellable(transfer(&from, &to)).await.is_err());
///     assert_eq!(from.get() + to.get(), 7); // the money is gone
/// });
/// assert!(held.is_ok());
/// # }
/// ```
///
/// # Errors
/// Where it was dropped.
pub async fn cancellable<F: Future>(future: F) -> Result<F::Output, Cancelled> {
    let mut future: Option<Pin<Box<F>>> = Some(Box::pin(future));
    let mut waits = 0;
    let body = poll_fn(move |cx| {
        let Some(inner) = &mut future else {
            panic!("a future was polled after it was done");
        };
        let nested = Nested(CANCEL.replace(Some(false)));
        let polled = inner.as_mut().poll(cx);
        let cancelled = CANCEL.get() == Some(true);
        drop(nested);
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => {
                waits += 1;
                if !cancelled {
                    return Poll::Pending;
                }
                future = None;
                Poll::Ready(Err(Cancelled::at_point(waits)))
            }
        }
    });
    pin!(body).await
}
