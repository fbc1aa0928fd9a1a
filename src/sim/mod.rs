//! What a test holds in its hands: the simulated world. `run` makes one [`Sim`] for each run and hands it to the test's
//! body; everything here calls the kernel.

mod host;
mod link;

pub use host::{Host, HostOutcome};

use std::ops::RangeInclusive;
use std::time::Duration;

/// The simulated world of one run.
///
/// A handle: clones share the world.
#[derive(Clone, Debug)]
pub struct Sim {
    seed: u64,
}

impl Sim {
    /// The world of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Sim { seed }
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
    /// and descriptors, and `name` resolves to it on every host. It runs until the test's body returns. A panic or an `Err`
    /// that leaves `program`'s future fails the run; a panic that stays inside a spawned task does not.
    ///
    /// # Panics
    /// If a host of this name runs a program already, and outside a simulation. A host that the test's `hosts` argument
    /// names has none yet.
    pub fn host<F, Fut>(&self, name: &str, program: F) -> Host
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: HostOutcome,
    {
        host::start(name, program)
    }

    /// All hosts, the test's own first.
    pub fn hosts(&self) -> Vec<Host> {
        crate::kernel::hosts().into_iter().map(Host::from).collect()
    }

    /// Cuts the link between two hosts in both directions: packets that leave from now on are lost. TCP retransmits, and
    /// gives up with `ETIMEDOUT` after its usual time (about two minutes for a connection attempt, about a quarter of an
    /// hour for one that is established).
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn partition(&self, a: &str, b: &str) {
        link::cut(a, b, true);
    }

    /// Cuts the link in one direction only.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn partition_oneway(&self, from: &str, to: &str) {
        link::cut_oneway(from, to, true);
    }

    /// Repairs the link between two hosts in both directions.
    ///
    /// # Panics
    /// If there is no host of one of the names.
    pub fn repair(&self, a: &str, b: &str) {
        link::cut(a, b, false);
    }

    /// Sets how long packets travel from one host to another: uniform over the range. Default: 200 us to 1 ms.
    ///
    /// # Panics
    /// If there is no host of one of the names, or the range is empty.
    pub fn latency(&self, from: &str, to: &str, range: RangeInclusive<Duration>) {
        link::latency(from, to, &range);
    }
}
