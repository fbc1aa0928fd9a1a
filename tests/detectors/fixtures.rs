//! Tests for the tests of detectors: planted mistakes and their repaired twins. Each is ignored, and run by name with `drive`.

#![allow(clippy::unwrap_used, clippy::await_holding_lock)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use squall::{Detector, Sim};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A service that waits as threads do.
fn throttle() {
    std::thread::sleep(ms(20));
}

#[squall::test]
#[ignore]
async fn sleeps_in_a_poll() {
    throttle();
}

#[squall::test(allow = "blocking_call")]
#[ignore]
async fn sleeps_in_a_poll_and_may() {
    throttle();
}

#[squall::test]
#[ignore]
async fn sleeps_where_it_may(sim: Sim) {
    sim.allow_at(Detector::BlockingCall, "::sleeps_by_right");
    sleeps_by_right();
    let allowed = sim.allow(Detector::BlockingCall);
    throttle();
    drop(allowed);
    tokio::task::spawn_blocking(throttle).await.unwrap();
    std::thread::spawn(throttle);
    // Computing takes no time, and a lock that is held for it only is no matter.
    let total = Arc::new(Mutex::new(0));
    let adding = total.clone();
    let add = std::thread::spawn(move || *adding.lock().unwrap() += 1);
    *total.lock().unwrap() += 1;
    tokio::time::sleep(ms(1)).await;
    tokio::task::spawn_blocking(|| add.join().unwrap())
        .await
        .unwrap();
    sim.host_main("plain", || {
        throttle();
        std::io::Result::Ok(())
    });
    tokio::time::sleep(ms(100)).await;
}

#[inline(never)]
fn sleeps_by_right() {
    throttle();
}

#[squall::test]
#[ignore]
async fn sleeps_after_it_might(sim: Sim) {
    drop(sim.allow(Detector::BlockingCall));
    throttle();
}

#[squall::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore]
async fn blocks_in_place() {
    tokio::task::block_in_place(throttle);
    tokio::spawn(async { tokio::task::block_in_place(throttle) })
        .await
        .unwrap();
}

#[squall::test]
#[ignore]
async fn a_host_reads_in_a_poll(sim: Sim) {
    sim.host("slow", || async {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
        let (stream, _) = listener.accept().await?;
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        std::io::Read::read(&mut &stream, &mut [0; 16]).map(drop)
    });
    tokio::time::sleep(ms(10)).await;
    let _open = tokio::net::TcpStream::connect("slow:80").await.unwrap();
    tokio::time::sleep(ms(100)).await;
}

#[squall::test]
#[ignore]
async fn a_host_reads_as_it_should(sim: Sim) {
    sim.host("slow", || async {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
        let (mut stream, _) = listener.accept().await?;
        let mut byte = [0; 16];
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte);
        read.await.map(drop)
    });
    tokio::time::sleep(ms(10)).await;
    let _open = tokio::net::TcpStream::connect("slow:80").await.unwrap();
    tokio::time::sleep(ms(100)).await;
}

/// A task takes a lock and awaits; the body wants it meanwhile.
async fn stock(over_an_await: bool) {
    let stock = Arc::new(Mutex::new(3));
    let shared = stock.clone();
    // On a runtime of its own, since the future is not `Send`.
    let clerk = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        runtime.block_on(async {
            let sold = shared.lock().unwrap();
            if over_an_await {
                tokio::time::sleep(ms(5)).await;
                drop(sold);
            } else {
                drop(sold);
                tokio::time::sleep(ms(5)).await;
            }
        });
    });
    tokio::time::sleep(ms(2)).await;
    assert_eq!(*stock.lock().unwrap(), 3);
    tokio::task::spawn_blocking(|| clerk.join().unwrap())
        .await
        .unwrap();
}

#[squall::test]
#[ignore]
async fn keeps_a_lock_over_an_await() {
    stock(true).await;
}

#[squall::test]
#[ignore]
async fn keeps_no_lock_over_an_await() {
    stock(false).await;
}

fn billing(fails: bool) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || assert!(!fails, "the invoice is negative"))
}

#[squall::test]
#[ignore]
fn a_thread_panics_alone() {
    drop(billing(true));
    std::thread::sleep(ms(1));
}

