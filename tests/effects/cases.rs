//! The table: each fault, what a client does, and what it sees.

use crate::NOWHERE;
use crate::server::{CLOSED, CLOSES, DEAF, ECHO, FULL, HALF, RESETS, SINK, UNREAD, set};
use std::future::Future;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

/// What a client's test does to the world.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Nothing passes between client and server, without a word to either.
    Cut,
    /// Everything passes again.
    Repair,
    /// So large a share of the packets is lost.
    Lose(f64),
    /// The server's process is killed; its machine stays.
    Kill,
    /// The server's machine is gone.
    Crash,
    /// It is back, its program begins anew.
    Restart,
    /// The client's machine hands out so many ports.
    Ports(u16),
    /// The client may open no more descriptors, or as many as before.
    NoDescriptors,
    Descriptors,
}

/// Where a client runs.
pub trait World {
    fn act(&self, act: Act);
}

type Seen = Pin<Box<dyn Future<Output = String>>>;

pub struct Case {
    pub name: &'static str,
    pub fault: &'static str,
    /// It changes the whole process on the real system, so nothing may run beside it.
    pub alone: bool,
    pub client: fn(Rc<dyn World>, Ipv4Addr) -> Seen,
    pub expected: &'static str,
}

const MS: Duration = Duration::from_millis(1);

/// A result as the table shows it: `ok`, or the error's kind and errno.
fn word<T>(r: std::io::Result<T>) -> String {
    let Err(e) = r else {
        return "ok".to_owned();
    };
    let errno = match e.raw_os_error() {
        None => return format!("{:?}", e.kind()),
        Some(libc::ECONNREFUSED) => "ECONNREFUSED",
        Some(libc::ECONNRESET) => "ECONNRESET",
        Some(libc::ETIMEDOUT) => "ETIMEDOUT",
        Some(libc::EPIPE) => "EPIPE",
        Some(libc::EMFILE) => "EMFILE",
        Some(libc::EADDRINUSE) => "EADDRINUSE",
        Some(libc::EADDRNOTAVAIL) => "EADDRNOTAVAIL",
        Some(libc::ENETUNREACH) => "ENETUNREACH",
        Some(libc::EHOSTUNREACH) => "EHOSTUNREACH",
        Some(libc::EAGAIN) => "EAGAIN",
        Some(libc::ENOTCONN) => "ENOTCONN",
        Some(libc::EMSGSIZE) => "EMSGSIZE",
        Some(n) => return format!("errno {n}"),
    };
    errno.to_owned()
}

fn count(r: std::io::Result<usize>) -> String {
    match r {
        Ok(n) => n.to_string(),
        e => word(e),
    }
}

async fn echoes(s: &mut TcpStream) -> std::io::Result<()> {
    s.write_all(b"ping").await?;
    s.read_exact(&mut [0; 4]).await.map(drop)
}

/// A connection whose program waits no longer than a second for an acknowledgement.
async fn impatient(to: (Ipv4Addr, u16)) -> TcpStream {
    let s = TcpStream::connect(to).await.unwrap();
    set(&s, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, &[1000]);
    s
}

/// Connects, with one repetition of the first packet at most.
async fn knock(to: (Ipv4Addr, u16)) -> std::io::Result<TcpStream> {
    let s = TcpSocket::new_v4()?;
    set(&s, libc::IPPROTO_TCP, libc::TCP_SYNCNT, &[1]);
    s.connect(to.into()).await
}

macro_rules! cases {
    ($($name:ident $(($alone:ident))?: $fault:literal, |$world:pat_param, $to:ident| $body:block => $expected:literal;)*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            fault: $fault,
            alone: cases!(@ $($alone)?),
            client: |$world, $to| Box::pin(async move $body),
            expected: $expected,
        }),*];
    };
    (@ alone) => { true };
    (@) => { false };
}

