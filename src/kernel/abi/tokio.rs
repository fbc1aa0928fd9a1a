//! The questions of a tokio that `cargo squall` instrumented. They come as system calls with numbers that Linux does not
//! have, so that the copy of tokio needs no dependency on this crate and works in programs without it: there the call
//! fails, and tokio does what it always does.
//!
//! `cargo-squall/src/instrument/bridge.rs` holds the other side; the numbers and the answers are agreed between the two.

use super::raw;
use super::simulated;
use crate::kernel::thread;
use std::ffi::c_long;

/// Whether the calling thread is simulated by a kernel that answers the questions below: 1 if so.
const HELLO: c_long = 0x5a11_0000;
/// A task is about to be polled; the argument says how many are ready. The answer is the index of the one to poll.
const PICK: c_long = 0x5a11_0001;
/// The budget of the poll that begins, and from bit 8 on how many further polls on this thread need not ask.
const BUDGET: c_long = 0x5a11_0002;
/// A worker of a multi_thread runtime is about to poll: another thread may go on first. The answer is 0.
const POINT: c_long = 0x5a11_0003;
/// The argument says how many tasks tokio polls before the driver's turn. The answer takes its place.
const ROUND: c_long = 0x5a11_0004;

/// The answer to one of these questions; `None` for every other system call.
#[inline]
pub(super) fn answer(n: c_long, a: usize) -> Option<c_long> {
    if n & !0xf != HELLO {
        return None;
    }
    if !simulated() {
        // The real system does not know the number either, and need not be asked.
        raw::set_errno(libc::ENOSYS);
        return Some(-1);
    }
    Some(match n {
        HELLO => 1,
        PICK => poll_one_of(a),
        BUDGET => {
            let (budget, polls) = thread::with_kernel(|k| k.budget());
            (budget | polls << 8) as c_long
        }
        POINT => poll_one_of(1),
        ROUND => thread::with_kernel(|k| k.polls_until_driver(a as u64)) as c_long,
        _ => {
            raw::set_errno(libc::ENOSYS);
            -1
        }
    })
}

#[inline]
fn poll_one_of(tasks: usize) -> c_long {
    let me = thread::me();
    let (index, next) = thread::with_kernel(|k| k.poll_one_of(tasks as u32));
    if next != me {
        thread::switch(me, next);
    }
    c_long::from(index)
}
