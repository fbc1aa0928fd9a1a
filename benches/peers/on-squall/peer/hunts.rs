//! Schedules until a bug shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use common::{Answer, Workload};
use squall::Strategy;
use squall::choice::Choices;
use squall::explore::Profile;
use squall::kernel::{self, Config, End, Oracle};

use crate::bugs::{Found, lock_cycle_tasks, lost_update_tasks, order_tasks};

/// Searches with this strategy.
pub fn hunt(workload: Workload, strategy: Strategy) -> Answer {
    let program: fn(Found) = match workload {
        Workload::LostUpdateTasks => |found| super::runtime().block_on(lost_update_tasks(found)),
        Workload::LockCycleTasks => |_| super::runtime().block_on(lock_cycle_tasks()),
        Workload::OrderTasks => |found| super::runtime().block_on(order_tasks(found)),
        Workload::LostUpdateThreads => lost_update_threads,
        Workload::LockCycleThreads => |_| lock_cycle_threads(),
        Workload::OrderThreads => order_threads,
        _ => return Answer::Cannot("this is no hunt"),
    };
    let mut hunter = Hunter {
        choices: Some(Box::new(Choices::new(strategy))),
        profile: Arc::default(),
        program,
    };
    // The run that a profile is taken from is a schedule too, where the profile is of use.
    let shown = hunter.shows(0);
    let useful = strategy.profiled() || !hunter.profile.sites.is_empty();
    let profiled = u64::from(useful && !shown);
    common::hunt(|trial| {
        let first = 1 + trial * 1_000_000;
        let shown = (0..common::CAP).find(|i| hunter.shows(first + i));
        shown.map(|i| i + 1 + profiled)
    })
}

struct Hunter {
    choices: Option<Box<Choices>>,
    profile: Arc<Profile>,
    program: fn(Found),
}

impl Hunter {
    /// Whether the bug shows under this seed.
    fn shows(&mut self, seed: u64) -> bool {
        let mut choices = self.choices.take().expect("a run within a run");
        choices.set_seed(seed);
        choices.set_profile(self.profile.clone());
        if seed == 0 {
            choices.take_profile();
        }
        let found = Found::default();
        let (program, tell) = (self.program, found.clone());
        let body = Box::new(move || program(tell));
        let oracle = choices as Box<dyn Oracle>;
        let config = Config {
            // As a test has it: which accesses to memory are contended is known from seed 0.
            contended_sites: self.profile.sites.clone().into(),
            take_sites: seed == 0,
            ..Config::default()
        };
        let (outcome, oracle) = kernel::simulate(config, oracle, body);
        let mut choices = super::choices(oracle);
        if let Some(mut profile) = choices.profiled() {
            profile.sites = outcome.contended_sites.unwrap_or_default();
            self.profile = Arc::new(profile);
        }
        self.choices = Some(choices);
        found.load(SeqCst) || matches!(outcome.end, End::Deadlock(_))
    }
}

fn lost_update_threads(found: Found) {
    let number = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let number = number.clone();
            std::thread::spawn(move || {
                let seen = number.load(SeqCst);
                number.store(seen + 1, SeqCst);
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    found.store(number.load(SeqCst) != 2, SeqCst);
}

fn lock_cycle_threads() {
    let locks: [_; 3] = std::array::from_fn(|_| Arc::new(std::sync::Mutex::new(())));
    let threads: Vec<_> = (0..3)
        .map(|i| {
            let (first, second) = (locks[i].clone(), locks[(i + 1) % 3].clone());
            std::thread::spawn(move || {
                let _first = first.lock().expect("no panic");
                let _second = second.lock().expect("no panic");
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}

fn order_threads(found: Found) {
    let steps: Arc<[AtomicBool; 3]> = Arc::default();
    let mut threads = Vec::new();
    for _ in 0..common::NOISE {
        threads.push(std::thread::spawn(|| {
            let own = AtomicU64::new(0);
            for _ in 0..common::NOISE_STEPS {
                own.fetch_add(1, SeqCst);
            }
        }));
    }
    let (a, b, c) = (steps.clone(), steps.clone(), steps);
    threads.push(std::thread::spawn(move || {
        a[0].store(true, SeqCst);
        found.store(a[2].load(SeqCst), SeqCst);
        a[0].store(false, SeqCst);
    }));
    threads.push(std::thread::spawn(move || {
        if b[0].load(SeqCst) {
            b[1].store(true, SeqCst);
        }
    }));
    threads.push(std::thread::spawn(move || {
        if c[1].load(SeqCst) {
            c[2].store(true, SeqCst);
        }
    }));
    for thread in threads {
        thread.join().expect("no panic");
    }
}
