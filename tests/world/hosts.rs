//! Hosts that crash, are killed, stop, freeze and come back, as they and their peers see it.

use crate::echo::echo_on;
use squall::{HostState, Sim, Storage};
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const MS: Duration = Duration::from_millis(1);

/// Port 80 sends back what arrives.
pub async fn echo() {
    let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
    echo_on(listener).await;
}

pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn ping(c: &mut TcpStream) -> std::io::Result<()> {
    c.write_all(b"ping").await?;
    c.read_exact(&mut [0; 4]).await?;
    Ok(())
}

/// Counts how often it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

thread_local! {
    static LOCAL: std::cell::RefCell<Option<Dropped>> = const { std::cell::RefCell::new(None) };
}

#[squall::test(seeds = 50, audit = 100)]
async fn no_destructor_runs_in_a_crash(sim: Sim) {
    let drops = Arc::new(AtomicUsize::new(0));
    let births = Arc::new(AtomicUsize::new(0));
    let host = sim.host_with_workers("victim", 2, {
        let (drops, births) = (drops.clone(), births.clone());
        move || {
            let new = {
                let (drops, births) = (drops.clone(), births.clone());
                move || {
                    births.fetch_add(1, Ordering::SeqCst);
                    Dropped(drops.clone())
                }
            };
            async move {
                let _mine = new();
                LOCAL.with(|l| *l.borrow_mut() = Some(new()));
                let in_task = new();
                tokio::spawn(async move {
                    let _in_task = in_task;
                    std::future::pending::<()>().await;
                });
                let in_thread = new();
                std::thread::spawn(move || {
                    let _in_thread = in_thread;
                    std::thread::sleep(Duration::from_secs(1000));
                });
                std::future::pending::<()>().await;
            }
        }
    });
    for round in 1..=3 {
        pause(50 * MS).await;
        assert_eq!(births.load(Ordering::SeqCst), 4 * round);
        host.crash();
        assert_eq!(host.state(), HostState::Crashed);
        pause(Duration::from_secs(2000)).await;
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        host.restart();
        assert_eq!(host.state(), HostState::Running);
    }
    pause(50 * MS).await;
    host.kill();
    assert_eq!(host.state(), HostState::Stopped);
    pause(50 * MS).await;
    assert_eq!(drops.load(Ordering::SeqCst), 0);
}

#[squall::test(seeds = 50, audit = 100)]
async fn peers_of_a_crashed_host_see_silence_and_then_a_reset(sim: Sim) {
    let host = sim.host("server", echo);
    pause(10 * MS).await;
    let mut used = TcpStream::connect("server:80").await.unwrap();
    let mut idle = TcpStream::connect("server:80").await.unwrap();
    let mut late = TcpStream::connect("server:80").await.unwrap();
    ping(&mut used).await.unwrap();
    host.crash();
    // Silence: nothing is refused, nothing ends.
    used.write_all(b"anybody?").await.unwrap();
    assert!(
        tokio::time::timeout(5000 * MS, used.read(&mut [0; 1]))
            .await
            .is_err()
    );
    let knocking = tokio::spawn(TcpStream::connect("server:80"));
    pause(1500 * MS).await;
    assert!(!knocking.is_finished());
    host.restart();
    // What is repeated now belongs to a connection that nobody knows.
    let e = used.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    // One that sends nothing hears nothing.
    assert!(
        tokio::time::timeout(100_000 * MS, idle.read(&mut [0; 1]))
            .await
            .is_err()
    );
    late.write_all(b"x").await.unwrap();
    let e = late.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    // Whoever kept knocking is let in.
    ping(&mut knocking.await.unwrap().unwrap()).await.unwrap();
    ping(&mut TcpStream::connect("server:80").await.unwrap())
        .await
        .unwrap();
}

