//! Two replicas of the shop, one inventory, more customers than items.

use squall::Sim;
use squall::traffic::{Load, millis, rps, secs};
use squall_scenarios::pitfalls::{Variant, flash_sale};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

pitfall!("no more is sold than there was", twin: 40);

const STOCK: i64 = 3;

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    sim.host("inventory", || flash_sale::inventory("0.0.0.0:80", STOCK));
    for replica in ["shop-1", "shop-2"] {
        sim.host(replica, move || {
            flash_sale::shop("0.0.0.0:80", "http://inventory", variant)
        });
    }
    tokio::time::sleep(millis(10)).await;

    let sold = Arc::new(AtomicI64::new(0));
    let seen = sold.clone();
    sim.always(WHAT, move || seen.load(SeqCst), |sold| *sold <= STOCK);

    let client = reqwest::Client::new();
    let sale = Load::spike(rps(2), rps(20))
        .at(secs(1))
        .lasting(millis(500))
        .tail(millis(500));
    sim.traffic("buy", sale)
        .expecting("error_rate < 1%, p99 < 1s")
        .run(move |cx| {
            let (client, sold) = (client.clone(), sold.clone());
            async move {
                let shop = cx.choose(&["http://shop-1", "http://shop-2"]);
                if flash_sale::buy(&client, shop).await? {
                    sold.fetch_add(1, SeqCst);
                }
                reqwest::Result::Ok(())
            }
        })
        .await;
    Ok(())
}
