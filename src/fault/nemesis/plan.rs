//! Plans, which put faults on a timeline.

use super::fault::{Fault, ns};
use super::script::Lasting;
use crate::fault::names::numbers;
use std::time::Duration;

/// Faults at stated times, counted from the moment at which the test starts the plan.
///
/// ```no_run
/// # async fn example(sim: squall::Sim) {
/// use squall::{Fault, Plan};
/// use std::time::Duration;
/// let secs = Duration::from_secs;
/// sim.nemesis(
///     Plan::new()
///         .at(secs(5), Fault::partition("a", ["b", "c"])).lasting(secs(10))
///         .at(secs(8), Fault::bounce("b"))
///         .at(secs(20), Fault::loss("a", "b", 0.2)),
/// );
/// # }
/// ```
///
/// A fault without [`lasting`](Plan::lasting) lasts until [`Sim::heal`](crate::Sim::heal), except for those that are over at once: bounce and reset.
#[derive(Clone, Debug, Default)]
#[must_use = "a plan does nothing until Sim::nemesis starts it"]
pub struct Plan {
    pub(super) entries: Vec<(Duration, Fault, Option<Duration>)>,
}

impl Plan {
    /// A plan without a fault.
    pub fn new() -> Plan {
        Plan::default()
    }

    /// At this time after its start this fault begins.
    pub fn at(mut self, time: Duration, fault: Fault) -> Plan {
        self.entries.push((time, fault, None));
        self
    }

    /// The fault named last lasts so long.
    ///
    /// # Panics
    /// If none was named yet.
    pub fn lasting(mut self, time: Duration) -> Plan {
        let Some((_, _, lasting)) = self.entries.last_mut() else {
            panic!("Plan::lasting belongs to a fault: name one with Plan::at first");
        };
        *lasting = Some(time);
        self
    }

    /// # Panics
    /// If a host is unknown, or a fault needs a length and has none.
    pub(super) fn check(&self) {
        for (at, fault, lasting) in &self.entries {
            numbers(fault.named());
            assert!(
                lasting.is_some() || !fault.needs_length(),
                "the {} at {at:?} needs a length: say .lasting(..) after it",
                fault.kind()
            );
        }
    }

    /// How long each entry lasts.
    pub(super) fn length(fault: &Fault, lasting: Option<Duration>) -> Lasting {
        match lasting {
            _ if fault.is_moment() => Lasting::Moment,
            Some(time) => Lasting::For(ns(time)),
            None => Lasting::Healed,
        }
    }
}
