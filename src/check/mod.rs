//! What must hold of a run: histories of operations and what can be said of them.
//!
//! Tests call in here through `squall::history`. Data in, verdict out; of the kernel it takes the time alone.

pub mod history;
