//! The workloads on tokio as it is, on the real system. One order of tasks, and time that passes.

#[path = "../../programs.rs"]
mod programs;

use common::{Answer, Workload, seconds};
use tokio::net::{self, TcpListener};
use tokio::runtime::{Builder, Runtime};

use programs::{clients, mutex_test, ping_pong, serve, timers, yield_storm};

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

async fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener));
    clients(address).await;
}
