//! Histories and their checkers, from outside.

mod linear;
mod oracle;
mod random;
mod weaker;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod world;
