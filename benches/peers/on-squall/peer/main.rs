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
use squall::explore::named;
use squall::kernel::{self, Config, End, Oracle};
use squall::{Builder, Flavor, Sim, Strategy};

mod net {
    pub use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
}

fn main() {
    common::main(|workload, variant| {
        let strategy = named(variant);
        match workload {
            Workload::YieldStorm => simulated(strategy, programs::yield_storm),
            Workload::PingPong => simulated(strategy, programs::ping_pong),
            Workload::MutexTest => {
                through_harness(strategy, common::MUTEX_RUNS, |_| programs::mutex_test())
            }
            Workload::Timers => simulated(strategy, programs::timers),
            Workload::EchoLoopback => simulated(strategy, hosts::echo),
            Workload::EchoHosts => per_run(strategy, 20, hosts::echo_hosts),
            Workload::IdleHosts => per_run(strategy, 20, hosts::idle_hosts),
            _ => hunts::hunt(workload, strategy),
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Seeds in a turn of the default portfolio.
const TURN: u64 = 15;

/// One simulation in this process; the mean over a turn of the portfolio, since what a run costs depends on its strategy and on how
/// often it preempts.
fn simulated<F, Fut>(strategy: Strategy, body: F) -> Answer
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()>,
{
    let all = seconds(|| {
        for seed in 0..TURN {
            let config = Config {
                max_steps: u64::MAX,
                // A million messages between tasks are no progress that the kernel could see.
                livelock_after: u64::MAX,
                ..Config::default()
            };
            let mut choices = Box::new(Choices::new(strategy));
            choices.set_seed(seed);
            let body = body.clone();
            let run = Box::new(move || runtime().block_on(body()));
            let (outcome, _) = kernel::simulate(config, choices as Box<dyn Oracle>, run);
            assert_eq!(outcome.end, End::Returned);
        }
    });
    match all {
        Answer::Seconds(all) => Answer::Seconds(all / TURN as f64),
        other => other,
    }
}

/// So many runs as a test makes them, the start of its processes included.
fn through_harness<F, Fut>(strategy: Strategy, seeds: u64, body: F) -> Answer
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    let builder = Builder::new()
        .seeds(seeds)
        .strategy(strategy)
        .flavor(Flavor::CurrentThread)
        .max_time(Duration::from_secs(2 * common::IDLE_SECONDS))
        .audit(0);
    seconds(|| {
        let held = builder.run(body);
        assert!(held.is_ok(), "{held:?}");
    })
}

/// One run of so many, the start of the processes spread over them.
fn per_run<F, Fut>(strategy: Strategy, seeds: u64, body: F) -> Answer
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    match through_harness(strategy, seeds, body) {
        Answer::Seconds(all) => Answer::Seconds(all / seeds as f64),
        other => other,
    }
}

/// The oracle that a run gives back, as what it was.
fn choices(oracle: Box<dyn Oracle>) -> Box<Choices> {
    let oracle: Box<dyn Any> = oracle;
    oracle.downcast().expect("another oracle")
}
