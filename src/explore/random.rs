//! The random walk: uniform over the runnable threads. [`super::Portfolio`] owns it.

use super::{Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::Pick;

/// Every runnable thread is equally likely at every scheduling point.
#[derive(Debug)]
pub struct RandomWalk;

impl Strategy for RandomWalk {
    fn begin(&mut self, _: &Profile, _: &mut Stream) {}

    #[inline]
    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        stream.below(pick.runnable.len() as u64) as usize
    }
}
