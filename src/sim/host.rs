//! Hosts of the simulated world, as a test starts, names, breaks and mends them.

use super::link::ns;
use super::outcome::{HostOutcome, Worded};
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

    /// Ends a [`pause`](Host::pause). Does nothing to a host that is not paused.
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

    /// Its wall clock jumps forward, as when a time server corrects it. Monotonic clocks (`Instant`, tokio's time) do not move, and
    /// timers that are armed already expire when they would have. The jump outlives a restart. The test's own host takes this, too.
    pub fn jump_clock_forward(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        kernel::change_host(self.id, HostChange::Jump(by));
    }

    /// Its wall clock jumps back: see [`jump_clock_forward`](Host::jump_clock_forward).
    pub fn jump_clock_back(&self, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        kernel::change_host(self.id, HostChange::Jump(-by));
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

/// A `main` that drives the future that `program` makes on a tokio runtime of its own: with so many workers, or on the
/// current thread. Every driver is enabled.
pub(super) fn on_runtime<F, Fut>(
    workers: Option<usize>,
    program: F,
) -> impl Fn() -> Worded + Send + 'static
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
            Ok(runtime) => runtime.block_on(program()).failure(),
            Err(e) => Some(format!("its tokio runtime could not be built: {e}")),
        })
    }
}
