//! The typed double: a function with the failures of a service.

use crate::{MS, S, sleep};
use squall::dependency::{CallError, Dependency, Outcome};
use squall::{Behaviour, FailureMode, Sim};
use std::time::{Duration, Instant};

fn doubler(sim: &Sim, behaviour: Behaviour) -> Dependency<u64, u64> {
    sim.dependency("doubler", behaviour, |n: u64| async move { 2 * n })
}

#[squall::test(seeds = 20, audit = 100)]
async fn every_mode(sim: Sim) {
    let doubler = doubler(&sim, Behaviour::healthy());
    // The result, or None where none comes in 20 s; and the least time that it takes.
    let expected = |mode: FailureMode| match mode {
        FailureMode::Status(status) => (Some(Err(CallError::Status(status))), Duration::ZERO),
        FailureMode::Reset => (Some(Err(CallError::Reset)), Duration::ZERO),
        FailureMode::Malformed => (Some(Err(CallError::Malformed)), Duration::ZERO),
        FailureMode::Empty => (Some(Err(CallError::Empty)), Duration::ZERO),
        FailureMode::Refused => (Some(Err(CallError::Refused)), Duration::ZERO),
        FailureMode::Timeout => (None, 20 * S),
        FailureMode::Drip { .. } => (Some(Ok(14)), 256 * MS),
        FailureMode::Slow(by) => (Some(Ok(14)), by),
        other => panic!("{other}"),
    };
    for mode in FailureMode::ALL {
        let mode = match mode {
            FailureMode::Drip { bytes, .. } => FailureMode::Drip { bytes, every: MS },
            FailureMode::Slow(_) => FailureMode::Slow(3 * S),
            other => other,
        };
        assert_eq!(doubler.call(4).await, Ok(8));
        doubler.break_with(mode);
        let before = Instant::now();
        let result = tokio::time::timeout(20 * S, doubler.call_as("double 7", 7)).await;
        let took = before.elapsed();
        let (what, least) = expected(mode);
        assert_eq!(result.ok(), what, "{mode}");
        assert!(
            took >= least && took < least + least / 10 + 10 * MS,
            "{mode}: {took:?}"
        );
        let calls = doubler.calls();
        let last = calls.last().unwrap();
        assert_eq!(
            (last.what(), last.outcome()),
            ("double 7", Some(Outcome::Failed(mode)))
        );
        doubler.heal();
    }
}

#[squall::test(seeds = 20, audit = 100)]
async fn calls_under_way_end_when_it_goes_down(sim: Sim) {
    let doubler = doubler(&sim, Behaviour::healthy().latency(S));
    let call = tokio::spawn({
        let doubler = doubler.clone();
        async move { doubler.call(1).await }
    });
    sleep(300 * MS).await;
    doubler.break_with(FailureMode::Refused);
    assert_eq!(call.await.unwrap(), Err(CallError::Reset));
    assert_eq!(doubler.calls()[0].outcome(), Some(Outcome::Cut));
    assert_eq!(doubler.call(1).await, Err(CallError::Refused));
}

#[squall::test(seeds = 20, audit = 100)]
async fn a_caller_who_gives_up_is_recorded_and_frees_its_slot(sim: Sim) {
    let doubler = doubler(&sim, Behaviour::healthy().latency(S).capacity(1, 1));
    let given_up = tokio::time::timeout(100 * MS, doubler.call(1)).await;
    assert!(given_up.is_err());
    assert_eq!(doubler.calls()[0].outcome(), Some(Outcome::Abandoned));
    assert_eq!(doubler.call(2).await, Ok(4));
    // Also one who gives up while he waits for his turn.
    let other = doubler.clone();
    let first = tokio::spawn(async move { other.call(3).await });
    sleep(10 * MS).await;
    let given_up = tokio::time::timeout(100 * MS, doubler.call(4)).await;
    assert!(given_up.is_err());
    assert_eq!(doubler.call(5).await, Ok(10));
    assert_eq!(first.await.unwrap(), Ok(6));
}

/// Calls from two hosts are told apart.
#[squall::test(seeds = 10, audit = 100)]
async fn callers_are_known_by_their_hosts(sim: Sim) {
    let doubler = doubler(&sim, Behaviour::healthy());
    let there = doubler.clone();
    sim.host("orders", move || {
        let there = there.clone();
        async move {
            there.call(1).await.unwrap();
        }
    });
    sleep(S).await;
    doubler.call(2).await.unwrap();
    let clients: Vec<String> = doubler.calls().iter().map(|call| call.client()).collect();
    assert_eq!(clients, ["orders", "test"]);
}

#[test]
fn errors_are_those_of_sockets() {
    let error = std::io::Error::from(CallError::Reset);
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(error.to_string(), "connection reset");
}
