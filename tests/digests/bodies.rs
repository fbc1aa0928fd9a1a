//! The bodies whose digests are compared. Each is an ordinary test too.

use squall::Sim;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How many tests are in this file.
pub const COUNT: usize = 10;

#[squall::test]
fn threads_and_locks() {
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let threads: Vec<_> = (0..4)
        .map(|i| {
            let pair = pair.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(i));
                for _ in 0..5 {
                    *pair.0.lock().unwrap() += 1;
                    pair.1.notify_all();
                    std::thread::yield_now();
                }
            })
        })
        .collect();
    let mut n = pair.0.lock().unwrap();
    while *n < 20 {
        n = pair.1.wait(n).unwrap();
    }
    drop(n);
    for t in threads {
        t.join().unwrap();
    }
}

#[squall::test]
fn statics_and_hash_maps() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static ONCE: OnceLock<HashMap<u32, u32>> = OnceLock::new();
    assert_eq!(
        RUNS.fetch_add(1, Ordering::SeqCst),
        0,
        "statics are pristine in each run"
    );
    let map = ONCE.get_or_init(|| (0..20).map(|i| (i, i)).collect());
    let order: Vec<String> = map.keys().map(ToString::to_string).collect();
    // The digest sees the order through what is written.
    let (mut r, mut w) = std::io::pipe().unwrap();
    w.write_all(order.join(",").as_bytes()).unwrap();
    drop(w);
    let mut text = String::new();
    r.read_to_string(&mut text).unwrap();
    // The debug form of a thread's id comes from a counter of std's.
    println!("{text} {:?}", std::thread::current().id());
}

#[squall::test]
async fn tasks_that_race() {
    let shared = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let shared = shared.clone();
            tokio::spawn(async move {
                for _ in 0..3 {
                    tokio::select! {
                        () = tokio::task::yield_now() => {}
                        () = tokio::time::sleep(Duration::from_micros(10)) => {}
                    }
                    shared.lock().await.push(i);
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
    println!("{:?}", shared.lock().await);
}

#[squall::test(flavor = "multi_thread", worker_threads = 4)]
async fn blocking_pool() {
    let tasks: Vec<_> = (0..5)
        .map(|i| {
            tokio::task::spawn_blocking(move || {
                std::thread::sleep(Duration::from_millis(i % 3));
                i
            })
        })
        .collect();
    for t in tasks {
        t.await.unwrap();
    }
}

#[squall::test]
async fn echo_on_loopback() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut r, mut w) = socket.split();
                tokio::io::copy(&mut r, &mut w).await
            });
        }
    });
    let clients: Vec<_> = (0..3u8)
        .map(|i| {
            tokio::spawn(async move {
                let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
                let data = vec![i; 5000];
                socket.write_all(&data).await.unwrap();
                socket.shutdown().await.unwrap();
                let mut back = Vec::new();
                socket.read_to_end(&mut back).await.unwrap();
                assert_eq!(back, data);
            })
        })
        .collect();
    for c in clients {
        c.await.unwrap();
    }
}

#[squall::test]
async fn hosts_that_talk(sim: Sim) {
    sim.host("server", || async {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
        let udp = tokio::net::UdpSocket::bind("0.0.0.0:53").await?;
        tokio::spawn(async move {
            let mut buffer = [0; 100];
            while let Ok((n, from)) = udp.recv_from(&mut buffer).await {
                let _ = udp.send_to(&buffer[..n], from).await;
            }
        });
        loop {
            let (mut socket, _) = listener.accept().await?;
            socket.write_all(b"hello").await?;
        }
        #[allow(unreachable_code)]
        Ok::<(), std::io::Error>(())
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut socket = tokio::net::TcpStream::connect("server:80").await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    let udp = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
    udp.send_to(b"ping", "server:53").await.unwrap();
    let mut buffer = [0; 10];
    let (n, _) = udp.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..n], b"ping");
}

#[squall::test]
async fn clocks_and_entropy() {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer has room for eight bytes.
    assert_eq!(
        unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), 8, 0) },
        8
    );
    let wait = Duration::from_millis(u64::from(bytes[0]));
    let start = tokio::time::Instant::now();
    tokio::time::sleep(wait).await;
    println!("{:?} {:?}", start.elapsed(), std::time::SystemTime::now());
}

#[squall::test]
fn the_time_stamp_counter() {
    // SAFETY: every x86-64 processor has the instruction.
    let read = || unsafe { std::arch::x86_64::_rdtsc() };
    let start = read();
    std::thread::sleep(Duration::from_secs(3600));
    let passed = read() - start;
    assert!(
        (3_600_000_000_000..3_601_000_000_000).contains(&passed),
        "{passed} ns"
    );
    println!("{passed}");
}

#[squall::test]
async fn addresses_of_blocks() {
    use tokio::sync::Mutex as AsyncMutex;

    // What is printed goes into the digest.
    let tell = |what: &str, address: *const u8| println!("{what} {address:p}");
    let lists: Vec<Vec<u8>> = (1..12).map(|n| Vec::with_capacity(n * 777)).collect();
    lists.iter().for_each(|list| tell("list", list.as_ptr()));
    let shared = Arc::new(AsyncMutex::new(0u8));
    tell("shared", Arc::as_ptr(&shared).cast());
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let shared = shared.clone();
            tokio::spawn(async move {
                *shared.lock().await += 1;
                tokio::task::yield_now().await;
                let boxed = Box::new([0u8; 100]);
                let blocking =
                    tokio::task::spawn_blocking(|| Box::new(1u8).as_ref() as *const u8 as usize);
                (boxed.as_ptr().addr(), blocking.await.unwrap())
            })
        })
        .collect();
    for task in tasks {
        println!("task {:x?}", task.await.unwrap());
    }
    // Left behind on purpose: the next run must not notice.
    std::mem::forget(lists);
}

#[squall::test(faults = "spurious_polls, rotate_wakers", cancel = "says_where")]
async fn faults_of_futures() -> squall::Result {
    let naps = async || {
        for ms in 1..4 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            tokio::task::yield_now().await;
        }
    };
    let stressed: Vec<_> = (0..4)
        .map(|_| tokio::spawn(squall::stress(naps())))
        .collect();
    let told = |cancelled| async move { println!("{cancelled:?}") };
    squall::cancel_at_every_await(naps).check(told).await?;
    for task in stressed {
        task.await?;
    }
    Ok(())
}

async fn says_where(cancelled: Option<squall::Cancelled>) {
    println!("{cancelled:?}");
}
