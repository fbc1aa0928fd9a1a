//! Thresholds: what breaks them, what does not, and what they say.

use super::{body, found, seeds};
use squall::Sim;
use squall::traffic::{Load, Metric, Retry, millis, rps, secs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::{Instant, sleep};

/// A service with one worker, which stands still from second 5 to second 8: requests wait for each other.
fn stalled(sim: &Sim) -> impl Fn() -> tokio::task::JoinHandle<()> + Clone + Send + Sync + 'static {
    let _ = sim;
    let (start, one) = (Instant::now(), Arc::new(tokio::sync::Mutex::new(())));
    move || {
        let one = one.clone();
        tokio::spawn(async move {
            let _turn = one.lock().await;
            let since = start.elapsed();
            if since >= secs(5) && since < secs(8) {
                sleep(secs(8) - since).await;
            }
            sleep(millis(1)).await;
        })
    }
}

#[squall::test(seeds = 4, audit = 100)]
async fn a_stall_shows_in_all_requests_that_should_have_been_answered(sim: Sim) {
    // Open: 50 requests a second, 3 of 30 seconds nothing is answered, so one request in ten waits up to 3 s.
    let service = stalled(&sim);
    let load = Load::constant(rps(50), secs(30)).evenly();
    let open = sim.traffic("open", load).run(move |_| {
        let answer = service();
        async move { answer.await.unwrap() }
    });
    let open = open.await;
    open.expect("p99 > 2.5s, p95 > 1s, p85 < 1s, errors == 0")
        .unwrap();

    // Closed: one user meets the stall once. Its p99 knows nothing of it, as a load generator that waits for answers does not.
    let service = stalled(&sim);
    let closed = sim
        .traffic("closed", Load::users(1, secs(30)).think(millis(48)))
        .run(move |_| {
            let answer = service();
            async move { answer.await.unwrap() }
        })
        .await;
    closed.expect("p99 < 100ms, max > 2.5s").unwrap();
}

/// A shop whose search is slow for one key in fifty, if it is.
async fn slow_search(sim: Sim, slow: bool) -> squall::Result {
    let report = sim
        .traffic("shop", Load::constant(rps(100), secs(5)))
        .operation("search", 4)
        .operation("buy", 1)
        .run(move |cx| async move {
            let worst = cx.operation() == "search" && cx.number(0..50) == 49;
            sleep(millis(if worst && slow { 900 } else { 10 })).await;
        })
        .await;
    report.expect("p99(buy) < 800ms, p99(search) < 800ms, error_rate < 2%")?;
    Ok(())
}

#[test]
fn a_slow_path_is_found_and_named() {
    found(
        seeds(4).run(body(|sim| slow_search(sim, true))),
        &[
            "traffic shop does not hold p99(search) < 800ms",
            "p99(search) < 800ms: it is 90",
            "requests planned from",
            "operation",
            "p99.9",
        ],
    );
}

#[test]
fn a_fast_one_is_left_alone() {
    seeds(4).run(body(|sim| slow_search(sim, false))).unwrap();
}

/// A service in which each request slows down all others, and is ten times slower for three seconds: what clients make of it.
async fn storm(sim: Sim, retry: Retry) -> squall::Result {
    let busy = Arc::new(AtomicU64::new(0));
    let start = sim.elapsed();
    let world = sim.clone();
    let report = sim
        .traffic("get", Load::constant(rps(40), secs(20)))
        .timeout(millis(300))
        .retry(retry)
        .drain(secs(5))
        .run(move |_| {
            let (busy, world) = (busy.clone(), world.clone());
            async move {
                struct Leave(Arc<AtomicU64>);
                impl Drop for Leave {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, Ordering::SeqCst);
                    }
                }
                let before = busy.fetch_add(1, Ordering::SeqCst);
                let _leave = Leave(busy.clone());
                let second = (world.elapsed() - start).as_secs();
                let brown_out = if (5..8).contains(&second) { 10 } else { 1 };
                sleep(millis(5) * (before as u32 + 4) * brown_out).await;
            }
        })
        .await;
    report.expect("error_rate < 25%, retries < 200")?;
    Ok(())
}

#[test]
fn a_retry_storm_is_found() {
    found(
        seeds(4).run(body(|sim| storm(sim, Retry::immediate(10)))),
        &[
            "traffic get does not hold error_rate < 25%",
            "ended in `timeout`",
            "retries: ",
        ],
    );
}

