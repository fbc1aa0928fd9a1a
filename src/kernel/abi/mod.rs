//! The C boundary: libc's symbols, each decoding its arguments, calling the kernel and encoding the result.
//!
//! One file per man-page family. A definition here takes the place of libc's own for everything that is linked with this
//! crate. On a simulated thread a call is answered by the kernel; on any other thread, and while the kernel itself runs, it
//! passes straight through. No decision is taken here.

pub(crate) mod early;
mod epoll;
mod file;
mod futex;
pub(crate) mod heap;
mod hooks;
mod loader;
mod number;
mod open;
mod poll;
pub mod preload;
mod process;
mod processors;
mod pthread;
mod pthread_meet;
mod pthread_sync;
mod random;
pub(crate) mod raw;
pub(crate) mod real;
mod resolve;
pub(crate) mod sancov;
mod signal;
mod socket;
mod stat;
mod time;
mod tokio;

use super::record::What;
use super::sched::Resume;
use super::thread;
use super::{Cost, Errno, Kernel, Result, Step, Touch};
use std::ffi::c_int;

pub use hooks::{hook_ended, hook_polled, hook_polls, hook_spawned};

pub(crate) use super::thread::simulated;
pub(crate) use signal::deliver;

/// A value that a call returns, as the digest and the trace see it.
pub(crate) trait Value: Copy {
    /// Its digest; must not depend on addresses.
    fn digest(self) -> u64;
}

impl Value for () {
    fn digest(self) -> u64 {
        0
    }
}

macro_rules! values {
    ($($t:ty),*) => { $(impl Value for $t { fn digest(self) -> u64 { self as u64 } })* };
}
values!(i32, i64, u32, u64, usize, isize, bool);

impl Value for (i32, i32) {
    fn digest(self) -> u64 {
        self.0 as u64 ^ ((self.1 as u64) << 32)
    }
}

/// Makes a kernel call on the running simulated thread: charges its cost, tries `attempt` until it is done, blocking in
/// between as it says, and lets the scheduler switch at the end.
#[inline(always)]
pub(crate) fn sys<T: Value>(
    name: &'static str,
    cost: Cost,
    mut attempt: impl FnMut(&mut Kernel) -> Step<T>,
) -> Result<T> {
    let me = thread::me();
    loop {
        let (mut next, done, in_poll) = thread::with_kernel(|k| {
            k.begin(cost);
            if k.end.is_some() {
                return (super::sched::CARRIER, None, false);
            }
            let step = match k.sched.me().resume {
                Resume::Interrupted => Step::Done(Err(Errno::EINTR)),
                _ => attempt(k),
            };
            match step {
                Step::Done(r) => {
                    k.note(name, r);
                    let next = k.reschedule();
                    k.sched.me_mut().resume = Resume::First;
                    (next, Some(r), false)
                }
                Step::Wait(wait) => {
                    k.block(name, wait);
                    if k.in_poll() && k.detect.wants_blocked() {
                        return (me, None, true);
                    }
                    (k.next_thread(), None, false)
                }
            }
        });
        if in_poll {
            next = thread::blocks_in_poll();
        }
        if next != me {
            thread::switch(me, next);
        }
        if let Some(r) = done {
            return r;
        }
    }
}

/// A scheduling point before the running thread does what `touch` says: reads or writes memory that others see, say. Costs
/// less time than a call. Outside a simulation it does nothing.
#[inline]
pub fn touch(touch: Touch) {
    if !simulated() {
        return;
    }
    let me = thread::me();
    let next = thread::with_kernel(|k| {
        k.begin(Cost::TOUCH);
        k.before(touch, false)
    });
    if next != me {
        thread::switch(me, next);
    }
}

/// As [`sys`] for a call that never blocks.
pub(crate) fn quick<T: Value>(
    name: &'static str,
    cost: Cost,
    mut call: impl FnMut(&mut Kernel) -> Result<T>,
) -> Result<T> {
    sys(name, cost, |k| Step::Done(call(k)))
}

