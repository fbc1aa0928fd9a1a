//! What programs log with: tracing's spans and events through test-log and its subscriber, by the clock that the program sees.
use super::support::ms;
use std::time::{Instant, SystemTime};
use tracing::{Instrument, Level, debug, error, error_span};

#[test_log::test(squall::test(seeds = 20, audit = 100))]
async fn test_log_prints_what_a_run_logs() {
    assert!(
        tracing::enabled!(Level::ERROR),
        "test-log has its subscriber in each run"
    );
    let (began, wall) = (Instant::now(), SystemTime::now());
    let orders = (0..3).map(|order| {
        tokio::spawn(
            async move {
                debug!("paid");
                tokio::time::sleep(ms(20)).await;
                error!(after = ?began.elapsed(), "sent");
            }
            .instrument(error_span!("order", order)),
        )
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.unwrap();
    }
    // What stamps the lines is this clock: 20 ms of it have passed, and not much more.
    let passed = wall.elapsed().unwrap();
    assert!((ms(20)..ms(40)).contains(&passed), "{passed:?}");
}
