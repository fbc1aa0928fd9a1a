//! Tests for the tests of the runner. Each is ignored, and run by name with `drive`.

#![allow(clippy::unwrap_used)]

#[path = "../common/planted.rs"]
mod planted;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use planted::lost_update;
use squall::Sim;

#[squall::test]
#[ignore]
fn passes() {}

/// Goes on after a panic, and after an error that knows where it came from.
#[squall::test]
#[ignore]
fn goes_on_after_a_panic() {
    for i in 0..3 {
        std::panic::catch_unwind(|| panic!("panic {i}")).unwrap_err();
        let known = std::backtrace::Backtrace::capture();
        assert_eq!(known.to_string(), "disabled backtrace");
        let other = std::thread::spawn(std::thread::yield_now);
        std::thread::yield_now();
        other.join().unwrap();
    }
}

#[squall::test]
#[ignore]
async fn passes_async(sim: Sim) -> squall::Result {
    let before = sim.elapsed();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(sim.elapsed() - before >= Duration::from_secs(3600));
    Ok(())
}

/// Fails with a pool of 4.
#[squall::test(seeds = 3)]
#[ignore]
async fn asks_for_a_pool(sim: Sim) {
    let pool: u32 = sim.parameter("pool", 8);
    let patience = sim.parameter("patience", Duration::from_secs(1));
    let other = tokio::spawn(tokio::time::sleep(patience));
    other.await.unwrap();
    assert_ne!(pool, 4, "a pool of 4");
}

#[squall::test]
#[ignore]
fn panics(sim: Sim) {
    println!("the seed is {}", sim.seed());
    assert_eq!(lost_update(), 2, "an update was lost");
}

#[squall::test]
#[ignore]
fn panics_until_mended() {
    if std::env::var_os("MENDED").is_some() {
        std::thread::yield_now();
        std::thread::spawn(|| {}).join().unwrap();
        return;
    }
    assert_eq!(lost_update(), 2, "an update was lost");
}

#[squall::test]
#[ignore]
async fn panics_async() {
    let count = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let count = count.clone();
            tokio::spawn(async move {
                let seen = count.load(Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                count.store(seen + 1, Ordering::SeqCst);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 2, "an update was lost");
}

#[squall::test]
#[ignore]
fn errs(sim: Sim) -> Result<(), String> {
    if sim.seed() == 3 {
        Err(format!("seed {} it is", sim.seed()))
    } else {
        Ok(())
    }
}

#[squall::test]
#[ignore]
#[should_panic(expected = "an update was lost")]
fn should_panic() {
    assert_eq!(lost_update(), 2, "an update was lost");
}

#[squall::test]
#[ignore]
fn panic_of_a_thread() {
    let thread = std::thread::Builder::new().name("worker".to_owned());
    let thread = thread.spawn(|| panic!("the worker's reason")).unwrap();
    let Err(payload) = thread.join();
    std::panic::resume_unwind(payload);
}

#[squall::test]
#[ignore]
fn caught_panics_pass() {
    let _ = std::thread::spawn(|| panic!("nobody minds")).join();
}

#[squall::test]
#[ignore]
fn deadlocks() {
    let (a, b) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let lock = |first: &Arc<Mutex<i32>>, second: &Arc<Mutex<i32>>| {
        let (first, second) = (first.clone(), second.clone());
        std::thread::spawn(move || {
            let _first = first.lock().unwrap();
            std::thread::yield_now();
            let _second = second.lock().unwrap();
        })
    };
    let threads = [lock(&a, &b), lock(&b, &a)];
    for thread in threads {
        thread.join().unwrap();
    }
}

#[squall::test]
#[ignore]
fn livelocks() {
    loop {
        std::thread::yield_now();
    }
}

#[squall::test(max_time = "1m")]
#[ignore]
fn outlasts_its_time() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[squall::test(max_steps = 5000)]
#[ignore]
fn outlasts_its_steps() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {}
}

#[squall::test(watchdog = "300ms")]
#[ignore]
fn spins(sim: Sim) {
    println!("about to spin");
    while sim.seed() == 2 {
        std::hint::spin_loop();
    }
}

#[squall::test]
#[ignore]
fn aborts() {
    println!("last words");
    std::process::abort();
}

#[squall::test]
#[ignore]
fn panics_in_a_drop() {
    struct Twice;
    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let _twice = Twice;
    panic!("once");
}

#[squall::test]
#[ignore]
fn segfaults(sim: Sim) {
    print!("no line end");
    std::io::Write::flush(&mut std::io::stdout()).unwrap();
    if sim.seed() == 4 {
        // SAFETY: none; that this is not sound is the point. The zero page is never mapped, so the write faults.
        unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    }
}

fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        0
    } else {
        descend(depth + 1) + frame[7]
    }
}

