//! What must hold of a run: properties that a test states, looked at while the run goes on, and histories of operations and what can be
//! said of them.
//!
//! `detect` looks for what is wrong in any program.
//!
//! Tests come here through `Sim`'s methods, the macros of `squall-points` and `squall::history`; `run` asks for a last look when the
//! body has returned. A broken property ends the run through `kernel::violate`; what must happen at least once is counted with
//! `kernel::tally`. Histories are data in and a verdict out; of the kernel they take the time alone.

pub(crate) mod detect;
pub mod history;
mod look;
mod mark;
mod property;

pub use detect::Allowed;
pub use look::{Condition, Look};
pub use mark::{Mark, Monitor};
pub use property::{Check, Property};

pub(crate) use look::Looker;
pub(crate) use mark::mark;
pub(crate) use property::{Kind, finish, monitor, state};

use std::panic::Location;

/// The kind of the tallies of properties that a test states.
pub(crate) const SOMETIMES: &str = "sometimes";
/// The same of its marks.
pub(crate) const REACHABLE: &str = "reachable";

/// A place, as failures name it.
pub(crate) fn site(at: &Location<'_>) -> String {
    format!("{}:{}:{}", at.file(), at.line(), at.column())
}
