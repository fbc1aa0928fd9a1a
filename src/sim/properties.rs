//! What a test states about its run: `Sim`'s methods for properties. `check` does the work.

use super::Sim;
use crate::check::{self, Condition, Kind, Look, Looker, Mark, Monitor, Property};
use crate::kernel::{self, Violation};
use std::fmt::Debug;
use std::panic::Location;
use std::time::Duration;

/// The first pause between two looks of [`Sim::eventually`], and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];

impl Sim {
    /// What `look` gets satisfies `holds` at every moment that is looked at. The first time that it does not, the run ends: its failure is known by
    /// `name` and shows the value.
    ///
    /// `look` returns the value, or a future of it that may make calls into the system under test. When it looks: see [`Check`](crate::Check).
    ///
    /// ```
    /// # fn main() {
    /// use std::sync::atomic::{AtomicI64, Ordering};
    /// use std::sync::Arc;
    ///
    /// let held = squall::Builder::new().seeds(20).run(|sim: squall::Sim| async move {
    ///     let stock = Arc::new(AtomicI64::new(3));
    ///     let seen = stock.clone();
    ///     sim.always("the stock is never negative", move || seen.load(Ordering::SeqCst), |stock| *stock >= 0);
    ///     for _ in 0..3 {
    ///         stock.fetch_sub(1, Ordering::SeqCst);
    ///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ///     }
    /// });
    /// assert!(held.is_ok());
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a simulation, and if it is the first property of the run and is stated on a host; so do the methods below.
    #[track_caller]
    pub fn always<How, L: Look<How>>(
        &self,
        name: &str,
        look: L,
        holds: impl FnMut(&L::Value) -> bool + Send + 'static,
    ) -> Property {
        let at = Location::caller();
        check::state(Kind::Always, name, look.looker(), holds, None, at)
    }

    /// What `look` gets never satisfies `holds`: [`always`](Sim::always) turned round.
    ///
    /// # Panics
    /// As [`always`](Sim::always).
    #[track_caller]
    pub fn never<How, L: Look<How>>(
        &self,
        name: &str,
        look: L,
        holds: impl FnMut(&L::Value) -> bool + Send + 'static,
    ) -> Property {
        let at = Location::caller();
        check::state(Kind::Never, name, look.looker(), holds, None, at)
    }

    /// As [`always`](Sim::always), until `released` says true; from then on nothing is asked any more. That need not happen.
    ///
    /// # Panics
    /// As [`always`](Sim::always).
    #[track_caller]
    pub fn until<How, L: Look<How>>(
        &self,
        name: &str,
        look: L,
        holds: impl FnMut(&L::Value) -> bool + Send + 'static,
        released: impl FnMut() -> bool + Send + 'static,
    ) -> Property {
        let at = Location::caller();
        let released = Some(Box::new(released) as _);
        check::state(Kind::Until, name, look.looker(), holds, released, at)
    }

    /// What `look` gets satisfies `holds` at some moment of some run: the test does come to what is of interest. If no run of the test has seen
    /// it, the test fails in the end and names it. Runs that replay one seed or log never fail for that.
    ///
    /// # Panics
    /// As [`always`](Sim::always).
    #[track_caller]
    pub fn sometimes<How, L: Look<How>>(
        &self,
        name: &str,
        look: L,
        holds: impl FnMut(&L::Value) -> bool + Send + 'static,
    ) -> Property {
        let at = Location::caller();
        check::state(Kind::Sometimes, name, look.looker(), holds, None, at)
    }

    /// A mark that some run of the test has to [reach](Mark::reached). If none does, the test fails in the end and names it.
    #[track_caller]
    pub fn reachable(&self, name: &str) -> Mark {
        check::mark(name, true, Location::caller())
    }

    /// A mark that no run may [reach](Mark::reached).
    #[track_caller]
    pub fn unreachable(&self, name: &str) -> Mark {
        check::mark(name, false, Location::caller())
    }

    /// Something that may be hot for at most `within` of virtual time at a stretch: whatever begins comes to an end.
    ///
    /// ```
    /// # fn main() {
    /// use std::time::Duration;
    ///
    /// let held = squall::Builder::new().seeds(20).run(|sim: squall::Sim| async move {
    ///     let pending = sim.monitor("requests are answered", Duration::from_secs(5));
    ///     pending.hot();
    ///     tokio::time::sleep(Duration::from_secs(1)).await;
    ///     pending.cold();
    /// });
    /// assert!(held.is_ok());
    /// # }
    /// ```
    ///
    /// # Panics
    /// As [`always`](Sim::always).
    #[track_caller]
    pub fn monitor(&self, name: &str, within: Duration) -> Monitor {
        check::monitor(name, within, Location::caller())
    }

    /// Waits until what `look` gets holds, for at most `within` of virtual time; it looks at once and then after pauses that grow from a
    /// millisecond to a second, and once more at the end of the time. If it does not hold by then, the run ends: its failure is known by `name` and shows the last
    /// value.
    ///
    /// `look` returns `true`, `Ok` or `Some` for what holds, or a future of one of them; an error is shown.
    ///
    /// ```
    /// # fn main() {
    /// use std::time::Duration;
    ///
    /// let held = squall::Builder::new().seeds(20).run(|sim: squall::Sim| async move {
    ///     let work = tokio::spawn(tokio::time::sleep(Duration::from_secs(3)));
    ///     sim.eventually("the work is done", Duration::from_secs(10), move || work.is_finished()).await;
    /// });
    /// assert!(held.is_ok());
    /// # }
    /// ```
    #[track_caller]
    pub fn eventually<How, L: Look<How>>(
        &self,
        name: &str,
        within: Duration,
        look: L,
    ) -> impl Future<Output = ()> + use<How, L>
    where
        L::Value: Condition,
    {
        let (name, site) = (name.to_owned(), check::site(Location::caller()));
        let mut looker = look.looker();
        async move {
            let begin = kernel::now().unwrap_or(0);
            let end = begin.saturating_add(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX));
            let [mut pause, longest] = PAUSES;
            loop {
                let last = kernel::now().unwrap_or(0) >= end;
                let seen = match &mut looker {
                    Looker::Plain(look) => Some(look()),
                    // A look without an answer must not outlast the time by much.
                    Looker::Asynchronous(look) => {
                        let left = end.saturating_sub(kernel::now().unwrap_or(0));
                        let left = Duration::from_nanos(left).max(longest);
                        tokio::time::timeout(left, look()).await.ok()
                    }
                };
                if seen.as_ref().is_some_and(Condition::holds) {
                    return;
                }
                if last {
                    not_eventually(
                        name,
                        site,
                        within,
                        seen.as_ref().map(|seen| seen as &dyn Debug),
                    );
                }
                let left = end.saturating_sub(kernel::now().unwrap_or(0));
                tokio::time::sleep(pause.min(Duration::from_nanos(left))).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

fn not_eventually(name: String, site: String, within: Duration, seen: Option<&dyn Debug>) -> ! {
    let value = match seen {
        Some(seen) => format!("{seen:#?}"),
        None => "no answer".to_owned(),
    };
    kernel::violate(Violation {
        property: name,
        detail: format!("it does not hold after {within:?}"),
        values: vec![("value".to_owned(), value)],
        site,
        ..Violation::default()
    })
}
