//! The properties of a run, and the thread that looks at them.
//!
//! The thread is born with the first property. It waits in the kernel (`kernel/watcher.rs`) and so costs the world no time, no event
//! and no decision; a test that states no property has none of this.

use super::look::{Looker, Looking};
use super::mark::{Monitor, Temperature};
use super::{SOMETIMES, site};
use crate::kernel::{self, Moment, Violation, Watch, Watches};
use crate::sim::scope;
use std::fmt::Debug;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

/// When a property is looked at. All of them are looked at in the end too, when the body has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Whenever the world is quiet: nobody can go on, and the clock is about to jump to the next event. What threads do between two such
    /// moments counts as one step, so that a state which a lock hides is not seen. This is the default of closures that return their value. Costs
    /// a switch of threads and a call of the closure, some 200 ns, at each jump of the clock.
    Quiet,
    /// At the first quiet moment after so much virtual time since the last look, and at the first of all. The default of closures that
    /// return a future, at one second: such a look takes part in the run as any client does, so it takes time itself. A world that has come to
    /// rest is not kept going by being looked at: there is no look while nobody has done anything since the last one and the test's body does not
    /// wait for the clock. Costs what the look costs.
    Every(Duration),
    /// At each scheduling point at which more than one thread is about, and when the world is quiet. It sees states that last for one step only. Costs a
    /// switch of threads and a call of the closure at each of them: two to five times the run's own time.
    EachStep,
}

/// How often futures look.
const USUAL: Duration = Duration::from_secs(1);
/// How long the last look of a future may take.
const LAST: Duration = Duration::from_secs(60);

/// What a property says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Always,
    Never,
    Sometimes,
    /// Always, until it is released.
    Until,
}

/// What a look came to.
struct Seen {
    holds: bool,
    /// The value in words, where it is wanted.
    value: Option<String>,
}

struct Entry {
    kind: Kind,
    name: String,
    site: String,
    check: Arc<Mutex<Check>>,
    look: Looker<Seen>,
    released: Option<Box<dyn FnMut() -> bool + Send>>,
    /// When it is looked at next, under [`Check::Every`].
    next: u64,
    /// When the consequences of its last look are over.
    settles: u64,
}

#[derive(Default)]
struct Book {
    born: bool,
    entries: Vec<Entry>,
    monitors: Vec<Arc<Temperature>>,
}

/// The properties of a run.
#[derive(Default)]
pub(crate) struct Properties(Mutex<Book>);

/// A property that a test has stated.
#[derive(Clone, Debug)]
pub struct Property {
    check: Arc<Mutex<Check>>,
    asynchronous: bool,
}

impl Property {
    /// Sets when it is looked at.
    ///
    /// # Panics
    /// If it looks with a future and `check` is not [`Check::Every`]: its look is part of what would be waited for.
    pub fn check(&self, check: Check) -> &Self {
        assert!(
            !self.asynchronous || matches!(check, Check::Every(_)),
            "a look that is a future takes part in the run, so it cannot be taken {check:?}; use Check::Every(..)"
        );
        kernel::keep_turn(|| *locked(&self.check) = check);
        changed();
        self
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// States a property.
pub(crate) fn state<V: Debug + 'static>(
    kind: Kind,
    name: &str,
    look: Looker<V>,
    holds: impl FnMut(&V) -> bool + Send + 'static,
    released: Option<Box<dyn FnMut() -> bool + Send>>,
    at: &Location<'_>,
) -> Property {
    let site = site(at);
    if kind == Kind::Sometimes {
        kernel::tally(SOMETIMES, name, &site, 0);
    }
    let asynchronous = matches!(look, Looker::Asynchronous(_));
    let check = Arc::new(Mutex::new(match asynchronous {
        true => Check::Every(USUAL),
        false => Check::Quiet,
    }));
    let entry = Entry {
        kind,
        name: name.to_owned(),
        site,
        check: check.clone(),
        look: seeing(look, holds, kind),
        released,
        next: 0,
        settles: 0,
    };
    add(|book| book.entries.push(entry));
    Property {
        check,
        asynchronous,
    }
}

/// States a monitor.
pub(crate) fn monitor(name: &str, within: Duration, at: &Location<'_>) -> Monitor {
    let (monitor, temperature) = Monitor::new(name, within, site(at));
    add(|book| book.monitors.push(temperature));
    monitor
}

/// A look and what is asked of its value in one.
fn seeing<V: Debug + 'static>(
    look: Looker<V>,
    holds: impl FnMut(&V) -> bool + Send + 'static,
    kind: Kind,
) -> Looker<Seen> {
    let holds = Arc::new(Mutex::new(holds));
    let see = move |value: &V| {
        let holds = (locked(&holds))(value);
        let wanted = match kind {
            Kind::Always | Kind::Until => !holds,
            Kind::Never => holds,
            Kind::Sometimes => false,
        };
        let value = wanted.then(|| format!("{value:#?}"));
        Seen { holds, value }
    };
    match look {
        Looker::Plain(mut look) => Looker::Plain(Box::new(move || see(&look()))),
        Looker::Asynchronous(mut look) => Looker::Asynchronous(Box::new(move || {
            let (looking, see) = (look(), see.clone());
            let seen: Looking<Seen> = Box::pin(async move { see(&looking.await) });
            seen
        })),
    }
}

