//! What a test comes to on madsim: verdicts, replay, what is refused and by which name. Nothing of this is in a build for the kernel, which has
//! tests of its own for all that.
#![cfg(madsim)]

use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use squall::{Builder, Check, Failure, Flavor, HostState, Isolation, Nemesis, Settings, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn test() -> Builder {
    Builder::new().seeds(20).keep_failures(false).audit(100)
}

fn failure<F, Fut, R>(body: F) -> Failure
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R>,
    R: squall::Returned,
{
    test().run(body).expect_err("it fails")
}

fn holds<F, Fut, R>(body: F)
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = R>,
    R: squall::Returned,
{
    if let Err(failure) = test().run(body) {
        panic!("{failure}");
    }
}

/// Answers each byte with the next one.
async fn counts() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut byte = [0];
            while stream.read(&mut byte).await? == 1 {
                stream.write_all(&[byte[0] + 1]).await?;
                stream.flush().await?;
            }
            io::Result::Ok(())
        });
    }
}

async fn ask(address: &str, byte: u8) -> io::Result<u8> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[byte]).await?;
    stream.flush().await?;
    stream.read_u8().await
}

#[test]
fn verdicts_have_the_kernels_names() {
    let found = failure(|_| async {
        if true {
            panic!("the body")
        }
    });
    assert!(
        found.signature.starts_with("panic at tests/madsim.rs:"),
        "{found}"
    );
    assert_eq!(found.seed, Some(0));
    assert!(
        found
            .text
            .contains("replay: RUSTFLAGS=\"--cfg madsim\" SQUALL_SEED=0x0 cargo test"),
        "{found}"
    );

    let found = failure(|_| async { io::Result::<()>::Err(io::Error::other("no luck")) });
    assert!(found.signature.starts_with("error: Custom"), "{found}");

    let found = failure(|sim| async move {
        sim.host("a", || async {
            io::Result::<()>::Err(io::Error::other("no luck"))
        });
        sleep(SECOND).await;
    });
    assert!(found.signature.starts_with("error of a: "), "{found}");

    let found = failure(|sim| async move {
        sim.host("a", || async {
            if true {
                panic!("the host")
            }
        });
        sleep(SECOND).await;
    });
    assert!(
        found
            .signature
            .starts_with("panic on a at tests/madsim.rs:"),
        "{found}"
    );

    let found = failure(|_| async {
        drop(tokio::spawn(async { panic!("a task") }));
        sleep(SECOND).await;
    });
    assert!(
        found.signature.starts_with("panic at tests/madsim.rs:"),
        "{found}"
    );

    let found = failure(|_| async { std::future::pending::<()>().await });
    assert!(found.signature.starts_with("deadlock"), "{found}");

    let found = test()
        .max_time(SECOND)
        .run(|_| async { sleep(2 * SECOND).await });
    assert_eq!(found.unwrap_err().signature, "virtual time limit");

    let found = failure(|sim| async move {
        let begun = sim.elapsed();
        let seen = sim.clone();
        sim.always(
            "time stands still",
            move || seen.elapsed() - begun,
            |t| *t < SECOND,
        );
        sleep(5 * SECOND).await;
    });
    assert_eq!(found.signature, "time stands still", "{found}");
    assert!(found.text.contains("at 1."), "{found}");

    let found = failure(|sim| async move {
        sim.sometimes("pigs fly", || false, |fly| *fly);
    });
    assert_eq!(
        (found.signature.as_str(), found.seed),
        ("never hit: pigs fly", None)
    );
}

