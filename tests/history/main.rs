//! Histories and their checkers, from outside.

mod linear;
mod oracle;
mod random;
mod weaker;
#[cfg(squall_kernel)]
mod world;
