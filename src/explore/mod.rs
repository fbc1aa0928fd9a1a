//! Strategies: which of the entities that can go on does so next.
//!
//! One trait, one file each. `choice` asks the strategy of the present seed at every scheduling point with something to choose
//! and hands it the schedule stream to draw from; a strategy keeps no other source of chance, so a seed and a strategy name fix
//! the order. What some of them know of the test beforehand is its [`Profile`], which follows from the program alone.
//! A new strategy is a file here, a variant of [`Name`] and a turn in [`Portfolio`]; `docs/strategies.md` describes them.

mod delay;
mod exhaustive;
mod mutation;
mod pct;
mod points;
mod pos;
mod profile;
mod random;
mod starvation;
mod sticky;
mod surw;
mod tokio;

use std::fmt;
use std::str::FromStr;

use crate::choice::Stream;
use crate::kernel::{Pick, Touch};

pub use delay::Delay;
pub use exhaustive::{BOUND, Exhaustive, Progress};
pub use mutation::Mutation;
pub use pct::Pct;
pub use pos::Pos;
pub use profile::{Profile, SEED as PROFILE_SEED, Target};
pub use random::RandomWalk;
pub use starvation::Starvation;
pub use sticky::Sticky;
pub use surw::Surw;
pub use tokio::Tokio;

pub(crate) use profile::Profiler;

/// After so many scheduling points a strategy that may starve somebody becomes the random walk: a program that spins until
/// another thread has done something must get there.
const FAIR_AFTER: u64 = 10_000;

