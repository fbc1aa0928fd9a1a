//! Faults that hit futures: dropping them where they wait, polling them when nothing woke them, giving them another waker at
//! each poll. All of it is within the contract of `Future`, and all of it happens in production: `select!` and timeouts
//! drop, `join!` polls for its neighbours' sake, and a future that moves between tasks gets another waker.
//!
//! Tests call in here through `squall::stress` and its neighbours, `run` applies the switch of a test to its body. Every decision
//! is drawn from the run's choices, so that it is logged and replayed; 0 always means "no fault". Calls `kernel` alone.

pub(crate) mod buggify;
mod cancel;
mod cut;
mod disturbance;
pub(crate) mod names;
pub(crate) mod nemesis;
pub(crate) mod point;
pub(crate) mod shape;
pub(crate) mod site;
mod stress;

pub use cancel::{
    CancelEachAwait, CancelEachAwaitOf, SweepError, Swept, cancel_at_every_await,
    cancel_at_every_await_of,
};
pub(crate) use cut::Cut;
pub use cut::{CancelAtSomeAwait, Cancelled, cancel_at_some_await};
pub use disturbance::Disturbance;
pub(crate) use disturbance::Disturbances;
pub use names::Hosts;
pub use nemesis::{
    Breakable, Fault, FaultKind, FaultWindow, HostRanges, LinkRanges, Nemesis, NemesisOptions,
    Plan, UnknownFault,
};
pub use point::{FaultPoint, cancellable};
pub use shape::Shape;
pub use stress::{Faults, Stress, stress, stress_with};

use crate::kernel::{self, Domain};

/// Whether something happens that has one chance in four: a fault site is active in a quarter of the runs, and an active one
/// fires at a quarter of its visits. Never outside a simulation.
fn quarter() -> bool {
    kernel::draw(Domain::Faults, 4) == Some(3)
}
