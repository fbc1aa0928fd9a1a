//! What links do to packets, as stock clients see it.

use crate::echo::{echo_on, pattern};
use squall::{Latency, Shape, Sim};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

const MS: Duration = Duration::from_millis(1);

/// Port 80 of every address sends back what arrives, over TCP and UDP.
async fn echo() {
    let listener = TcpListener::bind("[::]:80").await.unwrap();
    let udp = UdpSocket::bind("0.0.0.0:80").await.unwrap();
    tokio::spawn(async move {
        let mut buf = [0; 2000];
        loop {
            let (n, from) = udp.recv_from(&mut buf).await.unwrap();
            udp.send_to(&buf[..n], from).await.unwrap();
        }
    });
    echo_on(listener).await;
}

/// Sends `data` and expects it back; how long that took.
async fn round_trip(mut c: TcpStream, data: Vec<u8>) -> Duration {
    let before = Instant::now();
    let (mut r, mut w) = c.split();
    let write = async {
        w.write_all(&data).await.unwrap();
        w.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (n, ()) = tokio::join!(r.read_to_end(&mut back), write);
    n.unwrap();
    assert!(back == data);
    before.elapsed()
}

async fn server(sim: &Sim) -> TcpStream {
    sim.host("server", echo);
    tokio::time::sleep(10 * MS).await;
    TcpStream::connect("server:80").await.unwrap()
}

/// A datagram socket connected to the server.
async fn udp() -> UdpSocket {
    let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    socket.connect("server:80").await.unwrap();
    socket
}

/// Everything that arrives within a second after the last.
async fn arrivals(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut buf = [0; 2000];
    while let Ok(n) = tokio::time::timeout(Duration::from_secs(1), socket.recv(&mut buf)).await {
        all.push(buf[..n.unwrap()].to_vec());
    }
    all
}

#[squall::test(seeds = 30, audit = 100)]
async fn latencies_follow_their_distribution(sim: Sim) {
    drop(server(&sim).await);
    let socket = udp().await;
    let times = async |latency: Latency| {
        sim.link_oneway("test", "server").latency(latency);
        sim.link_oneway("server", "test").latency(Duration::ZERO);
        let mut times = Vec::new();
        for _ in 0..40 {
            let before = Instant::now();
            socket.send(b"x").await.unwrap();
            socket.recv(&mut [0; 10]).await.unwrap();
            times.push(before.elapsed());
        }
        times.sort_unstable();
        times
    };
    let slack = MS / 10;
    let fixed = times(Latency::fixed(30 * MS)).await;
    assert!(
        fixed[0] >= 30 * MS && fixed[39] < 30 * MS + slack,
        "{fixed:?}"
    );
    let uniform = times((10 * MS..=20 * MS).into()).await;
    assert!(
        uniform[0] >= 10 * MS && uniform[39] < 20 * MS + slack,
        "{uniform:?}"
    );
    assert!(uniform[39] - uniform[0] > 5 * MS, "{uniform:?}");
    let exponential = times(Latency::exponential(5 * MS, 20 * MS)).await;
    assert!(
        exponential[0] >= 5 * MS && exponential[0] < 15 * MS,
        "{exponential:?}"
    );
    assert!(exponential[39] > 30 * MS, "{exponential:?}");
    let normal = times(Latency::log_normal(10 * MS, 0.5)).await;
    assert!((5 * MS..20 * MS).contains(&normal[20]), "{normal:?}");
    let two = Latency::bimodal(Latency::fixed(MS), Latency::fixed(100 * MS), 0.5);
    let two = times(two).await;
    assert!(two[0] < 2 * MS && two[39] >= 100 * MS, "{two:?}");
    assert!(two.iter().all(|t| *t < 2 * MS || *t >= 100 * MS), "{two:?}");
    let recorded = times(Latency::recorded([7 * MS, 3 * MS, 50 * MS])).await;
    assert!(
        recorded[0] >= 3 * MS && recorded[0] < 3 * MS + slack,
        "{recorded:?}"
    );
    assert!(
        recorded[39] >= 50 * MS && recorded[39] < 50 * MS + slack,
        "{recorded:?}"
    );
    sim.link("test", "server").jitter(40 * MS);
    let jitter = times(Latency::fixed(MS)).await;
    assert!(
        jitter[0] < 40 * MS && jitter[39] > 40 * MS && jitter[39] < 82 * MS,
        "{jitter:?}"
    );
}

#[squall::test(seeds = 30, audit = 100)]
async fn a_narrow_link_takes_its_time(sim: Sim) {
    let c = server(&sim).await;
    sim.link_oneway("test", "server").bandwidth(100_000);
    let took = round_trip(c, pattern(500_000)).await.as_secs_f64();
    assert!((5.0..30.0).contains(&took), "{took}");
    // Segments that were repeated in vain still wait. Then, beyond the queue, datagrams are lost.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let socket = udp().await;
    sim.link_oneway("test", "server").queue(2500);
    for i in 0..10u8 {
        socket.send(&[i; 1000]).await.unwrap();
    }
    let all = arrivals(&socket).await;
    assert_eq!(all.len(), 2);
    // And TCP gets through all the same.
    let c = TcpStream::connect("server:80").await.unwrap();
    sim.link("test", "server").segment(1000);
    round_trip(c, pattern(20_000)).await;
}

#[squall::test(seeds = 50, audit = 100)]
async fn loss_delays_a_stream_and_thins_datagrams(sim: Sim) {
    let c = server(&sim).await;
    sim.link("test", "server").loss(0.2);
    let took = round_trip(c, pattern(300_000)).await;
    assert!(took < Duration::from_secs(600), "{took:?}");
    let socket = udp().await;
    for _ in 0..300 {
        socket.send(b"x").await.unwrap();
        tokio::time::sleep(MS).await;
    }
    // Both ways: 0.64 come back.
    let back = arrivals(&socket).await.len();
    assert!((130..250).contains(&back), "{back}");
}

#[squall::test(seeds = 10, audit = 100)]
async fn a_black_hole_times_out(sim: Sim) {
    let mut c = server(&sim).await;
    sim.link("test", "server").loss(1.0);
    c.write_all(b"x").await.unwrap();
    let before = Instant::now();
    let e = c.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert!((800..1000).contains(&before.elapsed().as_secs()));
    let before = Instant::now();
    let address = sim.hosts()[1].ip();
    let e = TcpStream::connect((address, 80)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::TimedOut);
    assert_eq!(before.elapsed().as_secs(), 127);
}

#[squall::test(seeds = 30, audit = 100)]
async fn datagrams_are_doubled_reordered_and_changed(sim: Sim) {
    drop(server(&sim).await);
    let socket = udp().await;
    let sent = async |n: u8| {
        for i in 0..n {
            socket.send(&[i; 10]).await.unwrap();
        }
        let all = arrivals(&socket).await;
        all.iter().map(|d| d.to_vec()).collect::<Vec<_>>()
    };
    let way = sim.link_oneway("test", "server");
    sim.link("test", "server").latency(MS);
    let plain = sent(50).await;
    assert!(plain.iter().map(|d| d[0]).eq(0..50), "{plain:?}");

    way.duplication(0.5);
    let doubled = sent(50).await.len();
    assert!((60..90).contains(&doubled), "{doubled}");
    way.duplication(0.0);

    way.reordering(0.3, 10 * MS);
    let mixed: Vec<u8> = sent(50).await.iter().map(|d| d[0]).collect();
    assert!(!mixed.is_sorted() && mixed.len() == 50, "{mixed:?}");
    way.reordering(0.0, MS);

    way.corruption(0.5);
    let changed = sent(50).await;
    let hurt = changed
        .iter()
        .enumerate()
        .filter(|(i, d)| **d != [*i as u8; 10]);
    let hurt: Vec<_> = hurt.collect();
    assert!(
        (10..40).contains(&hurt.len()) && changed.len() == 50,
        "{changed:?}"
    );
    for (i, d) in hurt {
        assert_eq!(d.iter().filter(|b| **b != i as u8).count(), 1, "{d:?}");
    }
    // A stream shows none of it.
    way.duplication(1.0)
        .reordering(1.0, 10 * MS)
        .corruption(1.0);
    let c = TcpStream::connect("server:80").await.unwrap();
    round_trip(c, pattern(100_000)).await;
}

#[squall::test(seeds = 30, audit = 100)]
async fn what_is_held_arrives_at_the_release(sim: Sim) {
    let mut c = server(&sim).await;
    let socket = udp().await;
    sim.hold("test", "server");
    c.write_all(b"held").await.unwrap();
    for i in 0..5u8 {
        socket.send(&[i]).await.unwrap();
    }
    let mut back = [0; 4];
    let none = tokio::time::timeout(Duration::from_secs(60), c.read_exact(&mut back)).await;
    assert!(none.is_err());
    sim.release("test", "server");
    let before = Instant::now();
    c.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"held");
    assert!(before.elapsed() < 5 * MS);
    assert_eq!(arrivals(&socket).await.len(), 5);
    round_trip(c, pattern(50_000)).await;
}