fn add(what: impl FnOnce(&mut Book)) {
    let properties = scope::of_run::<Properties>();
    let born = kernel::keep_turn(|| {
        let mut book = locked(&properties.0);
        what(&mut book);
        std::mem::replace(&mut book.born, true)
    });
    if born {
        return changed();
    }
    assert!(
        kernel::my_host() == 0,
        "properties and monitors are stated by the test's body; a host may use what the body has stated"
    );
    // It lives as long as the run.
    kernel::watched_by("properties", properties);
}

/// What the thread waits for has changed.
pub(super) fn changed() {
    if let Some(properties) = scope::if_any::<Properties>() {
        kernel::rewatch(properties.next());
    }
}

/// The last look, when the body has returned without an error.
pub(crate) fn finish() {
    if let Some(properties) = scope::if_any::<Properties>() {
        kernel::carry_out(async {
            let mut runtime = None;
            for mut entry in properties.take() {
                entry.look(&mut runtime, Some(LAST)).await;
            }
        });
        properties.check_monitors();
    }
}

impl Watches for Properties {
    type Kept = Option<Runtime>;

    async fn look(&self, moment: Moment, runtime: &mut Option<Runtime>) {
        let mut left = self.take();
        let mut at = 0;
        while let Some(entry) = left.get_mut(at) {
            match !entry.is_due(moment) || entry.look_safely(runtime).await {
                true => at += 1,
                false => drop(left.remove(at)),
            }
        }
        kernel::keep_turn(|| {
            let mut book = locked(&self.0);
            left.append(&mut book.entries);
            book.entries = std::mem::take(&mut left);
        });
        if moment != Moment::Step {
            self.check_monitors();
        }
    }

    fn next(&self) -> Watch {
        Properties::next(self)
    }
}

impl Properties {
    /// All entries, so that no lock is held while the program's own code looks.
    fn take(&self) -> Vec<Entry> {
        kernel::keep_turn(|| std::mem::take(&mut locked(&self.0).entries))
    }

    fn check_monitors(&self) {
        let monitors = kernel::keep_turn(|| locked(&self.0).monitors.clone());
        monitors.iter().for_each(|monitor| monitor.check());
    }

    /// What to wait for.
    fn next(&self) -> Watch {
        kernel::keep_turn(|| {
            let book = locked(&self.0);
            let mut watch = Watch::default();
            for entry in &book.entries {
                if let Check::Every(_) = *locked(&entry.check) {
                    let (settles, due) = watch.look.unwrap_or((u64::MAX, u64::MAX));
                    watch.look = Some((settles.min(entry.settles), due.min(entry.next)));
                }
            }
            // It may be hot until then, and no longer.
            let due = book.monitors.iter().filter_map(|monitor| monitor.due());
            watch.at = due.min().map(|due| due.saturating_add(1));
            for entry in &book.entries {
                match *locked(&entry.check) {
                    Check::Quiet => watch.quiet = true,
                    Check::EachStep => {
                        watch.quiet = true;
                        watch.each_step = true;
                    }
                    Check::Every(_) => {}
                }
            }
            watch
        })
    }
}

