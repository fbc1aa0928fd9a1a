//! The network under the kernel: real std and tokio code in a simulated process.

use squall::kernel::{Config, Domain, End, Oracle, Outcome, Pick, simulate};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// Answers from a small generator; one number is the whole run.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Oracle for Seeded {
    fn pick(&mut self, pick: Pick<'_>) -> usize {
        (self.next() % pick.runnable.len() as u64) as usize
    }
    fn below(&mut self, _: Domain, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
    fn fill(&mut self, _: Domain, bytes: &mut [u8]) {
        for b in bytes {
            *b = self.next() as u8;
        }
    }
}

static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn run(seed: u64, body: impl FnOnce() + Send + 'static) -> Outcome {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let (failed, seen) = std::sync::mpsc::channel();
    let config = Config {
        max_steps: 5_000_000,
        ..Config::default()
    };
    let (outcome, _) = simulate(
        config,
        Box::new(Seeded(seed)),
        Box::new(move || {
            if let Err(e) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
                let text = e
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| e.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                let _ = failed.send(text.unwrap_or_default());
            }
        }),
    );
    if let Ok(text) = seen.try_recv() {
        panic!("seed {seed}: {text}");
    }
    assert!(
        matches!(outcome.end, End::Returned),
        "seed {seed}: {:?}",
        outcome.end
    );
    outcome
}

/// Runs the body with many seeds, each twice, and compares the digests.
fn seeds(n: u64, body: impl Fn() + Send + Copy + 'static) {
    for seed in 0..n {
        let first = run(seed, body);
        let second = run(seed, body);
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}

#[test]
fn std_echo() {
    seeds(20, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut s, peer) = listener.accept().unwrap();
            assert!(peer.ip().is_loopback());
            let mut buf = [0; 7];
            loop {
                let n = s.read(&mut buf).unwrap();
                if n == 0 {
                    break;
                }
                s.write_all(&buf[..n]).unwrap();
            }
        });
        let mut c = TcpStream::connect(address).unwrap();
        assert_eq!(c.peer_addr().unwrap(), address);
        c.set_nodelay(true).unwrap();
        assert!(c.nodelay().unwrap());
        c.write_all(b"hello, simulated world").unwrap();
        c.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        c.read_to_string(&mut back).unwrap();
        assert_eq!(back, "hello, simulated world");
        server.join().unwrap();
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn std_back_pressure_and_timeouts() {
    seeds(5, || {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut c = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut s, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip().to_canonical(), c.local_addr().unwrap().ip());
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            s.read_to_end(&mut all).unwrap();
            all
        });
        let data: Vec<u8> = (0..2_000_000u32).map(|i| (i % 251) as u8).collect();
        c.write_all(&data).unwrap();
        c.set_read_timeout(Some(std::time::Duration::from_secs(3)))
            .unwrap();
        let before = std::time::Instant::now();
        let e = c.read(&mut [0; 10]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::WouldBlock);
        let waited = before.elapsed().as_secs_f64();
        assert!((3.0..3.1).contains(&waited), "{waited}");
        drop(c);
        assert!(reader.join().unwrap() == data);
    });
}

#[squall::test(seeds = 200)]
async fn tokio_echo() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut s, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut r, mut w) = s.split();
                let _ = tokio::io::copy(&mut r, &mut w).await;
            });
        }
    });
    let mut clients = Vec::new();
    for i in 0..5u8 {
        clients.push(tokio::spawn(async move {
            let mut c = tokio::net::TcpStream::connect(address).await.unwrap();
            for _ in 0..20 {
                c.write_all(&[i; 100]).await.unwrap();
                let mut back = [0; 100];
                c.read_exact(&mut back).await.unwrap();
                assert_eq!(back, [i; 100]);
            }
        }));
    }
    for c in clients {
        c.await.unwrap();
    }
}

#[squall::test(seeds = 50)]
async fn names_resolve_and_hosts_talk(sim: squall::Sim) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = sim.host("inventory", || async {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await.unwrap();
        loop {
            let (mut s, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buf = vec![0; 3000];
                loop {
                    let n = s.read(&mut buf).await.unwrap();
                    if n == 0 {
                        break;
                    }
                    s.write_all(&buf[..n]).await.unwrap();
                }
            });
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    let found: Vec<_> = tokio::net::lookup_host("inventory:80")
        .await
        .unwrap()
        .collect();
    assert_eq!(found[0].ip(), server.ip());
    assert_eq!(found[1].ip(), server.ipv6());
    assert!(tokio::net::lookup_host("nobody:80").await.is_err());
    let before = std::time::Instant::now();
    let c = tokio::net::TcpStream::connect("inventory:80")
        .await
        .unwrap();
    assert!(before.elapsed() >= std::time::Duration::from_micros(400));
    assert_eq!(c.peer_addr().unwrap().ip(), server.ip());
    let data: Vec<u8> = (0..500_000u32).map(|i| (i % 251) as u8).collect();
    let (mut r, mut w) = c.into_split();
    let sent = data.clone();
    let sender = tokio::spawn(async move {
        w.write_all(&sent).await.unwrap();
        w.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    r.read_to_end(&mut back).await.unwrap();
    sender.await.unwrap();
    assert!(back == data);
    let refused = tokio::net::TcpStream::connect("inventory:81")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let outside = tokio::net::TcpStream::connect("93.184.216.34:80")
        .await
        .unwrap_err();
    assert_eq!(outside.kind(), ErrorKind::NetworkUnreachable);
}
