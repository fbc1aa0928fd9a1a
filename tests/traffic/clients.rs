//! When requests arrive, what they are about, and what clients do when they fail.

use squall::traffic::{Cx, Keys, Load, Retry, Trace, millis, rps, secs};
use squall::{Latency, Sim};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

#[squall::test(seeds = 4, audit = 100)]
async fn arrivals_come_when_they_are_planned_to_the_nanosecond(sim: Sim) {
    let late = Arc::new(AtomicU64::new(0));
    let worst = late.clone();
    let world = sim.clone();
    let report = sim
        .traffic("ping", Load::constant(rps(3_000), secs(1)).evenly())
        .run(move |cx| {
            let by = (world.elapsed() - cx.planned()).as_nanos() as u64;
            worst.fetch_max(by, Ordering::Relaxed);
            async {}
        })
        .await;
    assert_eq!(report.count(), 3_000);
    assert_eq!(report.all().ok(), 3_000);
    // Only what the harness' own calls cost.
    let late = late.load(Ordering::Relaxed);
    assert!(late < 200_000, "{late} ns");
}

#[squall::test(seeds = 4, audit = 100)]
async fn loads_follow_each_other_and_lie_on_top_of_each_other(sim: Sim) {
    let load = Load::ramp(rps(0), rps(100), secs(2))
        .then(Load::stairs([rps(50), rps(10)], secs(1)))
        .then(Load::bursts(rps(100), secs(1), secs(3), secs(4)))
        .overlay(Load::sine(rps(0), rps(20), secs(8), secs(8)));
    let report = sim.traffic("mixed", load.evenly()).run(|_| async {}).await;
    // 100 and 60 and 100 and 80, but for one that falls on an end.
    let count = report.count();
    assert!((339..=341).contains(&count), "{count}");
    let arrivals: Vec<u64> = report.all().points().iter().map(|p| p.arrivals).collect();
    assert!(arrivals[1] > 2 * arrivals[0], "{arrivals:?}");
    assert!(arrivals[4] >= 100 && arrivals[5] < 30, "{arrivals:?}");
}

#[squall::test(seeds = 4, audit = 100)]
async fn a_trace_is_played_as_it_was_recorded(sim: Sim) {
    let trace =
        Trace::from_csv("at,operation,key\n0.5,buy,7\n2.25,browse,9\n2.25,buy,8\n").unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, start) = (seen.clone(), sim.elapsed());
    let report = sim
        .traffic("recorded", trace)
        .run(move |cx| {
            let at = (cx.planned() - start).as_millis();
            let seen = (at, cx.operation().to_owned(), cx.key());
            log.lock().unwrap().push(seen);
            async {}
        })
        .await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let expected = [(500, "buy", 7), (2250, "browse", 9), (2250, "buy", 8)];
    let mut expected = expected.map(|(at, operation, key)| (at, operation.to_owned(), key));
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(report.operation("buy").unwrap().count(), 2);
}

#[squall::test(seeds = 4, audit = 100)]
async fn users_wait_for_their_answers_and_think(sim: Sim) {
    // 10 users, 100 ms of service and 400 ms of thought: 20 requests a second.
    let users = Load::users(10, secs(10))
        .think(Latency::fixed(millis(400)))
        .ramp(millis(500));
    let report = sim
        .traffic("users", users)
        .run(|cx| async move {
            assert!(cx.user().unwrap() < 10);
            sleep(millis(100)).await;
        })
        .await;
    let rate = report.all().rate();
    assert!((18.0..=20.5).contains(&rate), "{rate}");
    assert!(report.all().most_in_flight() <= 10);
    // Users who take no time at all do not stop the clock.
    let report = sim
        .traffic("fast", Load::users(2, secs(1)))
        .run(|_| async {})
        .await;
    assert!((500..=2_002).contains(&report.count()), "{report}");
}

#[squall::test(seeds = 4, audit = 100)]
async fn mixes_and_keys_have_their_shares(sim: Sim) {
    let hot = Arc::new(AtomicU64::new(0));
    let count = hot.clone();
    let report = sim
        .traffic("shop", Load::constant(rps(1_000), secs(4)))
        .operation("browse", 9)
        .operation("buy", 1)
        .keys(Keys::hot(1, 100, 0.5))
        .run(move |cx| {
            assert!((3..=5).contains(&cx.number(3..6)) && (cx.id() < 5_000));
            assert!(["a", "b"].contains(cx.choose(&["a", "b"])));
            assert_eq!(*cx.weighted(&[(0, 1), (3, 2)]), 2);
            assert!(cx.chance(1.0) && !cx.chance(0.0));
            count.fetch_add(u64::from(cx.key() == 0), Ordering::Relaxed);
            async {}
        })
        .await;
    let share = |part: u64| part as f64 / report.count() as f64;
    let buys = share(report.operation("buy").unwrap().count());
    assert!((0.07..0.13).contains(&buys), "{buys}");
    let hot = share(hot.load(Ordering::Relaxed));
    assert!((0.45..0.55).contains(&hot), "{hot}");
    // A Poisson process of 4,000 has a standard deviation of 63.
    assert!((3_700..4_300).contains(&report.count()), "{report}");
}

