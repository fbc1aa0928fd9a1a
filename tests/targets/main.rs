//! How many schedules each strategy needs for the bugs that the papers on schedulers are measured on, beside the published
//! figures: `cargo test --test targets -- --ignored --nocapture` prints the table. The other tests here are quick: they
//! hold the strategies to the coarse order of the table, to their seeds, and to flagging no repaired program.
#![cfg(squall_kernel)]

mod program;
mod programs;
mod search;
mod shared;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use program::{Found, Program};
use programs::PROGRAMS;
use search::{Runner, finds, spares, turn};
use squall::explore::{BOUND, Name, Progress};
use squall::kernel;

#[test]
#[ignore = "minutes: prints the table of mean schedules to the first bug"]
fn table() {
    let _turn = turn();
    search::table(&PROGRAMS);
}

/// The strategies that search.
fn searching() -> impl Iterator<Item = Name> {
    let control = |name: &Name| *name != Name::Tokio;
    Name::ALL.into_iter().filter(control)
}

fn program(name: &str) -> &'static Program {
    let named = PROGRAMS.iter().find(|program| program.name == name);
    named.expect("there is no such program")
}

#[test]
fn priorities_and_weights_find_what_a_random_walk_does_not() {
    let _turn = turn();
    let bad = program("reorder_3").bad;
    assert_eq!(Runner::new(Name::Random, bad).first(0, 1000), None);
    finds(
        bad,
        &[(Name::Pct3, 300.0), (Name::Pos, 300.0), (Name::Surw, 30.0)],
    );
    let (pct, _) = Runner::new(Name::Pct3, program("stack").bad).mean(5, 1000);
    assert!(pct < 10.0, "{pct}");
}

#[test]
fn every_strategy_finds_a_bug_and_leaves_the_repaired_programs_alone() {
    let _turn = turn();
    for name in searching() {
        let mut runner = Runner::new(name, program("account").bad);
        assert!(runner.first(0, 400).is_some(), "{name}");
        spares(name, &PROGRAMS);
    }
}

#[test]
fn the_control_group_sees_one_order_only() {
    let _turn = turn();
    for Program { name, bad, .. } in &PROGRAMS {
        assert_eq!(Runner::new(Name::Tokio, *bad).first(0, 20), None, "{name}");
    }
}

#[test]
fn a_seed_gives_one_order_whatever_ran_before() {
    let _turn = turn();
    // Which run is which depends on those before it there.
    for name in Name::ALL
        .into_iter()
        .filter(|name| *name != Name::Exhaustive)
    {
        for Program {
            name: program,
            good,
            ..
        } in &PROGRAMS
        {
            let mut forwards = Runner::new(name, *good);
            let mut backwards = Runner::new(name, *good);
            let mut one: Vec<u64> = (1..6).map(|seed| forwards.run(seed).1).collect();
            one.reverse();
            let other: Vec<u64> = (1..6).rev().map(|seed| backwards.run(seed).1).collect();
            assert_eq!(one, other, "{name} {program}");
            assert_eq!(forwards.profile, backwards.profile);
        }
    }
}

#[test]
fn only_starvation_lets_a_thread_stand_still_for_long() {
    /// The monitor calls it dead if it has not moved for a millisecond.
    fn heartbeat(found: Found) {
        let beat = Arc::new(shared::Shared::default());
        let heart = beat.clone();
        let worker = std::thread::spawn(move || {
            for i in 1..2000 {
                heart.set(i);
                std::thread::yield_now();
            }
            heart.set(-1);
        });
        let (mut last, mut since) = (0, kernel::now());
        loop {
            std::thread::yield_now();
            let now = kernel::now();
            match beat.get() {
                -1 => break,
                same if same == last && now > since.map(|since| since + 1_000_000) => {
                    found.store(true, Relaxed);
                    break;
                }
                same if same == last => {}
                moved => (last, since) = (moved, now),
            }
        }
        worker.join().expect("the worker panicked");
    }
    let _turn = turn();
    assert_eq!(Runner::new(Name::Random, heartbeat).first(0, 100), None);
    assert!(
        Runner::new(Name::Starvation, heartbeat)
            .first(0, 400)
            .is_some()
    );
}

#[test]
fn exhaustive_search_ends_and_the_repaired_program_has_no_bug_within_the_bound() {
    fn search(program: fn(Found)) -> (Option<u64>, Progress) {
        let mut runner = Runner::new(Name::Exhaustive, program);
        for run in 1.. {
            let (found, _) = runner.run(run);
            let choices = runner.choices.as_mut().expect("a run within a run");
            let progress = choices.progress().expect("this search ends");
            if found || progress.bound > BOUND {
                return (found.then_some(run), progress);
            }
        }
        unreachable!("the search ends")
    }
    let _turn = turn();
    let (found, progress) = search(program("deadlock01").bad);
    assert!(
        found.is_some() && progress.ran[1] > 0 && progress.ran[2] == 0,
        "{found:?} {progress:?}"
    );
    let (found, progress) = search(program("deadlock01").good);
    assert!(
        found.is_none() && progress.exhausted() == Some(2) && progress.ran[2] > 100,
        "{found:?} {progress:?}"
    );
}
