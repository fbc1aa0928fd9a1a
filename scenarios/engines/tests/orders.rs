//! The scenario as tests: the planted bug is found, and its repaired twin is not flagged, on whichever engine this is built for.

use squall_engines::{Stock, orders_take_goods_once};

#[squall::test(seeds = 300)]
async fn the_repaired_stock_takes_goods_once(sim: squall::Sim) -> squall::Result {
    orders_take_goods_once(sim, Stock::Repaired).await
}

#[test]
fn the_planted_bug_is_found() {
    let found = squall::Builder::new()
        .seeds(1000)
        .keep_failures(false)
        .run(|sim| orders_take_goods_once(sim, Stock::Planted));
    let failure = found.expect_err("the bug is there");
    assert_eq!(failure.signature, "no order takes goods twice", "{failure}");
}