#[squall::test(seeds = 20, audit = 100)]
async fn a_host_that_stays_down_times_out(sim: Sim) {
    let host = sim.host("server", echo);
    pause(10 * MS).await;
    let mut c = TcpStream::connect("server:80").await.unwrap();
    host.crash();
    c.write_all(b"x").await.unwrap();
    let e = c.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let e = TcpStream::connect("server:80").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let udp = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    udp.connect("server:80").await.unwrap();
    udp.send(b"x").await.unwrap();
    assert!(
        tokio::time::timeout(1000 * MS, udp.recv(&mut [0; 1]))
            .await
            .is_err()
    );
    // Back without its program: the machine says that nobody is there.
    host.restart();
    host.kill();
    udp.send(b"x").await.unwrap();
    let e = udp.recv(&mut [0; 1]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
}

#[squall::test(seeds = 50, audit = 100)]
async fn the_machine_closes_what_a_killed_process_left(sim: Sim) {
    let host = sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
        }
    });
    pause(10 * MS).await;
    let mut quiet = TcpStream::connect("server:80").await.unwrap();
    let mut unread = TcpStream::connect("server:80").await.unwrap();
    unread.write_all(b"nobody reads this").await.unwrap();
    pause(10 * MS).await;
    host.kill();
    assert_eq!(quiet.read(&mut [0; 1]).await.unwrap(), 0);
    let e = unread.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    let e = TcpStream::connect("server:80").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
    host.restart();
    pause(10 * MS).await;
    TcpStream::connect("server:80").await.unwrap();
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_program_that_ends_is_a_process_that_ends(sim: Sim) {
    let runs = Arc::new(AtomicUsize::new(0));
    let host = sim.host_main("short", {
        let runs = runs.clone();
        move || {
            runs.fetch_add(1, Ordering::SeqCst);
            let listener = std::net::TcpListener::bind("0.0.0.0:80")?;
            // A thread that main does not wait for.
            std::thread::spawn(|| {
                loop {
                    std::thread::sleep(MS);
                }
            });
            let (mut s, _) = listener.accept()?;
            let mut buf = [0; 4];
            s.read_exact(&mut buf)?;
            s.write_all(&buf)?;
            std::mem::forget((s, listener));
            std::io::Result::Ok(())
        }
    });
    for round in 1..=3 {
        pause(10 * MS).await;
        assert_eq!(host.state(), HostState::Running);
        let mut c = TcpStream::connect("short:80").await.unwrap();
        ping(&mut c).await.unwrap();
        assert_eq!(c.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(host.state(), HostState::Stopped);
        assert_eq!(runs.load(Ordering::SeqCst), round);
        host.restart();
    }
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_host_can_crash_itself(sim: Sim) {
    let reached = Arc::new(AtomicUsize::new(0));
    let host = sim.host("suicidal", {
        let (sim, reached) = (sim.clone(), reached.clone());
        move || {
            let (sim, reached) = (sim.clone(), reached.clone());
            async move {
                reached.fetch_add(1, Ordering::SeqCst);
                pause(5 * MS).await;
                sim.get("suicidal").crash();
                reached.fetch_add(100, Ordering::SeqCst);
            }
        }
    });
    pause(50 * MS).await;
    assert_eq!(host.state(), HostState::Crashed);
    host.restart();
    pause(50 * MS).await;
    assert_eq!(reached.load(Ordering::SeqCst), 2);
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_paused_host_misses_time_but_no_packets(sim: Sim) {
    let ticks = Arc::new(AtomicUsize::new(0));
    let host = sim.host("server", {
        let ticks = ticks.clone();
        move || {
            let ticks = ticks.clone();
            async move {
                tokio::spawn(async move {
                    loop {
                        pause(10 * MS).await;
                        ticks.fetch_add(1, Ordering::SeqCst);
                    }
                });
                echo().await
            }
        }
    });
    pause(100 * MS).await;
    let mut c = TcpStream::connect("server:80").await.unwrap();
    host.pause();
    assert_eq!(host.state(), HostState::Paused);
    let before = ticks.load(Ordering::SeqCst);
    c.write_all(b"ping").await.unwrap();
    assert!(
        tokio::time::timeout(30_000 * MS, c.read_exact(&mut [0; 4]))
            .await
            .is_err()
    );
    // Nobody answers the handshake either.
    let knocking = tokio::time::timeout(500 * MS, TcpStream::connect("server:80")).await;
    assert!(knocking.is_err());
    assert_eq!(ticks.load(Ordering::SeqCst), before);
    let resumed = Instant::now();
    host.resume();
    c.read_exact(&mut [0; 4]).await.unwrap();
    assert!(resumed.elapsed() < 20 * MS, "{:?}", resumed.elapsed());
    pause(100 * MS).await;
    assert!(ticks.load(Ordering::SeqCst) > before);
    ping(&mut c).await.unwrap();
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_stalled_host_still_acknowledges(sim: Sim) {
    let host = sim.host("server", echo);
    pause(10 * MS).await;
    let mut c = TcpStream::connect("server:80").await.unwrap();
    let before = Instant::now();
    host.stall(Duration::from_secs(3));
    host.stall(Duration::from_secs(1));
    // The kernel of that machine takes the connection.
    TcpStream::connect("server:80").await.unwrap();
    assert!(before.elapsed() < 10 * MS);
    ping(&mut c).await.unwrap();
    let took = before.elapsed().as_secs_f64();
    assert!((3.0..3.05).contains(&took), "{took}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn storage_outlives_the_program(sim: Sim) {
    let host = sim.host("counter", || async {
        let disk = Storage::here();
        let starts = disk.get("starts").map_or(0, |n| n[0]) + 1;
        disk.set("starts", [starts]);
        disk.sync();
        disk.set("scratch", b"not synced");
        std::future::pending::<()>().await;
    });
    for start in 1..=3 {
        pause(MS).await;
        assert_eq!(host.storage().get("starts"), Some(vec![start]));
        assert_eq!(host.storage().names(), ["scratch", "starts"]);
        host.crash();
        assert_eq!(host.storage().get("scratch"), None);
        host.restart();
    }
    pause(MS).await;
    host.kill();
    assert_eq!(host.storage().get("scratch").unwrap(), b"not synced");
}

#[squall::test(seeds = 20, audit = 100)]
async fn wakers_of_a_dead_runtime_do_no_harm(sim: Sim) {
    for _ in 0..5 {
        let (tell, told) = tokio::sync::mpsc::unbounded_channel::<u8>();
        let told = Arc::new(std::sync::Mutex::new(Some(told)));
        let host = sim.host(&format!("listener{:?}", Instant::now()), move || {
            let told = told.clone();
            async move {
                let mut told = told.lock().unwrap().take().unwrap();
                while told.recv().await.is_some() {}
            }
        });
        pause(10 * MS).await;
        tell.send(1).unwrap();
        pause(10 * MS).await;
        host.crash();
        let server = sim.host(&format!("server{:?}", Instant::now()), echo);
        pause(10 * MS).await;
        let mut c = TcpStream::connect((server.ip(), 80)).await.unwrap();
        // Wakes a task of the crashed runtime, whose descriptors are gone.
        tell.send(2).unwrap();
        drop(tell);
        ping(&mut c).await.unwrap();
    }
}