#[test]
fn retries_with_backoff_and_a_budget_are_none() {
    let polite = || Retry::exponential(3, millis(200)).jitter().budget(0.1);
    seeds(4).run(body(move |sim| storm(sim, polite()))).unwrap();
}

/// A pool of 10 connections, of which one in fifty requests keeps one if it leaks.
async fn leak(sim: Sim, leaks: bool) -> squall::Result {
    let pool = Arc::new(tokio::sync::Semaphore::new(10));
    let gauge = pool.clone();
    sim.sample("taken", move || 10 - gauge.available_permits());
    sim.traffic("query", Load::constant(rps(50), secs(20)).evenly())
        .patience(secs(1))
        .expecting("queue(taken) < 8, p99 < 100ms, budget < 100%")
        .run(move |cx| {
            let pool = pool.clone();
            async move {
                let connection = pool.acquire_owned().await.unwrap();
                sleep(millis(10)).await;
                if leaks && cx.id() % 50 == 49 {
                    connection.forget();
                }
            }
        })
        .await;
    Ok(())
}

#[test]
fn a_leak_is_found_by_the_gauge_before_it_hurts() {
    found(
        seeds(4).run(body(|sim| leak(sim, true))),
        &[
            "traffic query does not hold queue(taken) < 8",
            "queue(taken) < 8: it is 10, at",
            "of the traffic, by `taken`",
        ],
    );
}

#[test]
fn without_the_leak_it_holds() {
    seeds(4).run(body(|sim| leak(sim, false))).unwrap();
}

#[test]
fn a_wrong_expression_is_refused_before_anything_is_sent() {
    let wrong = body(|sim: Sim| async move {
        sim.traffic("buy", Load::constant(rps(10), secs(1)))
            .expecting("p99 < 800ms, eror_rate < 2%")
            .run(|_| async { sent() })
            .await;
    });
    found(
        seeds(1).run(wrong),
        &["there is no metric `eror_rate`", "             ^^^^^^^^^"],
    );
    let wrong = body(|sim: Sim| async move {
        sim.traffic("buy", Load::constant(rps(10), secs(1)))
            .expecting("p99(by) < 800ms")
            .run(|_| async { sent() })
            .await;
    });
    found(
        seeds(1).run(wrong),
        &["there is no operation `by`", "the nearest is `buy`"],
    );
}

#[test]
fn a_gauge_that_panics_is_the_failure() {
    let sick = body(|sim: Sim| async move {
        sim.sample("sick", || -> u32 { panic!("this gauge is broken") });
        let traffic = sim.traffic("buy", Load::constant(rps(10), secs(1)));
        traffic.run(|_| async {}).await;
    });
    found(seeds(1).run(sick), &["this gauge is broken"]);
}

#[squall::test(seeds = 4, audit = 100)]
async fn thresholds_are_judged_typed_and_by_text(sim: Sim) {
    let report = sim
        .traffic("buy", Load::constant(rps(100), secs(2)).evenly())
        .run(|cx| async move {
            sleep(millis(10)).await;
            match cx.id() % 100 {
                0 => Err("sold out"),
                _ => Ok(()),
            }
        })
        .await;
    report
        .expect([
            Metric::error_rate().at_most(0.01),
            Metric::min().at_least(millis(10)),
        ])
        .unwrap();
    report
        .expect(Metric::budget().is(squall::traffic::Comparison::More, 9.9))
        .unwrap();
    let broken = report
        .expect("count > 1, errors(\"sold out\") < 2, throughput > 99rps")
        .unwrap_err();
    assert_eq!(broken.thresholds().len(), 1 + 1);
    let text = broken.to_string();
    assert_eq!(format!("{broken:?}"), text);
    assert!(
        text.starts_with("traffic buy does not hold errors(\"sold out\") < 2\n"),
        "{text}"
    );
    assert!(
        text.contains("throughput > 99rps: it is 99 rps, over 200 requests"),
        "{text}"
    );
    // Nothing measured is nothing held.
    let silent = sim
        .traffic("none", Load::constant(rps(0), secs(1)))
        .run(|_| async {})
        .await;
    let text = silent.expect("p99 < 1s").unwrap_err().to_string();
    assert!(text.contains("nothing was measured"), "{text}");
    silent
        .expect("count == 0, errors == 0, recovery < 1s")
        .unwrap();
}

#[test]
fn a_wrong_expression_says_so_outside_of_a_run_too() {
    let wrong = "p99 < 800"
        .parse::<squall::traffic::Thresholds>()
        .unwrap_err();
    assert_eq!(wrong.message(), "the unit is missing");
}

fn sent() {
    panic!("something was sent")
}
