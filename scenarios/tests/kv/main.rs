//! The replicated key-value service of `kv` under every fault that a nemesis has, and under operators that restart its hosts. The
//! correct one must hold; each planted bug must be found. `docs/scenarios.md` tells of it.

mod load;

use load::{HOSTS, LOAD, Load, addresses, scenario, start};
use squall::{Builder, FaultKind, Settings, Sim};
use squall_scenarios::kv::{Bug, Client, Op};
use std::time::{Duration, Instant};

/// How many seeds the correct service is put to by default.
const CLEAN: u64 = 6;
/// A bug must be found within so many seeds.
const FOUND: u64 = 2000;

/// What is wrong, and what the page says of it.
const BUGS: [(Bug, &[&str]); 5] = [
    (Bug::StaleRead, &["not linearizable"]),
    (Bug::AckBeforeSync, &["is lost", "not linearizable"]),
    (Bug::WallClockLease, &["not linearizable"]),
    (Bug::NoDedup, &[" times\n", "not linearizable"]),
    (Bug::HastyShutdown, &["is lost", "not linearizable"]),
];

/// Runs seeds until the bug is found.
fn search(bug: Bug, load: Load) {
    let settings = Settings::new()
        .seeds(FOUND)
        .audit(0)
        .shrink(None)
        .keep_failures(false);
    let load = Load {
        bug: Some(bug),
        ..load
    };
    let failure = Builder::new()
        .settings(settings)
        .run(move |sim| scenario(sim, load))
        .expect_err("the planted bug is found");
    let seed = failure.seed.expect("a run failed");
    println!("{bug:?}: seed {seed}: {}", failure.headline);
    let (_, words) = BUGS
        .into_iter()
        .find(|(b, _)| *b == bug)
        .expect("it is one of them");
    let said = words.iter().any(|words| failure.text.contains(words));
    assert!(said, "it is found for what it is:\n{}", failure.text);
}

/// In the default run only the kinds of faults that show a bug, each of them in every run.
fn found(bug: Bug, faults: &'static [FaultKind]) {
    search(
        bug,
        Load {
            calm: 0.0,
            enabled: Some(1.0),
            faults,
            ..LOAD
        },
    );
}

#[test]
fn the_service_holds() {
    Builder::new()
        .seeds(CLEAN)
        .audit(100)
        .check(|sim| scenario(sim, LOAD));
}

#[test]
fn a_stale_read_is_found() {
    found(Bug::StaleRead, &[FaultKind::Partition]);
}

#[test]
fn a_write_acknowledged_before_it_is_synced_is_found() {
    found(Bug::AckBeforeSync, &[FaultKind::Bounce, FaultKind::Crash]);
}

#[test]
fn a_lease_on_the_wall_clock_is_found() {
    found(
        Bug::WallClockLease,
        &[FaultKind::ClockJump, FaultKind::Partition],
    );
}

#[test]
fn a_retry_that_applies_twice_is_found() {
    found(Bug::NoDedup, &[FaultKind::Hold, FaultKind::Loss]);
}

#[test]
fn a_shutdown_that_drops_writes_is_found() {
    found(
        Bug::HastyShutdown,
        &[FaultKind::Partition, FaultKind::Latency],
    );
}

#[test]
#[ignore = "takes minutes: the command is in docs/scenarios.md"]
fn the_service_holds_for_long() {
    let load = Load { calm: 0.0, ..LOAD };
    Builder::new()
        .seeds(5000)
        .check(move |sim| scenario(sim, load));
}

/// As it is without knowing what to look for: every kind of fault, a quarter of them in each run.
#[test]
#[ignore = "takes minutes: the command is in docs/scenarios.md"]
fn every_bug_is_found_under_every_fault() {
    for (bug, _) in BUGS {
        search(bug, LOAD);
    }
}

/// Ten thousand crashes in one run, the service answering in between: nothing grows with their number.
#[test]
#[ignore = "takes a minute: the command is in docs/scenarios.md"]
fn ten_thousand_crashes_in_one_run() {
    Builder::new()
        .seeds(1)
        .audit(0)
        .max_time(Duration::from_secs(1_000_000))
        .max_steps(u64::MAX)
        .check(crashes);
}

async fn crashes(sim: Sim) {
    const CRASHES: usize = 10_000;
    start(&sim, None);
    let mut client = Client::new("client", &addresses());
    let (mut before, mut answered, wall) = (0, 0, Instant::now());
    for n in 0..CRASHES {
        if n == CRASHES / 10 {
            before = resident();
        }
        sim.get(HOSTS[n % 3]).bounce();
        if n % 100 == 0 {
            // The log, which the service never shortens, is not to be what grows.
            let op = Op::Put("crashes".to_owned(), n.to_string());
            answered += usize::from(client.write(op, Duration::from_secs(10)).await.is_some());
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let grown = resident().saturating_sub(before) >> 20;
    println!(
        "{answered} writes; {grown} MiB more after {CRASHES} crashes than after a tenth of them; {:?} simulated",
        wall.elapsed()
    );
    assert_eq!(answered, CRASHES / 100, "the service lives on");
    assert!(
        grown < 64,
        "{grown} MiB more after {CRASHES} crashes than after a tenth of them"
    );
}

/// Bytes of memory that the process holds.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("it is Linux");
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<usize>().ok());
    pages.expect("a number of pages") * 4096
}