#[squall::test]
#[ignore]
async fn threads_panic_and_somebody_knows() {
    drop(billing(false));
    assert!(billing(true).join().is_err());
    let caught = std::thread::spawn(|| {
        let _ = std::panic::catch_unwind(|| panic!("a plugin's own affair"));
    });
    drop(caught);
    assert!(
        tokio::task::spawn_blocking(|| panic!("asked"))
            .await
            .is_err()
    );
    assert!(tokio::spawn(async { panic!("asked") }).await.is_err());
    tokio::time::sleep(ms(1)).await;
}

#[squall::test(detect = "leaked_descriptors")]
#[ignore]
fn a_socket_is_forgotten() {
    std::mem::forget(std::net::UdpSocket::bind("127.0.0.1:4000").unwrap());
}

#[squall::test(detect = "leaked_descriptors")]
#[ignore]
async fn a_runtime_socket_is_forgotten() {
    let listener = std::net::TcpListener::bind("127.0.0.1:4000").unwrap();
    let _ = std::os::fd::IntoRawFd::into_raw_fd(listener);
}

#[squall::test(detect = "leaked_descriptors")]
#[ignore]
async fn sockets_are_closed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:4000")
        .await
        .unwrap();
    let accept = tokio::spawn(async move { listener.accept().await });
    let mut client = tokio::net::TcpStream::connect("127.0.0.1:4000")
        .await
        .unwrap();
    let (mut served, _) = accept.await.unwrap().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut client, b"hello")
        .await
        .unwrap();
    let mut byte = [0; 5];
    tokio::io::AsyncReadExt::read_exact(&mut served, &mut byte)
        .await
        .unwrap();
    let mut signal =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).unwrap();
    let _ = tokio::time::timeout(ms(1), signal.recv()).await;
    // What is still served when the test ends goes with the runtime.
    tokio::spawn(async move { tokio::io::AsyncReadExt::read(&mut served, &mut byte).await });
}

#[squall::test(detect = "leaked_threads")]
#[ignore]
fn a_thread_is_left() {
    let worker = std::thread::Builder::new().name("mailer".to_owned());
    worker.spawn(std::thread::park).unwrap();
}

#[squall::test(detect = "leaked_threads")]
#[ignore]
fn no_thread_is_left() {
    let worker = std::thread::Builder::new().name("mailer".to_owned());
    let worker = worker.spawn(std::thread::park).unwrap();
    worker.thread().unpark();
    worker.join().unwrap();
}

#[squall::test(detect = "leaked_descriptors")]
#[ignore]
fn a_thread_is_left_and_may_be() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:4000").unwrap();
    std::thread::spawn(move || socket.recv(&mut [0; 16]));
}

/// A shop that handles 50 orders a second, and what comes in: `most` may wait, and then customers are sent away.
async fn shop(sim: &Sim, load: squall::traffic::Load, most: usize) -> squall::traffic::Report {
    let (orders, mut queue) = tokio::sync::mpsc::channel::<u64>(most);
    let waiting = orders.downgrade();
    sim.sample("orders", move || {
        let open = waiting.upgrade();
        open.map_or(0, |orders| orders.max_capacity() - orders.capacity())
    });
    tokio::spawn(async move {
        while queue.recv().await.is_some() {
            tokio::time::sleep(ms(20)).await;
        }
    });
    let order = move |cx: squall::traffic::Cx| {
        let orders = orders.clone();
        async move { orders.try_send(cx.id()).map_err(|_| "sold out") }
    };
    sim.traffic("buy", load).run(order).await
}

fn too_many() -> squall::traffic::Load {
    use squall::traffic::{Load, rps, secs};
    Load::constant(rps(70), secs(30))
}

#[squall::test]
#[ignore]
async fn orders_pile_up(sim: Sim) {
    shop(&sim, too_many(), 1 << 16).await;
}

#[squall::test]
#[ignore]
async fn orders_are_bounded(sim: Sim) {
    use squall::traffic::{Load, rps, secs};
    let report = shop(&sim, too_many(), 64).await;
    assert!(report.all().errors() > 100, "{report}");
    // A spike fills the queue, and it is worked off.
    let spike = Load::spike(rps(30), rps(200)).at(secs(5)).lasting(secs(5));
    shop(&sim, spike.into(), 1 << 16).await;
    // A queue that may grow.
    sim.allow_at(Detector::QueueGrowth, "orders grew");
    shop(&sim, too_many(), 1 << 16).await;
}
