//! Birth, death, names, results and thread-local storage of simulated threads.

use crate::{both, run_with, seeds};
use squall::kernel::{Config, End};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn join_returns_the_result_and_panics_arrive() {
    both(1, || {
        assert_eq!(thread::spawn(|| 42).join().unwrap(), 42);
        let message = thread::spawn(|| -> () { std::panic::resume_unwind(Box::new("oh")) })
            .join()
            .unwrap_err();
        assert_eq!(*message.downcast::<&str>().unwrap(), "oh");
    });
}

#[test]
fn names_are_kept() {
    both(2, || {
        let t = thread::Builder::new()
            .name("worker-with-a-long-name".to_owned())
            .spawn(|| thread::current().name().map(str::to_owned))
            .unwrap();
        assert_eq!(t.join().unwrap().unwrap(), "worker-with-a-long-name");
    });
}

#[test]
fn scoped_threads_borrow() {
    both(3, || {
        let total = AtomicUsize::new(0);
        thread::scope(|s| {
            for i in 0..5 {
                let total = &total;
                s.spawn(move || total.fetch_add(i, Ordering::SeqCst));
            }
        });
        assert_eq!(total.into_inner(), 10);
    });
}

#[test]
fn a_detached_thread_outlives_its_handle() {
    both(4, || {
        let (tx, rx) = std::sync::mpsc::channel();
        drop(thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            tx.send(7).unwrap();
        }));
        assert_eq!(rx.recv().unwrap(), 7);
    });
}

#[test]
fn thread_locals_are_fresh_and_destroyed_in_each_thread() {
    struct Loud(Arc<Mutex<Vec<u32>>>, u32);
    impl Drop for Loud {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(self.1);
        }
    }
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
        static LOUD: RefCell<Option<Loud>> = const { RefCell::new(None) };
    }
    for _ in 0..3 {
        both(5, || {
            let log = Arc::new(Mutex::new(Vec::new()));
            for i in 0..4 {
                let log = log.clone();
                thread::spawn(move || {
                    assert_eq!(
                        COUNT.get(),
                        0,
                        "a reused thread has pristine thread-local storage"
                    );
                    COUNT.set(i + 1);
                    LOUD.with_borrow_mut(|l| *l = Some(Loud(log, i)));
                })
                .join()
                .unwrap();
            }
            assert_eq!(*log.lock().unwrap(), [0, 1, 2, 3]);
        });
    }
}

#[test]
fn an_abandoned_thread_runs_no_destructor_and_its_place_is_reused() {
    struct Never;
    impl Drop for Never {
        fn drop(&mut self) {
            panic!("the destructor of an abandoned thread ran");
        }
    }
    thread_local! { static NEVER: RefCell<Option<Never>> = const { RefCell::new(None) }; }
    for seed in 0..50 {
        let (result, outcome) = run_with(Config::default(), seed, || {
            for _ in 0..3 {
                thread::spawn(|| {
                    NEVER.with_borrow_mut(|n| {
                        assert!(n.is_none());
                        *n = Some(Never);
                    });
                    thread::sleep(Duration::from_secs(1000));
                });
            }
            thread::sleep(Duration::from_millis(1));
        });
        result.unwrap().unwrap();
        assert_eq!(outcome.end, End::Returned);
        assert_eq!(outcome.threads_left.len(), 3);
        assert_eq!(outcome.contexts, 4);
    }
}

#[test]
fn available_parallelism_is_the_simulated_number() {
    let config = Config {
        cpus: 3,
        ..Config::default()
    };
    let (n, _) = run_with(config, 1, || thread::available_parallelism().unwrap().get());
    assert_eq!(n.unwrap().unwrap(), 3);
}

#[test]
fn a_lost_update_between_threads_is_found() {
    // Two threads that read, let go of the processor, and write.
    let outcomes = seeds(200, || {
        let shared = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let v = shared.load(Ordering::SeqCst);
                    thread::yield_now();
                    shared.store(v + 1, Ordering::SeqCst);
                })
            })
            .collect();
        for t in threads {
            t.join().unwrap();
        }
        shared.load(Ordering::SeqCst)
    });
    assert!(outcomes.contains(&1), "the lost update");
    assert!(outcomes.contains(&2), "the right result");
}

#[test]
fn a_thread_that_never_ends_is_no_obstacle() {
    let (result, outcome) = run_with(Config::default(), 9, || {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
        thread::sleep(Duration::from_millis(1));
        3
    });
    assert_eq!(result.unwrap().unwrap(), 3);
    assert_eq!(outcome.threads_left[0].call, "futex_wait");
}

#[test]
fn a_thousand_threads_live_at_once() {
    let (result, outcome) = run_with(Config::default(), 10, || {
        let threads: Vec<_> = (0..1000)
            .map(|i| {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(i % 7));
                    i
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum::<u64>()
    });
    assert_eq!(result.unwrap().unwrap(), 499_500);
    assert!(outcome.contexts > 100);
}

#[test]
fn ids_of_process_and_thread_are_the_same_in_each_run() {
    let ids = seeds(3, || {
        // SAFETY: gettid has no precondition.
        let tid = || unsafe { libc::gettid() };
        (
            std::process::id(),
            tid(),
            thread::spawn(tid).join().unwrap(),
        )
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[1], ids[2]);
    assert_eq!(
        ids[0].0 as i32, ids[0].1,
        "the first thread bears the process's id"
    );
    assert_ne!(ids[0].1, ids[0].2);
}
