//! The workloads on madsim: a simulated tokio under its name, and tasks in random order. Built with `--cfg madsim`.

#[path = "../../bugs.rs"]
mod bugs;
#[path = "../../programs.rs"]
mod programs;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{Answer, Workload, seconds};
use madsim::runtime::{Handle, Runtime};
use tokio::net::{self, TcpListener};

use bugs::{Found, lock_cycle_tasks, lost_update_tasks, order_tasks};
use programs::{clients, mutex_test, ping_pong, serve, timers, yield_storm};

fn main() {
    common::main(|workload, _| match workload {
        Workload::YieldStorm => seconds(|| runtime(1).block_on(yield_storm())),
        Workload::PingPong => seconds(|| runtime(1).block_on(ping_pong())),
        Workload::MutexTest => seconds(|| {
            for seed in 0..common::MUTEX_RUNS {
                runtime(seed).block_on(mutex_test());
            }
        }),
        Workload::Timers => seconds(|| runtime(1).block_on(timers())),
        Workload::EchoLoopback => seconds(|| runtime(1).block_on(echo_loopback())),
        Workload::EchoHosts => seconds(|| runtime(1).block_on(echo_hosts())),
        Workload::IdleHosts => seconds(|| runtime(1).block_on(idle_hosts())),
        Workload::LostUpdateTasks => hunt(|found| Box::pin(lost_update_tasks(found))),
        Workload::LockCycleTasks => hunt(|_| Box::pin(lock_cycle_tasks())),
        Workload::OrderTasks => hunt(|found| Box::pin(order_tasks(found))),
        Workload::LostUpdateThreads | Workload::LockCycleThreads | Workload::OrderThreads => {
            Answer::Cannot("it refuses threads")
        }
    });
}

fn runtime(seed: u64) -> Runtime {
    let mut config = madsim::Config::default();
    config.net.send_latency = Duration::from_micros(200)..Duration::from_millis(1);
    Runtime::with_seed_and_config(seed, config)
}

type Program = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// A deadlock is a panic of its executor.
fn hunt(program: fn(Found) -> Program) -> Answer {
    common::quiet();
    common::hunt(|trial| {
        let shows = |i: &u64| {
            let found = Found::default();
            let tell = found.clone();
            let run = move || runtime(1 + trial * 1_000_000 + i).block_on(program(tell));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
                || found.load(SeqCst)
        };
        (0..common::CAP).find(shows).map(|i| i + 1)
    })
}

async fn echo_loopback() {
    let node = Handle::current()
        .create_node()
        .name("host")
        .ip("10.0.0.1".parse().expect("an address"))
        .build();
    let both = node.spawn(async {
        let listener = TcpListener::bind("127.0.0.1:7").await.expect("bind");
        tokio::spawn(serve(listener));
        clients("127.0.0.1:7").await;
    });
    both.await.expect("no panic");
}

async fn echo_hosts() {
    let handle = Handle::current();
    let server = handle
        .create_node()
        .name("server")
        .ip("10.0.0.1".parse().expect("an address"))
        .build();
    let client = handle
        .create_node()
        .name("client")
        .ip("10.0.0.2".parse().expect("an address"))
        .build();
    server.spawn(async {
        serve(TcpListener::bind("10.0.0.1:7").await.expect("bind")).await;
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    client.spawn(clients("10.0.0.1:7")).await.expect("no panic");
}

async fn idle_hosts() {
    for i in 0..common::IDLE_HOSTS {
        let node = Handle::current()
            .create_node()
            .name(format!("host{i}"))
            .build();
        node.spawn(async {
            let mut beat = tokio::time::interval(Duration::from_secs(common::IDLE_BEAT));
            loop {
                beat.tick().await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(common::IDLE_SECONDS)).await;
}
