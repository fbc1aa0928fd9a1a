//! What a test holds in its hands: the simulated world. `run` makes one [`Sim`] for each run and hands it to the test's
//! body; everything here calls the kernel.

pub mod dependency;
mod detectors;
mod draws;
mod errand;
mod faults;
mod host;
mod link;
mod outcome;
pub(crate) mod parameter;
pub(crate) mod points;
mod properties;
pub(crate) mod scope;
mod shape;
mod storage;

pub use crate::fault::{Hosts, Shape};
pub use crate::kernel::HostState;
pub use faults::{Settle, Unsettled};
pub use host::Host;
pub use link::{Latency, Link};
pub use outcome::HostOutcome;
pub use parameter::Parameter;
pub use shape::Partition;
pub use storage::Storage;

use crate::fault::names;
use parameter::Parameters;
use std::time::Duration;

/// The simulated world of one run.
///
/// A handle: clones share the world.
#[derive(Clone, Debug)]
pub struct Sim {
    seed: u64,
    /// Those that are set.
    parameters: &'static Parameters,
}

impl Sim {
    /// The world of a seed.
    pub(crate) fn new(seed: u64, parameters: &'static Parameters) -> Self {
        Sim { seed, parameters }
    }

    /// The seed that this run follows from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Virtual time since the start of the run, to the nanosecond. Zero outside a simulation.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(crate::kernel::now().unwrap_or(0))
    }

    /// Starts a host that runs `program`'s future on a current-thread tokio runtime of its own, with every driver enabled.
    ///
    /// The host gets the next free addresses (10.0.0.2 and so on; the test itself runs on the host `test`), its own ports
    /// and descriptors, and `name` resolves to it on every host. It runs until its program or the test's body returns. A panic or an `Err`
    /// that leaves `program`'s future fails the run; a panic that stays inside a spawned task does where nobody asks how the task
    /// ended and an instrumented tokio says so: see [`Detector`](crate::Detector). `program` is called again
    /// when the host is [restarted](Host::restart).
    ///
    /// # Panics
    /// If a host of this name has a program already, and outside a simulation. A host that the test's `hosts` argument
    /// names has none yet.
    pub fn host<F, Fut>(&self, name: &str, program: F) -> Host
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: HostOutcome,
    {
        host::start_on_runtime(name, None, program)
    }

    /// As [`Sim::host`], on a multi-thread tokio runtime with so many workers.
    ///
    /// # Panics
    /// As [`Sim::host`], and if `workers` is 0.
    pub fn host_with_workers<F, Fut>(&self, name: &str, workers: usize, program: F) -> Host
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: HostOutcome,
    {
        assert!(workers > 0, "a runtime has at least one worker");
        host::start_on_runtime(name, Some(workers), program)
    }

    /// As [`Sim::host`], but `program` is the host's whole `main`: plain code, or code that builds a runtime of its own. When it
    /// returns, the process is over, as that of any `main`.
    ///
    /// ```no_run
    /// # fn example(sim: squall::Sim) {
    /// sim.host_main("blocking", || {
    ///     let listener = std::net::TcpListener::bind("0.0.0.0:80")?;
    ///     for connection in listener.incoming() {
    ///         std::thread::spawn(move || drop(connection));
    ///     }
    ///     std::io::Result::Ok(())
    /// });
    /// # }
    /// ```
    ///
    /// # Panics
    /// As [`Sim::host`].
    pub fn host_main<F, R>(&self, name: &str, program: F) -> Host
    where
        F: Fn() -> R + Send + 'static,
        R: HostOutcome,
    {
        host::start(name, program)
    }

    /// The host of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, name: &str) -> Host {
        let number = usize::from(names::number(name));
        self.hosts().swap_remove(number)
    }

    /// Crashes hosts: see [`Host::crash`].
    ///
    /// # Panics
    /// If there is no host of one of the names; so do the methods below.
    pub fn crash(&self, hosts: impl Hosts) {
        self.each(hosts, Host::crash);
    }

    /// Starts the programs of hosts anew: see [`Host::restart`].
    ///
    /// # Panics
    /// As [`Host::restart`].
    pub fn restart(&self, hosts: impl Hosts) {
        self.each(hosts, Host::restart);
    }

    /// Crashes hosts and starts their programs anew: see [`Host::bounce`].
    ///
    /// # Panics
    /// As [`Host::bounce`].
    pub fn bounce(&self, hosts: impl Hosts) {
        self.each(hosts, Host::bounce);
    }

    /// Freezes hosts: see [`Host::pause`].
    ///
    /// # Panics
    /// As [`Host::pause`].
    pub fn pause(&self, hosts: impl Hosts) {
        self.each(hosts, Host::pause);
    }

    /// Lets paused hosts go on: see [`Host::resume`].
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn resume(&self, hosts: impl Hosts) {
        self.each(hosts, Host::resume);
    }

    fn each(&self, hosts: impl Hosts, what: impl Fn(&Host)) {
        let hosts: Vec<Host> = hosts.names().iter().map(|name| self.get(name)).collect();
        hosts.iter().for_each(what);
    }

    /// All hosts, the test's own first.
    pub fn hosts(&self) -> Vec<Host> {
        crate::kernel::hosts().into_iter().map(Host::from).collect()
    }

    /// The link between two hosts, or between each of one group and each of another, both directions; to change how packets
    /// travel there.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn link(&self, a: impl Hosts, b: impl Hosts) -> Link {
        Link::between(a, b)
    }

    /// One direction of a link.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn link_oneway(&self, from: impl Hosts, to: impl Hosts) -> Link {
        Link::oneway(from, to)
    }

    /// Every link of the world, those to hosts that are yet to come included. What is set for single links before is
    /// overwritten, what is set after it is kept. Inside a host nothing is ever lost or delayed.
    pub fn network(&self) -> Link {
        Link::all()
    }

    /// Cuts the link between two hosts, or two groups of hosts, in both directions: packets that leave from now on are lost. TCP
    /// retransmits, and gives up with `ETIMEDOUT` after its usual time (about two minutes for a connection attempt, about
    /// a quarter of an hour for one that is established).
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn partition(&self, a: impl Hosts, b: impl Hosts) {
        Link::between(a, b).partition();
    }

    /// Cuts the link in one direction only.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn partition_oneway(&self, from: impl Hosts, to: impl Hosts) {
        Link::oneway(from, to).partition();
    }

    /// Repairs the link between two hosts, or two groups of hosts, in both directions.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn repair(&self, a: impl Hosts, b: impl Hosts) {
        Link::between(a, b).repair();
    }

    /// Divides hosts as Jepsen does: the seed decides who is on which side.
    ///
    /// ```no_run
    /// # async fn example(sim: squall::Sim) {
    /// use squall::Shape;
    /// let partition = sim.split(Shape::Halves, ["a", "b", "c"]);
    /// tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    /// partition.heal();
    /// # }
    /// ```
    ///
    /// # Panics
    /// If there is no host of one of the names, or fewer than two are named.
    pub fn split(&self, shape: Shape, hosts: impl Hosts) -> Partition {
        shape::split(&shape, hosts)
    }

    /// Packets between the hosts wait, in both directions, until [`Sim::release`].
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn hold(&self, a: impl Hosts, b: impl Hosts) {
        Link::between(a, b).hold();
    }

    /// Packets that wait since [`Sim::hold`] travel now.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn release(&self, a: impl Hosts, b: impl Hosts) {
        Link::between(a, b).release();
    }

    /// Every link as at the start of the run; packets that were held travel.
    pub fn heal_network(&self) {
        Link::all().heal();
    }

    /// Sets how long packets travel from one host to another, in this direction: a time, a range, or any [`Latency`].
    /// Default: 200 us to 1 ms.
    ///
    /// # Panics
    /// If there is no host of one of the names, or the range is empty.
    pub fn latency(&self, from: impl Hosts, to: impl Hosts, latency: impl Into<Latency>) {
        Link::oneway(from, to).latency(latency);
    }
}
