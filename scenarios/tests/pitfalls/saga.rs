//! Three booking services that fail now and then.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use squall::traffic::{Load, millis, rps, secs};
use squall::{Behaviour, FailureMode, Latency, Sim};
use squall_scenarios::pitfalls::Variant;
use squall_scenarios::pitfalls::saga::{self, SERVICES};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

pitfall!("a trip is booked as a whole or not at all", twin: 20);

type Booked = Arc<Mutex<BTreeSet<u64>>>;

/// A booking service, and what is booked there.
fn service(sim: &Sim, name: &str) -> Booked {
    let booked = Booked::default();
    let (books, cancels) = (booked.clone(), booked.clone());
    let book = async move |Path(id): Path<u64>| {
        books.lock().unwrap().insert(id);
    };
    let cancel = async move |Path(id): Path<u64>| {
        cancels.lock().unwrap().remove(&id);
    };
    let router = Router::new()
        .route("/book/{id}", post(book))
        .route("/cancel/{id}", post(cancel));
    let behaviour = Behaviour::healthy()
        .latency(Latency::log_normal(millis(15), 0.5))
        .error(FailureMode::Status(503), 0.06);
    sim.http_dependency(name, 80, behaviour, router);
    booked
}

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    let booked = SERVICES.map(|name| service(&sim, name));
    sim.host("trips", move || saga::serve("0.0.0.0:80", variant));
    tokio::time::sleep(millis(10)).await;

    let client = reqwest::Client::new();
    sim.traffic("trip", Load::constant(rps(10), secs(2)))
        .run(move |cx| {
            let url = format!("http://trips/trip/{}", cx.id());
            let client = client.clone();
            async move { client.post(url).send().await?.error_for_status() }
        })
        .await;
    let whole = move || {
        let [flights, rooms, cars] = [0, 1, 2].map(|i| booked[i].lock().unwrap().clone());
        match flights == rooms && rooms == cars {
            true => Ok(()),
            false => Err(format!(
                "flights {flights:?}, rooms {rooms:?}, cars {cars:?}"
            )),
        }
    };
    sim.eventually(WHAT, secs(60), whole).await;
    Ok(())
}
