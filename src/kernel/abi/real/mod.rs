//! The doors to the real operating system for `run`.
