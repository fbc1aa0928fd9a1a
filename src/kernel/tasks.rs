//! What an instrumented tokio asks: which of the tasks that are ready is polled, how much a task may do in one poll, and
//! how many tasks are polled before the driver gets its turn. Called by `abi/tokio.rs`.
//!
//! Every answer is a decision in which 0 means "as stock tokio does", so that a log gets simpler as its numbers get smaller.

use super::record::What;
use super::{Domain, Kernel};

/// How the tasks of this run are treated.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Polls so far that the kernel was told of.
    pub(crate) polls: u64,
    style: Option<Style>,
    /// No poll ends early, whatever the style.
    whole_polls: bool,
}

impl Tasks {
    pub(crate) fn new(whole_polls: bool) -> Tasks {
        Tasks {
            whole_polls,
            ..Tasks::default()
        }
    }
}

/// Drawn once for each run: a run in which everything is preempted all the time shows other bugs than one in which a
/// single task is preempted once.
#[derive(Clone, Copy)]
struct Style {
    /// About how many polls lie between two with a small budget; `None` for no small one at all.
    gap: Option<u64>,
    /// Whether the driver's turn sometimes comes early.
    early_driver: bool,
}

/// tokio's own budget of a poll.
const STOCK_BUDGET: u64 = 128;
/// What takes its place. A budget of 0 preempts before a task has done anything, one of 1 between its first two steps; that
/// is where most bugs of a few tasks lie. The stock one stands first, so that a log can be simplified towards it.
const BUDGETS: [u8; 16] = [128, 1, 0, 2, 1, 0, 3, 1, 0, 5, 1, 0, 2, 1, 0, 9];
/// How often small budgets come, by style.
const GAPS: [Option<u64>; 8] = [None, Some(64), Some(16), Some(8), Some(4), Some(2), Some(1), Some(1)];
/// Polls that need not ask where nothing is ever preempted: as many as the answer can say.
const FOR_LONG: u64 = 0xff_ffff;

impl Kernel {
    fn style(&mut self) -> Style {
        if let Some(style) = self.tasks.style {
            return style;
        }
        let drawn = self.oracle.below(Domain::Schedule, 16);
        let style = Style {
            gap: GAPS[drawn as usize % GAPS.len()].filter(|_| !self.tasks.whole_polls),
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
                self.tell(What::TaskPicked { index, of: tasks }, false);
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
        let kinds = BUDGETS.len() as u64;
        let drawn = self.oracle.below(Domain::Schedule, kinds * 2 * gap);
        self.trace.fold(drawn);
        let (kind, polls) = (drawn % kinds, drawn / kinds);
        let budget = u64::from(BUDGETS[kind as usize]);
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
