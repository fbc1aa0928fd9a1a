//! Simulated threads and the choice of who goes on.
//!
//! Exactly one thread runs at a time. The others are runnable, blocked on a [`Wait`] (`waiting` says what for), or done. `abi` calls in here at each
//! kernel entry; the machine in `thread` carries out the switches that are decided here.
//!
//! Whoever picks sees *entities*. A thread that polls a task (see [`super::identity`]) stands for the task, any other for itself.

use super::descriptor::Objects;
use super::events::Event;
use super::identity::Who;
use super::net::Net;
use super::oracle::{Entity, NOBODY, Pick, Touch};
use super::record::What;
pub(crate) use super::threads::{State, Thread, ThreadName, name_text, thread_name};
pub(crate) use super::waiting::{On, Resume, Space, Wait, Word};
use super::{End, Kernel};

/// Stands for "no simulated thread: the carrier, which owns the run, goes on".
pub(crate) const CARRIER: u32 = u32::MAX;

/// All threads of a run.
#[derive(Default)]
pub(crate) struct Sched {
    pub(crate) threads: Vec<Thread>,
    /// Threads and tasks, as the oracle sees them.
    pub(super) entities: Vec<Entity>,
    /// What each entity is.
    pub(super) who: Vec<Who>,
    /// In the order in which they became runnable; the running thread is among them.
    pub(super) runnable: Vec<u32>,
    /// The entity that each of these stands for. That of the running thread is brought up to date before it is looked at.
    faces: Vec<u32>,
    /// Those that could go on but are frozen, in the order in which they became so.
    frozen: Vec<u32>,
    pub(crate) current: u32,
    /// The present kernel entry is a scheduling point.
    pub(crate) point: bool,
    /// The present kernel entry asks to let others go first.
    pub(crate) yielded: bool,
    /// Threads that are not done.
    pub(crate) alive: u32,
    /// The largest value of `alive` so far.
    pub(crate) peak: u32,
}

impl Sched {
    /// Whether the running thread could go on: it is neither being born nor dying, nor has it just been made to wait.
    pub(crate) fn can_go_on(&self) -> bool {
        self.runnable.contains(&self.current)
    }

    pub(crate) fn clear(&mut self) {
        self.threads.clear();
        self.entities.clear();
        self.who.clear();
        self.runnable.clear();
        self.faces.clear();
        self.frozen.clear();
        self.current = CARRIER;
        self.point = false;
        self.yielded = false;
        self.alive = 0;
        self.peak = 0;
    }

    /// The thread that runs.
    pub(crate) fn me(&self) -> &Thread {
        &self.threads[self.current as usize]
    }

    /// The entity that a thread stands for: the task that it polls, or itself.
    #[inline]
    pub(crate) fn face(&self, thread: u32) -> u32 {
        let thread = &self.threads[thread as usize];
        let Some(link) = thread.link else {
            return thread.entity;
        };
        match thread.next_task {
            0 => link.task().map_or(thread.entity, |task| self.known(task)),
            next => next,
        }
    }

    /// The number of a task, or that of the running thread if the task is from elsewhere and has no number in this run.
    #[inline]
    pub(crate) fn known(&self, task: u32) -> u32 {
        match self.who.get(task as usize) {
            Some(Who::Task(_)) => task,
            _ => self.me().entity,
        }
    }

    /// What the running entity does next.
    #[inline]
    pub(crate) fn about_to(&mut self, touch: Touch) {
        let face = self.face(self.current);
        self.entities[face as usize].touch = touch;
    }

    /// A new entity, created by the running one.
    pub(super) fn add_entity(&mut self, who: Who) -> u32 {
        let id = self.entities.len() as u32;
        let parent = match self.current {
            CARRIER => NOBODY,
            thread => self.face(thread),
        };
        // What the first thread starts is independent work; what that starts in turn is part of it.
        let group = match self.entities.get(parent as usize) {
            Some(by) if by.parent != NOBODY => by.group,
            _ => id,
        };
        self.entities.push(Entity {
            parent,
            group,
            touch: Touch::UNKNOWN,
        });
        self.who.push(who);
        id
    }

