//! The scenario on the engine that this is built for: a line with the engine, the seed that finds the planted bug, what its failure is
//! known by, and how many seeds of the repaired twin run in a second. `compare.sh` builds it for both and puts the lines together.

use std::time::Instant;

use squall_engines::{Stock, orders_take_goods_once};

const ENGINE: &str = if cfg!(madsim) { "madsim" } else { "kernel" };

fn main() {
    let test = || squall::Builder::new().keep_failures(false).audit(0);
    let found = test()
        .seeds(1000)
        .run(|sim| orders_take_goods_once(sim, Stock::Planted));
    let (seed, signature) = match found {
        Ok(summary) => ("none".to_owned(), format!("held in {} runs", summary.runs)),
        Err(failure) => {
            let seed = failure
                .seed
                .map_or("none".to_owned(), |seed| format!("{seed:#x}"));
            (seed, failure.signature)
        }
    };
    // Some seeds for the start of the process, which is not what is measured.
    let run = |seeds| {
        test()
            .seeds(seeds)
            .run(|sim| orders_take_goods_once(sim, Stock::Repaired))
    };
    let warm = run(10).is_ok();
    let since = Instant::now();
    let held = run(1000);
    let took = since.elapsed();
    let twin = match &held {
        Ok(summary) if warm => format!("clean in {} seeds", summary.runs),
        Ok(_) => "fails".to_owned(),
        Err(failure) => failure.headline.clone(),
    };
    let rate = 1000.0 / took.as_secs_f64();
    let simulated = held.map_or(0.0, |summary| summary.simulated.as_secs_f64() / 1000.0);
    println!("{ENGINE}|{seed}|{signature}|{twin}|{rate:.0}|{simulated:.2} s");
}
