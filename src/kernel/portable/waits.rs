//! How the harness's own code waits and runs beside the program: as tasks of the test's own node.

use super::engine::{Watcher, block_on, run};
use crate::kernel::waits::Watches;
use crate::kernel::{Moment, Watch};
use madsim::time::{Sleep, TimeHandle};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Carries out what the end of a run needs.
pub fn carry_out(work: impl Future<Output = ()>) {
    block_on(work);
}

struct Looks<W: Watches> {
    who: Arc<W>,
    kept: RefCell<W::Kept>,
}

impl<W: Watches> Watcher for Looks<W> {
    fn next(&self) -> Watch {
        self.who.next()
    }

    fn look(&self, moment: Moment) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            let mut kept = self.kept.take();
            self.who.look(moment, &mut kept).await;
            self.kept.replace(kept);
        })
    }
}

/// Has somebody look at the world until the end of the run.
pub fn watched_by<W: Watches>(_: &str, who: Arc<W>) {
    let run = run().expect("squall bug: there is no run to be watched");
    run.watched_by(Rc::new(Looks {
        who,
        kept: RefCell::default(),
    }));
}

/// Lets so many nanoseconds pass, and a millisecond at least.
pub async fn rest(ns: u64) {
    madsim::time::sleep(Duration::from_nanos(ns)).await;
}

/// Carries out the harness's own work beside the program.
///
/// # Panics
/// Outside a simulation.
pub fn background(_: &str, work: impl Future<Output = ()> + Send + 'static) {
    let Some(run) = run() else {
        panic!("faults and waits exist only inside a simulation");
    };
    let node = run.runtime.handle().get_node(run.node(0));
    let node = node.expect("squall bug: the test's own host is gone");
    let task = node.spawn(work);
    run.background.borrow_mut().push(task.abort_handle());
}

/// Carries out a client's work beside the caller, on its host.
pub fn beside(_: String, work: impl Future<Output = ()> + Send + 'static) {
    let task = madsim::task::spawn(work);
    if let Some(run) = run() {
        run.background.borrow_mut().push(task.abort_handle());
    }
}

/// Tells those who wait for a change of what a mutex guards.
#[derive(Debug, Default)]
pub struct Bell(Mutex<Vec<Waker>>);

impl Bell {
    /// Something has changed.
    pub fn ring(&self) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits as long as `waits` says so of what `lock` guards, but not beyond `until` (virtual nanoseconds). Returns what `then` does, which
    /// nobody comes before.
    pub async fn wait<T, R>(
        &self,
        lock: &Mutex<T>,
        until: Option<u64>,
        mut waits: impl FnMut(&T) -> bool,
        then: impl FnOnce(&mut T) -> R,
    ) -> R {
        let mut then = Some(then);
        let mut sleep: Option<Sleep> = None;
        poll_fn(move |cx| {
            let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let now = crate::kernel::now().unwrap_or(u64::MAX);
            let late = |until| now >= until;
            if !waits(&state) || until.is_some_and(late) {
                let then = then.take().expect("squall bug: polled after the end");
                return Poll::Ready(then(&mut state));
            }
            drop(state);
            (self.0.lock().unwrap_or_else(PoisonError::into_inner)).push(cx.waker().clone());
            if let Some(until) = until {
                let left = Duration::from_nanos(until - now);
                // madsim sets one more timer at each poll, and a timer of it may come late but never early.
                if sleep.is_none() {
                    let sleep = sleep.insert(TimeHandle::current().sleep(left));
                    let _ = Pin::new(sleep).poll(cx);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The same, where nobody else can be about.
    pub fn wait_here<T>(
        &self,
        lock: &Mutex<T>,
        mut waits: impl FnMut(&T) -> bool,
        then: impl FnOnce(&mut T),
    ) {
        let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waits(&state),
            "squall bug: somebody else is about without an await in between"
        );
        then(&mut state);
    }
}
