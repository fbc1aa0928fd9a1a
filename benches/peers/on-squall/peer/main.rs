//! The workloads on squall. Built twice: by `cargo test` on stock tokio, and by `cargo squall test`, where tasks are permuted. The
//! programs are those of `on-tokio`, hosts aside.

#[path = "../../bugs.rs"]
mod bugs;
mod hosts;
mod hunts;
#[path = "../../programs.rs"]
mod programs;

use std::any::Any;
use std::time::Duration;

use common::{Answer, Workload, seconds};
use squall::choice::Choices;
use squall::kernel::{self, Config, End, Oracle};
use squall::{Builder, Flavor, Sim, Strategy};

mod net {
    pub use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
}

fn main() {
    common::main(|workload, variant| match workload {
        Workload::YieldStorm => simulated(programs::yield_storm),
        Workload::PingPong => simulated(programs::ping_pong),
        Workload::MutexTest => through_harness(common::MUTEX_RUNS, |_| programs::mutex_test()),
        Workload::Timers => simulated(programs::timers),
        Workload::EchoLoopback => simulated(hosts::echo),
        Workload::EchoHosts => per_run(20, hosts::echo_hosts),
        Workload::IdleHosts => per_run(20, hosts::idle_hosts),
        _ => hunts::hunt(workload, variant),
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// One simulation in this process.
fn simulated<F, Fut>(body: F) -> Answer
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    let config = Config {
        max_steps: u64::MAX,
        // A million messages between tasks are no progress that the kernel could see.
        livelock_after: u64::MAX,
        ..Config::default()
    };
    let mut choices = Box::new(Choices::new(Strategy::default()));
    choices.set_seed(1);
    seconds(|| {
        let run = Box::new(move || runtime().block_on(body()));
        let (outcome, _) = kernel::simulate(config, choices as Box<dyn Oracle>, run);
        assert_eq!(outcome.end, End::Returned);
    })
}

/// So many runs as a test makes them, the start of its processes included.
fn through_harness<F, Fut>(seeds: u64, body: F) -> Answer
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    let builder = Builder::new()
        .seeds(seeds)
        .flavor(Flavor::CurrentThread)
        .max_time(Duration::from_secs(2 * common::IDLE_SECONDS))
        .audit(0);
    seconds(|| {
        let held = builder.run(body);
        assert!(held.is_ok(), "{held:?}");
    })
}

/// One run of so many, the start of the processes spread over them.
fn per_run<F, Fut>(seeds: u64, body: F) -> Answer
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    match through_harness(seeds, body) {
        Answer::Seconds(all) => Answer::Seconds(all / seeds as f64),
        other => other,
    }
}

/// The oracle that a run gives back, as what it was.
fn choices(oracle: Box<dyn Oracle>) -> Box<Choices> {
    let oracle: Box<dyn Any> = oracle;
    oracle.downcast().expect("another oracle")
}
