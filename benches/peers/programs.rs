//! The workloads as programs for tokio. Each peer that stands in for tokio, or runs it, takes this file in as a module of its own,
//! since `tokio` is another crate there; the crate says in its `net` whose sockets are meant.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};

use crate::net::{TcpListener, TcpStream, ToSocketAddrs};

pub async fn yield_storm() {
    let tasks: Vec<_> = (0..common::STORM_TASKS)
        .map(|_| {
            tokio::spawn(async {
                for _ in 0..common::STORM_YIELDS {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

pub async fn ping_pong() {
    let (ping, mut pinged) = mpsc::channel::<u64>(1);
    let (pong, mut ponged) = mpsc::channel::<u64>(1);
    let echo = tokio::spawn(async move {
        while let Some(n) = pinged.recv().await {
            if pong.send(n).await.is_err() {
                break;
            }
        }
    });
    for n in 0..common::PINGS {
        ping.send(n).await.expect("the other side listens");
        assert_eq!(ponged.recv().await, Some(n));
    }
    drop(ping);
    echo.await.expect("no panic");
}

pub async fn mutex_test() {
    let number = Arc::new(Mutex::new(0));
    let tasks: Vec<_> = (0..common::MUTEX_TASKS)
        .map(|_| {
            let number = number.clone();
            tokio::spawn(async move {
                for _ in 0..common::MUTEX_ADDS {
                    *number.lock().await += 1;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(
        *number.lock().await,
        common::MUTEX_TASKS * common::MUTEX_ADDS
    );
}

pub async fn timers() {
    let tasks: Vec<_> = (0..common::TIMER_TASKS)
        .map(|_| {
            tokio::spawn(async {
                for _ in 0..common::TIMER_SLEEPS {
                    tokio::time::sleep(Duration::from_secs(common::TIMER_SECONDS)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

pub async fn serve(listener: TcpListener) {
    loop {
        let (mut socket, _) = listener.accept().await.expect("accept");
        tokio::spawn(async move {
            let mut buffer = [0; common::ECHO_BYTES];
            while socket.read_exact(&mut buffer).await.is_ok() {
                // madsim's stream sends nothing before a flush; elsewhere it is done at once.
                if socket.write_all(&buffer).await.is_err() || socket.flush().await.is_err() {
                    break;
                }
            }
        });
    }
}

pub async fn clients<A: ToSocketAddrs + Copy + Send + 'static>(address: A) {
    let clients: Vec<_> = (0..common::ECHO_CLIENTS)
        .map(|_| {
            tokio::spawn(async move {
                let mut socket = TcpStream::connect(address).await.expect("connect");
                let mut buffer = [7; common::ECHO_BYTES];
                for _ in 0..common::ECHO_ROUNDS {
                    socket.write_all(&buffer).await.expect("write");
                    socket.flush().await.expect("flush");
                    socket.read_exact(&mut buffer).await.expect("read");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
}
