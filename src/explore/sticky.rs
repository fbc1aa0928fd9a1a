//! The sticky random walk: mostly stays where it is. [`super::Portfolio`] owns it.
//!
//! A uniform walk over many threads hardly ever lets one of them run far ahead; this one does, which is what bugs that
//! need a long uninterrupted stretch ask for.

use super::{Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::Pick;

/// Stays with the current thread with probability 7/8; otherwise, and where the current thread cannot go on, any of the
/// others is equally likely.
#[derive(Debug)]
pub struct Sticky;

impl Strategy for Sticky {
    fn begin(&mut self, _: &Profile, _: &mut Stream) {}

    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        let threads = pick.runnable.len() as u64;
        let Some(current) = pick.current else {
            return stream.below(threads) as usize;
        };
        if stream.below(8) != 0 {
            return current;
        }
        let other = stream.below(threads - 1) as usize;
        if other < current { other } else { other + 1 }
    }

    /// The task that was made ready last carries on the work under way.
    fn pick_task(&mut self, tasks: u32, stream: &mut Stream) -> u32 {
        if stream.below(8) != 0 {
            return tasks - 1;
        }
        stream.below(u64::from(tasks) - 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Streams;
    use crate::kernel::Domain;

    #[test]
    fn stays_seven_times_in_eight_and_leaves_evenly() {
        let mut streams = Streams::new(1);
        let mut counts = [0u32; 4];
        for _ in 0..8000 {
            let pick = Pick {
                runnable: &[5, 6, 7, 8],
                current: Some(2),
                yielded: false,
                entities: &[],
                now: 0,
            };
            counts[Sticky.pick(pick, streams.of(Domain::Schedule))] += 1;
        }
        assert!((6850..7150).contains(&counts[2]), "{counts:?}");
        assert!(
            [0, 1, 3].iter().all(|&i| (250..420).contains(&counts[i])),
            "{counts:?}"
        );
    }
}
