//! The workloads on loom, which runs threads, at most five with the first, and goes through their interleavings one by one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64 as Counter, Ordering::SeqCst};

use common::{Answer, Workload, seconds};
use loom::sync::atomic::AtomicU64;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// It keeps every step of a run, some 700 bytes each; this part of the messages is sent, and the figure multiplied.
const PART: u64 = 100;
/// Steps of a run that it has room for.
const BRANCHES: usize = 10_000;
const NO_TASKS: &str = "it has no tasks, only threads";

fn main() {
    common::main(|workload, _| match workload {
        Workload::YieldStorm => Answer::Cannot("it has at most five threads"),
        Workload::PingPong => match seconds(|| check(Some(1), 2_000_000, ping_pong)) {
            Answer::Seconds(part) => Answer::Seconds(part * PART as f64),
            other => other,
        },
        Workload::MutexTest => {
            seconds(|| check(Some(common::MUTEX_RUNS as usize), BRANCHES, mutex_test))
        }
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

fn check(permutations: Option<usize>, branches: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_permutations = permutations;
    builder.max_branches = branches;
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
        catch_unwind(AssertUnwindSafe(|| {
            check(Some(common::CAP as usize), BRANCHES, counted)
        }))
        .err()
        .map(|_| runs.load(SeqCst))
    })
}

/// It has no bounded channel; this is the smallest.
struct Slot {
    value: Mutex<Option<u64>>,
    changed: Condvar,
}

impl Slot {
    fn new() -> Arc<Slot> {
        Arc::new(Slot {
            value: Mutex::new(None),
            changed: Condvar::new(),
        })
    }

    fn send(&self, n: u64) {
        let mut value = self.value.lock().expect("no panic");
        while value.is_some() {
            value = self.changed.wait(value).expect("no panic");
        }
        *value = Some(n);
        self.changed.notify_one();
    }

    fn receive(&self) -> u64 {
        let mut value = self.value.lock().expect("no panic");
        loop {
            if let Some(n) = value.take() {
                self.changed.notify_one();
                return n;
            }
            value = self.changed.wait(value).expect("no panic");
        }
    }
}

fn ping_pong() {
    let (ping, pong) = (Slot::new(), Slot::new());
    let (pinged, ponged) = (ping.clone(), pong.clone());
    let echo = thread::spawn(move || {
        for _ in 0..common::PINGS / PART {
            pong.send(pinged.receive());
        }
    });
    for n in 0..common::PINGS / PART {
        ping.send(n);
        assert_eq!(ponged.receive(), n);
    }
    echo.join().expect("no panic");
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
