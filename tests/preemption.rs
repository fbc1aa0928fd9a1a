//! Threads that make no system call between two steps are overtaken there all the same: at their allocations, in half of the
//! runs of the default portfolio. A planted race between two uncontended locks, and its repaired twin.

use std::sync::{Arc, Mutex};
use std::thread;

/// Members of a club that takes whoever asks first, each name once.
#[derive(Default)]
struct Club {
    members: Mutex<Vec<String>>,
}

impl Club {
    /// Asks whether the name is free, and takes it in a second step.
    fn join_in_two_steps(&self, name: &str) {
        let free = !self
            .members
            .lock()
            .unwrap()
            .iter()
            .any(|member| member == name);
        if free {
            let name = name.to_owned();
            self.members.lock().unwrap().push(name);
        }
    }

    fn join_in_one_step(&self, name: &str) {
        let mut members = self.members.lock().unwrap();
        if !members.iter().any(|member| member == name) {
            members.push(name.to_owned());
        }
    }
}

fn members(join: fn(&Club, &str)) -> usize {
    let club = Arc::new(Club::default());
    let joining: Vec<_> = (0..3)
        .map(|_| {
            let club = club.clone();
            thread::spawn(move || join(&club, "ada"))
        })
        .collect();
    for thread in joining {
        thread.join().unwrap();
    }
    club.members.lock().unwrap().len()
}

/// The default number of seeds is enough.
#[test]
fn a_race_between_two_uncontended_locks_is_found() {
    let failure = squall::Builder::new()
        .keep_failures(false)
        .run_blocking(|_| assert_eq!(members(Club::join_in_two_steps), 1))
        .expect_err("nobody was overtaken between the two steps");
    assert!(
        failure.text.contains("left: 2") || failure.text.contains("left: 3"),
        "{failure}"
    );
}

#[test]
fn one_step_holds() {
    squall::Builder::new()
        .seeds(2_000)
        .check_blocking(|_| assert_eq!(members(Club::join_in_one_step), 1));
}

/// A strategy that was asked for by name is that strategy and nothing else.
#[test]
fn a_named_strategy_is_not_preempted_in_between() {
    let strategy = squall::Strategy::Only(squall::explore::Name::Random);
    squall::Builder::new()
        .strategy(strategy)
        .seeds(500)
        .check_blocking(|_| assert_eq!(members(Club::join_in_two_steps), 1));
}
