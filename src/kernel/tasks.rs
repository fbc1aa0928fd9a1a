//! What an instrumented tokio asks: which of the tasks that are ready is polled, how much a task may do in one poll, and
//! how many tasks are polled before the driver gets its turn. Called by `abi/tokio.rs`.
//!
//! Every answer is a decision in which 0 means "as stock tokio does", so that a log gets simpler as its numbers get smaller.

use super::sched::CARRIER;
use super::{Domain, Kernel};

/// How the tasks of this run are treated.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Polls so far that the kernel was told of.
    pub(crate) polls: u64,
    style: Option<Style>,
}

/// Drawn once for each run: a run in which everything is preempted all the time shows other bugs than one in which a
/// single task is preempted once.
#[derive(Clone, Copy)]
struct Style {
    /// About how many polls with tokio's own budget lie between two with a small one; `None` for no small one at all.
    gap: Option<u64>,
    /// Whether the driver's turn sometimes comes early.
    early_driver: bool,
}

/// tokio's own budget of a poll.
const STOCK_BUDGET: u64 = 128;
/// Budgets below this one take its place.
const SMALL_BUDGETS: u64 = 8;
/// Polls that need not ask where nothing is ever preempted: as many as the answer can say.
const FOR_LONG: u64 = 0xff_ffff;

impl Kernel {
    fn style(&mut self) -> Style {
        if let Some(style) = self.tasks.style {
            return style;
        }
        let drawn = self.oracle.below(Domain::Schedule, 16);
        let style = Style {
            gap: match drawn % 8 {
                0 => None,
                rate => Some(64 >> (rate - 1)),
            },
            early_driver: drawn >= 8,
        };
        self.tasks.style = Some(style);
        style
    }

    /// A runtime is about to poll one of `tasks` tasks. Which one, and which thread goes on first.
    #[inline]
    pub(crate) fn poll_one_of(&mut self, tasks: u32) -> (u32, u32) {
        self.begin_poll();
        let mut index = 0;
        if tasks > 1 {
            index = self.oracle.pick_task(tasks);
            let facts = u64::from(index) | u64::from(tasks) << 24;
            self.trace.fold(facts ^ self.now.rotate_left(20));
            if self.trace.recording() {
                self.say(format!("poll task {} of {tasks} that are ready", index + 1));
            }
        }
        self.sched.point = true;
        (index, self.reschedule())
    }

    /// The budget of the poll that begins, and how many further polls on this thread have tokio's own without asking.
    pub(crate) fn budget(&mut self) -> (u64, u64) {
        let Some(gap) = self.style().gap else {
            return (STOCK_BUDGET, FOR_LONG);
        };
        let drawn = self.oracle.below(Domain::Schedule, (SMALL_BUDGETS + 1) * 2 * gap);
        self.trace.fold(drawn);
        let (small, polls) = (drawn % (SMALL_BUDGETS + 1), drawn / (SMALL_BUDGETS + 1));
        let budget = match small {
            0 => STOCK_BUDGET,
            small => small - 1,
        };
        if self.trace.recording() {
            self.say(format!("a poll with a budget of {budget}"));
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
            self.say(format!("the driver's turn after at most {polls} polls"));
        }
        polls
    }

    #[cold]
    fn say(&mut self, what: String) {
        let (now, current) = (self.now, self.sched.current);
        debug_assert_ne!(current, CARRIER);
        self.trace.push(now, current, what);
    }
}
