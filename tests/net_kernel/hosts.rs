//! Hosts that talk to each other: names, latency, partitions, and what TCP and UDP make of them.

use crate::echo::{echo_on, pattern};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const MS: Duration = Duration::from_millis(1);

/// An echo on port 80 of every address.
async fn echo() {
    let listener = TcpListener::bind("[::]:80").await.unwrap();
    echo_on(listener).await;
}

/// Sends `data` and expects it back.
async fn round_trip(c: TcpStream, data: Vec<u8>) {
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
}

#[squall::test(seeds = 100, audit = 100)]
async fn names_resolve_and_hosts_talk(sim: squall::Sim) {
    let server = sim.host("inventory", echo);
    tokio::time::sleep(10 * MS).await;
    let found: Vec<_> = tokio::net::lookup_host("inventory:80")
        .await
        .unwrap()
        .collect();
    assert_eq!(found[0].ip(), server.ip());
    assert_eq!(found[1].ip(), server.ipv6());
    assert!(tokio::net::lookup_host("nobody:80").await.is_err());
    let before = Instant::now();
    let c = TcpStream::connect("inventory:80").await.unwrap();
    assert!(before.elapsed() >= Duration::from_micros(400));
    assert_eq!(c.peer_addr().unwrap().ip(), server.ip());
    round_trip(c, pattern(500_000)).await;
    let c = TcpStream::connect((server.ipv6(), 80)).await.unwrap();
    round_trip(c, pattern(10)).await;
    let refused = TcpStream::connect("inventory:81").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let outside = TcpStream::connect("93.184.216.34:80").await.unwrap_err();
    assert_eq!(outside.kind(), ErrorKind::NetworkUnreachable);
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_slow_reader_holds_the_sender_back(sim: squall::Sim) {
    sim.host("slow", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        let (mut s, _) = listener.accept().await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut all = Vec::new();
        s.read_to_end(&mut all).await.unwrap();
        assert!(all == pattern(1_000_000));
        s.write_all(b"thanks").await.unwrap();
    });
    tokio::time::sleep(10 * MS).await;
    let mut c = TcpStream::connect("slow:80").await.unwrap();
    let before = Instant::now();
    c.write_all(&pattern(1_000_000)).await.unwrap();
    assert!(
        before.elapsed() > Duration::from_secs(4),
        "{:?}",
        before.elapsed()
    );
    c.shutdown().await.unwrap();
    let mut thanks = String::new();
    c.read_to_string(&mut thanks).await.unwrap();
    assert_eq!(thanks, "thanks");
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_partition_delays_what_is_sent(sim: squall::Sim) {
    sim.host("server", echo);
    tokio::time::sleep(10 * MS).await;
    let mut c = TcpStream::connect("server:80").await.unwrap();
    c.write_all(b"before").await.unwrap();
    let mut back = [0; 6];
    c.read_exact(&mut back).await.unwrap();
    sim.partition("test", "server");
    c.write_all(b"during").await.unwrap();
    let none = tokio::time::timeout(Duration::from_secs(2), c.read_exact(&mut back)).await;
    assert!(none.is_err());
    sim.repair("test", "server");
    let before = Instant::now();
    c.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"during");
    // The retransmission timer had doubled a few times.
    assert!(
        before.elapsed() < Duration::from_secs(3),
        "{:?}",
        before.elapsed()
    );
    round_trip(c, pattern(100_000)).await;
}

#[squall::test(seeds = 20, audit = 100)]
async fn a_connection_attempt_into_a_partition(sim: squall::Sim) {
    sim.host("server", echo);
    tokio::time::sleep(10 * MS).await;
    sim.partition("test", "server");
    let before = Instant::now();
    let connecting = tokio::spawn(TcpStream::connect("server:80"));
    tokio::time::sleep(Duration::from_millis(2500)).await;
    sim.repair("test", "server");
    // SYNs leave after 0, 1 and 3 seconds.
    round_trip(connecting.await.unwrap().unwrap(), pattern(100)).await;
    assert!((3.0..3.2).contains(&before.elapsed().as_secs_f64()));

    sim.partition_oneway("server", "test");
    let before = Instant::now();
    let server = sim.hosts()[1].ip();
    let e = TcpStream::connect((server, 80)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert!(
        (126.9..127.2).contains(&before.elapsed().as_secs_f64()),
        "{:?}",
        before.elapsed()
    );
}

#[squall::test(seeds = 20, audit = 100)]
async fn an_established_connection_gives_up(sim: squall::Sim) {
    sim.host("server", echo);
    tokio::time::sleep(10 * MS).await;
    let mut c = TcpStream::connect("server:80").await.unwrap();
    let mut idle = TcpStream::connect("server:80").await.unwrap();
    sim.partition("test", "server");
    let before = Instant::now();
    c.write_all(b"into the void").await.unwrap();
    let e = c.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let took = before.elapsed().as_secs();
    assert!((800..1000).contains(&took), "{took}");
    // One that sends nothing notices nothing.
    let none = tokio::time::timeout(Duration::from_secs(3600), idle.read(&mut [0; 1])).await;
    assert!(none.is_err());
}

#[squall::test(seeds = 20, audit = 100)]
async fn keep_alive_and_user_timeout_notice_a_dead_peer(sim: squall::Sim) {
    sim.host("server", echo);
    tokio::time::sleep(10 * MS).await;
    let mut c = TcpStream::connect("server:80").await.unwrap();
    set(&c, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1);
    set(&c, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 10);
    set(&c, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 5);
    set(&c, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3);
    let mut d = TcpStream::connect("server:80").await.unwrap();
    set(&d, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 4000);
    // While the peer answers, nothing happens.
    let none = tokio::time::timeout(Duration::from_secs(100), c.read(&mut [0; 1])).await;
    assert!(none.is_err());
    sim.partition("test", "server");
    let before = Instant::now();
    d.write_all(b"x").await.unwrap();
    let e = d.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let took = before.elapsed().as_secs_f64();
    assert!((3.9..8.0).contains(&took), "{took}");
    let e = c.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    let took = before.elapsed().as_secs_f64();
    assert!((15.0..26.0).contains(&took), "{took}");
}

fn set(s: &TcpStream, level: i32, name: i32, value: i32) {
    let fd = std::os::fd::AsRawFd::as_raw_fd(s);
    // SAFETY: the value is readable for its length.
    let r = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), 4) };
    assert_eq!(r, 0);
}

