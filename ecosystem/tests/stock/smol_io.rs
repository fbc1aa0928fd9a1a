//! smol and async-io: another executor, another reactor (its own thread, epoll through the `polling` crate), in the same world.
use crate::support::{Stopwatch, ms};
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt, select};
use smol::net::{TcpListener, TcpStream, UdpSocket};
use smol::{Executor, Timer, unblock};
use std::sync::Arc;

/// Runs a smol program on a thread of its own, away from tokio.
async fn on_smol<T: Send + 'static>(program: impl Future<Output = T> + Send + 'static) -> T {
    tokio::task::spawn_blocking(|| smol::block_on(program))
        .await
        .unwrap()
}

#[squall::test]
async fn smol_echoes_over_tcp() {
    on_smol(async {
        let executor = Arc::new(Executor::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = executor.clone();
        let _server = executor.spawn(async move {
            while let Some(stream) = listener.incoming().next().await {
                let stream = stream.unwrap();
                inner
                    .spawn(
                        async move { futures::io::copy(stream.clone(), &mut stream.clone()).await },
                    )
                    .detach();
            }
        });
        let clients: Vec<_> = (0..5u8)
            .map(|n| {
                executor.spawn(async move {
                    let stream = TcpStream::connect(address).await.unwrap();
                    let sent = vec![n; 30_000];
                    let (mut from, mut to) = (stream.clone(), stream);
                    let write = async {
                        to.write_all(&sent).await.unwrap();
                        to.shutdown(std::net::Shutdown::Write).unwrap();
                    };
                    let read = async {
                        let mut back = Vec::new();
                        from.read_to_end(&mut back).await.unwrap();
                        back
                    };
                    let ((), back) = futures::join!(write, read);
                    assert!(back == sent);
                })
            })
            .collect();
        executor.run(futures::future::join_all(clients)).await;
    })
    .await;
}

#[squall::test]
async fn smol_timers_and_udp_retries() {
    on_smol(async {
        let watch = Stopwatch::start();
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let answering = smol::spawn(async move {
            let mut buffer = [0; 32];
            let (length, from) = loop {
                let (length, from) = server.recv_from(&mut buffer).await.unwrap();
                if buffer[0] == 2 {
                    break (length, from);
                }
            };
            server.send_to(&buffer[..length], from).await.unwrap();
        });
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut buffer = [0; 32];
        let mut attempt = 0;
        let length = loop {
            client.send_to(&[attempt; 3], address).await.unwrap();
            select! {
                received = client.recv_from(&mut buffer).fuse() => break received.unwrap().0,
                _ = FutureExt::fuse(Timer::after(ms(50))) => attempt += 1,
            }
        };
        answering.await;
        assert_eq!((length, attempt), (3, 2));
        watch.within(ms(100), ms(150));

        let ticks: Vec<_> = Timer::interval(ms(30)).take(3).collect().await;
        assert_eq!(ticks.len(), 3);
        watch.within(ms(190), ms(260));
    })
    .await;
}

#[squall::test]
async fn smol_blocking_work_and_async_io_sockets() {
    on_smol(async {
        let watch = Stopwatch::start();
        let jobs = (1..=8u64).map(|n| {
            unblock(move || {
                std::thread::sleep(ms(n * 5));
                n
            })
        });
        let done: Vec<u64> = futures::future::join_all(jobs).await;
        assert_eq!(done.iter().sum::<u64>(), 36);
        watch.within(ms(40), ms(250));

        // A std socket pair made asynchronous by async-io's wrapper.
        let (left, right) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut left, mut right) = (
            smol::Async::new(left).unwrap(),
            smol::Async::new(right).unwrap(),
        );
        let reading = smol::spawn(async move {
            let mut text = String::new();
            right.read_to_string(&mut text).await.unwrap();
            text
        });
        for word in ["one ", "two ", "three"] {
            Timer::after(ms(10)).await;
            left.write_all(word.as_bytes()).await.unwrap();
        }
        drop(left);
        assert_eq!(reading.await, "one two three");
    })
    .await;
}
