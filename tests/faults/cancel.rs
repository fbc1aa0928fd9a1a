//! Cancellation: operations that are left half done, and wakes that are lost with a waiter.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{body, found, seeds};

/// The line at which [`transfer`] leaves the accounts as they must not be.
const BETWEEN: u32 = line!() + 6;

/// Takes from one account, tells an auditor, gives to the other.
async fn transfer(from: &Cell<i32>, to: &Cell<i32>) {
    tokio::time::sleep(Duration::from_millis(3)).await;
    from.set(from.get() - 1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    to.set(to.get() + 1);
}

/// The same, and changes the accounts in one step.
async fn transfer_at_once(from: &Cell<i32>, to: &Cell<i32>) {
    tokio::time::sleep(Duration::from_millis(3)).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    from.set(from.get() - 1);
    to.set(to.get() + 1);
}

#[test]
fn a_sweep_finds_an_operation_that_is_left_half_done() {
    let held = seeds(1).run(|_| async {
        let accounts = [Cell::new(10), Cell::new(0)];
        squall::cancel_at_every_await(|| transfer(&accounts[0], &accounts[1]))
            .check(|_| async { assert_eq!(accounts[0].get() + accounts[1].get(), 10) })
            .await
    });
    let site = format!("(tests/faults/cancel.rs:{BETWEEN}:");
    found(
        held,
        &[
            "the check failed after the future was dropped at its await 2",
            &site,
            " in faults::cancel::transfer)",
        ],
    );
}

#[test]
fn a_sweep_leaves_a_whole_operation_alone() {
    let held = seeds(20).run(|_| async {
        let accounts = [Cell::new(10), Cell::new(0)];
        let swept = squall::cancel_at_every_await(|| transfer_at_once(&accounts[0], &accounts[1]))
            .check(|_| async { assert_eq!(accounts[0].get() + accounts[1].get(), 10) })
            .await?;
        assert_eq!(swept.awaits(), 2);
        assert_eq!(accounts[1].get(), 1, "done once, at the end");
        squall::Result::<()>::Ok(())
    });
    held.unwrap();
}

#[test]
fn a_check_that_errs_says_where() {
    let held = seeds(1).run(|_| async {
        squall::cancel_at_every_await_of(
            || [Cell::new(10), Cell::new(0)],
            async |[from, to]| transfer(from, to).await,
        )
        .check(async |[from, to], _| match from.get() + to.get() {
            10 => Ok(()),
            other => Err(format!("{other} in all")),
        })
        .await
    });
    found(
        held,
        &[
            "the check failed after the future was dropped at its await 2",
            "9 in all",
        ],
    );
}

#[test]
fn each_cancellation_finds_a_world_of_its_own() {
    let held = seeds(5).run(|_| async {
        let mut worlds = 0;
        let swept = squall::cancel_at_every_await_of(
            || {
                worlds += 1;
                Cell::new(0)
            },
            async |steps| {
                for _ in 0..4 {
                    steps.set(steps.get() + 1);
                    tokio::task::yield_now().await;
                }
            },
        )
        .check(async |steps, cancelled| {
            assert_eq!(steps.get(), cancelled.map_or(4, |cancelled| cancelled.at()));
        })
        .await?;
        assert_eq!((swept.awaits(), worlds), (4, 5));
        squall::Result::<()>::Ok(())
    });
    held.unwrap();
}

#[test]
fn a_future_that_never_ends_is_told() {
    let held = seeds(1).run(|_| async {
        squall::cancel_at_every_await(|| async {
            loop {
                tokio::task::yield_now().await;
            }
        })
        .limit(50)
        .check(|_| async {})
        .await
    });
    found(held, &["the future was not done after 50 awaits"]);
}

/// A lock that is handed to the next in line.
#[derive(Default)]
struct Fair {
    line: Mutex<Line>,
    /// Whether a waiter that is dropped hands on what it was given.
    mended: bool,
}

#[derive(Default)]
struct Line {
    held: bool,
    next: u64,
    waiting: VecDeque<(u64, Waker)>,
    /// Whom the lock was handed to, who does not know it yet.
    granted: Option<u64>,
}

impl Fair {
    fn release(&self) {
        let mut line = self.line.lock().unwrap();
        match line.waiting.pop_front() {
            None => line.held = false,
            Some((number, waker)) => {
                line.granted = Some(number);
                waker.wake();
            }
        }
    }
}

struct Acquire<'a> {
    lock: &'a Fair,
    number: Option<u64>,
    done: bool,
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut line = self.lock.line.lock().unwrap();
        let got = match self.number {
            None => !std::mem::replace(&mut line.held, true),
            Some(number) => line.granted.take_if(|granted| *granted == number).is_some(),
        };
        if got {
            drop(line);
            self.done = true;
            return Poll::Ready(());
        }
        match self.number {
            None => {
                line.next += 1;
                let number = line.next;
                line.waiting.push_back((number, cx.waker().clone()));
                drop(line);
                self.number = Some(number);
            }
            Some(number) => {
                for waiting in &mut line.waiting {
                    if waiting.0 == number {
                        waiting.1.clone_from(cx.waker());
                    }
                }
            }
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        let (Some(number), false) = (self.number, self.done) else {
            return;
        };
        let mut line = self.lock.line.lock().unwrap();
        line.waiting.retain(|(waiting, _)| *waiting != number);
        // This is what is easily forgotten: it was our turn already.
        if self.lock.mended && line.granted.take_if(|granted| *granted == number).is_some() {
            drop(line);
            self.lock.release();
        }
    }
}

/// One task holds the lock for a while; another waits for it and is cancelled; the lock must be free in the end.
async fn lock_is_not_lost(mended: bool) {
    let lock = Arc::new(Fair {
        mended,
        ..Fair::default()
    });
    let acquire = |lock| Acquire {
        lock,
        number: None,
        done: false,
    };
    acquire(&lock).await;
    let holder = lock.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        holder.release();
    });
    if squall::cancel_at_some_await(acquire(&lock)).await.is_ok() {
        lock.release();
    }
    tokio::time::timeout(Duration::from_secs(1), acquire(&lock))
        .await
        .expect("the lock was lost");
}

#[test]
fn a_wake_that_is_lost_with_its_waiter_is_found() {
    let held = seeds(64).run(body(|_| lock_is_not_lost(false)));
    found(
        held,
        &[
            "the lock was lost",
            "a future was dropped at its await 1, after it was woken there",
        ],
    );
}

#[test]
fn a_waiter_that_hands_on_what_it_was_given_loses_nothing() {
    seeds(256).run(body(|_| lock_is_not_lost(true))).unwrap();
}

#[test]
fn nothing_is_dropped_outside_a_simulation() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let yields = async || {
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(squall::cancel_at_some_await(yields()).await, Ok(()));
        squall::stress(yields()).await;
        let swept = squall::cancel_at_every_await(yields).check(|_| async {});
        assert_eq!(swept.await.unwrap().awaits(), 200);
    });
}
