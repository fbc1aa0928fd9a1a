//! One run: madsim's runtime of one seed, what the library keeps of the run, and the loop that lets the test's body go on until the next
//! moment at which somebody wants to look at the world.
//!
//! madsim's executor comes back only when the future that it was given is done and no task is ready. So the body is not such a future
//! itself: it is polled by short ones, one from look to look, and each of them ends at a quiet moment.

use super::detect::Detect;
use super::hosts::Machine;
use super::links::Links;
use crate::kernel::outcome::Tallies;
use crate::kernel::{Config, Domain, End, Event, Moment, Oracle, Outcome, Record, Watch, What};
use madsim::net::NetSim;
use madsim::rand::{GlobalRng, RngCore};
use madsim::runtime::Runtime;
use madsim::task::AbortHandle;
use madsim::time::{Sleep, TimeHandle};
use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A value that lives as long as the run.
pub type RunValue = Arc<dyn Any + Send + Sync>;

/// How soon after a look the next is taken, while messages travel: madsim's timers come no closer.
const SOON: u64 = 1_000_000;
/// How late, while none does.
const LATE: u64 = 1_000_000_000;

/// What madsim says where no task can ever go on, and begins with where the time is over.
const STUCK: &str = "no events, all tasks will block forever";
const OVER: &str = "time limit exceeded: ";

/// Whether a panic says so.
pub(super) fn is_executors(message: &str) -> bool {
    message == STUCK || message.starts_with(OVER)
}

thread_local! {
    static RUN: RefCell<Option<Rc<Run>>> = const { RefCell::new(None) };
}

/// Everything about the run of this thread.
pub(super) struct Run {
    pub(super) runtime: Runtime,
    pub(super) time: TimeHandle,
    pub(super) net: Arc<NetSim>,
    rng: GlobalRng,
    oracle: RefCell<Option<Box<dyn Oracle>>>,
    digest: Cell<u64>,
    pub(super) hosts: RefCell<Vec<Machine>>,
    pub(super) links: RefCell<Links>,
    pub(super) values: RefCell<Vec<(TypeId, RunValue)>>,
    pub(super) tallies: RefCell<Tallies>,
    pub(super) remarks: RefCell<Vec<String>>,
    pub(super) detect: RefCell<Detect>,
    /// Of a run that is told.
    record: Option<RefCell<Vec<Event>>>,
    /// Tasks of the harness's own.
    pub(super) background: RefCell<Vec<AbortHandle>>,
    end: RefCell<Option<End>>,
    refused: RefCell<Option<String>>,
    watcher: RefCell<Option<Rc<dyn Watcher>>>,
    /// When it looked last, and how soon it does again.
    looked: Cell<u64>,
    pause: Cell<u64>,
    messages: Cell<u64>,
    /// What is looked at, or whether the run has ended, has changed since the body's last poll.
    changed: Cell<bool>,
    /// Of the short future that polls the body at present.
    piece: Arc<Mutex<Option<Waker>>>,
    /// The body has been driven.
    driven: Cell<bool>,
    driving: Cell<bool>,
    /// madsim's executor is at work.
    inside: Cell<bool>,
}

