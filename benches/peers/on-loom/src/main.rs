//! The workloads on loom, which runs threads, at most five with the first, and goes through their interleavings one by one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64 as Counter, Ordering::SeqCst};

use common::{Answer, Workload, seconds};
use loom::sync::atomic::AtomicU64;
use loom::sync::{Arc, Mutex};
use loom::thread;

/// Steps of a run that it has room for.
const BRANCHES: usize = 10_000;
const NO_TASKS: &str = "it has no tasks, only threads";

fn main() {
    common::main(|workload, _| match workload {
        Workload::YieldStorm => Answer::Cannot("it has at most five threads"),
        // A hundredth of it had not ended after 40 s of processor time.
        Workload::PingPong => Answer::Cannot("its cost grows faster than the length of a run"),
        Workload::MutexTest => seconds(|| check(common::MUTEX_RUNS, mutex_test)),
        Workload::Timers | Workload::IdleHosts => Answer::Cannot("it has no time"),
        Workload::EchoLoopback | Workload::EchoHosts => Answer::Cannot("it has no network"),
        Workload::LostUpdateTasks | Workload::LockCycleTasks | Workload::OrderTasks => {
            Answer::Cannot(NO_TASKS)
        }
        Workload::LostUpdateThreads => hunt(lost_update_threads),
        Workload::LockCycleThreads => hunt(lock_cycle_threads),
        Workload::OrderThreads => Answer::Cannot("it has at most five threads"),
    });
}

fn check(permutations: u64, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_permutations = Some(permutations as usize);
    builder.max_branches = BRANCHES;
    builder.check(body);
}

/// The search is always the same, so one trial says it all.
fn hunt(body: fn()) -> Answer {
    common::quiet();
    common::hunt(|_| {
        let runs = std::sync::Arc::new(Counter::new(0));
        let count = runs.clone();
        let counted = move || {
            count.fetch_add(1, SeqCst);
            body();
        };
        catch_unwind(AssertUnwindSafe(|| check(common::CAP, counted)))
            .err()
            .map(|_| runs.load(SeqCst))
    })
}

fn mutex_test() {
    let number = Arc::new(Mutex::new(0));
    let threads: Vec<_> = (0..common::MUTEX_TASKS)
        .map(|_| {
            let number = number.clone();
            thread::spawn(move || {
                for _ in 0..common::MUTEX_ADDS {
                    *number.lock().expect("no panic") += 1;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(
        *number.lock().expect("no panic"),
        common::MUTEX_TASKS * common::MUTEX_ADDS
    );
}

fn lost_update_threads() {
    let number = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let number = number.clone();
            thread::spawn(move || {
                let seen = number.load(SeqCst);
                number.store(seen + 1, SeqCst);
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(number.load(SeqCst), 2);
}

fn lock_cycle_threads() {
    let locks: [_; 3] = std::array::from_fn(|_| Arc::new(Mutex::new(())));
    let threads: Vec<_> = (0..3)
        .map(|i| {
            let (first, second) = (locks[i].clone(), locks[(i + 1) % 3].clone());
            thread::spawn(move || {
                let _first = first.lock().expect("no panic");
                let _second = second.lock().expect("no panic");
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}
