//! Histories: what the clients of a test did and what came of it, and checkers that say whether a correct system could have
//! answered so.
//!
//! [`History`] records; it is shared by tasks and hosts, and takes data from elsewhere too. The checkers want nothing else:
//!
//! | question | call |
//! |---|---|
//! | linearizable? | [`History::check`] with a [`Model`] |
//! | sequentially consistent, key by key? | [`History::check_sequential`] |
//! | read your writes, monotonic reads, causal, how stale, converged? | [`Sessions`] |
//! | effects exactly once, messages lost or duplicated, in order? | [`Effects`] |
//! | does a sum stay what it must be? | [`Conservation`] |
//! | each operation as strong as was promised? | [`Matrix`] |
//!
//! Each returns a `Result` whose error says in words, and with the operations, what is wrong; `?` in a test is enough.
//! `docs/histories.md` in the repository is the guide.

mod conservation;
mod effects;
mod error;
mod linear;
mod matrix;
mod model;
mod models;
mod record;
mod recorder;
mod sessions;
mod timeline;
mod versions;

pub use conservation::{Conservation, Flow};
pub use effects::Effects;
pub use error::{CheckError, Counterexample};
pub use linear::{Bound, Checked};
pub use matrix::{Consistency, Matrix};
pub use model::Model;
pub use models::*;
pub use record::{ClientId, Moment, Outcome, Record};
pub use recorder::{Client, History, Pending};
pub use sessions::{Access, Sessions};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/histories.md")]
struct Guide;
