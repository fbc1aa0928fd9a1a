//! Histories and their checkers, from outside.

mod linear;
mod oracle;
mod random;
