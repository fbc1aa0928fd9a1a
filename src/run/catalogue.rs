//! Every test of a program, put together by the linker: each attribute adds its own. `listing` tells them to the command.

#[cfg(target_os = "linux")]
use super::origin::Site;

/// Where the attribute puts its tests.
#[cfg(target_os = "linux")]
#[squall_points::__private::linkme::distributed_slice]
#[linkme(crate = squall_points::__private::linkme)]
pub static TESTS: [Site];
