//! The kernel's face on madsim's simulator, for a build with the feature `madsim` and `--cfg madsim`: `sim`, `fault`, `check`, `draw` and
//! `traffic` call the same functions, and get the same answers from the same streams of the seed. None of the kernel is in such a build.
//!
//! `engine` has the run and drives the test's body, `doors` what anybody may ask of it, `hosts` and `links` what can be broken, `detect` what detectors find, `waits` how
//! the harness's own code waits. Tasks, time and packets are madsim's, and so is what orders them; what it cannot do ends the run
//! through [`refuse`], which names it. A run has a thread of its own, and all of it happens there.

mod detect;
mod doors;
mod engine;
mod hosts;
mod links;
pub(super) mod waits;

pub use super::elsewhere::{
    Moment, Unrest, Watch, Watched, alive, instrumented, intend, touch, unrest_text, unseen,
    watched_waker,
};
pub use detect::{RootPoll, allow, allow_at, body_done, found, judge};
pub use doors::*;
pub use engine::{Came, RunValue, block_on, is_end, refuse, simulate};
pub use hosts::*;
pub use links::{change_link, link_setting};
