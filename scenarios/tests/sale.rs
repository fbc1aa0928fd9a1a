//! The flash sale under squall: two hosts, a spike of customers, a nemesis, and what must hold. Each test is bound to a file in
//! `scenarios/`, which says how many pieces there are, how the shop books, what the customers do and what breaks.

use squall::{Scenario, Sim};
use squall_scenarios::sale::{self, Booking, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

async fn sale(sim: Sim, scenario: Scenario) -> squall::Result {
    let pieces: i64 = scenario.setting("pieces");
    let booking = match scenario.setting::<String>("booking").as_str() {
        "reserve" => Booking::Reserve,
        _ => Booking::CheckThenTake,
    };
    let store = Arc::new(Store::with(pieces));
    let stock = store.clone();
    sim.host("inventory", move || {
        let stock = stock.clone();
        async move { sale::inventory("0.0.0.0:80", stock).await }
    });
    sim.host("orders", move || {
        sale::orders("0.0.0.0:80", "http://inventory", booking)
    });
    let seen = store.clone();
    sim.always(
        "no piece is sold twice",
        move || seen.left(),
        |left| *left >= 0,
    );
    sim.nemesis(scenario.nemesis());

    let promised = Arc::new(AtomicI64::new(0));
    let kept = promised.clone();
    scenario
        .traffic("buy")
        .run(move |cx| {
            let kept = kept.clone();
            async move {
                if sale::buy("http://orders", cx.id()).await? {
                    kept.fetch_add(1, Ordering::SeqCst);
                }
                Ok::<(), sale::Refused>(())
            }
        })
        .await;
    sim.heal().await;
    let (promised, sold) = (promised.load(Ordering::SeqCst), pieces - store.left());
    assert!(
        promised <= sold,
        "{promised} customers were promised a piece, and {sold} were taken"
    );
    Ok(())
}

/// The main command of the README runs it: it fails, and shows what a failure looks like.
#[squall::scenario("scenarios/flash-sale.toml")]
#[ignore = "fails by design: it shows what a failure looks like"]
async fn flash_sale(sim: Sim, scenario: Scenario) -> squall::Result {
    sale(sim, scenario).await
}

/// Its repaired twin.
#[squall::scenario("scenarios/flash-sale-repaired.toml")]
async fn flash_sale_repaired(sim: Sim, scenario: Scenario) -> squall::Result {
    sale(sim, scenario).await
}
