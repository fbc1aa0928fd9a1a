//! [`Kernel`]: the state of one simulated world, the clock, and what happens at each kernel entry. Used by every other file
//! of the kernel, each of which adds the methods of its own subject.

use super::descriptor::Objects;
use super::detect::Detect;
use super::events::{self, Events};
use super::futex::Futexes;
use super::host::Host;
use super::identity::Identities;
use super::memory::Memory;
use super::net::Net;
use super::preempt::Preemption;
use super::record::What;
use super::sched::{self, Sched, State};
use super::tasks::Tasks;
use super::trace::Trace;
use super::watcher::Watcher;
use super::{Config, Domain, End, Errno, Oracle, Pick, Refused, Result, ThreadReport};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a kernel call does to the thread that makes it.
#[derive(Debug)]
pub(crate) enum Step<T> {
    /// It returns.
    Done(Result<T>),
    /// It blocks; the call is tried again when the thread goes on.
    Wait(sched::Wait),
}

impl<T> From<Result<T>> for Step<T> {
    fn from(r: Result<T>) -> Step<T> {
        Step::Done(r)
    }
}

/// What a kernel entry costs: a base and the width of a uniform range above it, in virtual nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    base: u32,
    spread: u32,
}

impl Cost {
    /// Reading or writing memory that others see.
    pub(crate) const TOUCH: Cost = Cost {
        base: 2,
        spread: 64,
    };
    /// Reading a clock: the vDSO's price.
    pub(crate) const CLOCK: Cost = Cost {
        base: 15,
        spread: 64,
    };
    /// The same, with the program's own work since it last read one on top: at least a microsecond.
    pub(crate) const CLOCK_AFTER_WORK: Cost = Cost {
        base: 1000,
        spread: 1024,
    };
    /// A poll of a task, which the task's own work comes on top of.
    pub(crate) const POLL: Cost = Cost {
        base: 20,
        spread: 64,
    };
    /// A system call.
    pub(crate) const CALL: Cost = Cost {
        base: 100,
        spread: 1024,
    };
}

pub(crate) struct Limits {
    pub(crate) virtual_ns: u64,
    steps: u64,
    livelock_after: u64,
}

/// The simulated world of one run.
pub(crate) struct Kernel {
    pub(crate) oracle: Box<dyn Oracle>,
    /// Virtual nanoseconds since the start of the run.
    pub(crate) now: u64,
    pub(crate) sched: Sched,
    pub(crate) events: Events,
    pub(crate) futexes: Futexes,
    pub(crate) objects: Objects,
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
    pub(crate) trace: Trace,
    pub(crate) end: Option<End>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) steps: u64,
    pub(crate) switches: u64,
    pub(crate) cpus: u32,
    pub(crate) descriptors: u32,
    /// What it costs to read a clock.
    pub(crate) clock_cost: Cost,
    /// Some host is slower than usual.
    pub(crate) some_slow: bool,
    idle: u64,
    jitter: u64,
    jitter_left: u32,
    pub(crate) limits: Limits,
    pub(crate) tasks: Tasks,
    pub(crate) preemption: Preemption,
    pub(crate) identities: Identities,
    pub(crate) memory: Memory,
    pub(crate) watcher: Watcher,
    pub(crate) detect: Detect,
    progress: Option<&'static AtomicU64>,
}

/// An oracle for a kernel that runs nothing.
struct NoOracle;
impl Oracle for NoOracle {
    fn pick(&mut self, _: Pick<'_>) -> usize {
        panic!("squall bug: a decision outside a run")
    }
    fn below(&mut self, _: Domain, _: u64) -> u64 {
        panic!("squall bug: a decision outside a run")
    }
    fn fill(&mut self, _: Domain, _: &mut [u8]) {
        panic!("squall bug: a decision outside a run")
    }
}

/// The resolution of a cost within its range.
const JITTER_BITS: u32 = 6;

/// After so many kernel entries without progress the clock begins to run faster, so that a program that spins until some
/// time arrives there.
const PATIENCE: u64 = 65_536;
/// So many entries before a livelock is called, it is taken down who runs.
const LAST_LOOK: u64 = 1024;
/// The most that an entry then costs, in virtual nanoseconds.
const HURRY: u64 = 1_000_000;

impl Kernel {
    pub(crate) fn new() -> Kernel {
        Kernel {
            oracle: Box::new(NoOracle),
            now: 0,
            sched: Sched::default(),
            events: Events::default(),
            futexes: Futexes::default(),
            objects: Objects::default(),
            net: Net::default(),
            hosts: Vec::new(),
            trace: Trace::new(),
            end: None,
            refused: Vec::new(),
            steps: 0,
            switches: 0,
            cpus: 1,
            descriptors: 0,
            clock_cost: Cost::CLOCK,
            some_slow: false,
            idle: 0,
            jitter: 0,
            jitter_left: 0,
            limits: Limits {
                virtual_ns: 0,
                steps: 0,
                livelock_after: 0,
            },
            tasks: Tasks::default(),
            preemption: Preemption::default(),
            identities: Identities::default(),
            memory: Memory::new(),
            watcher: Watcher::default(),
            detect: Detect::default(),
            progress: None,
        }
    }