/// What a look that is a future comes to. Where looks have a thread of their own, so have they a runtime, which is built for the first.
async fn answer<T>(runtime: &mut Option<Runtime>, looking: impl Future<Output = T>) -> T {
    #[cfg(squall_madsim)]
    {
        let _ = runtime;
        looking.await
    }
    #[cfg(not(squall_madsim))]
    {
        let runtime = runtime.get_or_insert_with(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("squall bug: a runtime for properties could not be built")
        });
        runtime.block_on(looking)
    }
}

impl Entry {
    fn is_due(&self, moment: Moment) -> bool {
        match *locked(&self.check) {
            Check::Quiet => moment != Moment::Step,
            Check::EachStep => true,
            Check::Every(_) => moment == Moment::Due && kernel::now().unwrap_or(0) >= self.next,
        }
    }

    /// As [`Entry::look`] on a thread of the harness, where a panic of the program's closure would be lost.
    async fn look_safely(&mut self, runtime: &mut Option<Runtime>) -> bool {
        let looked = kernel::caught(self.look(runtime, None)).await;
        looked.unwrap_or_else(|payload| {
            let text = (payload.downcast_ref::<String>().map(String::as_str))
                .or_else(|| payload.downcast_ref::<&str>().copied());
            kernel::violate(Violation {
                property: self.name.clone(),
                detail: format!("it panics when it is looked at: {}", text.unwrap_or("")),
                site: self.site.clone(),
                backtrace: Some(String::new()),
                ..Violation::default()
            })
        })
    }

    /// Looks; false if there is no need to look again.
    async fn look(&mut self, runtime: &mut Option<Runtime>, limit: Option<Duration>) -> bool {
        if let Some(released) = &mut self.released
            && kernel::keep_turn(released)
        {
            return false;
        }
        let seen = match &mut self.look {
            Looker::Plain(look) => kernel::keep_turn(look),
            Looker::Asynchronous(look) => {
                let looking = look();
                let looking = async {
                    match limit {
                        Some(limit) => tokio::time::timeout(limit, looking).await.ok(),
                        None => Some(looking.await),
                    }
                };
                let seen = answer(runtime, looking).await;
                let Some(seen) = seen else {
                    kernel::remark(|| {
                        format!(
                            "the last look of the property \"{}\" had no answer within {LAST:?}",
                            self.name
                        )
                    });
                    return false;
                };
                seen
            }
        };
        if let Check::Every(time) = *locked(&self.check) {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
            let now = kernel::now().unwrap_or(0);
            self.next = now.saturating_add(time);
            self.settles = now.saturating_add(time / 2);
        }
        match (self.kind, seen.holds) {
            (Kind::Always | Kind::Until, true) | (Kind::Never | Kind::Sometimes, false) => true,
            (Kind::Sometimes, true) => {
                kernel::tally(SOMETIMES, &self.name, &self.site, 1);
                false
            }
            (Kind::Always | Kind::Until, false) | (Kind::Never, true) => {
                let detail = match self.kind {
                    Kind::Never => "it must never hold, and does",
                    Kind::Until => "it does not hold, and it must until it is released",
                    Kind::Always | Kind::Sometimes => "it does not hold",
                };
                kernel::violate(Violation {
                    property: self.name.clone(),
                    detail: detail.to_owned(),
                    values: seen
                        .value
                        .into_iter()
                        .map(|value| ("value".to_owned(), value))
                        .collect(),
                    site: self.site.clone(),
                    // That of the thread that looks is of no interest.
                    backtrace: Some(String::new()),
                    ..Violation::default()
                })
            }
        }
    }
}