/// Whoever looks at the world in this run.
pub(super) trait Watcher {
    fn next(&self) -> Watch;
    fn look(&self, moment: Moment) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// The payload of the panic that ends a run from within.
struct Ended;

/// Whether a panic's payload stands for the end of the run.
pub fn is_end(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Ended>()
}

/// What a run came to.
pub struct Came {
    /// As the kernel tells it.
    pub outcome: Outcome,
    /// The answers.
    pub oracle: Box<dyn Oracle>,
    /// What was asked for and cannot be done here, and the mend; then nothing else counts.
    pub refused: Option<String>,
    /// The body was driven by [`block_on`].
    pub driven: bool,
}

impl std::fmt::Debug for Came {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Came")
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// The run of this thread, if it has one.
pub(super) fn run() -> Option<Rc<Run>> {
    // Destructors of the thread's own may come here when all is over.
    RUN.try_with(|run| run.borrow().clone()).ok().flatten()
}

/// Runs `body` on madsim's simulator. The thread must be a fresh one: madsim seeds the hash tables of std once a thread. `clock` is handed
/// the run's clock, for somebody on another thread who sees to it that it goes on.
pub fn simulate(
    config: &Config,
    seed: u64,
    oracle: Box<dyn Oracle>,
    clock: impl FnOnce(Box<dyn Fn() -> u64 + Send>),
    body: Box<dyn FnOnce()>,
) -> Came {
    let mut runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.set_time_limit(Duration::from_nanos(config.max_virtual));
    let (time, rng, net, node) = runtime.block_on(async {
        (
            TimeHandle::current(),
            madsim::rand::thread_rng(),
            NetSim::current(),
            madsim::plugin::node(),
        )
    });
    let hands = time.clone();
    clock(Box::new(move || nanoseconds(hands.elapsed())));
    let run = Rc::new(Run {
        runtime,
        time,
        net,
        rng,
        oracle: RefCell::new(Some(oracle)),
        digest: Cell::new(seed),
        hosts: RefCell::default(),
        links: RefCell::default(),
        values: RefCell::default(),
        tallies: RefCell::default(),
        remarks: RefCell::default(),
        detect: RefCell::new(Detect::new(config.detectors)),
        record: config.trace.then(RefCell::default),
        background: RefCell::default(),
        end: RefCell::default(),
        refused: RefCell::default(),
        watcher: RefCell::default(),
        looked: Cell::new(0),
        pause: Cell::new(SOON),
        messages: Cell::new(0),
        changed: Cell::new(false),
        piece: Arc::default(),
        driven: Cell::new(false),
        driving: Cell::new(false),
        inside: Cell::new(false),
    });
    run.begin(node);
    RUN.with(|slot| *slot.borrow_mut() = Some(run.clone()));
    // What leaves it has been taken down: `body` catches its own panics.
    let left = catch_unwind(AssertUnwindSafe(body));
    RUN.with(|slot| *slot.borrow_mut() = None);
    let outcome = run.outcome(left.is_ok());
    let bug = "squall bug: the answers of a run are gone";
    let came = Came {
        oracle: run.oracle.borrow_mut().take().expect(bug),
        refused: run.refused.borrow_mut().take(),
        driven: run.driven.get(),
        outcome,
    };
    match came.outcome.end {
        // What is left of it is of a program that came to no good end: it is not unwound.
        _ if came.refused.is_some() => std::mem::forget(run),
        End::Returned => run.fade(),
        _ => std::mem::forget(run),
    }
    came
}

impl Run {
    /// Whether the caller belongs to a task.
    pub(super) fn in_task(&self) -> bool {
        self.inside.get()
    }

    /// Virtual nanoseconds since the start of the run.
    pub(super) fn now(&self) -> u64 {
        nanoseconds(self.time.elapsed())
    }

