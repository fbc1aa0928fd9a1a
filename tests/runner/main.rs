//! The runner as its users see it: tests that fail in every way there is, run as processes of their own, and what is said
//! of each.
//!
//! `fixtures` holds the tests that are run; they are ignored otherwise. The files beside it hold the tests about them.
//! Nothing here asserts on wall time.

mod drive;
mod environment;
mod events;
mod fixtures;
mod logs;
mod parameters;
mod processes;
mod reports;
mod stories;
mod verdicts;
mod watched;
