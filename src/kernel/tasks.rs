//! What an instrumented tokio asks: which of the tasks that are ready is polled, how much a task may do in one poll, and
//! how many tasks are polled before the driver gets its turn. Called by `abi/tokio.rs`.
//!
//! Every answer is a decision in which 0 means "as stock tokio does", so that a log gets simpler as its numbers get smaller.

use super::record::What;
use super::sched::CARRIER;
use super::{Domain, Kernel, Pick, TASKS_SEEN, Touch};

/// How the tasks of this run are treated.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Polls so far that the kernel was told of.
    pub(crate) polls: u64,
    style: Option<Style>,
    /// No poll ends early, whatever the style.
    whole_polls: bool,
    /// Somebody wants to know which tasks are ready.
    seen: bool,
    /// These; kept for its allocation.
    ready: Vec<u32>,
}

impl Tasks {
    pub(crate) fn reset(&mut self, whole_polls: bool, seen: bool) {
        self.polls = 0;
        self.style = None;
        self.whole_polls = whole_polls;
        self.seen = seen;
    }
}

/// Drawn once for each run: a run in which everything is preempted all the time shows other bugs than one in which a
/// single task is preempted once.
#[derive(Clone, Copy)]
struct Style {
    preempts: Preempts,
    /// Whether the driver's turn sometimes comes early.
    early_driver: bool,
    /// Whether the future of `block_on` is one among the tasks that are ready. In stock tokio it waits for a round to end,
    /// and goes first then.
    root_joins: bool,
}

/// Where tasks are preempted.
#[derive(Clone, Copy)]
enum Preempts {
    /// Nowhere: as stock tokio.
    Never,
    /// Here and there, with about so many polls between two that have a small budget.
    Every(u64),
    /// At about each await on one of tokio's resources.
    Always,
}

/// tokio's own budget of a poll.
const STOCK_BUDGET: u64 = 128;
/// What takes its place. A budget of 0 preempts before a task has done anything, one of 1 between its first two steps; that
/// is where most bugs of a few tasks lie. The stock one stands first, so that a log can be simplified towards it.
const BUDGETS: [u8; 16] = [128, 1, 0, 2, 1, 0, 3, 1, 0, 5, 1, 0, 2, 1, 0, 9];
/// What takes its place where tasks are preempted all the time. tokio's locks and semaphores ask for budget once they have what was
/// asked for, so 0 preempts the holder and 1 whoever takes the next; a test may need either.
const SMALL_BUDGETS: [u8; 8] = [128, 0, 1, 0, 1, 0, 1, 0];
/// How often small budgets come, by style. In half of the runs every await is a point at which another task can go on; that is
/// where short bugs are found soonest. Long ones need runs in which most tasks get on undisturbed.
const PREEMPTS: [Preempts; 16] = {
    use Preempts::{Always, Every, Never};
    let sparse = [
        Never,
        Never,
        Every(64),
        Every(16),
        Every(8),
        Every(4),
        Every(2),
        Every(1),
    ];
    let [a, b, c, d, e, f, g, h] = sparse;
    [
        a, b, c, d, e, f, g, h, Always, Always, Always, Always, Always, Always, Always, Always,
    ]
};
/// Polls that need not ask where nothing is ever preempted: as many as the answer can say.
const FOR_LONG: u64 = 0xff_ffff;

impl Kernel {
    fn style(&mut self) -> Style {
        if let Some(style) = self.tasks.style {
            return style;
        }
        let kinds = PREEMPTS.len();
        let drawn = self.oracle.below(Domain::Schedule, 2 * kinds as u64) as usize;
        let style = Style {
            preempts: match self.tasks.whole_polls {
                true => Preempts::Never,
                false => PREEMPTS[drawn % kinds],
            },
            early_driver: drawn >= kinds,
            root_joins: drawn != 0,
        };
        self.tasks.style = Some(style);
        style
    }

