//! The workloads on turmoil: time and a network, and one order of tasks. Its clock advances a tick at a time; the tick is its
//! default of one millisecond.

mod net {
    pub use turmoil::ToSocketAddrs;
    pub use turmoil::net::{TcpListener, TcpStream};
}
#[path = "../../programs.rs"]
mod programs;

use std::time::Duration;

use common::{Answer, Workload, seconds};
use net::TcpListener;

use programs::{clients, mutex_test, ping_pong, serve, timers, yield_storm};

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