    /// Makes a pristine world for one run.
    pub(crate) fn reset(&mut self, config: &Config, oracle: Box<dyn Oracle>) {
        self.oracle = oracle;
        self.now = 0;
        self.sched.clear();
        self.events.clear();
        self.futexes.clear();
        self.objects.clear();
        self.net.clear();
        self.hosts.clear();
        self.hosts
            .push(Host::new(0, "test", config.cpus, config.descriptors));
        self.trace.reset(config);
        self.end = None;
        self.refused.clear();
        self.steps = 0;
        self.switches = 0;
        self.cpus = config.cpus;
        self.descriptors = config.descriptors;
        self.some_slow = false;
        self.clock_cost = match config.slow_code {
            true => Cost::CLOCK_AFTER_WORK,
            false => Cost::CLOCK,
        };
        self.idle = 0;
        self.jitter_left = 0;
        self.limits = Limits {
            virtual_ns: config.max_virtual,
            steps: config.max_steps,
            livelock_after: config.livelock_after,
        };
        let seen = self.oracle.sees_tasks() || self.trace.recording();
        self.tasks.reset(config.whole_polls, seen);
        self.preemption = Preemption::default();
        self.identities.clear();
        self.watcher = Watcher::default();
        self.detect.reset(config.detectors);
        self.memory
            .clear(config.contended_sites.clone(), config.take_sites);
        self.progress = config.progress;
    }

    /// Takes the oracle back at the end of a run.
    pub(crate) fn take_oracle(&mut self) -> Box<dyn Oracle> {
        std::mem::replace(&mut self.oracle, Box::new(NoOracle))
    }

    /// Each kernel entry begins here: it takes time, and what has become due happens first.
    #[inline]
    pub(crate) fn begin(&mut self, cost: Cost) {
        self.steps += 1;
        self.idle += 1;
        if let Some(progress) = self.progress {
            progress.store(self.steps, Ordering::Relaxed);
        }
        self.pass(cost);
        self.trace.no_subject();
        if self.idle > PATIENCE {
            self.impatient(cost);
        }
        if self.now >= self.events.next_at() {
            self.fire_due();
        }
        if self.steps >= self.limits.steps {
            self.finish(End::StepLimit(Vec::new()));
        }
    }

