//! What goes wrong in a program whatever it is for: the facts that the detectors go by, taken down where they arise. `sched`, `identity`
//! and `abi` bring them; a poll that blocks ends the run as soon as time passes, everything else is judged when the body has returned.
//! `stack` says where the program is, `permits` has the futurelock, `leaks` what is left at the end.
//!
//! Nothing here asks the oracle or changes the course of a run that holds.

mod leaks;
mod permits;
mod stack;

pub(crate) use permits::Permit;
use permits::Waiter;
use stack::{Stack, ends_thread, from_call, stack};

use super::outcome::Violation;
use super::sched::{State, Thread};
use super::{Detector, Detectors, End, Kernel};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the detectors of a run know.
#[derive(Default)]
pub(crate) struct Detect {
    on: Detectors,
    /// How many handles allow each at present.
    allowed: [u32; Detector::ALL.len()],
    /// What is allowed for the rest of the run where its text holds this.
    allowed_at: Vec<(Detector, String)>,
    /// The threads that are blocked within a poll.
    blocked: Vec<Blocked>,
    panics: Vec<Panic>,
    /// What was found, to be judged at the end.
    found: Vec<Violation>,
    /// Futures that were handed the permits that they wait for, and have not been polled since.
    granted: Vec<Waiter>,
    /// Return addresses in words; finding those takes long, and they are the same in every run.
    worded: BTreeMap<usize, Vec<String>>,
    /// Futures that wait for permits, of a run that is recorded.
    waiters: Vec<Waiter>,
    /// The tasks that were polled shortly before a livelock was called.
    spinning: Vec<u32>,
}

/// A thread that is blocked within a poll.
struct Blocked {
    thread: u32,
    /// Where it is, until that has been told.
    stack: Stack,
    /// What that says, from the first question on: it is asked whenever time passes.
    told: Option<Told>,
}

/// What the stack of a blocked thread says.
struct Told {
    words: String,
    /// It may block there, or nobody can tell.
    may: bool,
    /// It waits for a lock of std or of parking_lot.
    lock: bool,
}

/// The last panic of a thread or a task.
struct Panic {
    thread: u32,
    /// 0 where the thread polled none.
    task: u32,
    site: String,
    message: String,
    stack: Stack,
}

/// What became of a task's output that nobody took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It panicked.
    Panic,
    /// It was an `Err`.
    Error,
}

impl Detect {
    pub(crate) fn reset(&mut self, on: Detectors) {
        *self = Detect {
            on,
            worded: std::mem::take(&mut self.worded),
            ..Detect::default()
        };
    }

    /// A task is polled, shortly before a livelock is called.
    #[cold]
    pub(crate) fn spins(&mut self, entity: u32) {
        if self.spinning.len() < 16 && !self.spinning.contains(&entity) {
            self.spinning.push(entity);
        }
    }

    /// Whether a detector looks at all.
    #[inline]
    pub(crate) fn wants(&self, detector: Detector) -> bool {
        self.on.contains(detector) && self.allowed[detector as usize] == 0
    }

    /// Whether threads that block within a poll are of interest.
    #[inline]
    pub(crate) fn wants_blocked(&self) -> bool {
        self.wants(Detector::BlockingCall) || self.wants(Detector::LockAcrossAwait)
    }

    /// Whether somebody is blocked within a poll.
    #[inline]
    pub(crate) fn any_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// A handle allows a detector's findings, or does no more.
    pub(crate) fn allow(&mut self, detector: Detector, on: bool) {
        let count = &mut self.allowed[detector as usize];
        *count = if on {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
    }

    /// Findings that name this are allowed for the rest of the run.
    pub(crate) fn allow_at(&mut self, detector: Detector, site: &str) {
        self.allowed_at.push((detector, site.to_owned()));
    }

    fn allows(&self, detector: Detector, text: &str) -> bool {
        let here = |(of, site): &(Detector, String)| *of == detector && text.contains(site);
        !self.wants(detector) || self.allowed_at.iter().any(here)
    }

    /// What this stack says of a thread that is blocked there.
    fn tell(&mut self, stack: &[usize]) -> Told {
        let words = self.words(stack);
        // Without names nobody can tell what blocks, nor that it may. `block_in_place` says that it may, and a fault point that
        // takes its time, or the healing of a stall, does so for the test.
        let may = [
            "::block_in_place",
            "squall::fault::point::",
            "squall::fault::nemesis::",
            "squall::sim::faults::",
        ];
        Told {
            may: !words.contains("squall::") || may.iter().any(|may| words.contains(may)),
            lock: LOCKS.iter().any(|lock| words.contains(lock)),
            words,
        }
    }

    /// A thread is no longer blocked.
    #[cold]
    pub(crate) fn unblocked(&mut self, thread: u32) {
        self.blocked.retain(|blocked| blocked.thread != thread);
    }

    /// The program of a host is gone.
    pub(crate) fn host_ends(&mut self, host: u16) {
        self.granted.retain(|waiter| waiter.host != host);
        self.waiters.retain(|waiter| waiter.host != host);
    }

    /// Somebody has seen how a thread ended.
    pub(crate) fn joined(&mut self, thread: u32) {
        self.panics
            .retain(|panic| panic.thread != thread || panic.task != 0);
    }
}

/// The functions in which locks of std and of parking_lot wait. None of them is inlined, so their names do without debug information.
const LOCKS: [&str; 6] = [
    "::lock_contended",
    "::read_contended",
    "::write_contended",
    "::lock_slow",
    "::lock_shared_slow",
    "::lock_exclusive_slow",
];

impl Kernel {
    /// Whether the running thread polls a future that must not block it.
    #[inline]
    pub(crate) fn in_poll(&self) -> bool {
        let me = self.sched.me();
        me.polls_root && me.link.is_none_or(|link| !link.may_block())
            || me.link.is_some_and(|link| link.polls())
    }

