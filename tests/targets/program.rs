//! What a program of the targets is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Set by the program whose bug shows. A deadlock shows by itself.
pub type Found = Arc<AtomicBool>;

/// A program, and its repaired twin.
pub struct Program {
    pub name: &'static str,
    pub bad: fn(Found),
    pub good: fn(Found),
}
