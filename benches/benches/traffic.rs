//! What simulated traffic costs: `cargo bench -p squall-benches --bench traffic`. A hundred thousand requests against a service in
//! memory, recorded, sampled and judged, beside as many tasks spawned on stock tokio; the median of five runs each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use squall::traffic::{Load, rps, secs};
use squall::{Builder, Flavor};

const REQUESTS: u64 = 100_000;
const RUNS: usize = 5;

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    all.sort_unstable();
    all[RUNS / 2]
}

/// As many tasks as there are requests, each of which does what the service does.
fn stock() -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let since = Instant::now();
    runtime.block_on(async {
        let count = Arc::new(AtomicU64::new(0));
        for _ in 0..REQUESTS {
            let count = count.clone();
            tokio::spawn(async move { count.fetch_add(1, Ordering::Relaxed) })
                .await
                .expect("no panic");
        }
        assert_eq!(count.load(Ordering::Relaxed), REQUESTS);
    });
    since.elapsed()
}

/// The same as traffic: a thousand in a virtual second.
fn traffic() -> Duration {
    let since = Instant::now();
    let held = Builder::new()
        .seeds(1)
        .audit(0)
        .flavor(Flavor::CurrentThread)
        .keep_failures(false)
        .run(|sim: squall::Sim| async move {
            let count = Arc::new(AtomicU64::new(0));
            let report = sim
                .traffic(
                    "count",
                    Load::constant(rps(1_000), secs(REQUESTS / 1_000)).evenly(),
                )
                .run(move |_| {
                    let count = count.clone();
                    async move {
                        count.fetch_add(1, Ordering::Relaxed);
                        std::io::Result::Ok(())
                    }
                })
                .await;
            report.expect("count >= 99999, error_rate == 0%, p99 < 1ms")
        });
    let took = since.elapsed();
    held.unwrap_or_else(|failure| panic!("{failure}"));
    took
}

fn main() {
    // libtest's arguments are cargo's; none of them matters here.
    let (ours, theirs) = (median(traffic), median(stock));
    println!("{REQUESTS} requests as traffic: {ours:.2?}; as tasks on stock tokio: {theirs:.2?}");
    println!(
        "a request: {:.2} us, {:.1} times a task",
        ours.as_secs_f64() * 1e6 / REQUESTS as f64,
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}
