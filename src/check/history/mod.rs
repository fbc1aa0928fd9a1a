//! Histories: what the clients of a test did and what came of it, and checkers that say whether a correct system could have
//! answered so.
//!
//! [`History`] records; it is shared by tasks and hosts, and takes data from elsewhere too. The checkers want nothing else:
//!
//! | question | call |
//! |---|---|
//! | linearizable? | [`History::check`] with a [`Model`] |
//! | sequentially consistent, key by key? | [`History::check_sequential`] |
//!
//! Each returns a `Result` whose error says in words, and with the operations, what is wrong; `?` in a test is enough.

mod error;
mod linear;
mod model;
mod models;
mod record;
mod recorder;
mod timeline;

pub use error::{CheckError, Counterexample};
pub use linear::{Bound, Checked};
pub use model::Model;
pub use models::*;
pub use record::{ClientId, Moment, Outcome, Record};
pub use recorder::{Client, History, Pending};
