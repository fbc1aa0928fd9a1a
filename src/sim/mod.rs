//! What a test holds in its hands: the simulated world. `run` makes one [`Sim`] for each run and hands it to the test's
//! body; everything here calls the kernel.

mod host;

pub use host::{Host, HostOutcome};

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
    /// If a host of this name exists, and outside a simulation.
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
}
