//! The world that a test builds and breaks: links, hosts, clocks. Stock tokio and std on top, each seed run twice.
#![cfg(squall_kernel)]

#[path = "../common/echo.rs"]
mod echo;
mod hosts;
mod links;
mod memory;
mod resources;
mod signals;
