//! tower's layers around a service that counts: timeout, retry with back-off, rate limit, concurrency limit, buffer, shedding.
use crate::support::{Gauge, Stopwatch, ms};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::retry::backoff::{Backoff, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget, TpsBudget};
use tower::util::rng::HasherRng;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, retry, service_fn};

#[squall::test]
async fn timeout_cuts_off_the_slow_answer_only() {
    let service =
        ServiceBuilder::new()
            .timeout(ms(250))
            .service(service_fn(|delay: Duration| async move {
                sleep(delay).await;
                Ok::<_, BoxError>(delay)
            }));
    let watch = Stopwatch::start();
    let (quick, slow) = tokio::join!(
        service.clone().oneshot(ms(100)),
        service.oneshot(ms(60_000))
    );
    assert_eq!(quick.unwrap(), ms(100));
    assert!(slow.unwrap_err().is::<tower::timeout::error::Elapsed>());
    watch.within(ms(250), ms(280));
}

#[squall::test]
async fn rate_limit_spreads_calls_over_time() {
    let mut service = ServiceBuilder::new()
        .rate_limit(5, ms(200))
        .service(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }));
    let watch = Stopwatch::start();
    for n in 0..12 {
        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    // Five at once, five in the second window, two in the third.
    watch.within(ms(400), ms(450));
}

#[squall::test]
async fn buffer_and_concurrency_limit_serve_clones_fairly() {
    let gauge = Arc::new(Gauge::default());
    let seen = gauge.clone();
    let service = ServiceBuilder::new()
        .buffer(4)
        .concurrency_limit(3)
        .service(service_fn(move |n: u32| {
            let seen = seen.clone();
            async move {
                let _inside = seen.enter();
                sleep(ms(20)).await;
                Ok::<_, BoxError>(n * 2)
            }
        }));
    let watch = Stopwatch::start();
    let mut calls = JoinSet::new();
    for n in 0..12 {
        calls.spawn(service.clone().oneshot(n));
    }
    let mut doubled: Vec<u32> = calls
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    doubled.sort();
    assert_eq!(doubled, (0..12).map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(gauge.peak(), 3);
    watch.within(ms(80), ms(130));
}

#[squall::test]
async fn load_shed_refuses_at_once_when_full() {
    let service = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(2)
        .service(service_fn(|()| async {
            sleep(ms(50)).await;
            Ok::<_, BoxError>(())
        }));
    let watch = Stopwatch::start();
    let mut calls = JoinSet::new();
    for _ in 0..6 {
        calls.spawn(service.clone().oneshot(()));
    }
    let outcomes = calls.join_all().await;
    let shed = outcomes.iter().filter(|o| {
        o.as_ref()
            .is_err_and(|e| e.is::<tower::load_shed::error::Overloaded>())
    });
    assert_eq!(shed.count(), 4);
    watch.within(ms(50), ms(80));
}

/// Retries what failed, after a jittered and doubling pause, while the shared budget lasts.
#[derive(Clone)]
struct Patient {
    backoff: tower::retry::backoff::ExponentialBackoff,
    budget: Arc<TpsBudget>,
}

impl Patient {
    fn new(budget: Arc<TpsBudget>) -> Self {
        let mut maker =
            ExponentialBackoffMaker::new(ms(20), ms(500), 0.5, HasherRng::default()).unwrap();
        Self {
            backoff: maker.make_backoff(),
            budget,
        }
    }
}

impl retry::Policy<u32, u32, BoxError> for Patient {
    type Future = tokio::time::Sleep;
    fn retry(&mut self, _: &mut u32, result: &mut Result<u32, BoxError>) -> Option<Self::Future> {
        match result {
            Ok(_) => {
                self.budget.deposit();
                None
            }
            Err(_) => self.budget.withdraw().then(|| self.backoff.next_backoff()),
        }
    }
    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

#[squall::test]
async fn retry_backs_off_until_the_service_recovers() {
    let attempts = Arc::new(AtomicU32::new(0));
    let budget = Arc::new(TpsBudget::new(ms(10_000), 10, 1.0));
    let counted = attempts.clone();
    let flaky = service_fn(move |n: u32| {
        let attempt = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            if attempt < 5 {
                Err(BoxError::from("down"))
            } else {
                Ok(n + attempt)
            }
        }
    });
    let service = ServiceBuilder::new()
        .retry(Patient::new(budget))
        .service(flaky);
    let watch = Stopwatch::start();
    assert_eq!(service.oneshot(10).await.unwrap(), 15);
    assert_eq!(attempts.load(Ordering::SeqCst), 5);
    // Pauses of 20, 40, 80 and 160 ms, each lengthened or shortened by up to half.
    watch.within(ms(150), ms(480));
}

#[squall::test]
async fn retry_stops_when_the_budget_is_spent() {
    let attempts = Arc::new(AtomicU32::new(0));
    let budget = Arc::new(TpsBudget::new(ms(10_000), 0, 1.0));
    let counted = attempts.clone();
    let down = service_fn(move |_: u32| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Err::<u32, _>(BoxError::from("down")))
    });
    // Two successes elsewhere pay for two retries in all.
    budget.deposit();
    budget.deposit();
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let service = ServiceBuilder::new()
            .retry(Patient::new(budget.clone()))
            .service(down.clone());
        calls.spawn(service.oneshot(1));
    }
    assert!(
        calls
            .join_all()
            .await
            .iter()
            .all(|outcome| outcome.as_ref().is_err_and(|e| e.to_string() == "down"))
    );
    assert_eq!(attempts.load(Ordering::SeqCst), 4 + 2);
}
