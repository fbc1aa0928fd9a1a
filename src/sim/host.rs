//! Hosts of the simulated world, as a test starts, names, breaks and mends them.

use super::Hosts;
use super::link::ns;
use super::outcome::HostOutcome;
#[cfg(not(squall_madsim))]
use super::outcome::Worded;
use super::storage::Storage;
use crate::kernel::{self, HostChange, HostState};
use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A simulated machine: a name, addresses, ports, a clock and processors of its own, and a program that it runs.
///
/// Made by [`Sim::host`](super::Sim::host) and its kin. Cloning it gives another handle of the same host.
///
/// Hosts share the memory of the test: statics, and whatever their programs captured. A lock that a crashed host held there
/// is never given back, and what it had begun to change stays half changed.
#[derive(Clone, Debug)]
pub struct Host {
    id: u16,
    name: String,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Host {
    /// The name that it was started under; `getaddrinfo` resolves it on every host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IPv4 address, in 10.0.0.0/8.
    pub fn ip(&self) -> IpAddr {
        IpAddr::V4(self.v4)
    }

    /// Its IPv6 address, in fd00::/8.
    pub fn ipv6(&self) -> IpAddr {
        IpAddr::V6(self.v6)
    }

    /// Its number: 0 is the host that runs the test itself.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// What it is doing.
    pub fn state(&self) -> HostState {
        kernel::host_state(self.id)
    }

    /// The machine is gone at once, as by a power failure. Nothing of it runs any more, no destructor either; its
    /// connections, ports, descriptors, Unix sockets and unsynced storage are gone. What it had sent still arrives. Its peers see silence,
    /// and `ETIMEDOUT` in the end; once it has been restarted they see `ECONNRESET` when they next send something to a connection
    /// that it no longer knows. Does nothing to a host that is down already. A host may crash itself: the call does not return then.
    ///
    /// # Panics
    /// If it is the test's own host, which nothing can be done to; so do the methods below.
    pub fn crash(&self) {
        self.not_the_test("crash");
        if self.state() != HostState::Crashed {
            kernel::change_host(self.id, HostChange::Crash);
        }
    }

    /// Its process is gone at once, as by `SIGKILL`: no destructor runs, but the machine stays. It closes the process'
    /// descriptors, so peers see the end of the stream, or `ECONNRESET` where something was unread, and new connections
    /// are refused. Does nothing if no program runs.
    ///
    /// # Panics
    /// As [`crash`](Host::crash).
    pub fn kill(&self) {
        self.not_the_test("kill");
        if matches!(self.state(), HostState::Running | HostState::Paused) {
            kernel::change_host(self.id, HostChange::Kill);
        }
    }

    /// Starts its program anew, from the beginning, after it crashed, was killed or came to its end.
    ///
    /// # Panics
    /// If its program still runs ([`bounce`](Host::bounce) ends it first), if it never had one, and as [`crash`](Host::crash).
    pub fn restart(&self) {
        self.not_the_test("restart");
        let state = self.state();
        assert!(
            matches!(state, HostState::Crashed | HostState::Stopped),
            "the host {:?} runs its program still; bounce() restarts it",
            self.name
        );
        kernel::start_program(self.id, None);
    }

    /// [`crash`](Host::crash) and [`restart`](Host::restart) in one.
    ///
    /// # Panics
    /// If it never had a program, and as [`crash`](Host::crash).
    pub fn bounce(&self) {
        self.crash();
        self.restart();
    }

    /// Freezes the machine, as a hypervisor does: no thread of it runs and its network stack is silent until
    /// [`resume`](Host::resume). Packets for it wait. Clocks go on: to its program the time of the pause has passed at once.
    ///
    /// # Panics
    /// As [`crash`](Host::crash).
    pub fn pause(&self) {
        self.not_the_test("pause");
        if matches!(self.state(), HostState::Running | HostState::Stopped) {
            kernel::change_host(self.id, HostChange::Pause);
        }
    }

    /// Suspends the machine to memory: as [`pause`](Host::pause), but its monotonic clock (`Instant`, tokio's time, timeouts) stands still,
    /// as Linux' `CLOCK_MONOTONIC` does; `CLOCK_BOOTTIME` and the wall clock go on. [`resume`](Host::resume) wakes it.
    ///
    /// # Panics
    /// As [`crash`](Host::crash).
    pub fn suspend(&self) {
        self.not_the_test("suspend");
        if matches!(self.state(), HostState::Running | HostState::Stopped) {
            kernel::change_host(self.id, HostChange::Suspend);
        }
    }

    /// Ends a [`pause`](Host::pause) or [`suspend`](Host::suspend). Does nothing to a host that is not paused.
    pub fn resume(&self) {
        kernel::change_host(self.id, HostChange::Resume);
    }

    /// None of its threads runs for so long, as in a garbage collection or beside a noisy neighbour. Unlike in a
    /// [`pause`](Host::pause) its network stack goes on, so connections are accepted and data acknowledged. Stalls that overlap end with the last.
    ///
    /// # Panics
    /// As [`crash`](Host::crash).
    pub fn stall(&self, time: Duration) {
        self.not_the_test("stall");
        kernel::change_host(self.id, HostChange::Stall(ns(time)));
    }

    /// Those of its threads that have this name get no turn for so long, as if the system's scheduler starved them; the others
    /// go on. Returns how many there are now, 0 if none has that name. Linux keeps fifteen bytes of a name: tokio's workers are
    /// `tokio-rt-worker`, a host's first thread has the host's name. Stalls that overlap end with the last.
    ///
    /// # Panics
    /// As [`crash`](Host::crash).
    pub fn stall_thread(&self, name: &str, time: Duration) -> usize {
        self.not_the_test("stall_thread");
        kernel::stall_threads(self.id, name, ns(time))
    }

    /// Whatever its programs do takes so many times longer than usual, as on a machine that others keep busy: each call into the
    /// system costs about a microsecond times this. 1 is usual. The test's own host takes this, too.
    ///
    /// # Panics
    /// If the number is not one of 1 to 1,000,000.
    pub fn slow_down(&self, times: u32) {
        assert!(
            (1..=1_000_000).contains(&times),
            "slow_down: a host is 1 to 1,000,000 times slower than usual, not {times}"
        );
        kernel::change_host(self.id, HostChange::Slow(times));
    }

    /// Asks its program to end: sends its process `SIGTERM`. A program that does not handle it ends at once, as by [`kill`](Host::kill).
    /// Does nothing if no program runs; one on a paused host gets it when it is resumed.
    ///
    /// # Panics
    /// As [`crash`](Host::crash).
    pub fn shutdown(&self) {
        self.signal(SIGTERM);
    }

    /// Sends its process a signal, by number.
    ///
    /// # Panics
    /// If the number is not one of 1 to 64, and as [`crash`](Host::crash).
    pub fn signal(&self, signal: i32) {
        self.not_the_test("signal");
        assert!(
            (1..=64).contains(&signal),
            "a signal is a number from 1 to 64, not {signal}"
        );
        if matches!(self.state(), HostState::Running | HostState::Paused) {
            kernel::change_host(self.id, HostChange::Signal(signal));
        }
    }

    /// Its wall clock jumps forward, as when a time server corrects it. Monotonic clocks (`Instant`, tokio's time) do not move,
    /// nor does what waits for them. What waits for a moment of the wall clock (`TFD_TIMER_ABSTIME`, `clock_nanosleep`, `sem_timedwait`)
    /// follows it, and timers with `TFD_TIMER_CANCEL_ON_SET` fail with `ECANCELED`, as on Linux. The jump outlives a restart. The
    /// test's own host takes this, too.
    pub fn jump_clock_forward(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        kernel::change_host(self.id, HostChange::Jump(by));
    }

    /// Its wall clock jumps back: see [`jump_clock_forward`](Host::jump_clock_forward).
    pub fn jump_clock_back(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        kernel::change_host(self.id, HostChange::Jump(-by));
    }

    /// From now on its wall clock gains so many microseconds in a second, as one that no time server sets right; it loses them
    /// if `ppm` is negative, and 0 ends it. What was gained stays. Monotonic clocks are right: see [`slew_clocks`](Host::slew_clocks). The
    /// drift outlives a restart. The test's own host takes this, too.
    ///
    /// # Panics
    /// If `ppm` is not one of -900,000 to 1,000,000.
    pub fn drift_clock(&self, ppm: i32) {
        assert!(
            (-900_000..=1_000_000).contains(&ppm),
            "drift_clock: a wall clock drifts by -900,000 to 1,000,000 parts in a million, not {ppm}"
        );
        kernel::change_host(self.id, HostChange::Drift(ppm));
    }

    /// From now on all its clocks but `CLOCK_MONOTONIC_RAW` gain so many microseconds in a second, as where a time server slews them; timeouts
    /// and timers follow. 0 ends it. On top of [`drift_clock`](Host::drift_clock). The test's own host takes this, too.
    ///
    /// # Panics
    /// If `ppm` is not one of -500 to 500: Linux slews no faster, see adjtimex(2).
    pub fn slew_clocks(&self, ppm: i32) {
        assert!(
            (-500..=500).contains(&ppm),
            "slew_clocks: Linux slews by at most 500 parts in a million, not {ppm}; drift_clock() changes the wall clock beyond that"
        );
        kernel::change_host(self.id, HostChange::Slew(ppm));
    }

    /// So many files may be open on the whole machine; whatever would open another fails with `ENFILE`. Those that are open stay.
    /// Default: no limit. The test's own host takes this, too.
    pub fn limit_open_files(&self, most: u32) {
        kernel::change_host(self.id, HostChange::Files(most));
    }

    /// So many ports are handed out on it, for TCP and for UDP: a `connect` beyond fails with `EADDRNOTAVAIL`, a `bind` to port 0 with
    /// `EADDRINUSE`. Ports that are taken, and those that the program names itself, stay as they are. Default: 28,232, as on Linux.
    /// One port serves one connection at a time here, where Linux may share it among connections to different peers. The
    /// test's own host takes this, too.
    pub fn limit_ports(&self, most: u16) {
        kernel::change_host(self.id, HostChange::Ports(most));
    }

    /// A socket of it buffers so many bytes at most in each direction, old and new ones, though not less than Linux' least: 2,304 to
    /// receive and 4,608 to send. With 0 there is no memory for sockets at all: `socket` and `accept` fail with `ENOBUFS`.
    /// `u32::MAX` is no limit, the default. The test's own host takes this, too.
    pub fn limit_buffers(&self, most: u32) {
        kernel::change_host(self.id, HostChange::Buffers(most));
    }

    /// So many descriptors may be open on it at once; whatever would open another fails with `EMFILE`. Those that are open stay. Default:
    /// the test's `descriptors` argument, 1024. The test's own host takes this, too.
    pub fn limit_descriptors(&self, most: u32) {
        kernel::change_host(self.id, HostChange::Descriptors(most));
    }

    /// Its storage, which outlives its program.
    pub fn storage(&self) -> Storage {
        Storage::of(self.id)
    }

    fn not_the_test(&self, what: &str) {
        assert!(
            self.id != 0,
            "{what}: {:?} is the test's own host, which cannot be broken from within",
            self.name
        );
    }
}

/// The same on Linux, whatever the architecture, and all that is needed where the kernel does not run.
const SIGTERM: i32 = 15;

impl Hosts for Host {
    fn names(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }
}

impl From<kernel::HostInfo> for Host {
    fn from(info: kernel::HostInfo) -> Host {
        Host {
            id: info.id,
            name: info.name,
            v4: info.v4,
            v6: info.v6,
        }
    }
}

/// A panic's message.
fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(s) = payload.downcast_ref::<&str>() {
        (*s).to_owned()
    } else if let Some(s) = payload.downcast_ref::<String>() {
        s.clone()
    } else {
        "a panic with a payload that is not text".to_owned()
    }
}

