//! For each family of faults a small service with a bug that only such faults show, and its repaired twin.

use super::{MS, body, secs, sleep};
use squall::{Builder, FaultKind, Nemesis, NemesisOptions, Settings, Sim, Storage};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// A bug is found within so many seeds.
const FOUND: u64 = 60;
/// Its repaired twin is clean over so many, and so is the bug without the faults over the last number.
const CLEAN: u64 = 16;
const CALM: u64 = 8;

/// Runs a test with the bug or without it, under these kinds of faults.
fn run<F, Fut>(
    test: F,
    seeds: u64,
    broken: bool,
    kinds: &'static [FaultKind],
) -> Result<squall::Summary, squall::Failure>
where
    F: Fn(Sim, bool) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    // That they are found is what is asked here.
    let settings = Settings::new()
        .seeds(seeds)
        .keep_failures(false)
        .shrink(None);
    Builder::new().settings(settings).run(body(move |sim: Sim| {
        let options = NemesisOptions {
            period: 200 * MS..=1000 * MS,
            ..NemesisOptions::default()
        };
        let nemesis = Nemesis::all().options(options);
        let test = test(sim.clone(), broken);
        async move {
            sim.nemesis(nemesis.only(kinds.iter().copied()));
            test.await;
        }
    }))
}

macro_rules! bugs {
    ($($name:ident: $test:ident, $words:literal, $($kind:ident)|+;)*) => { $(
        mod $name {
            use super::*;
            const KINDS: &[FaultKind] = &[$(FaultKind::$kind),+];

            #[test]
            fn is_found() {
                super::super::found(run($test, FOUND, true, KINDS), &[$words, "\n  nemesis, every "]);
            }

            #[test]
            fn repaired_it_is_clean() {
                let held = run($test, CLEAN, false, KINDS);
                assert!(held.is_ok(), "{}", held.unwrap_err());
            }

            #[test]
            fn is_not_seen_without_the_faults() {
                let held = run($test, CALM, true, &[]);
                assert!(held.is_ok(), "{}", held.unwrap_err());
            }
        }
    )* };
}

bugs! {
    unsynced_write: unsynced_write, "an acknowledged write is lost", Crash;
    unsynced_write_before_a_bounce: unsynced_write, "an acknowledged write is lost", Bounce;
    state_in_memory: state_in_memory, "an acknowledged write is lost", Kill;
    stale_read: stale_read, "a stale read", Partition;
    stale_read_after_a_swizzle: stale_read, "a stale read", Swizzle;
    stale_read_after_a_hold: stale_read, "a stale read", Hold;
    lease_by_wall_clock: lease_by_wall_clock, "two hold the lease", ClockJump;
    lease_without_fencing: lease_without_fencing, "an older token was accepted", Pause;
    lease_without_fencing_and_a_stall: lease_without_fencing, "an older token was accepted", Stall;
    retry_applies_twice: retry_applies_twice, "applied twice", Reset;
    datagrams_twice: datagrams_twice, "counted twice", Duplication;
    datagrams_late: datagrams_late, "an older value won", Reordering;
    datagrams_changed: datagrams_changed, "a value that nobody sent", Corruption;
    datagrams_lost: datagrams_lost, "a value never arrived", Loss;
    accept_gives_up: accept_gives_up, "Too many open files", Descriptors;
}

/// Calls a host: sends a byte and reads one, within so long.
async fn call(host: &str, byte: u8, within: Duration) -> io::Result<u8> {
    let call = async {
        let mut s = TcpStream::connect((host, 80)).await?;
        s.write_all(&[byte]).await?;
        s.read_u8().await
    };
    tokio::time::timeout(within, call)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
}

/// Answers each connection's byte with what `answer` makes of it.
async fn serve<F, Fut>(answer: F) -> io::Result<()>
where
    F: Fn(u8) -> Fut + Clone + 'static,
    Fut: Future<Output = u8>,
{
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    let local = tokio::task::LocalSet::new();
    let accept = async {
        loop {
            let (mut s, _) = listener.accept().await?;
            let answer = answer.clone();
            tokio::task::spawn_local(async move {
                let byte = s.read_u8().await?;
                let answer = answer(byte).await;
                s.write_all(&[answer]).await
            });
        }
    };
    local.run_until(accept).await
}

/// Writes ever larger numbers, and looks for the last one that was acknowledged. 0 reads.
async fn written_is_kept(sim: Sim) {
    let mut acknowledged = 0;
    for n in 1..30 {
        if call("store", n, secs(1)).await.is_ok() {
            acknowledged = n;
        }
        sleep(200 * MS).await;
    }
    sim.heal().await;
    sleep(10 * MS).await;
    let kept = call("store", 0, secs(5)).await.unwrap();
    assert!(kept >= acknowledged, "an acknowledged write is lost");
}

