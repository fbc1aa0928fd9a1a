//! Contended locks, condition variables, barriers, channels: std's, parking_lot's, and the C library's.

use crate::{both, run_with, seeds};
use squall::kernel::{Config, End};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::Duration;

#[test]
fn a_contended_mutex_admits_one_at_a_time() {
    both(1, || {
        let inside = Arc::new(Mutex::new(0u32));
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let inside = inside.clone();
                thread::spawn(move || {
                    for _ in 0..20 {
                        let mut n = inside.lock().unwrap();
                        *n += 1;
                        let seen = *n;
                        thread::yield_now();
                        assert_eq!(*n, seen);
                    }
                })
            })
            .collect();
        for t in threads {
            t.join().unwrap();
        }
        assert_eq!(*inside.lock().unwrap(), 120);
    });
}

#[test]
fn crossed_locks_deadlock_under_some_seed_and_say_so() {
    let mut deadlocks = 0;
    for seed in 0..50 {
        let (result, outcome) = run_with(
            Config {
                backtraces: true,
                ..Config::default()
            },
            seed,
            || {
                let (a, b) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
                let (a2, b2) = (a.clone(), b.clone());
                let t = thread::spawn(move || {
                    let _b = b2.lock().unwrap();
                    thread::yield_now();
                    let _a = a2.lock().unwrap();
                });
                {
                    let _a = a.lock().unwrap();
                    thread::yield_now();
                    let _b = b.lock().unwrap();
                }
                t.join().unwrap();
            },
        );
        match outcome.end {
            End::Returned => result.unwrap().unwrap(),
            End::Deadlock(threads) => {
                deadlocks += 1;
                assert_eq!(threads.len(), 2);
                for t in threads {
                    assert_eq!(t.call, "futex_wait");
                    let trace = t.backtrace.expect("asked for");
                    assert!(trace.contains("crossed_locks"), "{trace}");
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(deadlocks > 5 && deadlocks < 50, "{deadlocks} of 50");
}

#[test]
fn condvars_barriers_onces_and_rwlocks() {
    both(2, || {
        let pair = Arc::new((Mutex::new(0), Condvar::new()));
        let barrier = Arc::new(Barrier::new(4));
        static ONCE: Once = Once::new();
        let lock = Arc::new(RwLock::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (pair, barrier, lock) = (pair.clone(), barrier.clone(), lock.clone());
                thread::spawn(move || {
                    ONCE.call_once(|| thread::sleep(Duration::from_millis(1)));
                    barrier.wait();
                    *lock.write().unwrap() += 1;
                    assert!(*lock.read().unwrap() >= 1);
                    *pair.0.lock().unwrap() += 1;
                    pair.1.notify_one();
                })
            })
            .collect();
        barrier.wait();
        let mut n = pair.0.lock().unwrap();
        while *n < 3 {
            n = pair.1.wait(n).unwrap();
        }
        drop(n);
        let (guard, timeout) = pair
            .1
            .wait_timeout(pair.0.lock().unwrap(), Duration::from_secs(5))
            .unwrap();
        assert!(timeout.timed_out());
        drop(guard);
        for t in threads {
            t.join().unwrap();
        }
        assert_eq!(*lock.read().unwrap(), 3);
    });
}

#[test]
fn a_missed_notification_is_found() {
    // Notify without the lock, before the waiter waits: lost under some seeds, harmless under others.
    let ends: Vec<bool> = (0..60)
        .map(|seed| {
            let (_, outcome) = run_with(Config::default(), seed, || {
                let pair = Arc::new((Mutex::new(()), Condvar::new()));
                let other = pair.clone();
                let t = thread::spawn(move || other.1.notify_one());
                thread::yield_now();
                let g = pair.0.lock().unwrap();
                drop(pair.1.wait(g).unwrap());
                t.join().unwrap();
            });
            matches!(outcome.end, End::Deadlock(_))
        })
        .collect();
    assert!(ends.contains(&true) && ends.contains(&false));
}

#[test]
fn channels_of_std_carry_everything() {
    both(3, || {
        let (tx, rx) = std::sync::mpsc::sync_channel(2);
        let producers: Vec<_> = (0..3)
            .map(|p| {
                let tx = tx.clone();
                thread::spawn(move || {
                    for i in 0..50 {
                        tx.send(p * 100 + i).unwrap();
                    }
                })
            })
            .collect();
        drop(tx);
        let mut got: Vec<i32> = rx.iter().collect();
        got.sort_unstable();
        assert_eq!(got.len(), 150);
        got.dedup();
        assert_eq!(got.len(), 150);
        for p in producers {
            p.join().unwrap();
        }
    });
}

/// The objects of C code, in one place that threads share.
struct C {
    mutex: std::cell::UnsafeCell<libc::pthread_mutex_t>,
    cond: std::cell::UnsafeCell<libc::pthread_cond_t>,
    rwlock: std::cell::UnsafeCell<libc::pthread_rwlock_t>,
    barrier: std::cell::UnsafeCell<libc::pthread_barrier_t>,
    semaphore: std::cell::UnsafeCell<libc::sem_t>,
    value: std::cell::UnsafeCell<u32>,
}
// SAFETY: the objects are made to be shared, and the value is guarded by the mutex.
unsafe impl Sync for C {}
// SAFETY: as above.
unsafe impl Send for C {}

#[test]
fn locks_of_the_c_library() {
    both(4, || {
        // SAFETY: the objects are initialised before the threads start and outlive them.
        unsafe {
            let c = Arc::new(C {
                mutex: libc::PTHREAD_MUTEX_INITIALIZER.into(),
                cond: libc::PTHREAD_COND_INITIALIZER.into(),
                rwlock: libc::PTHREAD_RWLOCK_INITIALIZER.into(),
                barrier: std::mem::zeroed::<libc::pthread_barrier_t>().into(),
                semaphore: std::mem::zeroed::<libc::sem_t>().into(),
                value: 0.into(),
            });
            assert_eq!(
                libc::pthread_barrier_init(c.barrier.get(), std::ptr::null(), 4),
                0
            );
            assert_eq!(libc::sem_init(c.semaphore.get(), 0, 0), 0);
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let c = c.clone();
                    thread::spawn(move || {
                        let c = &*c;
                        libc::pthread_barrier_wait(c.barrier.get());
                        for _ in 0..10 {
                            assert_eq!(libc::pthread_mutex_lock(c.mutex.get()), 0);
                            *c.value.get() += 1;
                            thread::yield_now();
                            libc::pthread_cond_signal(c.cond.get());
                            assert_eq!(libc::pthread_mutex_unlock(c.mutex.get()), 0);
                        }
                        assert_eq!(libc::pthread_rwlock_wrlock(c.rwlock.get()), 0);
                        thread::yield_now();
                        assert_eq!(libc::pthread_rwlock_unlock(c.rwlock.get()), 0);
                        libc::sem_post(c.semaphore.get());
                    })
                })
                .collect();
            libc::pthread_barrier_wait(c.barrier.get());
            libc::pthread_mutex_lock(c.mutex.get());
            while *c.value.get() < 30 {
                assert_eq!(libc::pthread_cond_wait(c.cond.get(), c.mutex.get()), 0);
            }
            libc::pthread_mutex_unlock(c.mutex.get());
            for _ in 0..3 {
                assert_eq!(libc::sem_wait(c.semaphore.get()), 0);
            }
            let mut at: libc::timespec = std::mem::zeroed();
            libc::clock_gettime(libc::CLOCK_REALTIME, &mut at);
            at.tv_sec += 2;
            assert_eq!(libc::sem_timedwait(c.semaphore.get(), &at), -1);
            assert_eq!(*libc::__errno_location(), libc::ETIMEDOUT);
            libc::pthread_mutex_lock(c.mutex.get());
            at.tv_sec += 2;
            let r = libc::pthread_cond_timedwait(c.cond.get(), c.mutex.get(), &at);
            assert_eq!(r, libc::ETIMEDOUT);
            libc::pthread_mutex_unlock(c.mutex.get());
            for t in threads {
                t.join().unwrap();
            }
        }
    });
}

#[test]
fn the_order_of_lock_holders_differs_between_seeds() {
    let orders = seeds(60, || {
        let order = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..3)
            .map(|i| {
                let order = order.clone();
                thread::spawn(move || order.lock().unwrap().push(i))
            })
            .collect();
        for t in threads {
            t.join().unwrap();
        }
        Arc::into_inner(order).unwrap().into_inner().unwrap()
    });
    let mut distinct = orders;
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 6, "all orders of three threads");
}