#[squall::test]
#[ignore]
fn overflows_its_stack() {
    println!("{}", descend(0));
}

#[squall::test]
#[ignore]
fn overflows_a_threads_stack() {
    std::thread::spawn(|| println!("{}", descend(0)))
        .join()
        .unwrap();
}

#[squall::test]
#[ignore]
fn exits() {
    println!("leaving");
    std::process::exit(7);
}

#[squall::test]
#[ignore]
fn exits_with_zero() {
    std::process::exit(0);
}

#[squall::test(memory = "64MiB")]
#[ignore]
fn runs_out_of_memory() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(Vec::<u8>::with_capacity(1 << 20));
    }
}

#[squall::test]
#[ignore]
fn forks() {
    // SAFETY: the simulation refuses the call.
    assert_eq!(unsafe { libc::fork() }, -1);
    panic!("the fork failed: {}", std::io::Error::last_os_error());
}

#[squall::test]
#[ignore]
fn execs() {
    use std::os::unix::process::CommandExt;
    panic!(
        "the exec failed: {}",
        std::process::Command::new("true").exec()
    );
}

#[squall::test]
#[ignore]
fn spawns_a_process() {
    std::process::Command::new("true").status().unwrap();
}

#[squall::test]
#[ignore]
fn shrugs_at_a_refusal() {
    assert!(std::process::Command::new("true").status().is_err());
}

#[squall::test(seeds = 20)]
#[ignore]
fn leaks_threads() {
    static LIVING: AtomicU32 = AtomicU32::new(0);
    for _ in 0..10 {
        std::thread::spawn(|| {
            LIVING.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_secs(1_000_000));
        });
    }
    std::thread::sleep(Duration::from_secs(1));
    // Neither threads nor statics of an earlier run show.
    assert_eq!(LIVING.load(Ordering::SeqCst), 10);
}

#[squall::test(descriptors = 64)]
#[ignore]
fn exhausts_descriptors() -> std::io::Result<()> {
    let mut pipes = Vec::new();
    loop {
        pipes.push(std::io::pipe()?);
    }
}

#[squall::test(max_steps = 20000)]
#[ignore]
fn prints_without_end() {
    for line in 0_u64.. {
        println!("line {line} of too many");
    }
}

#[squall::test]
#[ignore]
fn is_nondeterministic() {
    // A real file passes through to the real system, which has never heard of seeds.
    let chance = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    let count = chance.bytes().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    // As many events in every run: they differ in their times.
    std::thread::sleep(Duration::from_nanos(1000 + u64::from(count)));
    std::thread::yield_now();
}

#[squall::test]
#[ignore]
fn fails_by_another_course_each_time() {
    is_nondeterministic_for_a_while();
    panic!("as ever");
}

fn is_nondeterministic_for_a_while() {
    let chance = std::fs::read("/proc/sys/kernel/random/uuid").unwrap();
    std::thread::sleep(Duration::from_nanos(
        chance.iter().map(|byte| u64::from(*byte)).sum(),
    ));
}

#[squall::test]
#[ignore]
fn goes_on_after_panics() {
    for _ in 0..3 {
        let workers: Vec<_> = (0..3)
            .map(|i| std::thread::spawn(move || assert_ne!(i, 1, "one of them has to")))
            .collect();
        let fallen = workers.into_iter().filter_map(|worker| worker.join().err());
        assert_eq!(fallen.count(), 1);
    }
}

