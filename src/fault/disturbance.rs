//! When something was broken on purpose in this run, from when to when. Whoever breaks things says so here; traffic measures how long
//! a service takes to recover from it.

use crate::Sim;
use crate::kernel;
use crate::sim::scope;
use std::sync::{Mutex, PoisonError};

/// A stretch of time in which something was broken. Times in virtual nanoseconds since the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disturbed {
    pub(crate) what: String,
    /// The number of its fault window, if it is one.
    window: Option<u64>,
    pub(crate) begin: u64,
    /// `None` while it lasts.
    pub(crate) end: Option<u64>,
}

/// Everything that was or is broken in a run, in the order of beginnings: `scope::of_run::<Disturbances>()`.
#[derive(Default)]
pub(crate) struct Disturbances(Mutex<Vec<Disturbed>>);

impl Disturbances {
    fn with<R>(&self, f: impl FnOnce(&mut Vec<Disturbed>) -> R) -> R {
        kernel::keep_turn(|| f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Disturbed> {
        self.with(|all| all.clone())
    }

    /// Something is broken from now on; its number, for [`ends`](Disturbances::ends).
    pub(crate) fn begins(&self, what: &str, window: Option<u64>) -> usize {
        let disturbed = Disturbed {
            what: what.to_owned(),
            window,
            begin: kernel::now().unwrap_or(0),
            end: None,
        };
        self.with(|all| {
            all.push(disturbed);
            all.len() - 1
        })
    }

    /// A fault window is over.
    pub(crate) fn window_ends(&self, window: u64) {
        let of = |d: &Disturbed| d.window == Some(window);
        if let Some(number) = self.with(|all| all.iter().position(of)) {
            self.ends(number);
        }
    }

    /// It is whole again. Does nothing if it was already.
    pub(crate) fn ends(&self, number: usize) {
        let now = kernel::now().unwrap_or(0);
        self.with(|all| {
            if let Some(disturbed) = all.get_mut(number) {
                disturbed.end.get_or_insert(now);
            }
        });
    }
}

/// Something that the test itself has broken, until this is dropped: see [`Sim::disturb`].
#[derive(Debug)]
#[must_use = "the disturbance ends when this is dropped"]
pub struct Disturbance {
    number: usize,
    what: String,
}

impl Disturbance {
    /// It is whole again; dropping it says the same.
    pub fn end(self) {}

    fn note(&self, kind: &'static str) {
        kernel::note(kind, || {
            serde_json::json!({"what": self.what, "hosts": []}).to_string()
        });
    }
}

impl Drop for Disturbance {
    fn drop(&mut self) {
        if kernel::in_simulation() {
            scope::of_run::<Disturbances>().ends(self.number);
            self.note("fault.end");
        }
    }
}

impl Sim {
    /// Says that the test has broken something, until what this returns is dropped or [ended](Disturbance::end): reports of
    /// traffic tell how long the service took to recover from it, and the story shows it.
    ///
    /// ```no_run
    /// # async fn example(sim: squall::Sim) {
    /// let outage = sim.disturb("the inventory is away");
    /// sim.partition("orders", "inventory");
    /// tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    /// sim.repair("orders", "inventory");
    /// outage.end();
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a simulation.
    pub fn disturb(&self, what: &str) -> Disturbance {
        let number = scope::of_run::<Disturbances>().begins(what, None);
        let disturbance = Disturbance {
            number,
            what: what.to_owned(),
        };
        disturbance.note("fault.begin");
        disturbance
    }
}
