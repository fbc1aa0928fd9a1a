//! How many schedules each strategy needs for the bugs that the papers on schedulers are measured on, beside the published
//! figures: `cargo test --test targets -- --ignored --nocapture` prints the table. The other tests here are quick: they
//! hold the strategies to the coarse order of the table, to their seeds, and to flagging no repaired program.
#![cfg(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_env = "gnu",
    not(squall_portable)
))]

mod programs;
mod shared;

use std::any::Any;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use programs::{Found, PROGRAMS, Program};
use squall::choice::Choices;
use squall::explore::{Name, Profile, Selection};
use squall::kernel::{self, Config, End, Oracle};

/// One process runs one simulation at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One strategy and what it knows of one program.
struct Runner {
    choices: Option<Box<Choices>>,
    program: fn(Found),
    profile: Arc<Profile>,
}

impl Runner {
    fn new(name: Name, program: fn(Found)) -> Self {
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
    fn run(&mut self, seed: u64) -> (bool, u64) {
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
        let deadlock = matches!(outcome.end, End::Deadlock(_));
        (found.load(Relaxed) || deadlock, outcome.digest)
    }

    /// How many runs it takes until the bug shows; `None` for more than `cap`.
    fn first(&mut self, trial: u64, cap: u64) -> Option<u64> {
        let start = 1 + trial * 1_000_000;
        (0..cap).find(|i| self.run(start + i).0).map(|i| i + 1)
    }

    /// The mean of so many trials, and how many of them found the bug.
    fn mean(&mut self, trials: u64, cap: u64) -> (f64, u64) {
        let firsts: Vec<_> = (0..trials).map(|trial| self.first(trial, cap)).collect();
        let sum: u64 = firsts.iter().map(|first| first.unwrap_or(cap)).sum();
        let found = firsts.iter().flatten().count();
        (sum as f64 / trials as f64, found as u64)
    }
}

/// The strategies that figures were published for, in the order of [`Program::published`].
const PUBLISHED: [Name; 4] = [Name::Random, Name::Pct3, Name::Pos, Name::Surw];

#[test]
#[ignore = "minutes: prints the table of mean schedules to the first bug"]
fn table() {
    const TRIALS: u64 = 20;
    const CAP: u64 = 10_000;
    let _turn = turn();
    let others = Name::ALL
        .into_iter()
        .filter(|name| !PUBLISHED.contains(name));
    let names: Vec<Name> = PUBLISHED.into_iter().chain(others).collect();
    println!("Mean schedules to the first bug, {TRIALS} trials, cap {CAP}; (published).");
    print!("{:<12}", "program");
    for name in &names {
        print!("{:>16}", name.as_str());
    }
    println!();
    for Program {
        name: program,
        bad,
        published,
        ..
    } in PROGRAMS
    {
        print!("{program:<12}");
        for (i, name) in names.iter().enumerate() {
            let (mean, found) = Runner::new(*name, bad).mean(TRIALS, CAP);
            let mut cell = match found {
                0 => "never".to_owned(),
                TRIALS => format!("{mean:.1}"),
                some => format!("{mean:.0} [{some}]"),
            };
            if let Some(published) = published.get(i) {
                cell += &published.map_or(" (never)".to_owned(), |mean| format!(" ({mean})"));
            }
            print!("{cell:>16}");
        }
        println!();
    }
}
