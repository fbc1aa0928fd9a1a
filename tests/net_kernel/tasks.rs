//! tokio's sockets on one host.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};

#[squall::test(seeds = 200, audit = 100)]
async fn clients_of_an_echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
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
            let mut c = TcpStream::connect(address).await.unwrap();
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

#[squall::test(seeds = 50, audit = 100)]
async fn large_transfers_both_ways() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let c = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (s, _) = listener.accept().await.unwrap();
    let data: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let mut done = Vec::new();
    for stream in [c, s] {
        let (mut r, mut w) = stream.into_split();
        let (sent, expected) = (data.clone(), data.clone());
        done.push(tokio::spawn(async move {
            w.write_all(&sent).await.unwrap();
            w.shutdown().await.unwrap();
            drop(w);
        }));
        done.push(tokio::spawn(async move {
            let mut all = Vec::new();
            r.read_to_end(&mut all).await.unwrap();
            assert!(all == expected);
        }));
    }
    for d in done {
        d.await.unwrap();
    }
}

#[squall::test(seeds = 50, audit = 100)]
async fn unix_and_udp() {
    let (mut a, mut b) = UnixStream::pair().unwrap();
    let writer = tokio::spawn(async move {
        for i in 0..2000u32 {
            a.write_all(&i.to_le_bytes()).await.unwrap();
        }
    });
    for i in 0..2000u32 {
        let mut word = [0; 4];
        b.read_exact(&mut word).await.unwrap();
        assert_eq!(u32::from_le_bytes(word), i);
    }
    writer.await.unwrap();

    let (a, b) = UnixDatagram::pair().unwrap();
    let writer = tokio::spawn(async move {
        for i in 0..500u32 {
            a.send(&i.to_le_bytes()).await.unwrap();
        }
    });
    for i in 0..500u32 {
        let mut word = [0; 9];
        assert_eq!(b.recv(&mut word).await.unwrap(), 4);
        assert_eq!(word[..4], i.to_le_bytes());
    }
    writer.await.unwrap();

    let a = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let b = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    a.connect(b.local_addr().unwrap()).await.unwrap();
    for i in 0..50u8 {
        a.send(&[i; 10]).await.unwrap();
        let mut buf = [0; 20];
        let (n, from) = b.recv_from(&mut buf).await.unwrap();
        assert_eq!((n, from), (10, a.local_addr().unwrap()));
        b.send_to(&buf[..n], from).await.unwrap();
        assert_eq!(a.recv(&mut buf).await.unwrap(), 10);
    }
}

#[squall::test(seeds = 50, audit = 100)]
async fn a_connection_that_ends_badly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut c = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (s, _) = listener.accept().await.unwrap();
    c.write_all(b"never read").await.unwrap();
    drop(s);
    let e = c.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
    let e = c.write_all(b"more").await.unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::BrokenPipe);

    let c = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (mut s, _) = listener.accept().await.unwrap();
    c.set_zero_linger().unwrap();
    drop(c);
    let e = s.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);

    drop(listener);
    let closed = tokio::time::timeout(Duration::from_secs(1), s.read(&mut [0; 10])).await;
    assert_eq!(closed.unwrap().unwrap(), 0);
}
