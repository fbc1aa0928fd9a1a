//! Latency, rate limits, capacity and cold starts.

use crate::clients::{get, line};
use crate::{MS, S, sleep};
use squall::dependency::{CallError, Dependency, Outcome, http_fn};
use squall::{Behaviour, FailureMode, Latency, Sim};
use std::time::{Duration, Instant};

fn echo(sim: &Sim, behaviour: Behaviour) -> Dependency<u32, u32> {
    sim.dependency("echo", behaviour, |n: u32| async move { n })
}

async fn timed(echo: &Dependency<u32, u32>) -> Duration {
    let before = Instant::now();
    echo.call(1).await.unwrap();
    before.elapsed()
}

#[squall::test(seeds = 20, audit = 100)]
async fn latencies_follow_their_distribution(sim: Sim) {
    let echo = echo(
        &sim,
        Behaviour::healthy().latency(Latency::uniform(20 * MS..=40 * MS)),
    );
    let mut times = Vec::new();
    for _ in 0..40 {
        times.push(timed(&echo).await);
    }
    times.sort_unstable();
    assert!(times[0] >= 20 * MS && times[39] <= 42 * MS, "{times:?}");
    assert!(times[39] - times[0] > 5 * MS, "{times:?}");
    echo.set(Behaviour::healthy());
    assert!(timed(&echo).await < MS);
}

/// 5 calls a second: five at once, then one each 200 ms.
#[squall::test(seeds = 20, audit = 100)]
async fn a_rate_limit_refuses_what_is_too_much(sim: Sim) {
    let limited = Behaviour::healthy().rate_limit(5, S);
    let echo = echo(&sim, limited);
    sleep(S).await;
    for round in 0..3 {
        let mut results = Vec::new();
        for _ in 0..8 {
            results.push(echo.call(1).await.is_ok());
        }
        assert_eq!(
            results,
            [true, true, true, true, true, false, false, false],
            "{round}"
        );
        assert_eq!(echo.call(1).await, Err(CallError::Status(429)));
        sleep(210 * MS).await;
        assert_eq!(echo.call(1).await, Ok(1));
        assert_eq!(echo.call(1).await, Err(CallError::Status(429)));
        sleep(2 * S).await;
    }
    assert_eq!(echo.counts()[&Outcome::Limited], 15);
    // One at a time keeps to the rate as an even one.
    echo.set(Behaviour::healthy().rate_limit_with_burst(5, S, 1));
    for _ in 0..10 {
        assert_eq!(echo.call(1).await, Ok(1));
        sleep(201 * MS).await;
    }
}

#[squall::test(seeds = 10, audit = 100)]
async fn over_http_it_says_when_to_try_again(sim: Sim) {
    let limited = Behaviour::healthy().rate_limit(1, 10 * S);
    sim.http_dependency(
        "limited",
        80,
        limited.clone(),
        http_fn(|_| async { "fine" }),
    );
    sim.line_dependency("lines", 80, limited, |line| async { line });
    sleep(10 * MS).await;
    get("http://limited/").await.is("fine");
    let refused = reqwest::get("http://limited/").await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "10");
    line("lines:80", "x").await.is("x");
    line("lines:80", "x").await.is("ERR 429 Too Many Requests");
}

/// Two slots of a second each, and two who wait: of six at once two take one second, two take two, two are refused.
#[squall::test(seeds = 20, audit = 100)]
async fn capacity_queues_and_overflows(sim: Sim) {
    let busy = Behaviour::healthy().latency(S);
    let echo = echo(&sim, busy.clone().capacity(2, 2));
    let at_once = async |n: usize| {
        let calls: Vec<_> = (0..n)
            .map(|_| {
                let echo = echo.clone();
                tokio::spawn(async move {
                    let before = Instant::now();
                    let result = echo.call(1).await;
                    (result, before.elapsed().as_millis() / 1000)
                })
            })
            .collect();
        let mut seen = Vec::new();
        for call in calls {
            seen.push(call.await.unwrap());
        }
        seen.sort_by_key(|(result, seconds)| (result.is_err(), *seconds));
        seen
    };
    let full = (Err(CallError::Status(503)), 0);
    assert_eq!(
        at_once(6).await,
        [(Ok(1), 1), (Ok(1), 1), (Ok(1), 2), (Ok(1), 2), full, full]
    );
    assert_eq!(echo.counts()[&Outcome::Overflowed], 2);
    // The twin: room for all.
    echo.set(busy.clone());
    assert_eq!(at_once(6).await, [(Ok(1), 1); 6]);
    echo.set(busy.capacity_or(1, 0, FailureMode::Reset));
    assert_eq!(at_once(2).await, [(Ok(1), 1), (Err(CallError::Reset), 0)]);
}

/// More room takes effect at once for those who wait.
#[squall::test(seeds = 10, audit = 100)]
async fn capacity_can_grow_while_calls_wait(sim: Sim) {
    let slow = Behaviour::healthy().latency(10 * S);
    let echo = echo(&sim, slow.clone().capacity(1, 10));
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let echo = echo.clone();
            tokio::spawn(async move { echo.call(1).await })
        })
        .collect();
    sleep(S).await;
    echo.set(slow);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(sim.elapsed() < 12 * S, "{:?}", sim.elapsed());
}

#[squall::test(seeds = 20, audit = 100)]
async fn it_starts_cold_after_it_was_down(sim: Sim) {
    let cold = Behaviour::healthy()
        .latency(100 * MS)
        .cold_start(5 * S, 10.0);
    let echo = echo(&sim, cold.clone());
    let dep = sim.line_dependency("dep", 80, cold, |line| async { line });
    sleep(10 * MS).await;
    let (warm, cold) = (110 * MS, 1000 * MS);
    assert!(timed(&echo).await < warm, "the first start is no cold one");
    assert!(line("dep:80", "x").await.1 < warm);
    echo.break_with(FailureMode::Refused);
    sleep(S).await;
    echo.heal();
    sim.bounce("dep");
    sleep(10 * MS).await;
    assert!(timed(&echo).await >= cold);
    assert!(line("dep:80", "x").await.1 >= cold);
    sleep(5 * S).await;
    assert!(timed(&echo).await < warm);
    assert!(line("dep:80", "x").await.1 < warm);
    // What ends another failure is no start.
    dep.break_with(FailureMode::Timeout);
    dep.heal();
    assert!(line("dep:80", "x").await.1 < warm);
}
