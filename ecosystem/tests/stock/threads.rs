//! Crates for plain threads: rayon, crossbeam-channel, parking_lot, flume, and std's own primitives beside them.
use crate::support::{Stopwatch, ms};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

#[squall::test]
async fn rayon_computes_on_its_own_pool_and_on_the_global_one() {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .thread_name(|n| format!("worker-{n}"))
        .build()
        .unwrap();
    let (sum, names) = spawn_blocking(move || {
        pool.install(|| {
            let sum: u64 = (0..2_000u64)
                .into_par_iter()
                .filter(|n| n % 3 == 0)
                .map(|n| n * n)
                .sum();
            let names: std::collections::BTreeSet<_> = (0..64)
                .into_par_iter()
                .with_max_len(1)
                .map(|_| {
                    thread::sleep(ms(1));
                    thread::current().name().unwrap().to_owned()
                })
                .collect();
            (sum, names)
        })
    })
    .await
    .unwrap();
    assert_eq!(
        sum,
        (0..2_000u64)
            .filter(|n| n % 3 == 0)
            .map(|n| n * n)
            .sum::<u64>()
    );
    assert!(names.iter().all(|name| name.starts_with("worker-")));
    assert!(
        names.len() > 1,
        "a sleeping worker does not keep the others idle"
    );

    let sorted = spawn_blocking(|| {
        let mut numbers: Vec<u32> = (0..5_000).map(|n| n * 7_919 % 5_003).collect();
        numbers.par_sort_unstable();
        let (low, high) = rayon::join(
            || numbers[..2_500].is_sorted(),
            || numbers[2_500..].is_sorted(),
        );
        low && high && numbers[2_499] <= numbers[2_500]
    });
    assert!(sorted.await.unwrap());
}

#[squall::test]
async fn rayon_answers_an_async_task_through_a_oneshot() {
    let mut answers = JoinSet::new();
    for n in 0..6u64 {
        let (tell, told) = tokio::sync::oneshot::channel();
        rayon::spawn(move || {
            let primes = (2..100 * (n + 1))
                .into_par_iter()
                .filter(|p| (2..*p).all(|d| p % d != 0))
                .count();
            tell.send(primes).unwrap();
        });
        answers.spawn(async move { told.await.unwrap() });
    }
    let mut primes = answers.join_all().await;
    primes.sort();
    assert_eq!(primes, [25, 46, 62, 78, 95, 109]);
}

#[squall::test]
async fn crossbeam_select_over_work_ticks_and_a_deadline() {
    use crossbeam_channel::{after, bounded, select, tick, unbounded};
    let (jobs, queue) = bounded::<u64>(0);
    let (results, collected) = unbounded();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let (queue, results) = (queue.clone(), results.clone());
            thread::spawn(move || {
                for job in queue {
                    thread::sleep(ms(job));
                    results.send(job).unwrap();
                }
            })
        })
        .collect();
    drop(results);
    let feeder = thread::spawn(move || (1..=9).for_each(|job| jobs.send(job).unwrap()));

    let seen = spawn_blocking(move || {
        let watch = Stopwatch::start();
        let (ticks, deadline) = (tick(ms(10)), after(ms(300)));
        let (mut sum, mut ticked) = (0, 0);
        let mut collected = collected;
        loop {
            select! {
                recv(collected) -> job => match job {
                    Ok(job) => sum += job,
                    Err(_) => collected = crossbeam_channel::never(),
                },
                recv(ticks) -> _ => ticked += 1,
                recv(deadline) -> _ => break,
            }
        }
        watch.within(ms(300), ms(340));
        (sum, ticked)
    });
    let (sum, ticked) = seen.await.unwrap();
    assert_eq!(sum, 45);
    assert!((20..=30).contains(&ticked), "{ticked} ticks");
    feeder.join().unwrap();
    workers
        .into_iter()
        .for_each(|worker| worker.join().unwrap());
}

