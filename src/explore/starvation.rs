//! Victim starvation. [`super::Portfolio`] owns it.
//!
//! A random walk in which a tenth of the entities are victims: each has a span of 1 ms to 2 s of virtual time for which it is
//! not chosen while another can go on, then four such spans in which it is as good as any, and so on. The idea, and the shares, are those of the
//! chaos mode of rr (O'Callahan et al.): some bugs need one thread to stand still for a very long time.

use super::{Profile, Strategy};
use crate::choice::Stream;
use crate::kernel::Pick;

/// One entity in so many is a victim.
const ONE_IN: u64 = 10;
/// A span is this long times a power of two, in nanoseconds.
const SHORTEST: u64 = 1_000_000;
/// How many powers of two there are: 1 ms to 1.024 s, and up to twice that.
const POWERS: u64 = 11;
/// Spans between the beginnings of two that are spent starving.
const PERIOD: u64 = 5;

#[derive(Clone, Copy, Debug)]
struct Fate {
    /// In nanoseconds; 0 for an entity that is no victim.
    span: u64,
    starving: bool,
    /// When that changes.
    until: u64,
}

/// Starves a few.
#[derive(Debug, Default)]
pub struct Starvation {
    /// By entity.
    fates: Vec<Fate>,
    /// Where in `runnable` those stand that may be chosen; kept for its allocation.
    fed: Vec<usize>,
}

impl Starvation {
    #[inline]
    fn starves(&mut self, entity: u32, now: u64, stream: &mut Stream) -> bool {
        while self.fates.len() <= entity as usize {
            self.fates.push(draw(now, stream));
        }
        let fate = &mut self.fates[entity as usize];
        if now >= fate.until {
            let period = fate.span * PERIOD;
            let into = (now - fate.until) % period;
            let rest = PERIOD * fate.span - fate.span;
            // Where in its period it is, counted from the end of the phase that is over.
            let (first, second) = if fate.starving {
                (rest, fate.span)
            } else {
                (fate.span, rest)
            };
            if into < first {
                fate.starving = !fate.starving;
                fate.until = now - into + first;
            } else {
                fate.until = now - into + first + second;
            }
        }
        fate.starving
    }
}

fn draw(now: u64, stream: &mut Stream) -> Fate {
    if stream.below(ONE_IN) != 0 {
        return Fate {
            span: 0,
            starving: false,
            until: u64::MAX,
        };
    }
    let shortest = SHORTEST << stream.below(POWERS);
    let span = shortest + stream.below(shortest);
    // Somewhere in its period.
    let at = stream.below(span * PERIOD);
    let starving = at < span;
    let end = if starving { span } else { span * PERIOD };
    Fate {
        span,
        starving,
        until: now + (end - at),
    }
}

impl Strategy for Starvation {
    fn begin(&mut self, _: &Profile, _: &mut Stream) {
        self.fates.clear();
    }

    fn sees_tasks(&self) -> bool {
        true
    }

    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize {
        self.fed.clear();
        for (i, &entity) in pick.runnable.iter().enumerate() {
            if !self.starves(entity, pick.now, stream) {
                self.fed.push(i);
            }
        }
        match self.fed.len() {
            0 => stream.below(pick.runnable.len() as u64) as usize,
            fed => self.fed[stream.below(fed as u64) as usize],
        }
    }
}