#[test]
fn what_runs_for_ever_is_given_up() {
    static OVER: AtomicBool = AtomicBool::new(false);
    let wait = Duration::from_millis(300);
    let found = test().watchdog(wait).run(|_| async {
        while !OVER.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    assert_eq!(found.unwrap_err().signature, "stuck");
    OVER.store(true, Ordering::Relaxed);

    static OVER_TOO: AtomicBool = AtomicBool::new(false);
    let found = test().watchdog(wait).run(|_| async {
        while !OVER_TOO.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(found.unwrap_err().signature, "livelock");
    OVER_TOO.store(true, Ordering::Relaxed);
}

#[test]
fn two_courses_of_a_seed_are_told() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let found = failure(|_| async {
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(run + 1)).await;
    });
    assert_eq!(found.signature, "nondeterministic", "{found}");
}

#[test]
fn hosts_can_be_broken_and_mended() {
    holds(|sim| async move {
        let a = sim.host("a", counts);
        let patience = Duration::from_secs(3);
        let asked = async || {
            tokio::time::timeout(patience, ask("a:80", 7))
                .await
                .ok()?
                .ok()
        };
        sleep(SECOND).await;
        assert_eq!(asked().await, Some(8));
        assert_eq!(a.ip().to_string(), "10.0.0.2");

        sim.partition("test", "a");
        assert_eq!(asked().await, None);
        sim.repair("test", "a");
        assert_eq!(asked().await, Some(8));

        a.pause();
        assert_eq!((asked().await, a.state()), (None, HostState::Paused));
        a.resume();
        assert_eq!(asked().await, Some(8));

        let before = sim.elapsed();
        a.stall(2 * SECOND);
        assert_eq!(asked().await, Some(8));
        assert!(sim.elapsed() - before >= 2 * SECOND);

        a.storage().set("kept", "1");
        a.storage().sync();
        a.storage().set("lost", "1");
        a.crash();
        assert_eq!((asked().await, a.state()), (None, HostState::Crashed));
        assert_eq!(a.storage().names(), ["kept"]);
        a.restart();
        sleep(SECOND).await;
        assert_eq!(asked().await, Some(8));
        a.kill();
        assert_eq!((asked().await, a.state()), (None, HostState::Stopped));
    });
}

#[test]
fn a_nemesis_ends_with_heal() {
    holds(|sim| async move {
        sim.host("a", counts);
        sim.host("b", counts);
        sim.nemesis(Nemesis::portable());
        sleep(60 * SECOND).await;
        sim.heal().await;
        assert_eq!(sim.faults(), []);
        sim.eventually("a answers", 10 * SECOND, || async {
            ask("a:80", 1).await.is_ok()
        })
        .await;
        sim.eventually("b answers", 10 * SECOND, || async {
            ask("b:80", 1).await.is_ok()
        })
        .await;
    });
}

#[test]
fn what_cannot_be_had_is_refused_by_name() {
    type Body = fn(&Sim);
    let bodies: [(&str, Body); 14] = [
        ("a host with a plain main (Sim::host_main)", |sim| {
            drop(sim.host_main("a", || ()))
        }),
        ("a host with workers (Sim::host_with_workers)", |sim| {
            drop(sim.host_with_workers("a", 2, counts));
        }),
        ("Host::slow_down", |sim| sim.get("test").slow_down(2)),
        ("Host::suspend", |sim| sim.host("a", counts).suspend()),
        ("a clock that jumps, drifts or is slewed", |sim| {
            sim.get("test").jump_clock_forward(SECOND);
        }),
        ("a limit of descriptors, files, ports or buffers", |sim| {
            sim.get("test").limit_descriptors(5);
        }),
        ("signal 15", |sim| sim.host("a", counts).shutdown()),
        ("Host::stall_thread", |sim| {
            _ = sim.host("a", counts).stall_thread("a", SECOND)
        }),
        ("a link with ", |sim| {
            sim.host("a", counts);
            sim.hold("test", "a");
        }),
        ("loss on a single link", |sim| {
            sim.host("a", counts);
            _ = sim.link("test", "a").loss(0.5);
        }),
        ("the latency of a single link", |sim| {
            sim.host("a", counts);
            sim.latency("test", "a", SECOND);
        }),
        (
            "the faults clock-jump, clock-drift, descriptors, loss, latency",
            |sim| {
                sim.nemesis(Nemesis::all());
            },
        ),
        ("Check::EachStep", |sim| {
            sim.always("all is well", || true, |well| *well)
                .check(Check::EachStep);
        }),
        ("a delay or a pause at the fault point \"slowly\"", |sim| {
            sim.fault_point("slowly").delay(SECOND);
            squall::fault_point!("slowly");
        }),
    ];
    for (what, body) in bodies {
        let found = failure(move |sim| async move {
            body(&sim);
            sleep(SECOND).await;
        });
        let begins = "squall: what_cannot_be_had_is_refused_by_name could not be run: ";
        assert!(
            found.text.starts_with(&format!("{begins}{what}")),
            "{what}: {found}"
        );
        assert!(found.text.contains(" cannot be had on madsim: "), "{found}");
        assert_eq!(found.seed, None);
    }
    let found = failure(|sim| async move { sim.settle().await.map_err(squall::Error::from) });
    assert!(
        found.text.contains("Sim::settle cannot be had on madsim: "),
        "{found}"
    );
    let found = test().run_blocking(|_| ()).expect_err("it is refused");
    assert!(
        found
            .text
            .contains("a body that is not asynchronous cannot be had on madsim"),
        "{found}"
    );
    let plain = Settings::new;
    for (settings, what) in [
        (plain().jobs(4), "the setting jobs"),
        (
            plain().strategy("pct".parse().unwrap()),
            "the setting strategy",
        ),
        (
            plain().isolation(Isolation::Process),
            "isolation = \"process\"",
        ),
        (
            plain().flavor(Flavor::MultiThread(None)),
            "flavor = \"multi_thread\"",
        ),
        (plain().cpus(2), "the setting cpus"),
        (plain().descriptors(9), "the setting descriptors"),
        (plain().memory(Some(1)), "the setting memory"),
        (plain().max_steps(9), "the setting max_steps"),
        (
            plain().detect(squall::Detector::LeakedTasks.into()),
            "the setting detect",
        ),
    ] {
        let refused = Builder::new().settings(settings).run(|_| async {});
        let refused = refused.expect_err("it is refused");
        let told = format!("could not be run: {what} cannot be had on madsim: ");
        assert!(refused.text.contains(&told), "{refused}");
    }
    // What madsim does anyway is not refused.
    let usual = plain().jobs(1).memory(None).isolation(Isolation::Batch);
    let held = Builder::new()
        .settings(usual.seeds(2).flavor(Flavor::CurrentThread))
        .run(|_| async {});
    assert!(held.is_ok(), "{held:?}");
}

mod fixtures {
    use super::*;

    /// Fails where the test draws much.
    #[squall::test(seeds = 1000)]
    #[ignore = "a fixture"]
    async fn draws_much(sim: Sim) {
        let numbers: Vec<u64> = (0..5).map(|_| sim.number(0..100)).collect();
        sleep(SECOND).await;
        assert!(numbers.iter().sum::<u64>() < 300, "{numbers:?}");
    }

    #[squall::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "a fixture"]
    async fn has_workers() {}
}

/// Runs a fixture in a process of its own; what it printed.
fn fixture(name: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let ran = Command::new(std::env::current_exe().unwrap())
        .args([
            &format!("fixtures::{name}"),
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env_remove("SQUALL_AUDIT")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = [ran.stdout, ran.stderr].concat();
    (
        ran.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn a_failure_is_kept_shrunk_and_replayed() {
    let kept = std::env::temp_dir().join(format!("squall-madsim-{}", std::process::id()));
    let store = ("SQUALL_FAILURES", kept.to_str().unwrap());
    let (held, text) = fixture("draws_much", &[store]);
    assert!(
        !held && text.contains("squall: fixtures::draws_much failed with seed "),
        "{text}"
    );
    assert!(
        text.contains("panicked at tests/madsim.rs:")
            && text.contains("  shrunk from 5 decisions to "),
        "{text}"
    );
    assert!(
        text.contains("(runs first from now on; commit it"),
        "{text}"
    );
    let seed = text
        .split("SQUALL_SEED=")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let (held, again) = fixture(
        "draws_much",
        &[("SQUALL_SEED", seed), ("SQUALL_FAILURES", "off")],
    );
    assert!(
        !held && again.contains(&format!("failed with seed {seed}: panicked")),
        "{again}"
    );
    let (held, again) = fixture("draws_much", &[store]);
    assert!(
        !held && again.contains("(saved earlier, fails still"),
        "{again}"
    );
    let log = std::fs::read_dir(&kept)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let log = log
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "log"))
        .unwrap();
    let (held, again) = fixture(
        "draws_much",
        &[store, ("SQUALL_REPLAY", log.to_str().unwrap())],
    );
    assert!(
        !held && again.contains("  shrunk from 5 decisions to "),
        "{again}"
    );
    // What it was shrunk to draws just enough.
    assert!(again.contains("[0, ") || again.contains(", 0"), "{again}");
    std::fs::remove_dir_all(&kept).unwrap();
}

#[test]
fn the_environment_is_obeyed_or_refused() {
    let (held, text) = fixture("has_workers", &[]);
    assert!(
        !held
            && text.contains(
                "flavor = \"multi_thread\" cannot be had on madsim: all tasks run on one thread"
            ),
        "{text}"
    );
    for (variable, value) in [
        ("SQUALL_STRATEGY", "pct"),
        ("SQUALL_ISOLATION", "process"),
        ("SQUALL_JOBS", "2"),
    ] {
        let (held, text) = fixture("draws_much", &[(variable, value)]);
        assert!(
            !held && text.contains(&format!("could not be run: {variable}")),
            "{text}"
        );
        assert!(text.contains("cannot be had on madsim: "), "{text}");
    }
    let (_, text) = fixture("draws_much", &[("SQUALL_SEEDS", "none")]);
    assert!(
        text.contains("SQUALL_SEEDS=\"none\" cannot be used"),
        "{text}"
    );
}