/// Starts a host whose `main` is `program`. When it returns, the host's process is over; a panic or an error fails the run.
pub(super) fn start<F, R>(name: &str, program: F) -> Host
where
    F: Fn() -> R + Send + 'static,
    R: HostOutcome,
{
    let Some(info) = kernel::claim_host(name) else {
        panic!(
            "the host {name:?} has a program already: host names must differ, and \"test\" is the test's own"
        );
    };
    let host = Host::from(info);
    let main = move || match catch_unwind(AssertUnwindSafe(|| program().failure())) {
        Ok(None) => kernel::host_exits(),
        Ok(Some(failure)) => kernel::fail_host(failure),
        Err(payload) => kernel::fail_host(format!("panicked: {}", message(payload.as_ref()))),
    };
    kernel::start_program(host.id, Some(Box::new(main)));
    host
}

/// Starts a host whose program is the future that `program` makes, on a runtime of its own: with so many workers, or on the current thread.
#[cfg(not(squall_madsim))]
pub(super) fn start_on_runtime<F, Fut>(name: &str, workers: Option<usize>, program: F) -> Host
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: HostOutcome,
{
    start(name, on_runtime(workers, program))
}

/// Starts a host whose program is the future that `program` makes, on a node of madsim's.
#[cfg(squall_madsim)]
pub(super) fn start_on_runtime<F, Fut>(name: &str, workers: Option<usize>, program: F) -> Host
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: HostOutcome,
{
    if workers.is_some() {
        kernel::refuse(
            "a host with workers (Sim::host_with_workers)",
            "all tasks run on one thread; start it with Sim::host",
        );
    }
    let Some(info) = kernel::claim_host(name) else {
        panic!(
            "the host {name:?} has a program already: host names must differ, and \"test\" is the test's own"
        );
    };
    let host = Host::from(info);
    let main = move || -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        let future = program();
        Box::pin(async move {
            match kernel::caught(async { future.await.failure() }).await {
                Ok(None) => kernel::program_ends(),
                Ok(Some(failure)) => kernel::fail_host(failure),
                Err(payload) => {
                    kernel::fail_host(format!("panicked: {}", message(payload.as_ref())))
                }
            }
        })
    };
    kernel::begin_program(host.id, Box::new(main));
    host
}

/// A `main` that drives the future that `program` makes on a tokio runtime of its own: with so many workers, or on the
/// current thread. Every driver is enabled.
#[cfg(not(squall_madsim))]
fn on_runtime<F, Fut>(workers: Option<usize>, program: F) -> impl Fn() -> Worded + Send + 'static
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: HostOutcome,
{
    move || {
        let mut builder = match workers {
            None => tokio::runtime::Builder::new_current_thread(),
            Some(workers) => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(workers);
                builder
            }
        };
        let runtime = builder.enable_all().build();
        Worded(match runtime {
            Ok(runtime) => {
                let program = crate::check::detect::unblocking(program());
                runtime.block_on(program).failure()
            }
            Err(e) => Some(format!("its tokio runtime could not be built: {e}")),
        })
    }
}