    /// Whether another thread than the running one can go on.
    #[inline]
    pub(super) fn others_can(&self) -> bool {
        self.runnable.len() > 1
    }

    /// Whether a thread could go on.
    pub(super) fn can(&self, thread: u32) -> bool {
        self.runnable.contains(&thread)
    }

    /// The thread can go on.
    pub(super) fn enter(&mut self, thread: u32) {
        if self.threads[thread as usize].frozen {
            return self.frozen.push(thread);
        }
        self.runnable.push(thread);
        self.faces.push(self.face(thread));
    }

    #[inline]
    fn leave(&mut self, thread: u32) {
        if let Some(at) = self.runnable.iter().position(|t| *t == thread) {
            self.runnable.remove(at);
            self.faces.remove(at);
        }
    }

    /// Whether nobody but the running thread can go on.
    pub(crate) fn alone(&self) -> bool {
        self.runnable.len() == 1
    }

    /// The running thread stands as if it had become runnable just now.
    fn step_back(&mut self) {
        let current = self.current;
        self.leave(current);
        self.enter(current);
    }

    /// Frozen threads lose their turn.
    pub(crate) fn set_aside(&mut self) {
        for thread in std::mem::take(&mut self.runnable) {
            self.enter(thread);
        }
        self.faces.drain(..self.faces.len() - self.runnable.len());
    }

    /// Threads that are no longer frozen get turns again.
    pub(crate) fn bring_back(&mut self) {
        for thread in std::mem::take(&mut self.frozen) {
            self.enter(thread);
        }
        self.point = true;
    }

    /// Threads that are over need no turn.
    pub(crate) fn drop_done(&mut self) {
        let over = |threads: &[Thread], t: u32| matches!(threads[t as usize].state, State::Done);
        for thread in self.runnable.clone() {
            if over(&self.threads, thread) {
                self.leave(thread);
            }
        }
        let threads = &self.threads;
        self.frozen.retain(|t| !over(threads, *t));
    }

    /// The thread that runs, to change.
    pub(crate) fn me_mut(&mut self) -> &mut Thread {
        &mut self.threads[self.current as usize]
    }
}

impl Kernel {
    /// Adds a runnable thread on `host`, carried by `slot`.
    pub(crate) fn add_thread(&mut self, host: u16, name: ThreadName, slot: usize) -> u32 {
        let id = self.sched.threads.len() as u32;
        let at = &self.hosts[usize::from(host)];
        let frozen = at.paused || at.stalled > 0;
        let entity = self.sched.add_entity(Who::Thread(id));
        let parent = self.sched.current;
        let parent_watches = (self.sched.threads.get(parent as usize)).is_some_and(|t| t.watches);
        let watches = parent_watches || self.watcher.is(parent);
        self.sched.threads.push(Thread {
            host,
            name,
            entity,
            link: None,
            next_task: 0,
            last_task: 0,
            picked: false,
            polls_root: false,
            state: State::Runnable,
            resume: Resume::First,
            generation: 0,
            slot,
            detached: false,
            background: watches,
            frozen,
            stalled: 0,
            watches,
            joiner: None,
            result: 0,
        });
        self.sched.enter(id);
        self.sched.alive += 1;
        self.sched.peak = self.sched.peak.max(self.sched.alive);
        self.sched.point = true;
        self.progress();
        // The first thread is there from the start to the end of the record.
        if id != 0 && self.trace.recording() {
            self.tell(What::ThreadBorn { thread: id }, true);
        }
        id
    }

