//! The world that a test builds and breaks: links, hosts, clocks. Stock tokio and std on top, each seed run twice.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

mod hosts;
mod links;
mod memory;
mod resources;
mod signals;