/// As [`quick`], but the running thread keeps its turn: who could go on waits for its next call. For calls that programs
/// make with a lock held that all hosts share, such as that of standard output: a host that crashed there would never give it back.
pub(crate) fn steady<T: Value>(
    name: &'static str,
    cost: Cost,
    call: impl FnOnce(&mut Kernel) -> Result<T>,
) -> Result<T> {
    let me = thread::me();
    let (r, over) = thread::with_kernel(|k| {
        k.begin(cost);
        let r = call(k);
        k.note(name, r);
        (r, k.end.is_some())
    });
    if over {
        thread::switch(me, super::sched::CARRIER);
    }
    r
}

impl Kernel {
    #[inline]
    fn note<T: Value>(&mut self, name: &'static str, r: Result<T>) {
        let value = match r {
            Ok(v) => v.digest(),
            Err(e) => (e.0 as u64) | 1 << 63,
        };
        self.trace
            .fold(value ^ (u64::from(self.sched.current) << 48) ^ self.now.rotate_left(20));
        if self.trace.recording() {
            let (result, error) = match r {
                Ok(v) => (v.digest() as i64, None),
                Err(e) => (-1, Some(e.name().into())),
            };
            let wire = self.wire_of_call();
            let (name, about) = (name.into(), self.about_call());
            self.tell(
                What::Call {
                    name,
                    result,
                    error,
                    about,
                    wire,
                },
                true,
            );
        }
    }
}

/// C's convention for a call that returns a number: -1 and `errno` on failure.
#[inline]
pub(crate) fn ret_int(r: Result<i32>) -> c_int {
    match r {
        Ok(v) => v,
        Err(e) => fail(e),
    }
}

/// C's convention for a call that returns 0.
#[inline]
pub(crate) fn ret_unit(r: Result<()>) -> c_int {
    ret_int(r.map(|()| 0))
}

/// C's convention for a call that returns a length.
#[inline]
pub(crate) fn ret_size(r: Result<usize>) -> isize {
    match r {
        Ok(v) => v as isize,
        Err(e) => fail(e) as isize,
    }
}

/// Stores `errno` and returns -1.
#[inline]
pub(crate) fn fail(e: Errno) -> c_int {
    raw::set_errno(e.0);
    -1
}

/// The pthread convention: 0, or the error number itself.
#[inline]
pub(crate) fn pthread_result(r: Result<()>) -> c_int {
    match r {
        Ok(()) => 0,
        Err(e) => e.0,
    }
}

/// Refuses a call that cannot be simulated: a report line with the backtrace, and `errno`.
#[cold]
pub(crate) fn refuse(call: impl Into<String>, errno: Errno, tolerated: bool) -> Errno {
    // Copied there: what the program's own heap holds is gone after the run.
    let call = call.into();
    let (call, backtrace) =
        thread::outside_kernel(|| (call.as_str().to_owned(), thread::backtrace_here()));
    thread::with_kernel(|k| k.refuse(call, errno, tolerated, backtrace))
}

/// Nanoseconds of a `timespec`; `EINVAL` if it is out of range.
///
/// # Safety
/// `ts` must point to a readable `timespec`.
pub(crate) unsafe fn nanoseconds(ts: *const libc::timespec) -> Result<u64> {
    // SAFETY: the caller vouches for the pointer.
    let ts = unsafe { &*ts };
    if ts.tv_sec < 0 || !(0..1_000_000_000).contains(&ts.tv_nsec) {
        return Err(Errno::EINVAL);
    }
    Ok((ts.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(ts.tv_nsec as u64))
}

/// A `timespec` of so many nanoseconds.
pub(crate) fn timespec(ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    }
}

/// Whether a libc call on `fd` belongs to the kernel: a simulated descriptor, on a simulated thread.
#[inline]
pub(crate) fn ours(fd: c_int) -> bool {
    fd >= super::descriptor::FIRST && simulated()
}
