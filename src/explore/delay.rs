//! Delay-bounded scheduling. [`super::Portfolio`] owns it.
//!
//! A deterministic order (the running entity goes on until it blocks, then the next one in the order of creation), of which
//! the run departs at no more than d random points by passing over whoever had the turn. Emmi, Qadeer, Rakamarić:
//! Delay-Bounded Scheduling, POPL 2011; d from 1 to 10 as in Coyote.

use super::points::{Due, Points};
use super::{FAIR_AFTER, Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::Pick;

/// The most delays of a run.
const MOST: u64 = 10;

/// Round robin with a few delays.
#[derive(Debug, Default)]
pub struct Delay {
    points: Points,
    last: u32,
}

impl Strategy for Delay {
    fn begin(&mut self, profile: &Profile, stream: &mut Stream) {
        let delays = 1 + stream.below(MOST) as usize;
        self.points.begin(delays, profile, stream);
        self.last = 0;
    }

    fn sees_tasks(&self) -> bool {
        self.points.count < FAIR_AFTER
    }

    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        if self.points.count >= FAIR_AFTER {
            return stream.below(pick.runnable.len() as u64) as usize;
        }
        let mut index = pick.current.unwrap_or_else(|| after(&pick, self.last));
        if let Due::Point(_) = self.points.pass(stream) {
            index = after(&pick, pick.runnable[index]);
        }
        self.last = pick.runnable[index];
        index
    }
}

/// Where the entity stands that comes next after `last` in the order of creation, the first one after the last.
fn after(pick: &Pick<'_>, last: u32) -> usize {
    let distance = |&(_, entity): &(usize, &u32)| entity.wrapping_sub(last).wrapping_sub(1);
    let next = pick.runnable.iter().enumerate().min_by_key(distance);
    next.map_or(0, |(i, _)| i)
}
