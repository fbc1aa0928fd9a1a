//! Strategies: which of the runnable threads goes on next.
//!
//! One trait, one file each. `choice` asks the strategy of the present seed at every scheduling point and hands it the
//! schedule stream to draw from; a strategy keeps no other source of chance, so a seed and a strategy name fix the order.
//! A new strategy is a file here, a variant of [`Name`] and a weight in [`Portfolio`].

mod random;
mod sticky;

use std::fmt;
use std::str::FromStr;

use crate::choice::Stream;
use crate::kernel::Pick;

pub use random::RandomWalk;
pub use sticky::Sticky;

/// Picks the next thread at each scheduling point of a run.
pub trait Strategy: Send {
    /// Called before the first pick of every run; what a strategy learned within a run must not outlive it, or a seed
    /// would not replay alone.
    fn begin(&mut self, stream: &mut Stream);
    /// The index into `pick.runnable` of the thread that goes on.
    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize;
    /// Which of `tasks` ready tasks of one runtime is polled next, in `0..tasks`; 0 has waited longest, the last was made
    /// ready most recently, and `tasks` is at least 2. Uniform unless a strategy knows better.
    fn pick_task(&mut self, tasks: u32, stream: &mut Stream) -> u32 {
        stream.below(u64::from(tasks)) as u32
    }
}

/// The strategies by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Name {
    /// Uniform over the runnable threads.
    Random,
    /// Stays with the current thread seven times in eight.
    Sticky,
}

impl Name {
    /// Every strategy, in the order in which messages list them.
    pub const ALL: [Name; 2] = [Name::Random, Name::Sticky];

    /// The name that `SQUALL_STRATEGY` takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Name::Random => "random",
            Name::Sticky => "sticky",
        }
    }

    fn build(self) -> Box<dyn Strategy> {
        match self {
            Name::Random => Box::new(RandomWalk),
            Name::Sticky => Box::new(Sticky),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No strategy has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no strategy `{given}`; the strategies are: {}, portfolio", Name::ALL.map(Name::as_str).join(", "))]
pub struct UnknownStrategy {
    given: String,
}

/// Which strategy a seed runs under.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Selection {
    /// The default: strategies take turns from seed to seed.
    #[default]
    Portfolio,
    /// The same strategy for every seed.
    Only(Name),
}

impl Selection {
    /// The strategy of a seed.
    pub fn of(self, seed: u64) -> Name {
        match self {
            Selection::Only(name) => name,
            Selection::Portfolio => Portfolio::turn(seed),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selection::Portfolio => f.write_str("portfolio"),
            Selection::Only(name) => name.fmt(f),
        }
    }
}

impl FromStr for Selection {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        if text == "portfolio" {
            return Ok(Selection::Portfolio);
        }
        let name = Name::ALL.into_iter().find(|name| name.as_str() == text);
        name.map(Selection::Only).ok_or_else(|| UnknownStrategy {
            given: text.to_owned(),
        })
    }
}

/// The selection of this name, for the attribute macro, which has its literal read while the test is compiled.
///
/// # Panics
/// When there is none.
pub const fn named(text: &str) -> Selection {
    const PORTFOLIO: &str = "portfolio";
    if same(text, PORTFOLIO) {
        return Selection::Portfolio;
    }
    let mut i = 0;
    while i < Name::ALL.len() {
        if same(text, Name::ALL[i].as_str()) {
            return Selection::Only(Name::ALL[i]);
        }
        i += 1;
    }
    panic!("there is no such strategy; the strategies are: random, sticky, portfolio")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// The strategies built once and used for seed after seed.
pub struct Portfolio {
    selection: Selection,
    built: [Box<dyn Strategy>; Name::ALL.len()],
}

impl Portfolio {
    /// How many of every round of seeds each strategy gets.
    const WEIGHTS: [(Name, u64); Name::ALL.len()] = [(Name::Random, 1), (Name::Sticky, 1)];

    /// The strategies of a selection.
    pub fn new(selection: Selection) -> Self {
        Portfolio {
            selection,
            built: Name::ALL.map(Name::build),
        }
    }

    /// Whose turn a seed is. Seeds usually count up from zero, so the turns are interleaved by the weights; nothing is
    /// drawn for it, so that the other streams do not depend on the weights.
    fn turn(seed: u64) -> Name {
        let total: u64 = Self::WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = seed % total;
        for (name, weight) in Self::WEIGHTS {
            if left < weight {
                return name;
            }
            left -= weight;
        }
        Self::WEIGHTS[0].0
    }

    /// The strategy of a seed, by name.
    pub fn name(&self, seed: u64) -> Name {
        self.selection.of(seed)
    }

    /// The strategy with a name.
    pub fn strategy(&mut self, name: Name) -> &mut dyn Strategy {
        &mut *self.built[name as usize]
    }
}

impl fmt::Debug for Portfolio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Portfolio")
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_listed() {
        for name in Name::ALL {
            assert_eq!(name.as_str().parse(), Ok(Selection::Only(name)));
            assert_eq!(Name::ALL[name as usize], name);
        }
        assert_eq!("portfolio".parse(), Ok(Selection::Portfolio));
        assert_eq!(
            (named("portfolio"), named("sticky")),
            (Selection::Portfolio, Selection::Only(Name::Sticky))
        );
        let panic = std::panic::catch_unwind(|| named("stick")).unwrap_err();
        for name in Name::ALL {
            assert!(
                panic
                    .downcast_ref::<&str>()
                    .unwrap()
                    .contains(name.as_str())
            );
        }
        let error = "fifo".parse::<Selection>().unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no strategy `fifo`; the strategies are: random, sticky, portfolio"
        );
    }

    #[test]
    fn the_portfolio_gives_every_strategy_its_turn() {
        for name in Name::ALL {
            assert!((0..100).any(|seed| Selection::Portfolio.of(seed) == name));
        }
    }
}