    /// A runtime on the running thread is about to poll one of `tasks` tasks; `numbers` tells those of the tasks from one on. Which one is
    /// it, and which thread goes on first?
    #[inline]
    pub(crate) fn poll_one_of(
        &mut self,
        tasks: u32,
        numbers: impl Fn(u32, &mut [u32]),
    ) -> (u32, u32) {
        self.begin_poll();
        let (index, next) = match self.tasks.seen {
            true => self.poll_one_seen(tasks, numbers),
            false => self.poll_one_unseen(tasks, numbers),
        };
        if next == self.sched.current {
            self.budget_of_pick();
        }
        (index, next)
    }

    #[inline]
    fn poll_one_unseen(&mut self, tasks: u32, numbers: impl Fn(u32, &mut [u32])) -> (u32, u32) {
        let index = self.pick_unseen(tasks);
        // Finding the task costs time, and only who picks among threads may look at it.
        let spins = self.gives_up();
        if spins || self.sched.others_can() {
            let chosen = self.number_at(index, numbers);
            self.sched.me_mut().next_task = chosen;
            if spins {
                self.detect.spins(chosen);
            }
        }
        (index, self.before_poll(false))
    }

    fn pick_unseen(&mut self, tasks: u32) -> u32 {
        if tasks == 1 {
            return 0;
        }
        let index = self.oracle.pick_task(tasks, None);
        self.task_picked(index, tasks);
        index
    }

    /// The same where somebody wants to know which tasks they are.
    fn poll_one_seen(&mut self, tasks: u32, numbers: impl Fn(u32, &mut [u32])) -> (u32, u32) {
        let (index, chosen) = self.pick_seen(tasks, numbers);
        self.sched.me_mut().next_task = chosen;
        if self.gives_up() {
            self.detect.spins(chosen);
        }
        (index, self.before_poll(tasks == 1))
    }

    /// Which one, and its number.
    fn pick_seen(&mut self, tasks: u32, numbers: impl Fn(u32, &mut [u32])) -> (u32, u32) {
        let mut ready = std::mem::take(&mut self.tasks.ready);
        let seen = tasks.min(TASKS_SEEN as u32);
        ready.clear();
        ready.resize(seen as usize, 0);
        let (oldest, newest) = ready.split_at_mut(seen as usize / 2);
        numbers(0, oldest);
        numbers(tasks - newest.len() as u32, newest);
        for task in &mut ready {
            *task = self.sched.known(*task);
        }
        let mut index = 0;
        let mut chosen = ready[0];
        if tasks > 1 {
            let last = self.sched.me().last_task;
            let who = Pick {
                runnable: &ready,
                current: ready.iter().position(|task| *task == last),
                yielded: false,
                entities: &self.sched.entities,
                now: self.now,
            };
            index = self.oracle.pick_task(tasks, Some(who));
            self.task_picked(index, tasks);
            chosen = self.number_at(index, numbers);
            self.tasks.seen = self.oracle.sees_tasks() || self.trace.recording();
            // That it goes on before the tasks of its runtime is decided; that it does before other threads is not.
            self.sched.entities[chosen as usize].touch = Touch::UNKNOWN;
        }
        self.tasks.ready = ready;
        self.sched.me_mut().last_task = chosen;
        (index, chosen)
    }

    /// The number of the task at this place.
    fn number_at(&self, at: u32, numbers: impl Fn(u32, &mut [u32])) -> u32 {
        let mut number = [0];
        numbers(at, &mut number);
        self.sched.known(number[0])
    }

    fn task_picked(&mut self, index: u32, tasks: u32) {
        let facts = u64::from(index) | u64::from(tasks) << 24;
        self.trace.fold(facts ^ self.now.rotate_left(20));
        if self.trace.recording() {
            self.tell(What::TaskPicked { index, of: tasks }, false);
        }
    }

