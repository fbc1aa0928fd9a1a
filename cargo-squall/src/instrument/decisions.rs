//! The edits that decide: which expressions of tokio's source become questions to squall, and where they are. `rewrite` makes
//! all of them, or the copy is not made. Nothing of tokio's source is kept here beyond the expressions themselves.

use super::rewrite::Seam;

pub(super) const CURRENT_THREAD: &[&str] = &["src/runtime/scheduler/current_thread/mod.rs"];
const WORKER: &[&str] = &["src/runtime/scheduler/multi_thread/worker.rs"];
const WORKER_QUEUE: &[&str] = &["src/runtime/scheduler/multi_thread/queue.rs"];
const LOCAL_SET: &[&str] = &["src/task/local.rs"];
pub(super) const COOP: &[&str] = &["src/task/coop/mod.rs", "src/runtime/coop.rs"];
const TASK: &[&str] = &["src/runtime/task/mod.rs"];
pub(super) const TASK_CORE: &[&str] = &["src/runtime/task/core.rs"];
pub(super) const TASK_STATE: &[&str] = &["src/runtime/task/state.rs"];
pub(super) const TASK_HARNESS: &[&str] = &["src/runtime/task/harness.rs"];
const BLOCKING_POOL: &[&str] = &["src/runtime/blocking/pool.rs"];
const BLOCKING: &[&str] = &["src/task/blocking.rs"];
const TASK_ID: &[&str] = &["src/runtime/task/id.rs"];
pub(super) const ROOT: &[&str] = &["src/lib.rs"];

