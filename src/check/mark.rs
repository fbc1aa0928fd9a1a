//! Marks that a test or its hosts pass, and monitors of what must come to an end.

use super::{REACHABLE, property, site};
use crate::kernel::{self, Violation};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A place that is to be reached in some run, or in none: made by [`Sim::reachable`](crate::Sim::reachable) and
/// [`Sim::unreachable`](crate::Sim::unreachable). Clones are the same mark.
#[derive(Clone, Debug)]
pub struct Mark(Arc<Stated>);

#[derive(Debug)]
struct Stated {
    name: String,
    site: String,
    /// Some run must come here; otherwise none may.
    wanted: bool,
}

/// States a mark.
pub(crate) fn mark(name: &str, wanted: bool, at: &Location<'_>) -> Mark {
    let site = site(at);
    if wanted {
        kernel::tally(REACHABLE, name, &site, 0);
    }
    let name = name.to_owned();
    Mark(Arc::new(Stated { name, site, wanted }))
}

impl Mark {
    /// It is reached now. One that must not be ends the run.
    pub fn reached(&self) {
        let Stated { name, site, wanted } = &*self.0;
        if *wanted {
            return kernel::tally(REACHABLE, name, site, 1);
        }
        kernel::violate(Violation {
            property: name.clone(),
            detail: "it was reached".to_owned(),
            site: site.clone(),
            ..Violation::default()
        })
    }
}

/// Something that is hot at times and must become cold again soon: a request that is under way, a node without a leader. Made by
/// [`Sim::monitor`](crate::Sim::monitor). Clones are the same monitor.
#[derive(Clone, Debug)]
pub struct Monitor(Arc<Temperature>);

#[derive(Debug)]
pub(super) struct Temperature {
    name: String,
    site: String,
    within: u64,
    /// Since when it is hot, in virtual nanoseconds, plus one; 0 while it is cold.
    since: AtomicU64,
}

impl Monitor {
    pub(super) fn new(name: &str, within: Duration, site: String) -> (Monitor, Arc<Temperature>) {
        let temperature = Arc::new(Temperature {
            name: name.to_owned(),
            site,
            within: within.as_nanos().try_into().unwrap_or(u64::MAX),
            since: AtomicU64::new(0),
        });
        (Monitor(temperature.clone()), temperature)
    }

    /// It is hot from now on, if it is not yet.
    pub fn hot(&self) {
        let now = kernel::now().unwrap_or(0) + 1;
        let was = self
            .0
            .since
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        if was.is_ok() {
            property::changed();
        }
    }

    /// It is cold.
    pub fn cold(&self) {
        // Too late is too late, even if nobody has looked since.
        self.0.check();
        self.0.since.store(0, Ordering::Relaxed);
    }
}

impl Temperature {
    /// When it has been hot for too long; `None` while it is cold.
    pub(super) fn due(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(since.saturating_add(self.within))
    }

    /// Ends the run if it has been hot for too long.
    pub(super) fn check(&self) {
        let now = kernel::now().unwrap_or(0);
        if self.due().is_some_and(|due| due < now) {
            let since = self.since.load(Ordering::Relaxed) - 1;
            let show = |ns| format!("{:?}", Duration::from_nanos(ns));
            kernel::violate(Violation {
                property: self.name.clone(),
                detail: format!(
                    "it has been hot for {} and may be for {}",
                    show(now - since),
                    show(self.within)
                ),
                values: vec![("hot since".to_owned(), show(since))],
                site: self.site.clone(),
                backtrace: Some(String::new()),
                ..Violation::default()
            })
        }
    }
}