#[squall::test(seeds = 30, audit = 100)]
async fn a_reset_hits_the_connections_that_cross(sim: Sim) {
    let mut c = server(&sim).await;
    sim.host("other", echo);
    tokio::time::sleep(10 * MS).await;
    let other = TcpStream::connect("other:80").await.unwrap();
    c.write_all(b"x").await.unwrap();
    c.read_exact(&mut [0; 1]).await.unwrap();
    sim.link("server", "test").reset_connections();
    let e = c.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    let e = c.write(b"x").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::BrokenPipe);
    round_trip(other, pattern(100)).await;
    let c = TcpStream::connect("server:80").await.unwrap();
    round_trip(c, pattern(100)).await;
}

#[squall::test(seeds = 30, audit = 100)]
async fn a_slow_close_comes_after_the_data(sim: Sim) {
    let mut c = server(&sim).await;
    sim.link_oneway("server", "test")
        .slow_close(Duration::from_secs(5));
    c.write_all(b"last").await.unwrap();
    c.shutdown().await.unwrap();
    let before = Instant::now();
    c.read_exact(&mut [0; 4]).await.unwrap();
    assert!(before.elapsed() < 10 * MS);
    assert_eq!(c.read(&mut [0; 1]).await.unwrap(), 0);
    let took = before.elapsed().as_secs_f64();
    assert!((5.0..5.1).contains(&took), "{took}");
}