/// Every expression that is rewritten. A version of tokio is instrumented if each is found as often as it says here.
pub(super) const SEAMS: [Seam; 30] = [
    Seam {
        what: "the order of tasks",
        files: CURRENT_THREAD,
        from: "self.tasks.pop_front()",
        to: "crate::squall::take(&mut self.tasks)",
        times: 1,
        or: None,
    },
    Seam {
        what: "the turn of `block_on`'s own future",
        files: CURRENT_THREAD,
        from: "if handle.reset_woken() {",
        to: "if crate::squall::root(handle.reset_woken(), &core.tasks) {",
        times: 1,
        or: None,
    },
    Seam {
        what: "the driver's turn",
        files: CURRENT_THREAD,
        from: "0..handle.shared.config.event_interval {",
        to: "crate::squall::rounds(handle.shared.config.event_interval, &handle.shared.woken) {",
        times: 1,
        or: None,
    },
    Seam {
        what: "whether a round of tasks ends with the driver's turn",
        files: CURRENT_THREAD,
        from: "core = context.park_yield(core, handle);",
        to: "if crate::squall::driver_due() { core = context.park_yield(core, handle); }\n                \
             core = context.enter(core, crate::squall::go_on).0;",
        times: 1,
        or: None,
    },
    Seam {
        what: "when the preempted tasks of an empty queue can go on",
        files: CURRENT_THREAD,
        from: "let entry = core.next_task(handle);",
        to: "let entry = core.next_task(handle);\n                    \
             if entry.is_none() && crate::squall::gave_way() {\n                        \
             core = context.enter(core, crate::squall::go_on).0;\n                        \
             continue 'outer;\n                    }",
        times: 1,
        or: None,
    },
    Seam {
        what: "which tasks wait for the driver's turn",
        files: CURRENT_THREAD,
        from: "self.defer.defer(waker);",
        to: "if !crate::squall::keeps(waker) { self.defer.defer(waker); }",
        times: 1,
        or: None,
    },
    Seam {
        what: "when a preempted task can go on",
        files: COOP,
        from: "context::defer(cx.waker());",
        to: "crate::squall::gives_way(cx.waker());",
        times: 1,
        or: Some("cx.waker().wake_by_ref();"),
    },
    Seam {
        what: "the budget of a poll",
        files: COOP,
        from: "    const fn initial() -> Budget {\n        Budget(Some(128))",
        to: "    fn initial() -> Budget {\n        Budget(Some(crate::squall::budget()))",
        times: 1,
        or: None,
    },
    Seam {
        what: "the polls of workers",
        files: WORKER,
        // Once for the task at hand, once for the one in the LIFO slot.
        from: "    task.run();\n",
        to: "    crate::squall::point(task.squall()); task.run();\n",
        times: 2,
        or: None,
    },
    Seam {
        what: "the order of a worker's tasks",
        files: WORKER,
        from: "    fn run_task(&self, task: Notified, mut core: Box<Core>) -> ",
        // Whatever the task was taken out of: the LIFO slot, the queue, the injection queue or another worker's queue.
        to: "    fn squall(&self, task: Notified, core: &mut Core) -> Notified {\n        \
             core.run_queue.squall(task, || { self.worker.handle.notify_parked_local(); })\n    }\n\n    \
             fn run_task(&self, task: Notified, mut core: Box<Core>) -> ",
        times: 1,
        or: None,
    },
    Seam {
        what: "the order of a worker's tasks",
        files: WORKER,
        from: "self.run_task(task, core)",
        to: "self.run_task(self.squall(task, &mut core), core)",
        times: 2,
        or: None,
    },
    Seam {
        what: "the turn of the task in the LIFO slot",
        files: WORKER,
        from: "lifo_polls += 1;",
        to: "lifo_polls += 1; let task = self.squall(task, &mut core);",
        times: 1,
        or: None,
    },
    Seam {
        what: "the order of a worker's queue",
        files: WORKER_QUEUE,
        from: "\n    /// Pops a task from the local queue.\n",
        to: QUEUE,
        times: 1,
        or: None,
    },
    Seam {
        what: "the order of local tasks",
        files: LOCAL_SET,
        from: "(*ptr).pop_front()",
        to: "crate::squall::take(&mut *ptr)",
        times: 1,
        or: None,
    },
    Seam {
        what: "the turn of a local set",
        files: LOCAL_SET,
        from: "for _ in 0..MAX_TASKS_PER_TICK {",
        to: "for _ in 0..crate::squall::round(MAX_TASKS_PER_TICK as u32) {",
        times: 1,
        or: None,
    },
    Seam {
        what: "where a task is spawned",
        files: TASK_ID,
        from: "    pub(crate) fn next() -> Self {\n",
        to: "    #[track_caller]\n    pub(crate) fn next() -> Self {\n        \
             crate::squall::spawning(std::panic::Location::caller());\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "where a local task is spawned",
        files: LOCAL_SET,
        from: "\n    fn spawn<F>(&self, future: F, ",
        to: "\n    #[track_caller]\n    fn spawn<F>(&self, future: F, ",
        times: 1,
        or: None,
    },
    Seam {
        // Further in there is a closure, which knows its caller no more.
        what: "where a local task is spawned",
        files: LOCAL_SET,
        from: "    where F: Future + 'static,\n          F::Output: 'static\n    {\n",
        to: "    where F: Future + 'static,\n          F::Output: 'static\n    {\n        \
             crate::squall::spawning(std::panic::Location::caller());\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "the number of a task",
        files: TASK_CORE,
        from: "    pub(super) owner_id: UnsafeCell<Option<NonZeroU64>>,\n",
        to: "    pub(super) owner_id: UnsafeCell<Option<NonZeroU64>>,\n    pub(crate) squall: u32,\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "the birth of a task",
        files: TASK_CORE,
        from: "owner_id: UnsafeCell::new(None),\n",
        to: "owner_id: UnsafeCell::new(None), squall: crate::squall::born(),\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "the poll of a task",
        files: TASK_HARNESS,
        from: "let res = poll_future(self.core(), cx);",
        // Nothing unwinds out of it. A closure that is polled instead would have to go through memory.
        to: "let poll = crate::squall::poll_begins(self.header().squall); \
             let res = poll_future(self.core(), cx); \
             crate::squall::poll_ends(poll, self.header().squall, res.is_ready());",
        times: 1,
        or: None,
    },
    Seam {
        what: "which tasks may block",
        files: BLOCKING_POOL,
        from: "        self.task.run();\n",
        to: "        crate::squall::blocking(|| { self.task.run(); });\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "which tasks may block while a runtime ends",
        files: BLOCKING_POOL,
        from: "=> self.task.run(),",
        to: "=> crate::squall::blocking(|| { self.task.run(); }),",
        times: 1,
        or: None,
    },
    Seam {
        what: "which part of a task may block",
        files: BLOCKING,
        from: "crate::runtime::scheduler::block_in_place(f)",
        to: "crate::runtime::scheduler::block_in_place(|| crate::squall::in_place(f))",
        times: 1,
        or: None,
    },
    Seam {
        what: "the end of a task",
        files: TASK_HARNESS,
        from: "let snapshot = self.state().transition_to_complete();",
        to: "crate::squall::died(self.header().squall); \
             let snapshot = self.state().transition_to_complete();",
        times: 1,
        or: None,
    },
    Seam {
        what: "the numbers of tasks in queues",
        files: TASK,
        from: "\n/// A non-Send variant of Notified with",
        to: "\nimpl<S: 'static> Notified<S> {\n    #[inline]\n    \
             pub(crate) fn squall(&self) -> u32 { self.0.header().squall }\n}\n\
             impl<S: 'static> LocalNotified<S> {\n    #[inline]\n    \
             pub(crate) fn squall(&self) -> u32 { self.task.header().squall }\n}\n\
             \n/// A non-Send variant of Notified with",
        times: 1,
        or: None,
    },
    Seam {
        what: "the place of the questions",
        files: ROOT,
        from: "\nmod future;\n",
        to: "\nmod squall;\nmod future;\n",
        times: 1,
        or: None,
    },
    Seam {
        // Cargo shows the warnings of path dependencies, and an old tokio has some under a new compiler.
        what: "the end of the crate's attributes",
        files: ROOT,
        from: "\n//! A runtime for writing",
        to: "\n#![allow(warnings)]\n//! A runtime for writing",
        times: 1,
        or: None,
    },
    Seam {
        what: "tokio's own locks, with parking_lot",
        files: &["src/loom/std/parking_lot.rs"],
        from: "fn lock(&self) -> MutexGuard<'_, T> {",
        to: "fn lock(&self) -> MutexGuard<'_, T> { crate::squall::locking();",
        times: 1,
        or: None,
    },
    Seam {
        what: "tokio's own locks, without",
        files: &["src/loom/std/mutex.rs"],
        from: "fn lock(&self) -> MutexGuard<'_, T> {",
        to: "fn lock(&self) -> MutexGuard<'_, T> { crate::squall::locking();",
        times: 1,
        or: None,
    },
];