    /// A worker of a multi_thread runtime can poll any of `tasks` tasks: which one is it? [`Kernel::poll_on_worker`] follows.
    pub(crate) fn pick_on_worker(&mut self, tasks: u32, numbers: impl Fn(u32, &mut [u32])) -> u32 {
        self.sched.me_mut().picked = tasks > 1;
        match self.tasks.seen {
            true => self.pick_seen(tasks, numbers).0,
            false => self.pick_unseen(tasks),
        }
    }

    /// A worker of a multi_thread runtime is about to poll `task`: which thread goes on first?
    #[inline]
    pub(crate) fn poll_on_worker(&mut self, task: u32) -> u32 {
        self.begin_poll();
        let known = self.sched.known(task);
        let me = self.sched.me_mut();
        me.next_task = known;
        let picked = std::mem::take(&mut me.picked);
        if self.gives_up() {
            self.detect.spins(known);
        }
        self.before_poll(!picked)
    }

    /// A scheduling point before the running thread polls the task that it stands for: who goes on. `counts` says that the
    /// choice of the task was none.
    fn before_poll(&mut self, counts: bool) -> u32 {
        self.sched.point = false;
        let me = self.sched.current;
        let next = match self.sched.runnable[..] {
            _ if self.end.is_some() => CARRIER,
            // Its host has just been frozen.
            [] => self.next_thread(),
            [only] => only,
            _ => self.choose(false),
        };
        if next == me {
            if counts && !self.sched.others_can() {
                let face = self.sched.face(me);
                let touch = self.sched.entities[face as usize].touch;
                self.oracle.alone(face, touch);
            }
            self.polls_now();
        }
        next
    }

    /// The task that the running thread was about to poll is polled now.
    #[inline]
    pub(crate) fn polls_now(&mut self) {
        let me = self.sched.me_mut();
        match std::mem::take(&mut me.next_task) {
            0 => {}
            task => self.sched.entities[task as usize].touch = Touch::UNKNOWN,
        }
    }

    /// Whether the future of `block_on` takes part in the choice of who is next.
    pub(super) fn root_joins(&mut self) -> bool {
        self.style().root_joins
    }

    /// The budget of the task that was picked, which is polled now: decided at once, so that tokio need not ask.
    #[inline]
    pub(crate) fn budget_of_pick(&mut self) {
        if let Some(link) = self.sched.me().link
            && link.wants_budget()
        {
            let (budget, polls) = self.budget();
            link.set_budget(budget, polls);
        }
    }

    /// The budget of the poll that begins, and how many further polls on this thread have tokio's own without asking.
    pub(crate) fn budget(&mut self) -> (u64, u64) {
        let gap = match self.style().preempts {
            Preempts::Never => return (STOCK_BUDGET, FOR_LONG),
            Preempts::Always => return (self.draw_budget(&SMALL_BUDGETS, 1).0, 0),
            Preempts::Every(gap) => gap,
        };
        self.draw_budget(&BUDGETS, 2 * gap)
    }

    /// One of these budgets, and a number of polls below this one.
    fn draw_budget(&mut self, budgets: &[u8], polls: u64) -> (u64, u64) {
        let kinds = budgets.len() as u64;
        let drawn = self.oracle.below(Domain::Schedule, kinds * polls);
        self.trace.fold(drawn);
        let (kind, polls) = (drawn % kinds, drawn / kinds);
        let budget = u64::from(budgets[kind as usize]);
        if self.trace.recording() {
            self.tell(What::Budget { of: budget }, false);
        }
        (budget, polls)
    }

    /// How many tasks are polled before the driver's turn, where stock tokio polls up to `interval`.
    pub(crate) fn polls_until_driver(&mut self, interval: u64) -> u64 {
        if !self.style().early_driver {
            return interval;
        }
        let drawn = self.oracle.below(Domain::Schedule, 8);
        self.trace.fold(drawn);
        // Half the rounds are tokio's own; the others last for 1, 2, 4 or 8 polls.
        let polls = match drawn.checked_sub(4) {
            None => interval,
            Some(power) => interval.min(1 << power),
        };
        if self.trace.recording() {
            self.tell(What::Round { polls }, false);
        }
        polls
    }
}
