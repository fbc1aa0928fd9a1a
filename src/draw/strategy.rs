//! Our draws in plain proptest: a function that draws is a strategy.

use super::Draws;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rand_core::Rng;
use std::fmt;
use std::sync::Arc;

/// A strategy of proptest's from a function that draws, such as the one that a [`Machine`](super::Machine) draws its commands with.
///
/// Its values become simpler as they do in a simulation: each number that was drawn becomes as small as it can.
///
/// ```
/// use proptest::prelude::*;
/// use squall::draw::{Draws, strategy};
///
/// fn order(draws: &mut Draws<'_>) -> (u64, &'static str) {
///     (draws.number(1..=9), *draws.choose(&["apples", "pears"]))
/// }
///
/// proptest!(|((pieces, what) in strategy(order))| {
///     prop_assert!(pieces >= 1 && !what.is_empty());
/// });
/// ```
pub fn strategy<T, F>(draw: F) -> DrawStrategy<F>
where
    T: fmt::Debug,
    F: Fn(&mut Draws<'_>) -> T,
{
    DrawStrategy {
        draw: Arc::new(draw),
    }
}

/// What [`strategy`] returns.
pub struct DrawStrategy<F> {
    draw: Arc<F>,
}

impl<F> Clone for DrawStrategy<F> {
    fn clone(&self) -> Self {
        DrawStrategy {
            draw: self.draw.clone(),
        }
    }
}

impl<F> fmt::Debug for DrawStrategy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrawStrategy").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug, F: Fn(&mut Draws<'_>) -> T> Strategy for DrawStrategy<F> {
    type Tree = DrawTree<F>;
    type Value = T;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let mut drawn = Vec::new();
        let mut below = |n: u64| {
            let value = ((u128::from(runner.rng().next_u64()) * u128::from(n)) >> 64) as u64;
            drawn.push(value);
            value
        };
        (self.draw)(&mut Draws::from_fn(&mut below));
        Ok(DrawTree {
            draw: self.draw.clone(),
            before: drawn.clone(),
            drawn,
            at: 0,
            least: 0,
        })
    }
}

/// The values of a [`DrawStrategy`], ever simpler ones.
pub struct DrawTree<F> {
    draw: Arc<F>,
    /// What was drawn; what is drawn beyond it is 0.
    drawn: Vec<u64>,
    /// The same before the last step.
    before: Vec<u64>,
    /// The number that is being made smaller.
    at: usize,
    /// It is known to be no less than this.
    least: u64,
}

impl<F> DrawTree<F> {
    /// Takes a step from what `before` has.
    fn step(&mut self) -> bool {
        self.drawn.clone_from(&self.before);
        while let Some(now) = self.before.get(self.at) {
            if *now > self.least {
                // 0 first, then by halves.
                let next = match self.least {
                    0 => 0,
                    least => least + (now - least) / 2,
                };
                self.drawn[self.at] = next;
                return true;
            }
            self.at += 1;
            self.least = 0;
        }
        false
    }
}

impl<T: fmt::Debug, F: Fn(&mut Draws<'_>) -> T> ValueTree for DrawTree<F> {
    type Value = T;

    fn current(&self) -> T {
        let mut drawn = self.drawn.iter();
        // A bound may depend on what was drawn before.
        let mut below = |n: u64| drawn.next().map_or(0, |value| (*value).min(n - 1));
        (self.draw)(&mut Draws::from_fn(&mut below))
    }

    fn simplify(&mut self) -> bool {
        self.before.clone_from(&self.drawn);
        self.step()
    }

    fn complicate(&mut self) -> bool {
        let Some(passed) = self.drawn.get(self.at) else {
            return false;
        };
        self.least = passed + 1;
        self.step()
    }
}

impl<F> fmt::Debug for DrawTree<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DrawTree");
        shown.field("drawn", &self.drawn).finish_non_exhaustive()
    }
}