    /// The running thread is over; whoever joins it goes on.
    pub(crate) fn exit_thread(&mut self, result: usize) {
        let id = self.sched.current;
        let me = self.sched.me_mut();
        me.state = State::Done;
        me.result = result;
        self.sched.alive -= 1;
        self.sched.leave(id);
        if id != 0 && self.trace.recording() {
            self.tell(What::ThreadDied, false);
        }
        if let Some(joiner) = self.sched.threads[id as usize].joiner.take() {
            self.wake(joiner, Resume::Woken);
        }
        self.progress();
    }

    /// The running thread blocks in `call`.
    #[inline]
    pub(crate) fn block(&mut self, call: &'static str, wait: Wait) {
        let id = self.sched.current;
        if self.trace.recording() {
            let about = self.about_wait(&wait.on);
            let host = self.sched.me().host;
            let until = wait.until.map(|until| self.due(host, until));
            let call = call.into();
            self.tell(What::Block { call, about, until }, true);
        }
        match &wait.on {
            On::Object(object) => self.watch(*object, id),
            On::Objects(objects) => {
                for object in objects {
                    self.watch(*object, id);
                }
            }
            On::Clock | On::Word(_) | On::Join(_) => {}
        }
        let me = &mut self.sched.threads[id as usize];
        me.generation = me.generation.wrapping_add(1);
        if let Some(until) = wait.until {
            let (host, generation) = (me.host, me.generation);
            let at = self.due(host, until);
            self.push_deadline(at, id, generation);
        }
        let me = &mut self.sched.threads[id as usize];
        me.state = State::Blocked { call, wait };
        self.sched.leave(id);
    }

    /// Lets a blocked thread go on. Does nothing to one that is not blocked.
    #[inline]
    pub(crate) fn wake(&mut self, id: u32, resume: Resume) {
        let thread = &mut self.sched.threads[id as usize];
        if !matches!(thread.state, State::Blocked { .. }) {
            return;
        }
        let State::Blocked { wait, .. } = std::mem::replace(&mut thread.state, State::Runnable)
        else {
            return;
        };
        let Wait { on, until } = wait;
        thread.resume = resume;
        if self.detect.any_blocked() {
            self.detect.unblocked(id);
        }
        if self.trace.recording() {
            self.tell_wake(id, &on, resume == Resume::TimedOut);
        }
        let face = self.sched.face(id);
        self.sched.entities[face as usize].touch = on.touch();
        self.sched.enter(id);
        self.sched.point = true;
        if !self.sched.threads[id as usize].background {
            self.progress();
        }
        match on {
            On::Object(object) => self.unwatch(object, id),
            On::Objects(objects) => {
                for object in objects {
                    self.unwatch(object, id);
                }
            }
            On::Word(_) => self.futexes.forget(id),
            On::Clock | On::Join(_) => {}
        }
        if until.is_some() && resume != Resume::TimedOut && self.events.stale() {
            self.sweep_events();
        }
    }

    /// A deadline event fired.
    pub(crate) fn deadline(&mut self, id: u32, generation: u32) {
        match self.sched.threads.get(id as usize) {
            Some(t) if t.generation == generation && matches!(t.state, State::Blocked { .. }) => {
                self.wake(id, Resume::TimedOut);
            }
            _ => self.events.popped_stale(),
        }
    }

    /// After a call that did not block: who goes on. Consumes the scheduling point.
    #[inline]
    pub(crate) fn reschedule(&mut self) -> u32 {
        if self.end.is_some() {
            return CARRIER;
        }
        if !std::mem::take(&mut self.sched.point) {
            return self.sched.current;
        }
        let yielded = std::mem::take(&mut self.sched.yielded);
        match self.sched.runnable[..] {
            // It has just frozen its own host.
            [] => return self.next_thread(),
            [only] => return only,
            _ => {}
        }
        self.sched.about_to(Touch::UNKNOWN);
        if yielded && !self.sched.me().frozen {
            self.sched.step_back();
        }
        self.choose(yielded)
    }

