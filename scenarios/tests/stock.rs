//! The shop under squall: a host of its own, customers that come at once, and an invariant. `racing_shop` holds the planted
//! bug and must be found; its repaired twin must hold.

use squall::{Builder, Sim};
use squall_scenarios::stock::{self, Till};
use std::time::Duration;

const STOCK: usize = 3;

/// Five customers at three items.
async fn flash_sale(sim: Sim, till: Till) {
    sim.host("shop", move || {
        stock::serve("0.0.0.0:80", STOCK as i64, till)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let customers: Vec<_> = (0..5)
        .map(|i| {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(15 * i)).await;
                stock::buy("shop:80").await.expect("the shop answers")
            })
        })
        .collect();
    let mut sold = 0;
    for c in customers {
        sold += usize::from(c.await.expect("no customer panics"));
    }
    assert!(sold <= STOCK, "oversold: {sold} sold of {STOCK} in stock");
}

#[squall::test]
async fn reserving_shop_never_oversells(sim: Sim) {
    flash_sale(sim, Till::Reserving).await;
}

#[test]
fn racing_shop_is_found() {
    let failure = Builder::new()
        .keep_failures(false)
        .run(|sim| flash_sale(sim, Till::Racing))
        .expect_err("the planted bug is found");
    assert!(failure.text.contains("oversold:"), "{}", failure.text);
}

/// The main command of the README: fails, and shows what a failure looks like.
#[squall::test]
#[ignore = "fails by design: it shows what a failure looks like"]
async fn racing_shop(sim: Sim) {
    flash_sale(sim, Till::Racing).await;
}
