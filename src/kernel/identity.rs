//! Who the tasks of an instrumented tokio are: their births, polls and deaths, and which of them each thread polls. `abi/tokio.rs`
//! reports them; the scheduler and the trace ask. Tasks share one numbering with threads, see [`super::Entity`].
//!
//! A poll is too short for a report of its own. So each thread shares a [`Link`] with its tokio, which notes there what it
//! polls; only while a run is recorded are the ends of polls reported one by one.

use super::detect::{Lost, Permit};
use super::record::{About, What};
use super::sched::{On, Space, Word};
use super::{Kernel, TaskReport, Touch};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// This thread.
    Thread(u32),
    /// The task at this place in [`Identities::tasks`].
    Task(u32),
}

/// What a thread shares with the tokio that runs on it. The layout is agreed with `cargo-squall/src/instrument/bridge.rs.txt`.
/// Only that thread and the kernel, which never run at once, look at it.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The entity whose poll has begun and not ended; 0, which is a thread's number, for none.
    task: AtomicU32,
    /// How many polls have tokio's own budget before the next question about one.
    quiet: AtomicU32,
    /// 1 if the beginnings and ends of polls are to be reported.
    watch: AtomicU32,
    /// tokio's own: which task goes before the future of `block_on`.
    before_root: AtomicU32,
    /// 1 if the future of `block_on` takes part in the choice of who is next.
    root_joins: AtomicU32,
    /// tokio's own: how many polls there are before the driver's turn; all bits set for "to be asked".
    until_driver: AtomicU32,
    /// 1 where what is polled may block the thread: it is in `spawn_blocking` or `block_in_place`. 2 announces such a poll.
    may_block: AtomicU32,
    /// One more than the budget of the next poll, where that was decided together with the task; 0 if not.
    next_budget: AtomicU32,
    /// The address of the functions that tokio may call.
    doors: AtomicUsize,
}

impl Link {
    /// The task that is being polled.
    #[inline]
    pub(crate) fn task(&self) -> Option<u32> {
        match self.task.load(Relaxed) {
            0 => None,
            task => Some(task),
        }
    }

    /// Whether what is polled may block the thread.
    #[inline]
    pub(crate) fn may_block(&self) -> bool {
        self.may_block.load(Relaxed) != 0
    }

    /// Whether the budget of the next poll is to be decided.
    #[inline]
    pub(crate) fn wants_budget(&self) -> bool {
        self.quiet.load(Relaxed) == 0 && self.next_budget.load(Relaxed) == 0
    }

    /// The budget of the next poll, and how many polls after it have tokio's own.
    #[inline]
    pub(crate) fn set_budget(&self, budget: u64, polls: u64) {
        self.next_budget.store(1 + budget as u32, Relaxed);
        self.quiet.store(polls as u32, Relaxed);
    }

    /// Whether a task is polled that may not block the thread.
    #[inline]
    pub(crate) fn polls(&self) -> bool {
        self.task.load(Relaxed) != 0 && !self.may_block()
    }
}

/// A place in the program's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How a poll ended, or that it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    Begins,
    Pending,
    Ready,
}

/// What an instrumented tokio tells of a poll, of a run that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Something that may have to be waited for is polled.
    Leaf,
    /// The budget is gone, and the poll ends here.
    CutShort,
    /// Somebody keeps the waker.
    Kept,
    /// This task is woken.
    Wakes(u32),
    /// A permit of the semaphore at this address is wanted; locks are made of such.
    Acquires(usize),
    /// Permits of it are given back.
    Releases(usize),
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub(crate) struct TaskFacts {
    /// Its number among the entities.
    pub(crate) entity: u32,
    /// The entity that spawned it.
    pub(crate) parent: u32,
    /// The host that it runs on.
    pub(crate) host: u16,
    /// Where it was spawned, by the caller of tokio's function.
    pub(crate) spawned_at: Place,
    /// The name that `tokio::task::Builder` gave it.
    pub(crate) name: Option<Box<str>>,
    /// Polls so far; counted only while the run is recorded.
    pub(crate) polls: u64,
    /// It has finished, panicked or been cancelled.
    pub(crate) done: bool,
    /// It is a closure that may block, or a worker of a runtime.
    pub(crate) blocking: bool,
}

/// The tasks of a run.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    tasks: Vec<TaskFacts>,
    /// Never freed, so that no thread is left with a link into nothing; used again in the next run.
    links: Vec<&'static Link>,
    /// How many of these this run has given away.
    linked: usize,
    /// Tasks of a tokio that is not instrumented, by its own numbers for them.
    hooked: BTreeMap<u64, u32>,
}

