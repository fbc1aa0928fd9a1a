//! The order that stock tokio has, as a control: what is found under other strategies and not under this one needs an order
//! that plain tests hardly ever see. [`super::Portfolio`] owns it.
//!
//! First in, first out; whoever was woken by the one that just blocked goes first, three times in a row at most (the slot of
//! tokio's multi_thread workers); whoever has gone on for 128 points makes room (the budget of tokio's `coop`).

use super::{Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::Pick;

/// Scheduling points after which the running entity makes room.
const BUDGET: u32 = 128;
/// How often in a row the newest goes first.
const SLOT: u32 = 3;

/// First in, first out.
#[derive(Debug, Default)]
pub struct Tokio {
    spent: u32,
    slot: u32,
    /// How many could go on, besides the running entity, when its turn began.
    waiting: usize,
    /// By entity: how often it was made to make room.
    pushed_back: Vec<u32>,
}

impl Strategy for Tokio {
    fn begin(&mut self, _: &Profile, _: &mut Stream) {
        self.spent = 0;
        self.slot = 0;
        self.waiting = usize::MAX;
        self.pushed_back.clear();
    }

    fn pick(&mut self, pick: Pick<'_>, _: &mut Stream) -> usize {
        let total = pick.runnable.len();
        if let Some(current) = pick.current {
            self.spent += 1;
            if !pick.yielded && self.spent < BUDGET {
                return current;
            }
            if !pick.yielded {
                let me = pick.runnable[current] as usize;
                if self.pushed_back.len() <= me {
                    self.pushed_back.resize(me + 1, 0);
                }
                self.pushed_back[me] += 1;
            }
        }
        self.spent = 0;
        let woken = pick.current.is_none() && total > self.waiting;
        let index = if woken && self.slot < SLOT {
            self.slot += 1;
            total - 1
        } else {
            self.slot = 0;
            let turns = |&i: &usize| {
                let entity = pick.runnable[i] as usize;
                self.pushed_back.get(entity).copied().unwrap_or(0)
            };
            let others = (0..total).filter(|i| pick.current != Some(*i));
            others.min_by_key(turns).unwrap_or(0)
        };
        self.waiting = total - 1;
        index
    }

    fn pick_task(&mut self, _: u32, _: &mut Stream) -> u32 {
        0
    }
}