    /// The running thread has come to block within a poll.
    #[cold]
    pub(crate) fn blocked_in_poll(&mut self) {
        let blocked = Blocked {
            thread: self.sched.current,
            stack: stack(),
            told: None,
        };
        self.detect.blocked.push(blocked);
    }

    /// Nobody can go on, and the clock is about to jump: whether the run ends because some poll holds up its thread.
    #[cold]
    pub(crate) fn poll_holds_up(&mut self) -> bool {
        for index in 0..self.detect.blocked.len() {
            let thread = self.detect.blocked[index].thread;
            let Thread { host, state, .. } = &self.sched.threads[thread as usize];
            // Whoever is frozen may hold what is waited for, and is to blame for nothing.
            let frozen = |t: &Thread| t.host == *host && t.frozen;
            let State::Blocked { call, .. } = state else {
                continue;
            };
            if self.sched.threads.iter().any(frozen) {
                continue;
            }
            // Putting a stack into words may mean to read debug information, for as long as thousands of runs take.
            let waits = call.starts_with("futex") || call.starts_with("pthread");
            let may_matter =
                self.detect.wants(Detector::BlockingCall) || waits && self.others_idle(thread);
            if !may_matter {
                continue;
            }
            let told = match self.detect.blocked[index].told.take() {
                Some(told) => told,
                None => {
                    let stack = std::mem::take(&mut self.detect.blocked[index].stack);
                    self.detect.tell(&stack)
                }
            };
            let detector = match told.lock && self.others_idle(thread) {
                true => Detector::LockAcrossAwait,
                false => Detector::BlockingCall,
            };
            if !told.may && !self.detect.allows(detector, &told.words) {
                let violation = self.held_up(thread, &told.words, detector);
                self.finish(End::Violated(Box::new(violation)));
                return true;
            }
            self.detect.blocked[index].told = Some(told);
        }
        false
    }

    fn held_up(&self, thread: u32, words: &str, detector: Detector) -> Violation {
        let polled = self.current_task(thread);
        let thread = &self.sched.threads[thread as usize];
        let call = match &thread.state {
            State::Blocked { call, .. } => call,
            State::Runnable | State::Done => "",
        };
        let who = match polled {
            Some(task) => format!("the task spawned at {}", task.spawned_at),
            None if thread.host == 0 => "the test's body".to_owned(),
            None => format!(
                "the main future of {}",
                self.hosts[usize::from(thread.host)].name
            ),
        };
        let mut detail = format!(
            "{who} blocks its thread in {call} while it is polled, and time passes: whatever else runs on that thread waits too"
        );
        if detector == Detector::LockAcrossAwait {
            detail.push_str(
                "\nit waits for a lock, and no thread that could hold it is doing anything: a task keeps it over an await",
            );
            self.suspended(thread.host, &mut detail);
        }
        Violation {
            property: detector.headline().to_owned(),
            detail,
            at: self.now,
            backtrace: Some(from_call(words).to_owned()),
            ..Violation::default()
        }
    }

    /// The tasks of a host that wait, where they are known.
    fn suspended(&self, host: u16, text: &mut String) {
        let polled: Vec<u32> = (0..self.sched.threads.len() as u32)
            .filter_map(|thread| Some(self.current_task(thread)?.entity))
            .collect();
        let waits = (self.known_tasks()).filter(|task| {
            task.host == host && !task.done && !task.blocking && !polled.contains(&task.entity)
        });
        for task in waits.take(8) {
            let _ = write!(text, "\na task that waits: spawned at {}", task.spawned_at);
        }
    }