    /// Takes something into the digest.
    pub(super) fn fold(&self, value: u64) {
        let mixed = (self.digest.get() ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.digest.set(mixed ^ (mixed >> 29));
    }

    /// An answer.
    pub(super) fn ask(
        &self,
        domain: Domain,
        n: u64,
        ask: impl FnOnce(&mut dyn Oracle) -> u64,
    ) -> u64 {
        let bug = "squall bug: the answers of a run are gone";
        let value = ask(self.oracle.borrow_mut().as_mut().expect(bug).as_mut());
        self.fold(domain as u64);
        self.fold(n);
        self.fold(value);
        self.fold(self.now());
        value
    }

    /// Whether the run is told.
    pub(super) fn told(&self) -> bool {
        self.record.is_some()
    }

    /// Takes down an event of a run that is told.
    pub(super) fn tell(&self, host: u16, what: impl FnOnce() -> What) {
        let Some(record) = &self.record else { return };
        let decisions = self
            .oracle
            .borrow()
            .as_ref()
            .map_or(0, |oracle| oracle.decisions());
        record.borrow_mut().push(Event {
            at: self.now(),
            host,
            thread: u32::from(host),
            task: None,
            what: what(),
            stack: None,
            decisions,
            digest: self.digest.get(),
        });
    }

    /// Ends the run for this reason, unless it has ended already.
    pub(super) fn ends(&self, end: End) {
        let mut known = self.end.borrow_mut();
        if known.is_none() {
            *known = Some(end);
        }
        drop(known);
        self.change();
    }

    /// Whoever looks wants something else from now on, or the run has ended: the body's next poll is the last of its piece.
    pub(super) fn change(&self) {
        self.changed.set(true);
        let piece = locked(&self.piece).take();
        if let Some(piece) = piece {
            piece.wake();
        }
    }

    /// Somebody looks at the world from now on.
    pub(super) fn watched_by(&self, watcher: Rc<dyn Watcher>) {
        *self.watcher.borrow_mut() = Some(watcher);
        self.looked.set(self.now());
        self.change();
    }

    /// When to look next.
    fn due(&self) -> Option<u64> {
        let watcher = self.watcher.borrow().clone()?;
        let Watch {
            quiet,
            each_step,
            at,
            look,
        } = watcher.next();
        if each_step {
            refuse(
                "Check::EachStep",
                "a property is looked at between steps of tasks by the kernel alone; use Check::Quiet or Check::Every(..)",
            );
        }
        let quiet = quiet.then(|| self.looked.get().saturating_add(self.pause.get()));
        let look = look.map(|(_, due)| due);
        quiet.into_iter().chain(at).chain(look).min()
    }

    /// The world is quiet: whoever looks may do so.
    fn look(&self) {
        let Some(watcher) = self.watcher.borrow().clone() else {
            return;
        };
        let now = self.now();
        let Watch { at, look, .. } = watcher.next();
        let due = at
            .into_iter()
            .chain(look.map(|(_, due)| due))
            .any(|due| due <= now);
        let moment = match due {
            true => Moment::Due,
            false => Moment::Quiet,
        };
        self.guarded(watcher.look(moment));
        let messages = self.net.stat().msg_count;
        let pause = match messages == self.messages.replace(messages) {
            true => self.pause.get().saturating_mul(2).min(LATE),
            false => SOON,
        };
        self.pause.set(pause);
        self.looked.set(self.now());
    }

    /// Lets madsim run a future of ours to its end, and then whatever is ready. A panic that comes out of it is another's, or says how the run ends.
    fn guarded<T>(&self, work: impl Future<Output = T>) -> T {
        self.inside.set(true);
        let came = catch_unwind(AssertUnwindSafe(|| self.runtime.block_on(work)));
        self.inside.set(false);
        match came {
            Ok(_) if self.end.borrow().is_some() => resume_unwind(Box::new(Ended)),
            Ok(value) => value,
            Err(payload) => {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
                match text {
                    Some(STUCK) => self.ends(End::Deadlock(Vec::new())),
                    Some(text) if text.starts_with(OVER) => self.ends(End::TimeLimit(Vec::new())),
                    _ => {}
                }
                resume_unwind(payload)
            }
        }
    }

    /// What the run came to.
    fn outcome(&self, returned: bool) -> Outcome {
        let end = self.end.borrow_mut().take();
        assert!(
            returned || end.is_some(),
            "squall bug: a run ended without saying how"
        );
        self.fold(self.now());
        // How often madsim itself has drawn.
        self.fold(self.rng.clone().next_u64());
        let hosts = self.hosts.borrow();
        let names: Vec<String> = hosts.iter().map(|host| host.info.name.clone()).collect();
        let trace = self.record.as_ref().map(|record| Record {
            events: record.take(),
            stacks: Vec::new(),
            threads: (names.iter().enumerate())
                .map(|(host, name)| crate::kernel::ThreadFacts {
                    name: name.clone(),
                    host: host as u16,
                })
                .collect(),
            hosts: names,
        });
        Outcome {
            end: end.unwrap_or(End::Returned),
            digest: self.digest.get(),
            steps: 0,
            switches: 0,
            virtual_ns: self.now(),
            threads_left: Vec::new(),
            refused: Vec::new(),
            trace,
            backtrace: None,
            remarks: self.remarks.take(),
            contexts: 0,
            tasks: Vec::new(),
            spinning: Vec::new(),
            contended_sites: None,
            reached: Default::default(),
            tallies: self.tallies.take(),
        }
    }

    /// Ends what still lives, where it knows of the runtime that it belongs to: futures hold on to madsim's clock, which holds on to them.
    fn fade(self: Rc<Self>) {
        let work = AssertUnwindSafe(|| {
            self.runtime.block_on(async {
                for task in self.background.take() {
                    task.abort();
                }
                self.all_die();
            });
            drop(self);
        });
        // A destructor of the program's that panics comes after its test.
        drop(catch_unwind(work));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes the body: it is polled again by the short future that there is then.
struct Woken {
    woken: AtomicBool,
    piece: Arc<Mutex<Option<Waker>>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        let piece = locked(&self.piece).clone();
        if let Some(piece) = piece {
            piece.wake();
        }
    }
}

/// Drives a future of the test's own host to its end, as a runtime's `block_on` does.
///
/// # Panics
/// Outside a simulation; within another future that is driven; and to end the run.
pub fn block_on<F: Future>(work: F) -> F::Output {
    let Some(run) = run() else {
        panic!("an asynchronous body runs only inside a simulation");
    };
    if run.driving.replace(true) {
        refuse(
            "a runtime within a runtime",
            "it would block the thread that everything runs on; await the future instead",
        );
    }
    run.driven.set(true);
    let mut work = pin!(work);
    let woken = Arc::new(Woken {
        woken: AtomicBool::new(true),
        piece: run.piece.clone(),
    });
    let waker = Waker::from(woken.clone());
    let mut output = None;
    loop {
        let due = run.due();
        let mut sleep: Option<Sleep> = None;
        run.changed.set(false);
        run.guarded(poll_fn(|cx| {
            *locked(&run.piece) = Some(cx.waker().clone());
            if woken.woken.swap(false, Ordering::Relaxed)
                && let Poll::Ready(value) = work.as_mut().poll(&mut Context::from_waker(&waker))
            {
                output = Some(value);
                return Poll::Ready(());
            }
            if run.changed.get() {
                return Poll::Ready(());
            }
            let Some(due) = due else { return Poll::Pending };
            let left = Duration::from_nanos(due.saturating_sub(run.now()));
            if left.is_zero() {
                return Poll::Ready(());
            }
            // madsim sets one more timer at each poll.
            match sleep {
                Some(_) => Poll::Pending,
                None => Pin::new(sleep.insert(run.time.sleep(left))).poll(cx),
            }
        }));
        *locked(&run.piece) = None;
        if let Some(output) = output {
            run.driving.set(false);
            return output;
        }
        if due.is_some_and(|due| due <= run.now()) {
            run.look();
        }
    }
}

/// Ends the run because madsim cannot do `what`; `mend` says what to do about it.
///
/// # Panics
/// Always: that is how the run ends.
pub fn refuse(what: &str, mend: &str) -> ! {
    let text = format!("{what} cannot be had on madsim: {mend}");
    let Some(run) = run() else { panic!("{text}") };
    run.refused.borrow_mut().get_or_insert(text);
    leave(&run, End::Exited(0))
}

/// Ends the run from within.
pub(super) fn leave(run: &Run, end: End) -> ! {
    run.ends(end);
    // The hook has nothing to print: this is no panic of the program's.
    resume_unwind(Box::new(Ended))
}
