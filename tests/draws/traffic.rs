//! Draws of requests.

use super::{failure, holds, says};
use proptest::collection::vec;
use squall::Sim;
use squall::traffic::{Load, Retry, millis, rps, secs};
use std::sync::{Arc, Mutex};

async fn buys(sim: Sim, limit: u32) {
    let sold = sim.traffic("buy", Load::constant(rps(20), secs(2)));
    sold.run(move |cx| async move {
        let cart = cx.draw(vec(0..100u32, 1..5));
        tokio::time::sleep(millis(1)).await;
        match cart.iter().all(|price| *price < limit) {
            true => Ok(()),
            false => Err("too dear"),
        }
    })
    .await
    .expect("errors == 0")
    .expect("all were sold");
}

#[test]
fn requests_draw_values_that_shrink() {
    let failed = failure(16, |sim| buys(sim, 42));
    says(&failed, " = [42]\n");
    holds(16, |sim| buys(sim, 100));
}

#[test]
fn a_retry_draws_the_same_again() {
    holds(16, |sim| async move {
        let drawn = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
        let sold = sim.traffic("buy", Load::constant(rps(20), secs(2)));
        sold.retry(Retry::fixed(1, millis(10)))
            .run(move |cx| {
                let drawn = drawn.clone();
                async move {
                    let cart = cx.draw(vec(0..1_000_000u32, 1..5));
                    match drawn.lock().unwrap().insert(cx.id(), cart.clone()) {
                        None => return Err("once more"),
                        Some(before) => assert_eq!(before, cart),
                    }
                    Ok(())
                }
            })
            .await
            .expect("errors == 0")
            .unwrap();
    });
}
