//! The workloads on tokio as it is, on the real system. One order of tasks, and time that passes.

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Workload, seconds};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, mpsc};

fn main() {
    common::main(|workload, _| match workload {
        Workload::YieldStorm => seconds(|| runtime().block_on(yield_storm())),
        Workload::PingPong => seconds(|| runtime().block_on(ping_pong())),
        Workload::MutexTest => seconds(|| {
            for _ in 0..common::MUTEX_RUNS {
                runtime().block_on(mutex_test());
            }
        }),
        // Not quite a peer of simulated time: tokio's own paused clock, which leaps where the runtime is idle.
        Workload::Timers => {
            let paused = Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build();
            let paused = paused.expect("a runtime");
            seconds(|| paused.block_on(timers()))
        }
        Workload::EchoLoopback => {
            let runtime = runtime();
            seconds(|| runtime.block_on(echo()))
        }
        Workload::EchoHosts | Workload::IdleHosts => Answer::Cannot("it has no hosts"),
        _ => Answer::Cannot("it has one order of tasks, and threads are the system's"),
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn yield_storm() {
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

async fn ping_pong() {
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

async fn mutex_test() {
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

async fn timers() {
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

async fn serve(listener: TcpListener) {
    loop {
        let (mut socket, _) = listener.accept().await.expect("accept");
        tokio::spawn(async move {
            let mut buffer = [0; common::ECHO_BYTES];
            while socket.read_exact(&mut buffer).await.is_ok() {
                if socket.write_all(&buffer).await.is_err() {
                    break;
                }
            }
        });
    }
}

async fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener));
    let clients: Vec<_> = (0..common::ECHO_CLIENTS)
        .map(|_| {
            tokio::spawn(async move {
                let mut socket = TcpStream::connect(address).await.expect("connect");
                let mut buffer = [7; common::ECHO_BYTES];
                for _ in 0..common::ECHO_ROUNDS {
                    socket.write_all(&buffer).await.expect("write");
                    socket.read_exact(&mut buffer).await.expect("read");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
}