    /// Whoever watches from outside sees that the run goes on, though it makes no entry.
    pub(crate) fn alive(&self) {
        if let Some(progress) = self.progress {
            progress.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A poll of a task begins here. It is no kernel entry: an endless loop of polls makes entries too, and those are counted.
    #[inline]
    pub(crate) fn begin_poll(&mut self) {
        self.tasks.polls += 1;
        if let Some(progress) = self.progress {
            progress.store(self.steps + self.tasks.polls, Ordering::Relaxed);
        }
        self.pass(Cost::POLL);
        if self.now >= self.events.next_at() {
            self.fire_due();
        }
    }

    #[inline]
    fn pass(&mut self, cost: Cost) {
        let takes =
            u64::from(cost.base) + ((u64::from(cost.spread) * self.jitter()) >> JITTER_BITS);
        self.now += match self.some_slow {
            false => takes,
            true => takes * u64::from(self.host().slowness),
        };
    }

    /// Where in its range the next entry's cost lies, in 64ths. One decision serves eight entries: it is the most frequent
    /// question of all, and each answer would otherwise stand in the log.
    #[inline]
    fn jitter(&mut self) -> u64 {
        if self.jitter_left == 0 {
            self.jitter_left = 8;
            self.jitter = self.oracle.below(Domain::Time, 1 << (8 * JITTER_BITS));
        }
        self.jitter_left -= 1;
        let low = self.jitter & ((1 << JITTER_BITS) - 1);
        self.jitter >>= JITTER_BITS;
        low
    }

    #[cold]
    fn impatient(&mut self, cost: Cost) {
        let doublings = ((self.idle - PATIENCE) / 8192).min(30);
        let jump = (u64::from(cost.base) << doublings).min(HURRY);
        // Never past the next event: what it starts must not happen late.
        let next = self.events.next_at();
        self.now = if next > self.now {
            (self.now + jump).min(next)
        } else {
            self.now
        };
        let nothing_pending = next == u64::MAX;
        let too_late = self.now > self.limits.virtual_ns;
        if nothing_pending && (too_late || self.idle > self.limits.livelock_after) {
            // The clock ran away only because nothing else happens.
            self.finish(End::Livelock(Vec::new()));
        } else if too_late {
            self.finish(End::TimeLimit(Vec::new()));
        }
    }

    /// Whether there was no progress for so long that somebody seems to spin.
    pub(super) fn spins(&self) -> bool {
        self.idle > PATIENCE
    }

    /// Whether a livelock is about to be called, and whoever runs now is part of it.
    pub(super) fn gives_up(&self) -> bool {
        self.idle + LAST_LOOK > self.limits.livelock_after
    }

    /// Something happened that a livelocked program would not do.
    #[inline]
    pub(crate) fn progress(&mut self) {
        self.idle = 0;
    }

    /// Fires every event that is due.
    pub(crate) fn fire_due(&mut self) {
        self.trace.fires(true);
        while let Some(event) = self.events.pop_due(self.now) {
            match event {
                events::Event::Deadline { thread, generation } => self.deadline(thread, generation),
                events::Event::Timer { object, generation } => {
                    self.timer_expired(object, generation);
                }
                events::Event::Net(event) => self.net_event(event),
                events::Event::StallEnds { host } => self.stall_ends(host),
                events::Event::ThreadStallEnds { thread } => self.thread_stall_ends(thread),
            }
        }
        self.trace.fires(false);
    }

    /// Ends the run. The first end counts.
    pub(crate) fn finish(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
        }
    }

    /// The test changes the world: the record says how. The digest sees what comes of it.
    pub(crate) fn world_changes(&mut self, how: impl FnOnce(&Kernel) -> String) {
        if self.trace.recording() {
            let text = format!("world: {}", how(self));
            self.tell(What::Fault { text }, true);
        }
    }

    /// The host of the running thread.
    pub(crate) fn host(&self) -> &Host {
        &self.hosts[usize::from(self.sched.me().host)]
    }

    /// The number of the running thread's host.
    pub(crate) fn host_id(&self) -> u16 {
        self.sched.me().host
    }

    /// A thread as a person names it.
    pub(crate) fn thread_label(&self, id: u32) -> String {
        match self.sched.threads.get(id as usize) {
            Some(t) => format!("{}#{id}", sched::name_text(&t.name)),
            None => "carrier".to_owned(),
        }
    }

    /// What each living thread does, for a verdict.
    pub(crate) fn report_threads(&self) -> Vec<ThreadReport> {
        let mut out = Vec::new();
        for (id, t) in self.sched.threads.iter().enumerate() {
            if self.watcher.is(id as u32) || t.watches {
                continue;
            }
            let (call, waits_for) = match &t.state {
                State::Done => continue,
                _ if t.background => continue,
                State::Runnable if t.frozen => (
                    "runnable".to_owned(),
                    match t.stalled {
                        0 => "its host, which is paused or stalled".to_owned(),
                        _ => "the end of its stall".to_owned(),
                    },
                ),
                State::Runnable => ("runnable".to_owned(), String::new()),
                State::Blocked { call, wait } => ((*call).to_owned(), self.wait_text(t.host, wait)),
            };
            out.push(ThreadReport {
                id: id as u32,
                name: sched::name_text(&t.name),
                host: self.hosts[usize::from(t.host)].name.clone(),
                call,
                waits_for,
                backtrace: None,
            });
        }
        out
    }

    fn wait_text(&self, host: u16, wait: &sched::Wait) -> String {
        let what = match &wait.on {
            sched::On::Clock => "the clock".to_owned(),
            sched::On::Object(o) => self.object_text(*o),
            sched::On::Objects(all) => {
                let all: Vec<String> = all.iter().map(|o| self.object_text(*o)).collect();
                format!("any of {}", all.join(", "))
            }
            sched::On::Word(w) => match w.space {
                sched::Space::Futex => {
                    "a wake (lock, condition variable, channel or park)".to_owned()
                }
                sched::Space::Mutex => "a pthread mutex".to_owned(),
                sched::Space::Condvar => "a pthread condition variable".to_owned(),
                sched::Space::RwLock => "a pthread read-write lock".to_owned(),
                sched::Space::Semaphore => "a semaphore".to_owned(),
                sched::Space::Once => "a pthread_once routine".to_owned(),
                sched::Space::Barrier => "a pthread barrier".to_owned(),
                sched::Space::Memory => "memory".to_owned(),
            },
            sched::On::Join(t) => format!("the end of thread {}", self.thread_label(*t)),
        };
        match wait.until.map(|until| self.due(host, until)) {
            Some(at) => format!("{what}, until {:.6} s", at as f64 / 1e9),
            None => what,
        }
    }

    /// Notes a call that the kernel refuses, once per call and backtrace.
    pub(crate) fn refuse(
        &mut self,
        call: String,
        errno: Errno,
        tolerated: bool,
        backtrace: String,
    ) -> Errno {
        let me = self.sched.me();
        let entry = Refused {
            call,
            errno,
            host: self.hosts[usize::from(me.host)].name.clone(),
            thread: sched::name_text(&me.name),
            backtrace,
            tolerated,
        };
        if !self
            .refused
            .iter()
            .any(|r| r.call == entry.call && r.backtrace == entry.backtrace)
        {
            self.refused.push(entry);
        }
        errno
    }
}
