//! Preemption between two kernel entries. A thread that takes two steps without a system call in between can still be overtaken
//! there, as a real system's timer would have it; the uncontended locks of parking_lot and std, for instance, make no call.
//! What programs do between most of their steps is allocate, so in some runs some allocations are scheduling points.
//!
//! Asked by `abi/heap.rs`, which counts the program's allocations down to the next point.

use super::sched::CARRIER;
use super::{Domain, Kernel, Touch};

/// About how many allocations lie between two points, by the answer to [`Oracle::preemption`](super::Oracle::preemption);
/// `None` where there is no point at all. Most races have a window of one or two allocations, and the more points a run has
/// the less likely is any single order of the others.
const GAPS: [Option<u64>; 5] = [None, Some(64), Some(16), Some(5), Some(2)];

/// How this run is preempted.
#[derive(Default)]
pub(crate) struct Preemption {
    /// `None` until it was asked for.
    gap: Option<Option<u64>>,
}

impl Kernel {
    /// The running thread allocates, and the count is down. How many allocations later to ask again, and who goes on first.
    #[cold]
    pub(crate) fn at_allocation(&mut self) -> (u32, u32) {
        let current = self.sched.current;
        if self.end.is_some() {
            return (u32::MAX, CARRIER);
        }
        let asked = self.preemption.gap;
        let gap = asked.unwrap_or_else(|| {
            let style = self.oracle.preemption(GAPS.len() as u64);
            GAPS[style as usize]
        });
        self.preemption.gap = Some(gap);
        let Some(gap) = gap else {
            return (u32::MAX, current);
        };
        let drawn = self.oracle.below(Domain::Schedule, 2 * gap);
        self.trace.fold(drawn);
        // 0, the plainest answer, is the longest stretch without a point.
        let later = (2 * gap - drawn) as u32;
        // A thread that is on its way out, or on its way in, is left alone.
        if asked.is_none() || !self.sched.can_go_on() {
            return (later, current);
        }
        (later, self.before(Touch::UNKNOWN, false))
    }
}
