//! The attribute's forms of the faults. Tests that must fail are ignored, and run by name.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use squall::{Cancelled, Sim};

/// Runs an ignored test of this file and returns what it printed.
#[track_caller]
fn failure_of(test: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("attribute::{test}");
    command.args([name.as_str(), "--exact", "--ignored", "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SQUALL_") {
            command.env_remove(name);
        }
    }
    let output = command.env("SQUALL_FAILURES", "off").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("running 1 test"),
        "there is no test {name}:\n{text}"
    );
    assert!(!output.status.success(), "it should have failed:\n{text}");
    text.into_owned()
}

/// Squall puts statics back between runs, so the body and its check may meet in one.
static ACCOUNTS: [AtomicI64; 2] = [AtomicI64::new(10), AtomicI64::new(0)];
/// Where the body waits with the money in its hands.
const AWAIT: u32 = line!() + 7;

#[squall::test(cancel = "nothing_is_lost")]
#[ignore]
async fn half_done() {
    tokio::time::sleep(Duration::from_millis(1)).await;
    ACCOUNTS[0].fetch_sub(3, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    ACCOUNTS[1].fetch_add(3, Ordering::SeqCst);
}

async fn nothing_is_lost(cancelled: Option<Cancelled>) {
    let [a, b] = ACCOUNTS
        .each_ref()
        .map(|account| account.load(Ordering::SeqCst));
    assert_eq!(a + b, 10, "something is lost");
    assert_eq!(
        b == 0,
        cancelled.is_some(),
        "nothing happens but at the end"
    );
}

#[test]
fn a_body_that_is_left_half_done_is_found() {
    let text = failure_of("half_done");
    let site = format!("(tests/faults/attribute.rs:{AWAIT}:");
    for words in [
        "something is lost",
        "a future was dropped at its await 2",
        &site,
    ] {
        assert!(text.contains(words), "`{words}` is missing in:\n{text}");
    }
}

#[squall::test(cancel = "nothing_is_lost")]
async fn a_body_that_does_all_at_once_is_left_alone() {
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    ACCOUNTS[0].fetch_sub(3, Ordering::SeqCst);
    ACCOUNTS[1].fetch_add(3, Ordering::SeqCst);
}

/// The check takes the world where the test does, and its errors count.
#[squall::test(cancel = "has_not_finished", seeds = 64)]
#[ignore]
async fn finishes(_: Sim) -> squall::Result {
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}

async fn has_not_finished(sim: Sim, cancelled: Option<Cancelled>) -> Result<(), String> {
    assert!(sim.elapsed() > Duration::ZERO);
    cancelled.map(drop).ok_or_else(|| "it finished".to_owned())
}

#[test]
fn an_error_of_the_check_fails_the_test() {
    let text = failure_of("finishes");
    assert!(
        text.contains("returned an error\n    \"it finished\""),
        "{text}"
    );
}

/// Waits for what happens after 2 ms; polls on the way there are for nothing.
async fn waits_for_something(trusts_polls: bool) {
    let slot = std::sync::Arc::new((AtomicBool::new(false), std::sync::Mutex::new(None::<Waker>)));
    let other = slot.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(2)).await;
        other.0.store(true, Ordering::SeqCst);
        if let Some(waker) = other.1.lock().unwrap().take() {
            waker.wake();
        }
    });
    let mut polled = false;
    std::future::poll_fn(|cx| {
        if slot.0.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        assert!(!(trusts_polls && polled), "woken for nothing");
        polled = true;
        *slot.1.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

#[squall::test(faults = "spurious_polls")]
#[ignore]
async fn trusts_polls() {
    waits_for_something(true).await;
}

#[test]
fn the_switch_reaches_the_body() {
    let text = failure_of("trusts_polls");
    for words in ["woken for nothing", "a future under spurious_polls"] {
        assert!(text.contains(words), "`{words}` is missing in:\n{text}");
    }
}

#[squall::test(faults = "spurious_polls, rotate_wakers")]
async fn a_body_that_looks_again_is_left_alone() {
    waits_for_something(false).await;
}

#[squall::test(faults = "rotate_wakers", flavor = "current_thread")]
async fn other_kinds_stay_away() {
    waits_for_something(true).await;
}
