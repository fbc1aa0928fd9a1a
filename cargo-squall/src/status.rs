//! The exit statuses, as `docs/contract.md` lists them. Every other file ends with one of these.

/// Everything held.
pub const HELD: u8 = 0;
/// A property failed.
pub const FAILED: u8 = 1;
/// Wrong usage or input; a program that does not compile is one.
pub const USAGE: u8 = 2;
/// Squall itself failed: nondeterminism, a refused call, an error of its own.
pub const TROUBLE: u8 = 3;