// Its body waits as a thread does, at the end.
#[squall::test(allow = "blocking_call")]
async fn parking_lot_queue_with_condvars() {
    use parking_lot::{Condvar, Mutex, RwLock};
    struct Queue {
        items: Mutex<Vec<u32>>,
        not_empty: Condvar,
        not_full: Condvar,
    }
    let queue = Arc::new(Queue {
        items: Mutex::default(),
        not_empty: Condvar::new(),
        not_full: Condvar::new(),
    });
    let taken = Arc::new(RwLock::new(0));
    let producers: Vec<_> = (0..3)
        .map(|producer| {
            let queue = queue.clone();
            thread::spawn(move || {
                for n in 0..20 {
                    let mut items = queue.items.lock();
                    queue
                        .not_full
                        .wait_while(&mut items, |items| items.len() >= 4);
                    items.push(producer * 100 + n);
                    queue.not_empty.notify_one();
                }
            })
        })
        .collect();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let (queue, taken) = (queue.clone(), taken.clone());
            thread::spawn(move || {
                loop {
                    let mut items = queue.items.lock();
                    let waited = queue.not_empty.wait_while_for(
                        &mut items,
                        |items| items.is_empty(),
                        ms(100),
                    );
                    if waited.timed_out() {
                        return;
                    }
                    items.pop().unwrap();
                    queue.not_full.notify_one();
                    drop(items);
                    *taken.write() += 1;
                }
            })
        })
        .collect();
    let watch = Stopwatch::start();
    spawn_blocking(move || {
        producers
            .into_iter()
            .chain(consumers)
            .for_each(|t| t.join().unwrap())
    })
    .await
    .unwrap();
    watch.within(ms(100), ms(250));
    assert_eq!(*taken.read(), 60);

    let lock = Arc::new(Mutex::new(()));
    let guard = lock.lock();
    let other = lock.clone();
    let refused = spawn_blocking(move || {
        let watch = Stopwatch::start();
        let refused = other.try_lock_for(ms(50)).is_none();
        watch.within(ms(50), ms(90));
        refused
    });
    // The guard stays on this thread; blocking it is the point.
    while !refused.is_finished() {
        thread::sleep(ms(5));
    }
    drop(guard);
    assert!(refused.await.unwrap());
}

#[squall::test]
async fn flume_joins_threads_and_tasks() {
    let (sync_side, async_side) = flume::bounded::<u32>(3);
    let (back, gathered) = flume::unbounded();
    let threads: Vec<_> = (0..3)
        .map(|n| {
            let sync_side = sync_side.clone();
            thread::spawn(move || (0..10).for_each(|i| sync_side.send(n * 10 + i).unwrap()))
        })
        .collect();
    drop(sync_side);
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let (async_side, back) = (async_side.clone(), back.clone());
        tasks.spawn(async move {
            while let Ok(n) = async_side.recv_async().await {
                sleep(ms(1)).await;
                back.send_async(n).await.unwrap();
            }
        });
    }
    drop(back);
    tasks.join_all().await;
    let mut all: Vec<_> = spawn_blocking(move || gathered.iter().collect())
        .await
        .unwrap();
    all.sort();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());

    let (_open, silent) = flume::bounded::<()>(1);
    let watch = Stopwatch::start();
    let waited = spawn_blocking(move || silent.recv_timeout(ms(250)));
    assert_eq!(waited.await.unwrap(), Err(flume::RecvTimeoutError::Timeout));
    watch.within(ms(250), ms(290));
}

#[squall::test]
async fn std_threads_park_scope_and_meet() {
    let meeting = Arc::new(std::sync::Barrier::new(4));
    let met = Arc::new(AtomicU64::new(0));
    let watch = Stopwatch::start();
    let total = spawn_blocking(move || {
        let mut parts = [0u64; 4];
        thread::scope(|scope| {
            for (n, part) in parts.iter_mut().enumerate() {
                let (meeting, met) = (meeting.clone(), met.clone());
                scope.spawn(move || {
                    thread::sleep(Duration::from_millis(10 * n as u64));
                    meeting.wait();
                    *part = met.fetch_add(1, Ordering::SeqCst) + 1;
                });
            }
        });
        let parked = thread::spawn(|| {
            thread::park_timeout(ms(10_000));
            thread::park_timeout(ms(40));
        });
        thread::sleep(ms(20));
        parked.thread().unpark();
        parked.join().unwrap();
        parts.iter().sum::<u64>()
    });
    assert_eq!(total.await.unwrap(), 1 + 2 + 3 + 4);
    watch.within(ms(90), ms(140));

    let (send, receive) = std::sync::mpsc::sync_channel(1);
    let sender = thread::spawn(move || (0..50).try_for_each(|n| send.send(n)).is_ok());
    let first: Vec<i32> = spawn_blocking(move || receive.iter().take(10).collect())
        .await
        .unwrap();
    assert_eq!(first, (0..10).collect::<Vec<_>>());
    assert!(
        !spawn_blocking(|| sender.join().unwrap()).await.unwrap(),
        "the receiver went away"
    );
}