/// Picks the next entity at each scheduling point of a run.
pub trait Strategy: Send {
    /// Called before the first pick of every run; what a strategy learned within a run must not outlive it, or a seed
    /// would not replay alone.
    fn begin(&mut self, profile: &Profile, stream: &mut Stream);
    /// The index into `pick.runnable` of the entity that goes on.
    fn pick(&mut self, pick: Pick<'_>, stream: &mut Stream) -> usize;
    /// Whether tasks are picked as threads are, by [`Strategy::pick`], rather than by [`Strategy::pick_task`]. To find out who
    /// they are takes time. It may turn to false in the course of a run.
    fn sees_tasks(&self) -> bool {
        false
    }
    /// Which of `tasks` ready tasks of one runtime is polled next, in `0..tasks`; 0 has waited longest, the last was made
    /// ready most recently, and `tasks` is at least 2. Uniform unless a strategy knows better.
    fn pick_task(&mut self, tasks: u32, stream: &mut Stream) -> u32 {
        stream.below(u64::from(tasks)) as u32
    }
    /// An entity did what `touch` says while there was nothing to pick.
    fn alone(&mut self, entity: u32, touch: Touch) {
        let _ = (entity, touch);
    }
    /// How far a search has come that ends by itself; `None` for a strategy that draws.
    fn progress(&mut self) -> Option<Progress> {
        None
    }
}

/// Declares [`Name`]: its variants, what `SQUALL_STRATEGY` calls them, and how they are built.
macro_rules! names {
    ($($(#[doc = $doc:literal])* $name:ident $text:literal $build:expr;)*) => {
        /// The strategies by name.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Name {
            $($(#[doc = $doc])* $name,)*
        }

        impl Name {
            /// Every strategy, in the order in which messages list them.
            pub const ALL: [Name; [$($text),*].len()] = [$(Name::$name),*];

            /// The name that `SQUALL_STRATEGY` takes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Name::$name => $text,)*
                }
            }

            fn build(self) -> Box<dyn Strategy> {
                match self {
                    $(Name::$name => Box::new($build),)*
                }
            }
        }

        /// Their names, as messages list them.
        const LIST: &str = concat!($($text, ", ",)* "portfolio");
        const NO_SUCH: &str = concat!("there is no such strategy; the strategies are: ", $($text, ", ",)* "portfolio");
    };
}

names! {
    /// Uniform over all that can go on.
    Random "random" RandomWalk;
    /// Stays with the current entity seven times in eight.
    Sticky "sticky" Sticky;
    /// Random priorities with a few changes, for a depth of 2, 3, 4 or 10.
    Pct "pct" Pct::default();
    /// As `Pct`, always for a depth of 3.
    Pct3 "pct3" Pct::of_depth(3);
    /// Random priorities of events, drawn anew by those that race.
    Pos "pos" Pos::default();
    /// Uniform over the interleavings of the events on one object.
    Surw "surw" Surw::default();
    /// Round robin with up to ten delays.
    Delay "delay" Delay::default();
    /// Random, but for victims that stand still for long.
    Starvation "starvation" Starvation::default();
    /// First in, first out: the control group.
    Tokio "tokio" Tokio::default();
    /// Every schedule with no preemption, then with one, then with two.
    Exhaustive "exhaustive" Exhaustive::default();
}

impl Name {
    /// Whether the strategy looks at who the tasks of a runtime are, at the beginning of a run at least.
    pub const fn sees_tasks(self) -> bool {
        matches!(
            self,
            Name::Pct | Name::Pct3 | Name::Pos | Name::Surw | Name::Delay | Name::Starvation
        )
    }

    /// Whether the strategy makes use of a [`Profile`].
    pub const fn profiled(self) -> bool {
        matches!(self, Name::Pct | Name::Pct3 | Name::Surw | Name::Delay)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No strategy has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no strategy `{given}`; the strategies are: {LIST}")]
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
    /// The strategy of a seed; of one that begins as another, the other's.
    pub fn of(self, seed: u64) -> Name {
        let seed = Mutation::base_of(seed);
        match self {
            Selection::Only(name) => name,
            Selection::Portfolio => Portfolio::turn(seed),
        }
    }
}

impl Selection {
    /// Whether any seed runs under a strategy that makes use of a [`Profile`].
    pub fn profiled(self) -> bool {
        match self {
            Selection::Only(name) => name.profiled(),
            Selection::Portfolio => true,
        }
    }

    /// Whether the order of this seed depends on the test's [`Profile`].
    pub fn needs_profile(self, seed: u64) -> bool {
        seed != PROFILE_SEED && self.of(seed).profiled()
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
    panic!("{}", NO_SUCH)
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
    /// Whose turn is next, round after round: random 1, sticky 1, PCT 3, POS 3, SURW 3, delay 1, starvation 2, tokio 1.
    const TURNS: [Name; 15] = [
        Name::Random,
        Name::Pct,
        Name::Pos,
        Name::Surw,
        Name::Starvation,
        Name::Sticky,
        Name::Pct,
        Name::Pos,
        Name::Surw,
        Name::Delay,
        Name::Starvation,
        Name::Pct,
        Name::Pos,
        Name::Surw,
        Name::Tokio,
    ];

    /// The strategies of a selection.
    pub fn new(selection: Selection) -> Self {
        Portfolio {
            selection,
            built: Name::ALL.map(Name::build),
        }
    }

    /// Whose turn a seed is. Seeds usually count up from zero; nothing is drawn for it, so that the other streams do not
    /// depend on the turns.
    fn turn(seed: u64) -> Name {
        Self::TURNS[(seed % Self::TURNS.len() as u64) as usize]
    }

    /// How densely the runs of so many seeds in a row, one round of turns, are preempted at their allocations: every second
    /// round not at all.
    const PREEMPTION: [u64; 8] = [0, 2, 0, 1, 0, 3, 0, 4];

    /// How densely a seed is preempted at its allocations; 0 is not at all, and so it is where one strategy was asked for by
    /// name, to be seen as it is. Nothing is drawn for it, either.
    pub fn preemption(&self, seed: u64) -> u64 {
        match self.selection {
            Selection::Portfolio if Self::turn(seed) != Name::Tokio => {
                let round = seed / Self::TURNS.len() as u64;
                Self::PREEMPTION[(round % Self::PREEMPTION.len() as u64) as usize]
            }
            _ => 0,
        }
    }

    /// The strategy of a seed, by name.
    pub fn name(&self, seed: u64) -> Name {
        self.selection.of(seed)
    }

    /// The strategy with a name, to look at.
    pub fn get(&self, name: Name) -> &dyn Strategy {
        &*self.built[name as usize]
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
            let said = panic.downcast_ref::<String>().unwrap();
            assert!(said.contains(name.as_str()), "{said}");
        }
        let error = "fifo".parse::<Selection>().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("there is no strategy `fifo`; the strategies are: {LIST}")
        );
    }

    /// What a pick costs: `cargo test --release --lib explore::tests::cost -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn cost() {
        use crate::choice::Streams;
        use crate::kernel::{Domain, Entity, NOBODY};
        const PICKS: u64 = 2_000_000;
        let touch = |resource| Touch {
            resource,
            site: resource,
            write: true,
        };
        let entities: Vec<Entity> = (0..4)
            .map(|i| Entity {
                parent: if i == 0 { NOBODY } else { 0 },
                group: i,
                touch: touch(1 + u64::from(i) / 2),
            })
            .collect();
        let profile = Profile {
            points: 1000,
            targets: vec![Target {
                sites: vec![1],
                counts: vec![2_000_000_000, 1_000_000_000, 0, 0],
            }],
            ..Profile::default()
        };
        for name in Name::ALL
            .into_iter()
            .filter(|name| *name != Name::Exhaustive)
        {
            let mut strategy = name.build();
            let mut streams = Streams::new(1);
            let since = std::time::Instant::now();
            let mut sum = 0;
            for i in 0..PICKS {
                if i % 5000 == 0 {
                    strategy.begin(&profile, streams.of(Domain::Schedule));
                }
                let pick = Pick {
                    runnable: &[0, 1, 2, 3],
                    current: (i % 3 != 0).then_some((i % 4) as usize),
                    yielded: false,
                    entities: &entities,
                    now: i * 500,
                };
                sum += strategy.pick(pick, streams.of(Domain::Schedule));
            }
            let each = since.elapsed().as_nanos() as f64 / PICKS as f64;
            println!("{name:<12} {each:5.1} ns ({})", sum % 10);
        }
    }

    #[test]
    fn a_strategy_that_looks_at_tasks_says_so_by_its_name() {
        use crate::choice::Streams;
        use crate::kernel::Domain;
        for name in Name::ALL {
            let mut strategy = name.build();
            let mut streams = Streams::new(1);
            strategy.begin(&Profile::default(), streams.of(Domain::Schedule));
            assert_eq!(strategy.sees_tasks(), name.sees_tasks(), "{name}");
        }
    }

    #[test]
    fn the_portfolio_gives_every_strategy_its_turn() {
        for name in Name::ALL {
            if matches!(name, Name::Pct3 | Name::Exhaustive) {
                // Those of the one are among PCT's, the other is no matter of seeds.
                continue;
            }
            assert!((0..100).any(|seed| Selection::Portfolio.of(seed) == name));
        }
    }
}
