//! What a nemesis costs: seeds in a second, without one, with one that has nothing to do, with one at work.
//!
//! cargo test --release --test nemesis -- --ignored cost --nocapture

use super::{MS, body, echo, seeds, sleep};
use squall::{Nemesis, NemesisOptions, Sim};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Three hosts, and ten seconds in which a client calls them in turn, two hundred times.
async fn calls(sim: Sim, nemesis: Option<f64>) {
    for name in ["a", "b", "c"] {
        sim.host(name, echo);
    }
    if let Some(calm) = nemesis {
        let options = NemesisOptions {
            calm,
            ..NemesisOptions::default()
        };
        sim.nemesis(Nemesis::all().options(options));
    }
    for n in 0..200 {
        sleep(50 * MS).await;
        let call = async {
            let mut s = TcpStream::connect((["a", "b", "c"][n % 3], 80)).await?;
            s.write_all(b"?").await?;
            s.read_u8().await
        };
        let _ = tokio::time::timeout(50 * MS, call).await;
    }
}

#[test]
#[ignore = "measures"]
fn cost() {
    const RUNS: u64 = 60;
    for (what, nemesis) in [
        ("no nemesis", None),
        ("a calm nemesis", Some(1.0)),
        ("a nemesis in each run", Some(0.0)),
    ] {
        let start = Instant::now();
        let with = seeds(RUNS).audit(0).jobs(1);
        let held = with.run(body(move |sim: Sim| calls(sim, nemesis)));
        assert!(held.is_ok(), "{held:?}");
        let rate = RUNS as f64 / start.elapsed().as_secs_f64();
        println!("{what:22} {rate:8.0} seeds/s");
    }
}
