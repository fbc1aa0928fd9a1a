//! A payment provider with a few errors among its answers, which keeps its books.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use squall::{Behaviour, FailureMode, Latency, Sim};
use squall_scenarios::pitfalls::{Variant, billing};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pitfall!("every subscriber is billed", twin: 60);

const SUBSCRIBERS: u32 = 8;

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    let billed = Arc::new(Mutex::new(BTreeSet::new()));
    let book = billed.clone();
    let charge = async move |Path(subscriber): Path<u32>| {
        book.lock().unwrap().insert(subscriber);
    };
    let behaviour = Behaviour::healthy()
        .latency(Latency::log_normal(Duration::from_millis(30), 0.5))
        .error(FailureMode::Status(503), 0.01)
        .error(FailureMode::Reset, 0.01);
    let provider = Router::new().route("/charge/{subscriber}", post(charge));
    sim.http_dependency("payments", 80, behaviour, provider);
    sim.host("billing", move || {
        billing::run("http://payments", SUBSCRIBERS, variant)
    });
    let all = move || billed.lock().unwrap().len() == SUBSCRIBERS as usize;
    sim.eventually(WHAT, Duration::from_secs(60), all).await;
    Ok(())
}
