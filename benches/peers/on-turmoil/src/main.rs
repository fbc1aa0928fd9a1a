//! The workloads on turmoil: time and a network, and one order of tasks. Its clock advances a tick at a time; the tick is its
//! default of one millisecond.

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Workload, seconds};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};
use turmoil::net::{TcpListener, TcpStream};

/// A day of idle hosts takes a quarter of an hour; this part of it is run, and the figure multiplied.
const PART: u64 = 200;

fn main() {
    common::main(|workload, _| match workload {
        Workload::YieldStorm => seconds(|| simulate(1, yield_storm)),
        Workload::PingPong => seconds(|| simulate(1, ping_pong)),
        Workload::MutexTest => seconds(|| {
            for seed in 0..common::MUTEX_RUNS {
                simulate(seed, mutex_test);
            }
        }),
        Workload::Timers => seconds(|| simulate(1, timers)),
        Workload::EchoLoopback => seconds(|| {
            simulate(1, || async {
                tokio::spawn(async {
                    serve(TcpListener::bind("127.0.0.1:7").await.expect("bind")).await;
                });
                tokio::task::yield_now().await;
                clients("127.0.0.1:7").await;
            });
        }),
        Workload::EchoHosts => seconds(|| {
            let mut sim = builder(1).build();
            sim.host("server", || async {
                serve(TcpListener::bind("0.0.0.0:7").await.expect("bind")).await;
                Ok(())
            });
            sim.client("client", async {
                clients("server:7").await;
                Ok(())
            });
            sim.run().expect("it holds");
        }),
        Workload::IdleHosts => match seconds(idle_hosts) {
            Answer::Seconds(part) => Answer::Seconds(part * PART as f64),
            other => other,
        },
        Workload::LostUpdateThreads | Workload::LockCycleThreads | Workload::OrderThreads => {
            Answer::Cannot("threads are the system's")
        }
        _ => Answer::Cannot("it has one order of tasks"),
    });
}

fn builder(seed: u64) -> turmoil::Builder {
    let mut builder = turmoil::Builder::new();
    builder
        .simulation_duration(Duration::from_secs(2 * common::IDLE_SECONDS))
        .min_message_latency(Duration::from_micros(200))
        .max_message_latency(Duration::from_millis(1))
        .tcp_capacity(1024)
        .rng_seed(seed);
    builder
}

fn simulate<F, Fut>(seed: u64, body: F)
where
    F: FnOnce() -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let mut sim = builder(seed).build();
    sim.client("client", async move {
        body().await;
        Ok(())
    });
    sim.run().expect("it holds");
}

fn idle_hosts() {
    let mut sim = builder(1).build();
    for i in 0..common::IDLE_HOSTS {
        sim.host(format!("host{i}"), || async {
            let mut beat = tokio::time::interval(Duration::from_secs(common::IDLE_BEAT));
            loop {
                beat.tick().await;
            }
        });
    }
    sim.client("client", async {
        tokio::time::sleep(Duration::from_secs(common::IDLE_SECONDS / PART)).await;
        Ok(())
    });
    sim.run().expect("it holds");
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

async fn clients<A: turmoil::ToSocketAddrs + Copy + Send + 'static>(address: A) {
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