/// Puts a task of a worker's queue in the place of the one at hand; all the others keep their order.
const QUEUE: &str = "
    pub(crate) fn squall(
        &mut self,
        task: task::Notified<T>,
        notify: impl FnOnce(),
    ) -> task::Notified<T> {
        let (_, head) = unpack(self.inner.head.load(Acquire));
        // SAFETY: only this thread changes it.
        let tail = unsafe { self.inner.tail.unsync_load() };
        let len = tail.wrapping_sub(head) as usize;
        if len == 0 {
            return task;
        }
        let slot = |at: usize| &self.inner.buffer[(head as usize).wrapping_add(at) & MASK];
        // SAFETY: the slots from the head to the tail hold tasks. Of squall's threads no other runs meanwhile, and those that are
        // about to steal look at the head again first; on other threads nothing is read.
        let queued = |at: usize| slot(at).with(|ptr| unsafe { (*(*ptr).as_ptr()).squall() });
        let at_hand = crate::squall::AtHand { first: &task, queued: &queued };
        let Some(picked) = crate::squall::among(len, at_hand) else {
            return task;
        };
        // SAFETY: as above; each slot is read once and written once.
        let read = |at: usize| slot(at).with(|ptr| unsafe { ptr::read((*ptr).as_ptr()) });
        let write = |at: usize, task| {
            slot(at).with_mut(|ptr| unsafe { ptr::write((*ptr).as_mut_ptr(), task) })
        };
        let chosen = read(picked);
        for at in (0..picked).rev() {
            write(at + 1, read(at));
        }
        write(0, task);
        // It would have been polled now, and can be stolen instead.
        notify();
        chosen
    }

    /// Pops a task from the local queue.
";