async fn unsynced_write(sim: Sim, broken: bool) {
    sim.host("store", move || {
        serve(move |byte| async move {
            let disk = Storage::here();
            if byte != 0 {
                disk.set("value", [byte]);
                if !broken {
                    disk.sync();
                }
            }
            disk.get("value").map_or(0, |value| value[0])
        })
    });
    if broken {
        // What was written long ago is safe.
        let disk = sim.get("store").storage();
        tokio::spawn(async move {
            loop {
                sleep(secs(2)).await;
                disk.sync();
            }
        });
    }
    written_is_kept(sim).await;
}

async fn state_in_memory(sim: Sim, broken: bool) {
    sim.host("store", move || {
        let memory = Arc::new(AtomicU64::new(0));
        serve(move |byte| {
            let memory = memory.clone();
            async move {
                if byte != 0 {
                    memory.store(u64::from(byte), SeqCst);
                    Storage::here().set("value", [byte]);
                }
                match broken {
                    true => memory.load(SeqCst) as u8,
                    false => Storage::here().get("value").map_or(0, |value| value[0]),
                }
            }
        })
    });
    written_is_kept(sim).await;
}

/// A primary and a replica. The client writes to one and reads from the other.
async fn stale_read(sim: Sim, broken: bool) {
    let replica = Arc::new(AtomicU64::new(0));
    sim.host("replica", move || {
        let value = replica.clone();
        serve(move |byte| {
            let before = value.fetch_max(u64::from(byte), SeqCst);
            async move { before.max(u64::from(byte)) as u8 }
        })
    });
    sim.host("primary", move || {
        serve(move |byte| async move {
            let replicate = async move {
                while call("replica", byte, secs(2)).await.is_err() {
                    sleep(50 * MS).await;
                }
            };
            match broken {
                true => drop(tokio::spawn(replicate)),
                false => replicate.await,
            }
            byte
        })
    });
    sleep(10 * MS).await;
    for n in 1..30 {
        if call("primary", n, secs(20)).await.is_ok() {
            sleep(50 * MS).await;
            let read = call("replica", 0, secs(20)).await.unwrap();
            assert!(read >= n, "a stale read");
        }
        sleep(200 * MS).await;
    }
}

/// Leases a lock for 1.5 s, of which clients use one second. The answer to 0 is the token, or 0 if it is taken.
async fn lease_server() -> io::Result<()> {
    let lease = Arc::new(Mutex::new((0u8, None::<Instant>)));
    serve(move |_| {
        let lease = lease.clone();
        async move {
            let mut lease = lease.lock().unwrap();
            if lease.1.is_some_and(|until| Instant::now() < until) {
                return 0;
            }
            *lease = (lease.0 + 1, Some(Instant::now() + 1500 * MS));
            lease.0
        }
    })
    .await
}

async fn lease_by_wall_clock(sim: Sim, broken: bool) {
    sim.host("lock", lease_server);
    let inside = Arc::new(AtomicU64::new(0));
    for name in ["a", "b"] {
        let inside = inside.clone();
        sim.host(name, move || {
            let inside = inside.clone();
            async move {
                loop {
                    let (asked, asked_wall) = (Instant::now(), SystemTime::now());
                    let token = call("lock", 0, secs(1)).await.unwrap_or(0);
                    let holds = || match broken {
                        true => SystemTime::now() < asked_wall + secs(1),
                        false => asked.elapsed() < secs(1),
                    };
                    while token != 0 && holds() {
                        let others = inside.fetch_add(1, SeqCst);
                        assert_eq!(others, 0, "two hold the lease");
                        sleep(100 * MS).await;
                        inside.fetch_sub(1, SeqCst);
                        sleep(MS).await;
                    }
                    sleep(100 * MS).await;
                }
            }
        });
    }
    sleep(secs(10)).await;
}

async fn lease_without_fencing(sim: Sim, broken: bool) {
    sim.host("lock", lease_server);
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let list = accepted.clone();
    sim.host("store", move || {
        let list = list.clone();
        serve(move |token| {
            let mut list = list.lock().unwrap();
            let stale = list.last().is_some_and(|last| token < *last);
            if broken || !stale {
                list.push(token);
            }
            async move { 1 }
        })
    });
    for name in ["a", "b"] {
        sim.host(name, move || async move {
            loop {
                let asked = Instant::now();
                let token = call("lock", 0, secs(1)).await.unwrap_or(0);
                while token != 0 && asked.elapsed() < secs(1) {
                    // It works for a while, and the lease was looked at before.
                    sleep(200 * MS).await;
                    let _ = call("store", token, secs(5)).await;
                }
                sleep(100 * MS).await;
            }
        });
    }
    sleep(secs(12)).await;
    let accepted = accepted.lock().unwrap();
    assert!(accepted.is_sorted(), "an older token was accepted");
}

