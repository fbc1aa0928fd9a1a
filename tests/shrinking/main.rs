//! What shrinking makes of known bugs: `cargo test --release --test shrinking -- --ignored --nocapture table` prints sizes
//! before and after. The quick tests hold the small kernels to a dozen switches, and replay lines to their failures.
#![cfg(squall_kernel)]

mod bugs;
#[path = "../runner/drive.rs"]
#[allow(dead_code)]
mod drive;
mod explain;
#[path = "../runner/fixtures.rs"]
#[allow(dead_code)]
mod fixtures;
#[path = "../targets/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "../targets/programs.rs"]
#[allow(dead_code)]
mod programs;
mod replay;
mod says;
#[path = "../targets/shared.rs"]
mod shared;
mod sizes;