#[test]
#[ignore]
fn remembers_earlier_runs() {
    // What the body captures lives outside the statics, and is not put back between runs.
    let runs = AtomicU64::new(0);
    squall::Builder::new().audit(0).check_blocking(move |sim| {
        let before = runs.fetch_add(1, Ordering::SeqCst);
        assert!(
            sim.seed() < 5 || before < 4,
            "this process has seen {before} runs"
        );
    });
}

#[test]
#[ignore]
fn warms_up() {
    // Only the first run of a process yields.
    let warm = AtomicU32::new(0);
    squall::Builder::new().check_blocking(move |_| {
        if warm.swap(1, Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
#[ignore]
fn two_builders() {
    let first = squall::Builder::new()
        .seeds(5)
        .run_blocking(|_| {})
        .unwrap();
    assert_eq!(first.runs, 5);
    squall::Builder::new().seeds(7).check_blocking(|sim| {
        assert!(sim.seed() < 6, "the second builder's seed");
    });
}

#[test]
#[ignore]
fn builder_async() {
    let failure = squall::Builder::new()
        .seeds(7)
        .flavor(squall::Flavor::CurrentThread)
        .run(|sim| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if sim.seed() == 3 {
                Err("three")
            } else {
                Ok(())
            }
        })
        .unwrap_err();
    assert_eq!(failure.seed, Some(3));
    assert_eq!(failure.signature, "error: \"three\"");
}

/// Long enough for a test to look at it while it runs.
#[squall::test(seeds = 1000000000)]
#[ignore]
fn goes_on_and_on() {
    std::thread::spawn(|| {}).join().unwrap();
}

#[squall::test(hosts = ["db", "cache"], cpus = 2, seeds = 3)]
#[ignore]
fn has_hosts(sim: Sim) {
    let names: Vec<String> = sim
        .hosts()
        .iter()
        .map(|host| host.name().to_owned())
        .collect();
    assert_eq!(names, ["test", "db", "cache"]);
    assert_eq!(std::thread::available_parallelism().unwrap().get(), 2);
}

#[squall::test(seeds = 40)]
#[ignore]
async fn rotates_its_runtime() {
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    println!(
        "{:?} {workers}",
        tokio::runtime::Handle::current().runtime_flavor()
    );
    assert!(workers <= 8);
}

#[squall::test(flavor = "multi_thread", worker_threads = 3, seeds = 3)]
#[ignore]
async fn has_three_workers() {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 3);
}

#[squall::test(seeds = 1000000000)]
#[ignore]
fn also_goes_on_and_on() {
    std::thread::spawn(|| {}).join().unwrap();
}

#[squall::test]
#[ignore]
fn holds_in_every_order() {
    let count = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let count = count.clone();
            std::thread::spawn(move || {
                count.fetch_add(1, Ordering::SeqCst);
                // A scheduling point that is no offer to let others go first.
                let _ = std::fs::metadata("/proc/self");
                std::thread::park_timeout(Duration::from_micros(1));
                count.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

/// Requests that say what they do to the subscriber of the program.
async fn logged_requests(fails: Option<u32>) {
    use tracing::Instrument;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;

    let subscriber = tracing_subscriber::registry().with(squall::tracing::layer());
    let printed = tracing_subscriber::fmt::layer().with_ansi(false);
    subscriber.with(printed).init();
    let requests = [1u32, 2].map(|id| {
        let request = async move {
            let database = tracing::info_span!("database", table = tracing::field::Empty);
            tracing::debug!("too much to tell");
            async {
                database.record("table", "pieces");
                tokio::time::sleep(Duration::from_secs(3600)).await;
                tracing::info!(pieces = id, "sold");
            }
            .instrument(database.clone())
            .await;
            if fails == Some(id) {
                tracing::warn!("nothing is left");
                panic!("sold out");
            }
        };
        tokio::spawn(request.instrument(tracing::info_span!("request", id)))
    });
    for request in requests {
        request.await.unwrap();
    }
}

#[squall::test(seeds = 5, flavor = "current_thread")]
#[ignore]
async fn logs_and_fails() {
    logged_requests(Some(2)).await;
}

#[squall::test(seeds = 40, audit = 100)]
#[ignore]
async fn logs_and_holds() {
    logged_requests(None).await;
}