cases! {
    refused: "nobody listens", |_, to| {
        let tokio = word(TcpStream::connect((to, CLOSED)).await);
        let std = word(std::net::TcpStream::connect((to, CLOSED)));
        format!("connect: {tokio}; std: {std}")
    } => "connect: ECONNREFUSED; std: ECONNREFUSED";

    unreachable: "no route", |_, to| {
        let _ = to;
        let udp = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let sent = word(udp.send_to(b"x", (NOWHERE, 1)).await);
        format!("connect: {}; send_to: {sent}", word(TcpStream::connect((NOWHERE, 1)).await))
    } => "connect: ENETUNREACH; send_to: ENETUNREACH";

    orderly: "the peer closes", |_, to| {
        let mut s = TcpStream::connect((to, CLOSES)).await.unwrap();
        let read = count(s.read(&mut [0; 8]).await);
        let first = word(s.write_all(b"x").await);
        tokio::time::sleep(100 * MS).await;
        let second = word(s.write_all(b"x").await);
        format!("read: {read}; write: {first}; again: {second}")
    } => "read: 0; write: ok; again: EPIPE";

    unread: "the peer closes with data unread", |_, to| {
        let mut s = TcpStream::connect((to, UNREAD)).await.unwrap();
        s.write_all(b"0123456789").await.unwrap();
        let read = count(s.read(&mut [0; 8]).await);
        format!("read: {read}; again: {}", count(s.read(&mut [0; 8]).await))
    } => "read: ECONNRESET; again: 0";

    reset: "the peer resets the connection", |_, to| {
        let mut s = std::net::TcpStream::connect((to, RESETS)).unwrap();
        s.write_all(b"x").unwrap();
        let read = count(s.read(&mut [0; 8]));
        format!("std read: {read}; write: {}", word(s.write_all(b"x")))
    } => "std read: ECONNRESET; write: EPIPE";

    half: "the peer ends one direction", |_, to| {
        let mut s = TcpStream::connect((to, HALF)).await.unwrap();
        let read = count(s.read(&mut [0; 8]).await);
        let mut words = Vec::new();
        for _ in 0..3 {
            words.push(word(s.write_all(b"x").await));
            tokio::time::sleep(20 * MS).await;
        }
        format!("read: {read}; writes: {}", words.join(" "))
    } => "read: 0; writes: ok ok ok";

    killed: "the peer's process is killed", |world, to| {
        let mut idle = TcpStream::connect((to, DEAF)).await.unwrap();
        let mut unread = TcpStream::connect((to, DEAF)).await.unwrap();
        unread.write_all(b"x").await.unwrap();
        tokio::time::sleep(50 * MS).await;
        world.act(Act::Kill);
        let (idle, unread) = (count(idle.read(&mut [0; 1]).await), count(unread.read(&mut [0; 1]).await));
        let new = word(TcpStream::connect((to, ECHO)).await);
        format!("read: {idle}; with data unread: {unread}; connect: {new}")
    } => "read: 0; with data unread: ECONNRESET; connect: ECONNREFUSED";

    knock: "a black hole, at the connection attempt", |world, to| {
        world.act(Act::Cut);
        let tokio = word(knock((to, ECHO)).await);
        let address = (to, ECHO).into();
        let std = std::net::TcpStream::connect_timeout(&address, 200 * MS);
        format!("connect: {tokio}; std connect_timeout: {}", word(std))
    } => "connect: ETIMEDOUT; std connect_timeout: TimedOut";

    hole: "a black hole, with data under way", |world, to| {
        let mut s = impatient((to, ECHO)).await;
        echoes(&mut s).await.unwrap();
        world.act(Act::Cut);
        let write = word(s.write_all(b"anybody?").await);
        let read = count(s.read(&mut [0; 8]).await);
        format!("write: {write}; read (TCP_USER_TIMEOUT): {read}; write: {}", word(s.write_all(b"x").await))
    } => "write: ok; read (TCP_USER_TIMEOUT): ETIMEDOUT; write: EPIPE";

    silent: "a black hole, on an idle connection", |world, to| {
        let mut s = TcpStream::connect((to, ECHO)).await.unwrap();
        for (level, name, value) in [
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
            (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 1),
            (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 1),
            (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 1),
        ] {
            set(&s, level, name, &[value]);
        }
        echoes(&mut s).await.unwrap();
        world.act(Act::Cut);
        format!("read (SO_KEEPALIVE): {}", count(s.read(&mut [0; 8]).await))
    } => "read (SO_KEEPALIVE): ETIMEDOUT";

    repaired: "a black hole that ends", |world, to| {
        let mut s = TcpStream::connect((to, ECHO)).await.unwrap();
        world.act(Act::Cut);
        s.write_all(b"late").await.unwrap();
        let silence = timeout(500 * MS, s.read(&mut [0; 4])).await.is_err();
        world.act(Act::Repair);
        let read = word(s.read_exact(&mut [0; 4]).await);
        format!("silence: {silence}; then read: {read}")
    } => "silence: true; then read: ok";

    crash: "the peer's machine crashes and comes back", |world, to| {
        let mut s = TcpStream::connect((to, ECHO)).await.unwrap();
        echoes(&mut s).await.unwrap();
        world.act(Act::Crash);
        let silence = timeout(300 * MS, s.read(&mut [0; 4])).await.is_err();
        world.act(Act::Restart);
        tokio::time::sleep(200 * MS).await;
        let write = word(s.write_all(b"x").await);
        let read = count(s.read(&mut [0; 4]).await);
        let new = word(TcpStream::connect((to, ECHO)).await);
        format!("silence: {silence}; then write: {write}; read: {read}; connect: {new}")
    } => "silence: true; then write: ok; read: ECONNRESET; connect: ok";

    loss: "30 % of the packets are lost", |world, to| {
        let mut s = TcpStream::connect((to, SINK)).await.unwrap();
        world.act(Act::Lose(0.3));
        let data: Vec<u8> = (0..60_000u32).map(|i| i as u8).collect();
        let write = word(s.write_all(&data).await);
        s.shutdown().await.unwrap();
        let mut answer = String::new();
        let read = word(s.read_to_string(&mut answer).await);
        format!("write: {write}; read: {read}, {answer}")
    } => "write: ok; read: ok, 60000 bytes, sum 7642320";

    deaf: "the peer does not read", |_, to| {
        let mut s = TcpStream::connect((to, DEAF)).await.unwrap();
        let full = timeout(500 * MS, s.write_all(&vec![0; 64 << 20])).await.is_err();
        let mut std = std::net::TcpStream::connect((to, DEAF)).unwrap();
        std.set_write_timeout(Some(200 * MS)).unwrap();
        let write = word(std.write_all(&vec![0; 64 << 20]));
        std.set_read_timeout(Some(100 * MS)).unwrap();
        format!("write waits: {full}; std write: {write}; read: {}", count(std.read(&mut [0; 1])))
    } => "write waits: true; std write: EAGAIN; read: EAGAIN";

    backlog: "the queue of the listener is full", |_, to| {
        let _first = knock((to, FULL)).await.unwrap();
        let _second = knock((to, FULL)).await.unwrap();
        tokio::time::sleep(100 * MS).await;
        format!("connect: {}", word(knock((to, FULL)).await))
    } => "connect: ETIMEDOUT";

    datagram: "nobody listens, UDP", |_, to| {
        let udp = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        udp.connect((to, CLOSED)).await.unwrap();
        let send = word(udp.send(b"x").await);
        let recv = count(udp.recv(&mut [0; 8]).await);
        format!("send: {send}; recv: {recv}; too large: {}", word(udp.send(&[0; 65_508]).await))
    } => "send: ok; recv: ECONNREFUSED; too large: EMSGSIZE";

    lost_datagram: "a black hole, UDP", |world, to| {
        let udp = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        udp.connect((to, ECHO)).await.unwrap();
        udp.send(b"x").await.unwrap();
        let before = count(udp.recv(&mut [0; 8]).await);
        world.act(Act::Cut);
        let send = word(udp.send(b"x").await);
        let silence = timeout(300 * MS, udp.recv(&mut [0; 8])).await.is_err();
        format!("before: {before}; send: {send}; silence: {silence}")
    } => "before: 1; send: ok; silence: true";

    in_use: "the port is taken", |_, to| {
        let _ = to;
        let first = TcpListener::bind("0.0.0.0:4000").await.unwrap();
        let tokio = word(TcpListener::bind(first.local_addr().unwrap()).await);
        let udp = std::net::UdpSocket::bind("0.0.0.0:4000").unwrap();
        let std = word(std::net::UdpSocket::bind(udp.local_addr().unwrap()));
        format!("bind: {tokio}; std UDP bind: {std}")
    } => "bind: EADDRINUSE; std UDP bind: EADDRINUSE";

    foreign: "the address is another machine's", |_, to| {
        format!("bind: {}", word(TcpListener::bind((to, 0)).await))
    } => "bind: EADDRNOTAVAIL";

    ports: "two ports are left", |world, to| {
        world.act(Act::Ports(2));
        let mut kept = Vec::new();
        let mut words = Vec::new();
        for _ in 0..3 {
            let r = TcpStream::connect((to, ECHO)).await.map(|s| kept.push(s));
            words.push(word(r));
        }
        format!("connects: {}", words.join(" "))
    } => "connects: ok ok EADDRNOTAVAIL";

    descriptors (alone): "no descriptors are left", |world, to| {
        let mut before = TcpStream::connect((to, ECHO)).await.unwrap();
        // The server has accepted it: on the real system its descriptors are of this process, too.
        echoes(&mut before).await.unwrap();
        world.act(Act::NoDescriptors);
        let tokio = word(TcpStream::connect((to, ECHO)).await);
        let std = word(std::net::TcpStream::connect((to, ECHO)));
        world.act(Act::Descriptors);
        let usable = word(echoes(&mut before).await);
        format!("connect: {tokio}; std: {std}; an open one: {usable}")
    } => "connect: EMFILE; std: EMFILE; an open one: ok";
}
