//! Counts the schedules until a bug shows, strategy by strategy. `tests/targets` counts them for threads, and
//! `cargo-squall/tests/fixtures/orders/tests/targets`, which takes this file in as its own, for the tasks of one runtime.

use std::any::Any;
use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::program::{Found, Program};
use squall::choice::Choices;
use squall::explore::{Name, Profile, Selection};
use squall::kernel::{self, Config, End, Oracle};

/// Mean schedules to the first bug as published: random walk, PCT of depth 3, POS, SURW; `None` for more than 10,000.
const PUBLISHED: [(&str, [Option<f64>; 4]); 6] = [
    ("reorder_3", [None, Some(184.0), Some(86.0), Some(6.3)]),
    ("reorder_5", [None, Some(646.0), Some(2169.0), Some(9.5)]),
    ("twostage", [Some(464.0), Some(11.6), Some(15.0), Some(6.5)]),
    ("account", [Some(18.0), Some(3.4), Some(4.1), Some(4.9)]),
    ("stack", [Some(176.0), Some(2.2), Some(1.7), Some(3.6)]),
    ("deadlock01", [Some(3.2), Some(12.0), Some(3.6), Some(0.8)]),
];

/// The strategies that they were published for.
const STRATEGIES: [Name; 4] = [Name::Random, Name::Pct3, Name::Pos, Name::Surw];

/// One process runs one simulation at a time.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One strategy and what it knows of one program.
pub struct Runner {
    pub choices: Option<Box<Choices>>,
    pub profile: Arc<Profile>,
    program: fn(Found),
}

impl Runner {
    pub fn new(name: Name, program: fn(Found)) -> Self {
        let mut runner = Runner {
            choices: Some(Box::new(Choices::new(Selection::Only(name)))),
            program,
            profile: Arc::default(),
        };
        if name.profiled() {
            runner.run(0);
        }
        runner
    }

    /// Whether the bug shows under a seed, and the digest of the run.
    pub fn run(&mut self, seed: u64) -> (bool, u64) {
        let mut choices = self.choices.take().expect("a run within a run");
        choices.set_seed(seed);
        choices.set_profile(self.profile.clone());
        if seed == 0 {
            choices.take_profile();
        }
        let found = Found::default();
        let (program, tell) = (self.program, found.clone());
        let body = Box::new(move || program(tell));
        let (outcome, oracle) =
            kernel::simulate(Config::default(), choices as Box<dyn Oracle>, body);
        let oracle: Box<dyn Any> = oracle;
        let mut choices: Box<Choices> = oracle.downcast().expect("another oracle");
        if let Some(profile) = choices.profiled() {
            self.profile = Arc::new(profile);
        }
        self.choices = Some(choices);
        let deadlock = match outcome.end {
            End::Returned => false,
            End::Deadlock(_) => true,
            other => panic!("{other:?}"),
        };
        (found.load(Relaxed) || deadlock, outcome.digest)
    }

    /// How many runs it takes until the bug shows; `None` for more than `cap`.
    pub fn first(&mut self, trial: u64, cap: u64) -> Option<u64> {
        let start = 1 + trial * 1_000_000;
        (0..cap).find(|i| self.run(start + i).0).map(|i| i + 1)
    }

    /// The mean of so many trials, and how many of them found the bug.
    pub fn mean(&mut self, trials: u64, cap: u64) -> (f64, u64) {
        let firsts: Vec<_> = (0..trials).map(|trial| self.first(trial, cap)).collect();
        let sum: u64 = firsts.iter().map(|first| first.unwrap_or(cap)).sum();
        let found = firsts.iter().flatten().count();
        (sum as f64 / trials as f64, found as u64)
    }
}

/// Prints the mean schedules to the first bug of each program under each strategy.
pub fn table(programs: &[Program]) {
    const TRIALS: u64 = 20;
    const CAP: u64 = 10_000;
    let others = Name::ALL
        .into_iter()
        .filter(|name| !STRATEGIES.contains(name) && *name != Name::Exhaustive);
    let names: Vec<Name> = STRATEGIES.into_iter().chain(others).collect();
    println!("Mean schedules to the first bug, {TRIALS} trials, cap {CAP}; (published).");
    print!("{:<12}", "program");
    for name in &names {
        print!("{:>16}", name.as_str());
    }
    println!();
    for program in programs {
        print!("{:<12}", program.name);
        let published = PUBLISHED.iter().find(|(name, _)| *name == program.name);
        for (i, name) in names.iter().enumerate() {
            let (mean, found) = Runner::new(*name, program.bad).mean(TRIALS, CAP);
            let mut cell = match found {
                0 => "never".to_owned(),
                TRIALS => format!("{mean:.1}"),
                some => format!("{mean:.0} [{some}]"),
            };
            if let Some(published) = published.and_then(|(_, means)| means.get(i)) {
                cell += &published.map_or(" (never)".to_owned(), |mean| format!(" ({mean})"));
            }
            print!("{cell:>16}");
            std::io::stdout().flush().expect("standard output");
        }
        println!();
    }
}

/// The bad twin of a program must be found by these strategies within so many schedules on average; the good one of none.
pub fn finds(bad: fn(Found), within: &[(Name, f64)]) {
    for &(name, within) in within {
        let (mean, found) = Runner::new(name, bad).mean(5, 3000);
        assert!(found == 5 && mean < within, "{name}: {mean} {found}");
    }
}

/// No repaired program is flagged under a strategy.
pub fn spares(name: Name, programs: &[Program]) {
    for program in programs {
        let flagged = Runner::new(name, program.good).first(0, 40);
        assert_eq!(flagged, None, "{name} {}", program.name);
    }
}