impl Identities {
    pub(crate) fn clear(&mut self) {
        self.tasks.clear();
        self.hooked.clear();
        self.linked = 0;
    }
}

impl Kernel {
    /// The runtimes of a host are gone, and with them their tasks.
    pub(crate) fn tasks_end(&mut self, host: u16) {
        for task in self.identities.tasks.iter_mut().filter(|t| t.host == host) {
            task.done = true;
        }
        self.detect.host_ends(host);
        let tasks = &self.identities.tasks;
        for (entity, who) in self.sched.entities.iter_mut().zip(&self.sched.who) {
            // Here, too, an address would keep the memory of a dead program.
            if matches!(who, Who::Task(task) if tasks[*task as usize].host == host) {
                entity.touch = Touch::UNKNOWN;
            }
        }
    }

    /// The link between the running thread and its tokio, which may call the functions at `doors`.
    pub(crate) fn link(&mut self, doors: usize) -> &'static Link {
        if let Some(link) = self.sched.me().link {
            if doors != 0 {
                link.doors.store(doors, Relaxed);
            }
            return link;
        }
        let joins = self.root_joins();
        let all = &mut self.identities;
        if all.linked == all.links.len() {
            all.links.push(Box::leak(Box::default()));
        }
        let link = all.links[all.linked];
        all.linked += 1;
        link.task.store(0, Relaxed);
        link.quiet.store(0, Relaxed);
        link.watch.store(u32::from(self.trace.recording()), Relaxed);
        link.before_root.store(0, Relaxed);
        link.root_joins.store(u32::from(joins), Relaxed);
        link.until_driver.store(u32::MAX, Relaxed);
        link.may_block.store(0, Relaxed);
        link.next_budget.store(0, Relaxed);
        link.doors.store(doors, Relaxed);
        self.sched.me_mut().link = Some(link);
        link
    }

    /// A task is spawned; returns its number.
    pub(crate) fn task_born(&mut self, spawned_at: Place, name: Option<Box<str>>) -> u32 {
        let index = self.identities.tasks.len() as u32;
        let entity = self.sched.add_entity(Who::Task(index));
        let facts = TaskFacts {
            entity,
            parent: self.sched.entities[entity as usize].parent,
            host: self.host_id(),
            spawned_at,
            name,
            polls: 0,
            done: false,
            blocking: false,
        };
        self.identities.tasks.push(facts);
        self.trace
            .fold(u64::from(entity) << 32 | u64::from(spawned_at.line));
        if self.trace.recording() {
            self.tell(What::TaskBorn { task: entity }, true);
        }
        entity
    }

    /// A poll of a task begins or ends; reported only while the run is recorded.
    pub(crate) fn task_polled(&mut self, entity: u32, poll: Poll) {
        let Some(task) = self.task_mut(entity) else {
            return;
        };
        let what = match poll {
            Poll::Begins => {
                task.polls += 1;
                What::PollBegins { task: entity }
            }
            Poll::Pending | Poll::Ready => What::PollEnds {
                task: entity,
                ready: poll == Poll::Ready,
            },
        };
        self.tell(what, false);
    }

    /// Something happens within a poll.
    pub(crate) fn task_mark(&mut self, mark: Mark) {
        if !self.trace.recording() {
            return;
        }
        let semaphore = |address| {
            On::Word(Word {
                space: Space::Semaphore,
                address,
            })
        };
        let what = match mark {
            Mark::Leaf => What::Awaits {
                about: About::Nothing,
            },
            Mark::CutShort => What::CutShort,
            Mark::Kept => What::Kept,
            Mark::Wakes(task) => What::WakesTask { task },
            Mark::Acquires(address) => What::Awaits {
                about: self.about_wait(&semaphore(address)),
            },
            Mark::Releases(address) => What::Releases {
                about: self.about_wait(&semaphore(address)),
            },
        };
        self.tell(what, true);
    }

    /// A task runs a closure that may block, or a worker.
    pub(crate) fn task_blocks(&mut self, entity: u32) {
        if let Some(task) = self.task_mut(entity) {
            task.blocking = true;
        }
    }

    /// Something that the detectors want to know of a task (the first three) or of a future that waits for permits.
    pub(crate) fn task_says(&mut self, what: u32, which: usize, semaphore: usize) {
        let task = which as u32;
        match what {
            0 => self.task_blocks(task),
            1 => self.task_lost(task, Lost::Panic),
            2 => self.task_lost(task, Lost::Error),
            3 => self.task_orphaned(task),
            4 => self.permit(Permit::Polled, which, semaphore),
            5 => self.permit(Permit::Granted, which, semaphore),
            _ => self.permit(Permit::Dropped, which, semaphore),
        }
    }

    /// All tasks, in the order of their births.
    pub(crate) fn known_tasks(&self) -> impl Iterator<Item = &TaskFacts> {
        self.identities.tasks.iter()
    }

    /// A task has finished, panicked or been cancelled.
    pub(crate) fn task_died(&mut self, entity: u32) {
        let Some(task) = self.task_mut(entity) else {
            return;
        };
        task.done = true;
        if self.trace.recording() {
            self.tell(What::TaskDied { task: entity }, false);
        }
    }

    /// The running thread's link, unless an instrumented tokio has it.
    fn hook_link(&mut self) -> Option<&'static Link> {
        let link = self.link(0);
        (link.doors.load(Relaxed) == 0).then_some(link)
    }

    /// A task is spawned, says a hook.
    pub(crate) fn hooked_birth(&mut self, number: u64, spawned_at: Place) {
        if self.hook_link().is_some() {
            let task = self.task_born(spawned_at, None);
            self.identities.hooked.insert(number, task);
        }
    }

    /// The task that hooks know by this number; `None` where an instrumented tokio says what there is to say.
    pub(crate) fn hooked_task(&mut self, number: u64) -> Option<u32> {
        self.hook_link()?;
        self.identities.hooked.get(&number).copied()
    }

    /// A task is about to be polled, says a hook: which is it, and which thread goes on first?
    pub(crate) fn hooked_poll(&mut self, number: u64) -> Option<(u32, u32)> {
        let task = self.hooked_task(number)?;
        Some((task, self.poll_on_worker(task)))
    }

    /// A poll begins or ends, says a hook; `Ready` stands for the end of the task, polled or not.
    pub(crate) fn hooked(&mut self, task: u32, poll: Poll) {
        let Some(link) = self.sched.me().link else {
            return;
        };
        let polled = link.task() == Some(task);
        if poll == Poll::Begins {
            link.task.store(task, Relaxed);
        }
        if self.trace.recording() && (polled || poll == Poll::Begins) {
            self.task_polled(task, poll);
        }
        if poll != Poll::Begins && polled {
            link.task.store(0, Relaxed);
        }
        if poll == Poll::Ready {
            self.task_died(task);
        }
    }

    /// The task that a thread polls at present.
    pub(crate) fn current_task(&self, thread: u32) -> Option<&TaskFacts> {
        let thread = self.sched.threads.get(thread as usize)?;
        self.task(thread.link?.task()?)
    }

    /// The task with this number among the entities.
    pub(crate) fn task(&self, entity: u32) -> Option<&TaskFacts> {
        match self.sched.who.get(entity as usize)? {
            Who::Task(index) => self.identities.tasks.get(*index as usize),
            Who::Thread(_) => None,
        }
    }

    fn task_mut(&mut self, entity: u32) -> Option<&mut TaskFacts> {
        match self.sched.who.get(entity as usize)? {
            Who::Task(index) => self.identities.tasks.get_mut(*index as usize),
            Who::Thread(_) => None,
        }
    }

    /// Tasks that live; `None` where nobody tells of tasks.
    pub(crate) fn living_tasks(&self) -> Option<u64> {
        let tasks = &self.identities.tasks;
        let living = tasks.iter().filter(|task| !task.done).count() as u64;
        (!tasks.is_empty()).then_some(living)
    }

    /// Every task of a run that is recorded, in the order of their births.
    pub(crate) fn report_tasks(&self) -> Vec<TaskReport> {
        if !self.trace.recording() {
            return Vec::new();
        }
        let threads = 0..self.sched.threads.len() as u32;
        let polled: Vec<(u32, u32)> = threads
            .filter_map(|thread| Some((self.current_task(thread)?.entity, thread)))
            .collect();
        let report = |task: &TaskFacts| TaskReport {
            entity: task.entity,
            parent: task.parent,
            name: task.name.as_deref().map(str::to_owned),
            host: self.hosts[usize::from(task.host)].name.clone(),
            spawned_at: task.spawned_at.to_string(),
            polls: task.polls,
            done: task.done,
            polled_by: polled
                .iter()
                .find(|(entity, _)| *entity == task.entity)
                .map(|(_, thread)| *thread),
        };
        self.identities.tasks.iter().map(report).collect()
    }
}