#[squall::test(seeds = 50, audit = 100)]
async fn resets_travel(sim: squall::Sim) {
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        let (s, _) = listener.accept().await.unwrap();
        tokio::time::sleep(20 * MS).await;
        // Something is unread.
        drop(s);
        let (s, _) = listener.accept().await.unwrap();
        drop(s);
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(10 * MS).await;
    let mut c = TcpStream::connect("server:80").await.unwrap();
    c.write_all(b"unread").await.unwrap();
    let e = c.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    let mut c = TcpStream::connect("server:80").await.unwrap();
    assert_eq!(c.read(&mut [0; 10]).await.unwrap(), 0);
    c.write_all(b"to nobody").await.unwrap();
    tokio::time::sleep(10 * MS).await;
    let e = c.write_all(b"to nobody").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::BrokenPipe);
}

#[squall::test(seeds = 50, audit = 100)]
async fn datagrams_overtake_each_other(sim: squall::Sim) {
    sim.host("server", || async {
        let socket = UdpSocket::bind("0.0.0.0:9").await.unwrap();
        let mut buf = [0; 100];
        loop {
            let (n, from) = socket.recv_from(&mut buf).await.unwrap();
            socket.send_to(&buf[..n], from).await.unwrap();
        }
    });
    tokio::time::sleep(10 * MS).await;
    let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let server = tokio::net::lookup_host("server:9")
        .await
        .unwrap()
        .next()
        .unwrap();
    for i in 0..50u8 {
        socket.send_to(&[i], server).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..50 {
        let mut buf = [0; 10];
        assert_eq!(socket.recv(&mut buf).await.unwrap(), 1);
        seen.push(buf[0]);
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    assert_ne!(seen, sorted);
    assert!(sorted.iter().copied().eq(0..50));

    let lonely = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    lonely.connect((server.ip(), 10)).await.unwrap();
    lonely.send(b"anybody?").await.unwrap();
    let e = lonely.recv(&mut [0; 10]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
    sim.partition("test", "server");
    lonely.send(b"anybody?").await.unwrap();
    let none = tokio::time::timeout(Duration::from_secs(10), lonely.recv(&mut [0; 10])).await;
    assert!(none.is_err());
}

#[squall::test(seeds = 100, audit = 100)]
async fn a_flapping_link_loses_nothing(sim: squall::Sim) {
    sim.host("server", echo);
    tokio::time::sleep(10 * MS).await;
    let flapping = tokio::spawn({
        let sim = sim.clone();
        async move {
            let mut cut = sim.seed() | 1;
            for _ in 0..400 {
                // A small generator of its own: which way is cut, and for how long.
                cut ^= cut << 13;
                cut ^= cut >> 7;
                cut ^= cut << 17;
                match cut % 3 {
                    0 => sim.partition("test", "server"),
                    1 => sim.partition_oneway("test", "server"),
                    _ => sim.partition_oneway("server", "test"),
                }
                tokio::time::sleep(Duration::from_micros(cut % 3000)).await;
                sim.repair("test", "server");
                tokio::time::sleep(Duration::from_micros(cut % 5000)).await;
            }
        }
    });
    let mut done = Vec::new();
    for i in 0..4 {
        done.push(tokio::spawn(async move {
            let c = TcpStream::connect("server:80").await.unwrap();
            round_trip(c, pattern(i * 40_000 + 1)).await;
        }));
    }
    for d in done {
        d.await.unwrap();
    }
    flapping.await.unwrap();
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_distant_host(sim: squall::Sim) {
    sim.host("server", echo);
    for (from, to) in [("test", "server"), ("server", "test")] {
        sim.latency(from, to, 150 * MS..=400 * MS);
    }
    tokio::time::sleep(10 * MS).await;
    let before = Instant::now();
    let c = TcpStream::connect("server:80").await.unwrap();
    round_trip(c, pattern(50_000)).await;
    let took = before.elapsed().as_secs_f64();
    assert!((0.6..30.0).contains(&took), "{took}");
}