#[squall::test(seeds = 20, audit = 100)]
async fn groups_and_shapes_are_cut_and_healed(sim: Sim) {
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        sim.host(name, echo);
    }
    tokio::time::sleep(10 * MS).await;
    let reaches = async |name: &str| {
        let to = format!("{name}:80");
        let attempt =
            tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(to)).await;
        attempt.is_ok_and(|r| r.is_ok())
    };
    sim.partition("test", ["a", "c"]);
    for name in names {
        assert_eq!(reaches(name).await, !matches!(name, "a" | "c"), "{name}");
    }
    sim.repair("test", names);
    let all = ["test", "a", "b", "c", "d", "e"];
    for shape in [
        Shape::IsolateOne,
        Shape::Isolate("c".to_owned()),
        Shape::Halves,
        Shape::MinorityThird,
        Shape::MajoritiesRing,
        Shape::Bridge,
        Shape::Halves.one_way(),
    ] {
        let partition = sim.split(shape.clone(), all);
        for name in names {
            let cut = partition.cuts("test", name) || partition.cuts(name, "test");
            assert_eq!(reaches(name).await, !cut, "{shape:?} {name}");
        }
        partition.heal();
    }
    for name in names {
        assert!(reaches(name).await);
    }
    sim.network().loss(1.0);
    assert!(!reaches("a").await);
    sim.heal_network();
    assert!(reaches("a").await);
}

/// What a body that panics fails with.
fn failure(body: fn(&Sim)) -> String {
    let test = squall::Builder::new().seeds(1).keep_failures(false);
    test.run_blocking(move |sim| body(&sim))
        .unwrap_err()
        .to_string()
}

#[test]
fn shares_have_a_range() {
    let text = failure(|sim| {
        sim.network().loss(1.5);
    });
    assert!(
        text.contains("loss is a number from 0 to 1, not 1.5"),
        "{text}"
    );
}

#[test]
fn links_are_between_hosts_that_exist() {
    let text = failure(|sim| {
        sim.link("test", "nobody").loss(0.5);
    });
    let expected = "there is no host \"nobody\"; the hosts are \"test\"";
    assert!(text.contains(expected), "{text}");
}

#[squall::test(seeds = 10, audit = 100)]
async fn a_lost_segment_is_repeated_without_waiting_for_the_timer(sim: Sim) {
    const BYTES: usize = 2_000_000;
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        let (mut s, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        s.read_to_end(&mut got).await.unwrap();
        assert!(got.iter().enumerate().all(|(i, b)| *b == i as u8));
        s.write_all(&(got.len() as u64).to_be_bytes())
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    let link = sim.link("test", "server");
    link.latency(5 * MS).segment(1448);
    tokio::time::sleep(10 * MS).await;
    let mut s = TcpStream::connect("server:80").await.unwrap();
    link.loss(0.005);
    let began = Instant::now();
    let data: Vec<u8> = (0..BYTES).map(|i| i as u8).collect();
    s.write_all(&data).await.unwrap();
    s.shutdown().await.unwrap();
    assert_eq!(s.read_u64().await.unwrap(), BYTES as u64);
    // About ten segments and ten acknowledgements are lost. If each segment waited for the timer, that were 2.6 to 8 seconds.
    let took = began.elapsed();
    assert!(took < 1500 * MS, "{took:?}");
}
