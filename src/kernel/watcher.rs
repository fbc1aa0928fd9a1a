//! The watcher: one thread of the harness that looks at the world when nobody else would notice, for the properties that a test
//! has stated. It waits until the world is quiet, which is when nobody can go on and before the clock jumps, or for each step, and
//! neither its waiting nor its waking asks the oracle anything, takes time, or keeps a world alive that has come to rest.
//!
//! `thread/doors.rs` leads here; `sched` asks where it would let the clock jump, and at each choice.

use super::sched::{CARRIER, On, Resume, State, Wait};
use super::{End, Kernel};

/// What the watcher waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// A quiet moment, once something has happened.
    pub quiet: bool,
    /// Each scheduling point.
    pub each_step: bool,
    /// A quiet moment at this virtual time (nanoseconds) or later, if anything happens from then on.
    pub at: Option<u64>,
    /// A quiet moment at the second of these virtual times or later, if the world has not come to rest: somebody who is not of the
    /// watcher's own has done something since the first of them, by when the consequences of its last look are over, or the
    /// test's body waits for the clock.
    pub look: Option<(u64, u64)>,
}

/// What the watcher was woken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// A scheduling point.
    Step,
    /// The world is quiet.
    #[default]
    Quiet,
    /// The world is quiet, and it is time.
    Due,
}

/// The watcher of a run, if it has one.
#[derive(Default)]
pub(crate) struct Watcher {
    /// The thread, once it has waited.
    thread: Option<u32>,
    watch: Watch,
    /// It waits.
    waits: bool,
    /// Kernel entries when it last looked.
    looked: u64,
    /// Who was chosen to go on before it looked.
    back_to: Option<u32>,
    /// What others had done before it was looked at them: see [`Kernel::done_by_others`].
    settled: u64,
    /// What it was woken for.
    pub(crate) moment: Moment,
}

impl Watcher {
    /// Whether a thread is the watcher, which is none of the program's.
    pub(crate) fn is(&self, thread: u32) -> bool {
        self.thread == Some(thread)
    }

    /// Whether it looks at each step.
    #[inline]
    pub(crate) fn steps(&self) -> bool {
        self.waits && self.watch.each_step
    }

    /// Whether it waits at all.
    #[inline]
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }
}

impl Kernel {
    /// The running thread waits for what `watch` says; returns who goes on.
    pub(crate) fn watcher_waits(&mut self, watch: Watch) -> u32 {
        let me = self.sched.current;
        let back_to = self.watcher.back_to.take();
        self.watcher = Watcher {
            thread: Some(me),
            watch,
            waits: true,
            looked: self.steps,
            back_to: None,
            moment: Moment::Quiet,
            settled: self.watcher.settled,
        };
        let wait = Wait {
            on: On::Clock,
            until: None,
        };
        self.block("watch", wait);
        match back_to {
            _ if self.end.is_some() => CARRIER,
            Some(thread) if self.sched.can(thread) => thread,
            _ => self.next_thread(),
        }
    }

    /// What the watcher waits for changes, as another thread wants it to.
    pub(crate) fn rewatch(&mut self, watch: Watch) {
        self.watcher.watch = watch;
    }

    /// Nobody can go on: whether the watcher looks first.
    #[cold]
    pub(crate) fn looks_when_quiet(&mut self) -> bool {
        let Watch {
            quiet, at, look, ..
        } = self.watcher.watch;
        let next = self.events.next_at();
        // A world in which nothing is pending has come to rest, and is not kept going by being looked at.
        let comes = |at: &u64| next != u64::MAX && *at <= next;
        let mut due = at.filter(comes);
        if let Some((settles, at)) = look {
            let (done, sleeps) = self.done_by_others();
            if self.now < settles {
                self.watcher.settled = done;
            }
            if done != self.watcher.settled || sleeps {
                due = Some(due.unwrap_or(at).min(at)).filter(comes);
            }
        }
        let at = due.map(|at| self.now.max(at));
        let due = at.is_some();
        self.now = at.unwrap_or(self.now);
        let something = self.steps != self.watcher.looked;
        if !(due || quiet && something) {
            return false;
        }
        if self.now > self.limits.virtual_ns {
            self.finish(End::TimeLimit(Vec::new()));
            return true;
        }
        if due {
            self.watcher.moment = Moment::Due;
        }
        self.wake_watcher();
        true
    }

    /// How often threads other than the watcher and those that it started have come to wait, and whether one of the test's own host
    /// waits for the clock.
    fn done_by_others(&self) -> (u64, bool) {
        let others = (self.sched.threads.iter().enumerate()).filter(|(id, thread)| {
            !(thread.watches || thread.background || self.watcher.is(*id as u32))
        });
        let mut done = 0;
        let mut sleeps = false;
        for (_, thread) in others {
            done += u64::from(thread.generation);
            sleeps |= thread.host == 0
                && matches!(&thread.state, State::Blocked { wait, .. } if wait.until.is_some());
        }
        (done, sleeps)
    }

    /// `next` was chosen to go on: the watcher looks first, and `next` goes on after it.
    #[cold]
    pub(crate) fn looks_at_step(&mut self, next: u32) -> u32 {
        let watcher = self
            .watcher
            .thread
            .map(|id| &self.sched.threads[id as usize]);
        if watcher.is_none_or(|watcher| watcher.frozen) {
            return next;
        }
        self.watcher.back_to = Some(next);
        self.watcher.moment = Moment::Step;
        self.wake_watcher()
    }

    /// Other than [`Kernel::wake`] it is no sign of progress, and no scheduling point.
    fn wake_watcher(&mut self) -> u32 {
        let thread = self.watcher.thread.unwrap_or(CARRIER);
        self.watcher.waits = false;
        let state = &mut self.sched.threads[thread as usize];
        state.state = State::Runnable;
        state.resume = Resume::Woken;
        self.sched.enter(thread);
        thread
    }
}