    /// Whether every other thread of the host only waits for work or for the kernel's events.
    fn others_idle(&self, thread: u32) -> bool {
        let host = self.sched.threads[thread as usize].host;
        let idle = |(id, t): (usize, &Thread)| match &t.state {
            _ if t.host != host || t.background || t.watches || id as u32 == thread => true,
            State::Done => true,
            State::Runnable => false,
            State::Blocked { call, .. } => {
                let in_poll = self.detect.blocked.iter().any(|b| b.thread == id as u32);
                !in_poll && (call.starts_with("epoll") || call.starts_with("futex"))
            }
        };
        self.sched.threads.iter().enumerate().all(idle)
    }

    /// The running thread panics.
    pub(crate) fn panics(&mut self, site: &str, message: &str) {
        if !self.detect.on.contains(Detector::UnobservedPanic) {
            return;
        }
        let thread = self.sched.current;
        let task = self.current_task(thread).map_or(0, |task| task.entity);
        (self.detect.panics)
            .retain(|panic| panic.task != task || task == 0 && panic.thread != thread);
        self.detect.panics.push(Panic {
            thread,
            task,
            site: site.to_owned(),
            message: message.to_owned(),
            stack: stack(),
        });
    }

    /// The output of a task is dropped, and nobody took it.
    pub(crate) fn task_lost(&mut self, entity: u32, lost: Lost) {
        let detector = match lost {
            Lost::Panic => Detector::UnobservedPanic,
            Lost::Error => Detector::DroppedError,
        };
        let Some(task) = self.task(entity) else {
            return;
        };
        let mut detail = format!(
            "the task spawned at {} {}, and its handle was dropped without being asked",
            task.spawned_at,
            match lost {
                Lost::Panic => "panicked",
                Lost::Error => "returned an error",
            }
        );
        let host = task.host;
        if host != 0 {
            let _ = write!(detail, "\non {}", self.hosts[usize::from(host)].name);
        }
        if lost == Lost::Panic
            && let Some(panic) = self.detect.panics.iter().find(|p| p.task == entity)
        {
            let _ = write!(detail, "\nat {}: {}", panic.site, panic.message);
        }
        self.find(detector, detail);
    }

    /// The places that spawned the tasks of a livelock.
    pub(crate) fn spinning(&self) -> Vec<String> {
        let tasks = self.detect.spinning.iter().filter_map(|e| self.task(*e));
        tasks.map(|task| task.spawned_at.to_string()).collect()
    }

    /// A task waits, and nothing is left that could wake it or end it.
    pub(crate) fn task_orphaned(&mut self, entity: u32) {
        if let Some(task) = self.task(entity) {
            let mut detail = format!(
                "the task spawned at {} waits, no waker of it is left, and its handle is gone: it can neither go on nor be aborted",
                task.spawned_at
            );
            if self.trace.recording() {
                let at = self.last_wait(entity);
                let _ = match at {
                    Some(place) => write!(detail, "\nit waits at {place}"),
                    None => write!(
                        detail,
                        "\nits last poll asked for nothing of tokio's: a future of the program's own returned Pending and kept no waker"
                    ),
                };
            }
            self.find(Detector::StalledTask, detail);
        }
    }

    /// To be judged when the body has returned.
    pub(crate) fn find(&mut self, detector: Detector, detail: String) {
        if !self.detect.allows(detector, &detail) {
            self.detect.found.push(Violation {
                property: detector.headline().to_owned(),
                detail,
                at: self.now,
                // Where it is judged says nothing.
                backtrace: Some(String::new()),
                ..Violation::default()
            });
        }
    }

    /// The body has returned and its runtime is gone: what is there to say?
    pub(crate) fn judge(&mut self) -> Option<Violation> {
        for index in 0..self.detect.panics.len() {
            let Panic { thread, task, .. } = self.detect.panics[index];
            let over = matches!(self.sched.threads[thread as usize].state, State::Done);
            if !over || task != 0 {
                continue;
            }
            let stack = self.detect.panics[index].stack.clone();
            if !ends_thread(&self.detect.words(&stack)) {
                continue;
            }
            let Panic { site, message, .. } = &self.detect.panics[index];
            let detail = format!(
                "the thread {} panicked, and nobody joined it\nat {site}: {message}",
                self.thread_label(thread)
            );
            self.find(Detector::UnobservedPanic, detail);
        }
        let threads: Vec<String> = (self.sched.threads.iter().enumerate())
            .filter(|(id, t)| {
                let over = matches!(t.state, State::Done);
                *id > 0 && t.host == 0 && !over && !t.background && !t.watches
            })
            .map(|(id, _)| self.thread_label(id as u32))
            .collect();
        if !threads.is_empty() {
            let detail = format!(
                "the body returned, and these threads that it started are there: {}",
                threads.join(", ")
            );
            self.find(Detector::LeakedThreads, detail);
        } else if self.detect.wants(Detector::LeakedDescriptors) {
            self.leaked_descriptors();
        }
        match self.detect.found.is_empty() {
            true => None,
            false => Some(self.detect.found.remove(0)),
        }
    }
}