/// What a service answers that fails `errors` times for each request.
fn fails(errors: u32) -> impl Fn(Cx) -> std::future::Ready<Result<(), &'static str>> + Clone {
    move |cx| {
        std::future::ready(if cx.attempt() < errors {
            Err("busy")
        } else {
            Ok(())
        })
    }
}

#[squall::test(seeds = 4, audit = 100)]
async fn retries_repeat_the_same_request_until_they_may_not(sim: Sim) {
    let load = || Load::constant(rps(100), secs(1)).evenly();
    let report = sim.traffic("plain", load()).run(fails(1)).await;
    assert_eq!((report.all().errors(), report.all().retries()), (100, 0));
    let kinds = report.all().errors_by_kind();
    assert_eq!((kinds[0].0.as_str(), kinds[0].1), ("busy", 100));

    let report = sim
        .traffic("enough", load())
        .retry(Retry::fixed(2, millis(10)))
        .run(fails(2))
        .await;
    assert_eq!((report.all().errors(), report.all().retries()), (0, 200));
    let min = report.all().min().unwrap();
    assert!(min >= millis(20), "{min:?}");

    let budget = Retry::immediate(5).budget(0.1);
    let report = sim
        .traffic("budget", load())
        .retry(budget)
        .run(fails(9))
        .await;
    // Ten, and a tenth of a hundred.
    assert_eq!(report.all().errors(), 100);
    assert!((10..=20).contains(&report.all().retries()), "{report}");

    let first = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
    let known = first.clone();
    sim.traffic("draws", load())
        .retry(Retry::exponential(2, millis(1)).jitter())
        .run(move |cx| {
            let drawn = (cx.number(..), cx.number(1..=6), cx.chance(0.5));
            let mut known = known.lock().unwrap();
            assert_eq!(*known.entry(cx.id()).or_insert(drawn), drawn);
            fails(2)(cx)
        })
        .await;
    assert_eq!(first.lock().unwrap().len(), 100);
}

/// Counts itself while it lives.
struct Alive(Arc<AtomicU64>);

impl Alive {
    fn new(count: &Arc<AtomicU64>) -> Alive {
        count.fetch_add(1, Ordering::SeqCst);
        Alive(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[squall::test(seeds = 4, audit = 100)]
async fn whoever_gives_up_drops_the_request(sim: Sim) {
    let alive = Arc::new(AtomicU64::new(0));
    let hang = |alive: &Arc<AtomicU64>| {
        let alive = alive.clone();
        move |_: Cx| {
            let alive = Alive::new(&alive);
            async move {
                sleep(Duration::from_secs(3600)).await;
                drop(alive);
            }
        }
    };
    let load = || Load::constant(rps(10), secs(1)).evenly();
    let report = sim
        .traffic("patience", load())
        .patience(secs(2))
        .run(hang(&alive))
        .await;
    assert_eq!(report.all().errors_by_kind()[0].0, "gave_up");
    let max = report.all().max().unwrap();
    assert!((secs(2)..millis(2_020)).contains(&max), "{max:?}");

    let timeouts = sim
        .traffic("timeout", load())
        .timeout(millis(100))
        .retry(Retry::immediate(1));
    let report = timeouts.run(hang(&alive)).await;
    assert_eq!(report.all().errors_by_kind()[0].0, "timeout");
    assert_eq!(report.all().retries(), 10);

    let report = sim
        .traffic("hung", load())
        .drain(secs(5))
        .run(hang(&alive))
        .await;
    let kinds = report.all().errors_by_kind();
    assert_eq!((kinds[0].0.as_str(), kinds[0].1), ("unfinished", 10));

    // Traffic that nobody waits for any more is over.
    let dropped = sim.traffic("dropped", load()).run(hang(&alive));
    assert!(tokio::time::timeout(millis(500), dropped).await.is_err());
    sleep(secs(1)).await;
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[squall::test(seeds = 4, audit = 100)]
async fn a_limit_drops_what_is_too_much_and_panics_are_outcomes(sim: Sim) {
    let report = sim
        .traffic("slow", Load::constant(rps(100), secs(1)).evenly())
        .limit(10)
        .run(|_| sleep(secs(10)))
        .await;
    let all = report.all();
    assert_eq!(
        (all.count(), all.dropped(), all.most_in_flight()),
        (10, 90, 10)
    );
    report.expect("dropped == 90, in_flight == 10").unwrap();

    let report = sim
        .traffic("broken", Load::constant(rps(10), secs(1)).evenly())
        .run(|cx| async move { assert!(cx.id() % 2 == 0, "planted") })
        .await;
    report
        .expect("errors(panicked) == 5, errors == 5, error_rate == 50%")
        .unwrap();
}

#[squall::test(seeds = 4, audit = 100)]
async fn the_warm_up_does_not_count(sim: Sim) {
    let start = sim.elapsed();
    let report = sim
        .traffic("warm", Load::constant(rps(100), secs(4)).evenly())
        .warm_up(secs(1))
        .run(move |cx| {
            let cold = cx.planned() - start < secs(1);
            sleep(if cold { secs(1) } else { millis(5) })
        })
        .await;
    report
        .expect("count == 300, p100 < 20ms, rate == 100rps")
        .unwrap();
    assert_eq!(report.all().points()[0].arrivals, 100);
}