    /// A scheduling point before the running thread does what `touch` says: who goes on. `yielded`: it lets others go first.
    #[inline]
    pub(crate) fn before(&mut self, touch: Touch, yielded: bool) -> u32 {
        if self.end.is_some() {
            return CARRIER;
        }
        if self.sched.runnable.len() <= 1 {
            let me = self.sched.current;
            self.oracle.alone(self.sched.face(me), touch);
            return me;
        }
        self.sched.about_to(touch);
        if yielded && !self.sched.me().frozen {
            self.sched.step_back();
        }
        self.choose(yielded)
    }

    /// After the running thread blocked or ended: who goes on. Moves the clock to the next event while nobody can.
    #[inline]
    pub(crate) fn next_thread(&mut self) -> u32 {
        self.sched.point = false;
        self.sched.yielded = false;
        while self.sched.runnable.is_empty() {
            if self.end.is_some() {
                return CARRIER;
            }
            if self.watcher.waits() && self.looks_when_quiet() {
                continue;
            }
            let at = self.events.next_at();
            if at == u64::MAX {
                let end = self.futurelock().unwrap_or(End::Deadlock(Vec::new()));
                self.finish(end);
                return CARRIER;
            }
            if self.detect.any_blocked() && self.poll_holds_up() {
                return CARRIER;
            }
            let from = self.now;
            self.now = self.now.max(at);
            if self.trace.recording() {
                self.tell(What::TimeJump { from }, false);
            }
            if self.now > self.limits.virtual_ns {
                self.finish(End::TimeLimit(Vec::new()));
                return CARRIER;
            }
            self.fire_due();
        }
        if self.end.is_some() {
            return CARRIER;
        }
        self.choose(false)
    }

    #[inline]
    pub(super) fn choose(&mut self, yielded: bool) -> u32 {
        let sched = &mut self.sched;
        if let [only] = sched.runnable[..] {
            if self.watcher.steps() {
                return self.looks_at_step(only);
            }
            return only;
        }
        let current = sched.runnable.iter().position(|t| *t == sched.current);
        if let Some(at) = current {
            sched.faces[at] = sched.face(sched.current);
        }
        let i = self.oracle.pick(Pick {
            runnable: &sched.faces,
            current,
            yielded,
            entities: &sched.entities,
            now: self.now,
        });
        let Some(&next) = sched.runnable.get(i) else {
            panic!(
                "squall bug: the oracle picked {i} of {}",
                sched.runnable.len()
            );
        };
        self.trace.fold(u64::from(next) ^ (self.now << 16));
        if self.trace.recording() && next != self.sched.current {
            let preempted = current.is_some() && !yielded;
            self.tell(
                What::Switch {
                    to: next,
                    preempted,
                },
                preempted,
            );
        }
        if self.watcher.steps() {
            return self.looks_at_step(next);
        }
        next
    }

    pub(crate) fn sweep_events(&mut self) {
        let live = live(&self.sched.threads, &self.objects, &self.net);
        self.events.sweep(live);
    }

    /// What is pending and not outdated, with its time, in no order.
    pub(super) fn pending(&self) -> impl Iterator<Item = (u64, &Event)> {
        let live = live(&self.sched.threads, &self.objects, &self.net);
        self.events.all().filter(move |(_, event)| live(event))
    }
}

/// Whether anything can come of an event.
fn live<'k>(
    threads: &'k [Thread],
    objects: &'k Objects,
    net: &'k Net,
) -> impl Fn(&Event) -> bool + 'k {
    move |event| match event {
        Event::Deadline { thread, generation } => threads.get(*thread as usize).is_some_and(|t| {
            t.generation == *generation && matches!(t.state, State::Blocked { .. })
        }),
        Event::Timer { object, generation } => objects.timer_is_live(*object, *generation),
        Event::Net(event) => net.is_live(event),
        Event::StallEnds { .. } | Event::ThreadStallEnds { .. } => true,
    }
}
