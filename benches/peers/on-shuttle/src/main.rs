//! The workloads on shuttle: its own executor, its own locks and channels. Variants: `random` and `pct` (depth 3).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Counter, Ordering::SeqCst};

use common::{Answer, Workload, seconds};
use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicBool, AtomicU64};
use shuttle::sync::mpsc;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner, future, thread};

const DEPTH: usize = 3;

fn main() {
    common::main(|workload, variant| {
        let pct = variant == "pct";
        let once = |body: fn()| seconds(|| run(pct, 1, 1, body));
        match workload {
            Workload::YieldStorm => once(|| future::block_on(yield_storm())),
            Workload::PingPong => once(ping_pong),
            Workload::MutexTest => seconds(|| {
                let runs = common::MUTEX_RUNS as usize;
                run(pct, 1, runs, || future::block_on(mutex_test()));
            }),
            Workload::Timers | Workload::IdleHosts => Answer::Cannot("it has no time"),
            Workload::EchoLoopback | Workload::EchoHosts => Answer::Cannot("it has no network"),
            Workload::LostUpdateTasks => hunt(pct, || future::block_on(lost_update_tasks())),
            Workload::LockCycleTasks => hunt(pct, || future::block_on(lock_cycle_tasks())),
            Workload::OrderTasks => hunt(pct, || future::block_on(order_tasks())),
            Workload::LostUpdateThreads => hunt(pct, lost_update_threads),
            Workload::LockCycleThreads => hunt(pct, lock_cycle_threads),
            Workload::OrderThreads => hunt(pct, order_threads),
        }
    });
}

fn run(pct: bool, seed: u64, iterations: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::None;
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    if pct {
        let scheduler = PctScheduler::new_from_seed(seed, DEPTH, iterations);
        go(scheduler, config, body);
    } else {
        go(
            RandomScheduler::new_from_seed(seed, iterations),
            config,
            body,
        );
    }
}

fn go(
    scheduler: impl Scheduler + 'static,
    config: Config,
    body: impl Fn() + Send + Sync + 'static,
) {
    Runner::new(scheduler, config).run(body);
}

/// Bugs show as panics, which end a run of the runner.
fn hunt(pct: bool, body: fn()) -> Answer {
    common::quiet();
    common::hunt(|trial| {
        let runs = Arc::new(Counter::new(0));
        let count = runs.clone();
        let counted = move || {
            count.fetch_add(1, SeqCst);
            body();
        };
        let search = || run(pct, 1 + trial, common::CAP as usize, counted);
        catch_unwind(AssertUnwindSafe(search))
            .err()
            .map(|_| runs.load(SeqCst))
    })
}

/// An asynchronous mutex, as shuttle's wrapper of tokio makes one.
struct Mutex<T> {
    permit: BatchSemaphore,
    value: std::sync::Mutex<T>,
}

struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    fn new(value: T) -> Self {
        Mutex {
            permit: BatchSemaphore::new(1, Fairness::StrictlyFair),
            value: std::sync::Mutex::new(value),
        }
    }

    async fn lock(&self) -> Guard<'_, T> {
        self.permit.acquire(1).await.expect("nobody closes it");
        Guard { mutex: self }
    }
}

impl<T> Guard<'_, T> {
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.mutex.value.lock().expect("no panic under it"))
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.mutex.permit.release(1);
    }
}

async fn yield_storm() {
    let tasks: Vec<_> = (0..common::STORM_TASKS)
        .map(|_| {
            future::spawn(async {
                for _ in 0..common::STORM_YIELDS {
                    future::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

/// Its bounded channels are std's, between threads; shuttle's threads and tasks are the same thing.
fn ping_pong() {
    let (ping, pinged) = mpsc::sync_channel::<u64>(1);
    let (pong, ponged) = mpsc::sync_channel::<u64>(1);
    let echo = thread::spawn(move || {
        while let Ok(n) = pinged.recv() {
            if pong.send(n).is_err() {
                break;
            }
        }
    });
    for n in 0..common::PINGS {
        ping.send(n).expect("the other side listens");
        assert_eq!(ponged.recv(), Ok(n));
    }
    drop(ping);
    echo.join().expect("no panic");
}

async fn mutex_test() {
    let number = Arc::new(Mutex::new(0));
    let tasks: Vec<_> = (0..common::MUTEX_TASKS)
        .map(|_| {
            let number = number.clone();
            future::spawn(async move {
                for _ in 0..common::MUTEX_ADDS {
                    number.lock().await.with(|n| *n += 1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let total = number.lock().await.with(|n| *n);
    assert_eq!(total, common::MUTEX_TASKS * common::MUTEX_ADDS);
}

async fn lost_update_tasks() {
    let number = Arc::new(Mutex::new(0));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let number = number.clone();
            future::spawn(async move {
                let seen = number.lock().await.with(|n| *n);
                number.lock().await.with(|n| *n = seen + 1);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(number.lock().await.with(|n| *n), 2);
}

async fn lock_cycle_tasks() {
    let locks: [_; 3] = std::array::from_fn(|_| Arc::new(Mutex::new(())));
    let tasks: Vec<_> = (0..3)
        .map(|i| {
            let (first, second) = (locks[i].clone(), locks[(i + 1) % 3].clone());
            future::spawn(async move {
                let _first = first.lock().await;
                let _second = second.lock().await;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

async fn order_tasks() {
    let steps = Arc::new(Mutex::new([false; 3]));
    let mut tasks = Vec::new();
    for _ in 0..common::NOISE {
        tasks.push(future::spawn(async {
            let own = Mutex::new(0);
            for _ in 0..common::NOISE_STEPS {
                own.lock().await.with(|n| *n += 1);
            }
        }));
    }
    let (a, b, c) = (steps.clone(), steps.clone(), steps);
    tasks.push(future::spawn(async move {
        a.lock().await.with(|a| a[0] = true);
        let wrong = a.lock().await.with(|a| {
            a[0] = false;
            a[2]
        });
        assert!(!wrong);
    }));
    tasks.push(future::spawn(async move {
        b.lock().await.with(|b| b[1] = b[0]);
    }));
    tasks.push(future::spawn(async move {
        c.lock().await.with(|c| c[2] = c[1]);
    }));
    for task in tasks {
        task.await.expect("no panic");
    }
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
    let locks: [_; 3] = std::array::from_fn(|_| Arc::new(shuttle::sync::Mutex::new(())));
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

fn order_threads() {
    let steps: Arc<[AtomicBool; 3]> = Arc::new(std::array::from_fn(|_| AtomicBool::new(false)));
    let mut threads = Vec::new();
    for _ in 0..common::NOISE {
        threads.push(thread::spawn(|| {
            let own = AtomicU64::new(0);
            for _ in 0..common::NOISE_STEPS {
                own.fetch_add(1, SeqCst);
            }
        }));
    }
    let (a, b, c) = (steps.clone(), steps.clone(), steps);
    threads.push(thread::spawn(move || {
        a[0].store(true, SeqCst);
        assert!(!a[2].load(SeqCst));
        a[0].store(false, SeqCst);
    }));
    threads.push(thread::spawn(move || {
        if b[0].load(SeqCst) {
            b[1].store(true, SeqCst);
        }
    }));
    threads.push(thread::spawn(move || {
        if c[1].load(SeqCst) {
            c[2].store(true, SeqCst);
        }
    }));
    for thread in threads {
        thread.join().expect("no panic");
    }
}
