//! The workloads, their sizes, and the line in which a peer reports what one came to. Every peer's program and the driver use it.

use nix::sys::resource::{UsageWho, getrusage};

/// One workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// 100 tasks that yield 10,000 times each.
    YieldStorm,
    /// 1,000,000 messages there and back over two channels of capacity 1, between two tasks.
    PingPong,
    /// 10,000 runs of a test in which three tasks add to a number behind an asynchronous mutex, five times each.
    MutexTest,
    /// 10,000 tasks that sleep 100 times for 36 s each.
    Timers,
    /// TCP echo on loopback: 10 clients, 1,000 round trips of 64 bytes each.
    EchoLoopback,
    /// The same between two hosts whose messages travel for 200 us to 1 ms.
    EchoHosts,
    /// Five hosts with a beat every ten seconds, for 24 hours.
    IdleHosts,
    /// Schedules until two tasks lose an update: each locks and reads, then locks and writes.
    LostUpdateTasks,
    /// Schedules until three tasks that take two of three locks each stand in a circle.
    LockCycleTasks,
    /// Schedules until four steps of three tasks come in the one order that is wrong (depth 3), among 20 tasks of noise.
    OrderTasks,
    /// As [`Workload::LostUpdateTasks`], with std threads and an atomic.
    LostUpdateThreads,
    /// As [`Workload::LockCycleTasks`], with std threads and std locks.
    LockCycleThreads,
    /// As [`Workload::OrderTasks`], with std threads and atomics.
    OrderThreads,
}

impl Workload {
    /// Every workload, with its name on the command line.
    pub const ALL: [(&'static str, Workload); 13] = [
        ("yield-storm", Workload::YieldStorm),
        ("ping-pong", Workload::PingPong),
        ("mutex-test", Workload::MutexTest),
        ("timers", Workload::Timers),
        ("echo-loopback", Workload::EchoLoopback),
        ("echo-hosts", Workload::EchoHosts),
        ("idle-hosts", Workload::IdleHosts),
        ("lost-update-tasks", Workload::LostUpdateTasks),
        ("lock-cycle-tasks", Workload::LockCycleTasks),
        ("order-tasks", Workload::OrderTasks),
        ("lost-update-threads", Workload::LostUpdateThreads),
        ("lock-cycle-threads", Workload::LockCycleThreads),
        ("order-threads", Workload::OrderThreads),
    ];

    /// Whether what counts is the number of schedules until a bug shows.
    pub fn hunts(self) -> bool {
        self as u8 >= Workload::LostUpdateTasks as u8
    }
}

/// Tasks of the yield storm.
pub const STORM_TASKS: usize = 100;
/// Yields of each.
pub const STORM_YIELDS: usize = 10_000;
/// Messages in each direction.
pub const PINGS: u64 = 1_000_000;
/// Runs of the mutex test.
pub const MUTEX_RUNS: u64 = 10_000;
/// Its tasks.
pub const MUTEX_TASKS: usize = 3;
/// How often each adds.
pub const MUTEX_ADDS: usize = 5;
/// Tasks that sleep.
pub const TIMER_TASKS: usize = 10_000;
/// How often each sleeps.
pub const TIMER_SLEEPS: usize = 100;
/// For how long, in seconds.
pub const TIMER_SECONDS: u64 = 36;
/// Clients of the echo server.
pub const ECHO_CLIENTS: usize = 10;
/// Round trips of each.
pub const ECHO_ROUNDS: usize = 1000;
/// Bytes of each message.
pub const ECHO_BYTES: usize = 64;
/// Hosts that do nothing but beat.
pub const IDLE_HOSTS: usize = 5;
/// Seconds between two beats.
pub const IDLE_BEAT: u64 = 10;
/// For how many seconds.
pub const IDLE_SECONDS: u64 = 86_400;
/// Tasks of noise around the ordering bug.
pub const NOISE: usize = 20;
/// Steps of each.
pub const NOISE_STEPS: usize = 5;
/// Searches for each bug, each from another seed.
pub const TRIALS: u64 = 20;
/// Schedules after which a search gives up.
pub const CAP: u64 = 10_000;

/// What a workload came to.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The seconds that it took.
    Seconds(f64),
    /// For the hunts: schedules until the bug showed in each trial (`None` for more than [`CAP`]), and the seconds of all.
    Schedules(Vec<Option<u64>>, f64),
    /// Why this peer cannot express it.
    Cannot(&'static str),
}

/// Seconds of processor time, the system's and that of child processes included. Nothing here waits for anything but itself, so
/// on an idle machine with one core this is the time that passes; on a busy one it is still the same.
pub fn spent() -> f64 {
    let of = |who| {
        let usage = getrusage(who).expect("the system knows what was used");
        [usage.user_time(), usage.system_time()]
            .into_iter()
            .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
            .sum::<f64>()
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

/// Seconds that `f` takes.
pub fn seconds(f: impl FnOnce()) -> Answer {
    let start = spent();
    f();
    Answer::Seconds(spent() - start)
}

/// Searches for a bug in [`TRIALS`] trials; `first` is given the trial's number and says how many schedules it took.
pub fn hunt(mut first: impl FnMut(u64) -> Option<u64>) -> Answer {
    let start = spent();
    let found = (0..TRIALS).map(&mut first).collect();
    Answer::Schedules(found, spent() - start)
}

/// The `main` of a peer's program: `PROGRAM WORKLOAD VARIANT` runs one and prints its answer. The variant is the peer's own matter.
///
/// # Panics
/// If the arguments are wrong.
pub fn main(run: impl FnOnce(Workload, &str) -> Answer) {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let variant = words.next().unwrap_or_default();
    let (_, workload) = Workload::ALL
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("there is no workload {name:?}"));
    match run(workload, &variant) {
        Answer::Seconds(seconds) => println!("seconds {seconds}"),
        Answer::Schedules(found, seconds) => {
            let found: Vec<String> = found
                .into_iter()
                .map(|first| first.map_or("never".to_owned(), |n| n.to_string()))
                .collect();
            println!("schedules {seconds} {}", found.join(" "));
        }
        Answer::Cannot(reason) => println!("cannot {reason}"),
    }
}

/// Keeps panics that are part of a hunt from being printed.
pub fn quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}
