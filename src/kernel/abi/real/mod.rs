//! The real system for the harness: safe doors to what std does not offer.
//!
//! `run` forks, maps shared memory, catches fatal signals and waits through here; the unsafe code of all that is in these
//! files. The functions are for threads outside the simulation, except where one says that it may run on a simulated
//! thread or in a signal handler.

pub(crate) mod blackbox;
pub(crate) mod crash;
pub(crate) mod interrupt;
pub(crate) mod memory;
pub(crate) mod modules;
pub(crate) mod poll;
pub(crate) mod process;

/// The calling thread's last system error.
fn last_error() -> std::io::Error {
    std::io::Error::last_os_error()
}