async fn retry_applies_twice(sim: Sim, broken: bool) {
    let applied = Arc::new(Mutex::new(Vec::new()));
    let list = applied.clone();
    sim.host("bank", move || {
        let list = list.clone();
        serve(move |id| {
            let list = list.clone();
            async move {
                {
                    let mut list = list.lock().unwrap();
                    if broken || !list.contains(&id) {
                        list.push(id);
                    }
                }
                sleep(50 * MS).await;
                1
            }
        })
    });
    sleep(10 * MS).await;
    for id in 0..30 {
        while call("bank", id, secs(5)).await.is_err() {}
        sleep(50 * MS).await;
    }
    let mut applied = applied.lock().unwrap().clone();
    let count = applied.len();
    applied.dedup();
    assert_eq!(applied.len(), count, "applied twice");
}

/// Sends numbers as datagrams to a host and returns what it got, in its order. There is no other host, so the link with the test is what faults hit.
async fn datagrams<F>(sim: &Sim, copies: usize, frame: F) -> Vec<Vec<u8>>
where
    F: Fn(u8) -> Vec<u8>,
{
    let got = Arc::new(Mutex::new(Vec::new()));
    let list = got.clone();
    sim.host("sink", move || {
        let list = list.clone();
        async move {
            let socket = UdpSocket::bind("0.0.0.0:80").await?;
            let mut buf = [0; 16];
            loop {
                let n = socket.recv(&mut buf).await?;
                list.lock().unwrap().push(buf[..n].to_vec());
            }
            #[allow(unreachable_code)]
            io::Result::Ok(())
        }
    });
    sleep(10 * MS).await;
    let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    for n in 0..100 {
        for _ in 0..copies {
            let _ = socket.send_to(&frame(n), "sink:80").await;
            sleep(50 * MS / copies as u32).await;
        }
    }
    sim.heal().await;
    sleep(secs(1)).await;
    got.lock().unwrap().clone()
}

async fn datagrams_twice(sim: Sim, broken: bool) {
    let mut got = datagrams(&sim, 1, |n| vec![n]).await;
    if !broken {
        got.sort();
        got.dedup();
    }
    assert!(got.len() <= 100, "counted twice");
}

async fn datagrams_late(sim: Sim, broken: bool) {
    let got = datagrams(&sim, 1, |n| vec![n]).await;
    let last = match broken {
        true => got.windows(2).all(|two| two[0] <= two[1]),
        // A receiver that keeps the largest number.
        false => got.iter().max() == Some(&vec![99]),
    };
    assert!(last, "an older value won");
}

async fn datagrams_changed(sim: Sim, broken: bool) {
    let sum = |n: u8| n.wrapping_mul(31).wrapping_add(7);
    let got = datagrams(&sim, 1, |n| vec![n, sum(n)]).await;
    let taken = got.iter().filter(|d| broken || d[1] == sum(d[0]));
    let known = |d: &Vec<u8>| d[0] < 100 && d[1] == sum(d[0]);
    assert!(taken.clone().all(known), "a value that nobody sent");
}

async fn datagrams_lost(sim: Sim, broken: bool) {
    let copies = if broken { 1 } else { 8 };
    let mut got = datagrams(&sim, copies, |n| vec![n]).await;
    got.sort();
    got.dedup();
    // Eight copies within 50 ms are lost together only by a loss of nearly everything, which is out of the range.
    assert!(
        got.len() >= if broken { 100 } else { 99 },
        "a value never arrived"
    );
}

async fn accept_gives_up(sim: Sim, broken: bool) {
    sim.host("server", move || async move {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        loop {
            match listener.accept().await {
                Ok((mut s, _)) => drop(tokio::spawn(async move {
                    let byte = s.read_u8().await?;
                    sleep(500 * MS).await;
                    s.write_all(&[byte]).await
                })),
                Err(e) if broken => return Err(e),
                Err(_) => sleep(10 * MS).await,
            }
        }
        #[allow(unreachable_code)]
        io::Result::Ok(())
    });
    sleep(10 * MS).await;
    let calls = (0..100).map(|n: u32| async move {
        sleep(100 * MS * n).await;
        let _ = call("server", 1, secs(10)).await;
    });
    let all: Vec<_> = calls.map(tokio::spawn).collect();
    for one in all {
        one.await.unwrap();
    }
}
