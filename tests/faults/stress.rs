//! Spurious polls and rotating wakers.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use squall::Faults;

use super::{body, found, seeds};

#[derive(Default)]
struct Slot {
    value: Option<u32>,
    waker: Option<Waker>,
}

/// What is wrong with a [`Receive`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// It takes its second poll for the arrival of the value.
    TrustsPolls,
    /// It keeps the waker of its first poll.
    KeepsFirstWaker,
}

/// Waits for a value.
struct Receive {
    slot: Arc<Mutex<Slot>>,
    bug: Bug,
    waited: bool,
}

impl Future for Receive {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let first = !std::mem::replace(&mut self.waited, true);
        let mut slot = self.slot.lock().unwrap();
        if let Some(value) = slot.value.take() {
            return Poll::Ready(value);
        }
        assert!(first || self.bug != Bug::TrustsPolls, "woken for nothing");
        if first || self.bug != Bug::KeepsFirstWaker {
            slot.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A value that comes after 5 ms, awaited under these faults.
async fn receives(faults: Faults, bug: Bug) {
    let slot = Arc::new(Mutex::new(Slot::default()));
    let send = slot.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut slot = send.lock().unwrap();
        slot.value = Some(7);
        let waker = slot.waker.take();
        drop(slot);
        waker.unwrap().wake();
    });
    let receive = Receive {
        slot,
        bug,
        waited: false,
    };
    assert_eq!(squall::stress_with(faults, receive).await, 7);
}

#[test]
fn a_future_that_trusts_its_polls_is_found() {
    let faulty = body(|_| receives(Faults::SPURIOUS_POLLS, Bug::TrustsPolls));
    found(
        seeds(128).run(faulty),
        &[
            "woken for nothing",
            "runtime, a future under spurious_polls, ",
        ],
    );
}

#[test]
fn a_future_that_looks_again_is_left_alone() {
    let sound = body(|_| receives(Faults::ALL, Bug::None));
    seeds(512).run(sound).unwrap();
}

/// The bug stays hidden where its fault is not switched on.
#[test]
fn only_the_kinds_that_are_asked_for_come() {
    let other = body(|_| async {
        receives(Faults::ROTATE_WAKERS, Bug::TrustsPolls).await;
        receives(Faults::SPURIOUS_POLLS, Bug::KeepsFirstWaker).await;
        receives(Faults::NONE, Bug::TrustsPolls).await;
    });
    seeds(256).run(other).unwrap();
}

#[test]
fn a_future_that_keeps_its_first_waker_is_found() {
    let faulty = body(|_| receives(Faults::ALL, Bug::KeepsFirstWaker));
    found(
        seeds(256).run(faulty),
        &[
            "deadlock",
            "a future under spurious_polls, a future under rotate_wakers",
        ],
    );
}

/// A neighbour's polls within the same task are enough for a rotation to show.
async fn receives_among_neighbours(bug: Bug) {
    let neighbour = async {
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    tokio::join!(receives(Faults::ROTATE_WAKERS, bug), neighbour);
}

#[test]
fn rotation_alone_finds_it_among_neighbours() {
    let faulty = body(|_| receives_among_neighbours(Bug::KeepsFirstWaker));
    found(
        seeds(64).run(faulty),
        &["deadlock", "a future under rotate_wakers"],
    );
}

#[test]
fn rotation_among_neighbours_is_within_the_contract() {
    seeds(256)
        .run(body(|_| receives_among_neighbours(Bug::None)))
        .unwrap();
}
