//! What a seed of a whole scenario costs: three hosts with the replicated key-value service of `squall-scenarios`, 1,000 requests,
//! a nemesis, the check of the history. Each row adds something to the one before.
//!
//! cargo bench -p squall-benches --bench kv

#[path = "../../scenarios/tests/kv/load.rs"]
#[allow(dead_code, unreachable_pub)]
mod load;

use load::{LOAD, Load, scenario};
use squall::Builder;
use std::time::{Duration, Instant};

const SEEDS: u64 = 50;

/// Four clients with 250 requests each, however long these take.
const WHOLE: Load = Load {
    requests: 250,
    lasting: Duration::from_secs(100_000),
    pause: Duration::from_millis(100),
    calm: 0.0,
    ..LOAD
};

/// Processor time of all processes that have ended, in milliseconds.
fn processor() -> f64 {
    // SAFETY: zeroes are a rusage.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: it is a valid place for the answer.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut used) };
    assert_eq!(failed, 0, "getrusage knows children");
    let ms = |t: libc::timeval| t.tv_sec as f64 * 1e3 + t.tv_usec as f64 / 1e3;
    ms(used.ru_utime) + ms(used.ru_stime)
}

fn main() {
    let quiet = Load {
        faults: &[],
        deploys: false,
        checked: false,
        ..WHOLE
    };
    let rows = [
        (
            "three hosts, no request",
            Load {
                requests: 0,
                ..quiet
            },
        ),
        ("and 1,000 requests", quiet),
        (
            "and operators that restart hosts",
            Load {
                deploys: true,
                ..quiet
            },
        ),
        (
            "and a nemesis in each run",
            Load {
                checked: false,
                ..WHOLE
            },
        ),
        ("and the history checked: all of it", WHOLE),
    ];
    println!("| scenario | processor time | wall time | simulated |\n|---|---|---|---|");
    for (what, load) in rows {
        let (start, before) = (Instant::now(), processor());
        let held = Builder::new()
            .seeds(SEEDS)
            .audit(0)
            .max_time(Duration::from_secs(100_000))
            .run(move |sim| scenario(sim, load))
            .expect("the service holds");
        let each = |ms: f64| ms / SEEDS as f64;
        println!(
            "| {what} | {:.1} ms | {:.1} ms | {:.1} s |",
            each(processor() - before),
            each(start.elapsed().as_secs_f64() * 1e3),
            each(held.simulated.as_secs_f64()),
        );
    }
}
