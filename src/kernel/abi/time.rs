//! clock_gettime(2), nanosleep(2), timerfd_create(2), time(2) and their kin.

use super::raw::{self, next, real};
use super::{nanoseconds, ours, quick, refuse, ret_int, ret_unit, simulated, sys, timespec};
use crate::kernel::clock::Until;
use crate::kernel::descriptor::Kind;
use crate::kernel::descriptor::timerfd::{TimerFd, TimerFlags, TimerSetting};
use crate::kernel::host::BOOT_NS;
use crate::kernel::sched::{On, Resume, Wait};
use crate::kernel::{Cost, Errno, Kernel, Result, Step};
use std::ffi::{c_int, c_uint};

impl Kernel {
    /// The reading of a clock in nanoseconds. Processor-time clocks show the time that has passed: one simulated thread
    /// runs at a time, and time passes only for what is charged to it.
    fn clock(&self, id: libc::clockid_t) -> Result<u64> {
        match id {
            libc::CLOCK_REALTIME
            | libc::CLOCK_REALTIME_COARSE
            | libc::CLOCK_REALTIME_ALARM
            | libc::CLOCK_TAI => Ok(self.realtime()),
            libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE => Ok(self.monotonic()),
            libc::CLOCK_BOOTTIME | libc::CLOCK_BOOTTIME_ALARM => {
                Ok(self.monotonic() + self.host().clocks.suspended)
            }
            // No time server slews it.
            libc::CLOCK_MONOTONIC_RAW => Ok(BOOT_NS + self.now - self.host().clocks.suspended),
            libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID => Ok(self.now),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The moment at which clock `id` shows `ns`.
    pub(super) fn until_clock_shows(&self, id: libc::clockid_t, ns: u64) -> Result<Until> {
        let shows = self.clock(id)?;
        Ok(match id {
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_ALARM | libc::CLOCK_TAI => Until {
                wall: true,
                shows: ns,
            },
            _ => self.after(ns.saturating_sub(shows)),
        })
    }
}

fn read_clock(id: libc::clockid_t) -> Result<u64> {
    let cost = super::thread::with_kernel(|k| k.clock_cost);
    quick("clock_gettime", cost, |k| k.clock(id))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(id: libc::clockid_t, ts: *mut libc::timespec) -> c_int {
    if !simulated() {
        return real!(SYS_clock_gettime, id, ts) as c_int;
    }
    match read_clock(id) {
        Ok(ns) => {
            // SAFETY: the caller passes a writable timespec.
            unsafe { *ts = timespec(ns) };
            0
        }
        Err(e) => super::fail(e),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_getres(id: libc::clockid_t, ts: *mut libc::timespec) -> c_int {
    if !simulated() {
        return real!(SYS_clock_getres, id, ts) as c_int;
    }
    ret_unit(quick("clock_getres", Cost::CLOCK, |k| {
        k.clock(id)?;
        if !ts.is_null() {
            // SAFETY: the caller passes a writable timespec or null.
            unsafe { *ts = timespec(1) };
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_settime(id: libc::clockid_t, ts: *const libc::timespec) -> c_int {
    if !simulated() {
        return real!(SYS_clock_settime, id, ts) as c_int;
    }
    super::fail(refuse("clock_settime", Errno::EPERM, false))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(tv: *mut libc::timeval, tz: *mut libc::timezone) -> c_int {
    if !simulated() {
        return real!(SYS_gettimeofday, tv, tz) as c_int;
    }
    let ns = read_clock(libc::CLOCK_REALTIME).unwrap_or(0);
    if !tv.is_null() {
        // SAFETY: the caller passes a writable timeval or null.
        unsafe {
            *tv = libc::timeval {
                tv_sec: (ns / 1_000_000_000) as i64,
                tv_usec: (ns % 1_000_000_000 / 1000) as i64,
            }
        };
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn time(out: *mut libc::time_t) -> libc::time_t {
    let seconds = if simulated() {
        (read_clock(libc::CLOCK_REALTIME).unwrap_or(0) / 1_000_000_000) as libc::time_t
    } else {
        real!(SYS_time, 0) as libc::time_t
    };
    if !out.is_null() {
        // SAFETY: the caller passes a writable time_t or null.
        unsafe { *out = seconds };
    }
    seconds
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock() -> libc::clock_t {
    if !simulated() {
        return next!(c"clock", fn() -> libc::clock_t);
    }
    (read_clock(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0) / 1000) as libc::clock_t
}

#[unsafe(no_mangle)]
unsafe extern "C" fn times(out: *mut libc::tms) -> libc::clock_t {
    if !simulated() {
        return real!(SYS_times, out) as libc::clock_t;
    }
    let ticks = (read_clock(libc::CLOCK_MONOTONIC).unwrap_or(0) / 10_000_000) as libc::clock_t;
    if !out.is_null() {
        // SAFETY: the caller passes a writable tms or null; all-zero is a valid value.
        unsafe { *out = std::mem::zeroed() };
    }
    ticks
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrusage(who: c_int, out: *mut libc::rusage) -> c_int {
    if !simulated() {
        return real!(SYS_getrusage, who, out) as c_int;
    }
    let ns = read_clock(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0);
    // SAFETY: the caller passes a writable rusage; all-zero is a valid value.
    unsafe {
        *out = std::mem::zeroed();
        (*out).ru_utime.tv_sec = (ns / 1_000_000_000) as i64;
        (*out).ru_utime.tv_usec = (ns % 1_000_000_000 / 1000) as i64;
    }
    0
}

/// Sleeps until the clock `id` shows `ns`, or for `ns` if relative. What was left of that when a signal came is stored in `left`.
fn sleep_on(
    name: &'static str,
    id: libc::clockid_t,
    absolute: bool,
    ns: u64,
    left: &mut u64,
) -> Result<()> {
    let mut until = None;
    let r = sys(name, Cost::CALL, |k| {
        if k.sched.me().resume == Resume::TimedOut {
            return Step::Done(Ok(()));
        }
        let at = match until {
            Some(at) => at,
            None if absolute => match k.until_clock_shows(id, ns) {
                Ok(at) => at,
                Err(e) => return Step::Done(Err(e)),
            },
            None => k.after(ns),
        };
        until = Some(at);
        if k.reached(at) {
            k.sched.point = true;
            return Step::Done(Ok(()));
        }
        Step::Wait(Wait {
            on: On::Clock,
            until: Some(at),
        })
    });
    if let (Err(Errno::EINTR), Some(at)) = (r, until) {
        let now = super::thread::with_kernel(|k| k.monotonic());
        *left = at.shows.saturating_sub(now);
    }
    r
}

/// Stores what is left of a sleep, if the caller wants to know.
///
/// # Safety
/// `remain` must be null or writable.
unsafe fn store_remain(remain: *mut libc::timespec, left: u64) {
    if !remain.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *remain = timespec(left) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    id: libc::clockid_t,
    flags: c_int,
    request: *const libc::timespec,
    remain: *mut libc::timespec,
) -> c_int {
    if !simulated() {
        // SAFETY: the arguments are the caller's.
        return -unsafe {
            raw::call6(
                libc::SYS_clock_nanosleep,
                [
                    id as usize,
                    flags as usize,
                    request as usize,
                    remain as usize,
                    0,
                    0,
                ],
            )
        } as c_int;
    }
    let (absolute, mut left) = (flags & libc::TIMER_ABSTIME != 0, 0);
    // SAFETY: the caller passes a readable timespec.
    let r = unsafe { nanoseconds(request) }
        .and_then(|ns| sleep_on("clock_nanosleep", id, absolute, ns, &mut left));
    if r == Err(Errno::EINTR) && !absolute {
        // SAFETY: the caller passes null or a writable timespec.
        unsafe { store_remain(remain, left) };
    }
    super::pthread_result(r)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(
    request: *const libc::timespec,
    remain: *mut libc::timespec,
) -> c_int {
    if !simulated() {
        return real!(SYS_nanosleep, request, remain) as c_int;
    }
    let mut left = 0;
    // SAFETY: the caller passes a readable timespec.
    let r = unsafe { nanoseconds(request) }
        .and_then(|ns| sleep_on("nanosleep", libc::CLOCK_MONOTONIC, false, ns, &mut left));
    if r == Err(Errno::EINTR) {
        // SAFETY: the caller passes null or a writable timespec.
        unsafe { store_remain(remain, left) };
    }
    ret_unit(r)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn usleep(us: c_uint) -> c_int {
    if !simulated() {
        return next!(c"usleep", fn(c_uint) -> c_int, us);
    }
    ret_unit(sleep_on(
        "usleep",
        libc::CLOCK_MONOTONIC,
        false,
        u64::from(us) * 1000,
        &mut 0,
    ))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sleep(seconds: c_uint) -> c_uint {
    if !simulated() {
        return next!(c"sleep", fn(c_uint) -> c_uint, seconds);
    }
    let mut left = 0;
    let _ = sleep_on(
        "sleep",
        libc::CLOCK_MONOTONIC,
        false,
        u64::from(seconds) * 1_000_000_000,
        &mut left,
    );
    left.div_ceil(1_000_000_000) as c_uint
}

#[unsafe(no_mangle)]
unsafe extern "C" fn timerfd_create(id: c_int, flags: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_timerfd_create, id, flags) as c_int;
    }
    ret_int(quick("timerfd_create", Cost::CALL, |k| {
        let realtime = match id {
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_ALARM => true,
            libc::CLOCK_MONOTONIC | libc::CLOCK_BOOTTIME | libc::CLOCK_BOOTTIME_ALARM => false,
            _ => return Err(Errno::EINVAL),
        };
        if flags & !(libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) != 0 {
            return Err(Errno::EINVAL);
        }
        k.open(
            Kind::TimerFd(TimerFd::new(realtime)),
            flags & libc::TFD_NONBLOCK != 0,
            flags & libc::TFD_CLOEXEC != 0,
        )
    }))
}

fn itimerspec(s: TimerSetting) -> libc::itimerspec {
    libc::itimerspec {
        it_interval: timespec(s.interval),
        it_value: timespec(s.value),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn timerfd_settime(
    fd: c_int,
    flags: c_int,
    new: *const libc::itimerspec,
    old: *mut libc::itimerspec,
) -> c_int {
    if !ours(fd) {
        return real!(SYS_timerfd_settime, fd, flags, new, old) as c_int;
    }
    ret_unit(quick("timerfd_settime", Cost::CALL, |k| {
        let id = k.object(fd)?;
        // SAFETY: the caller passes a readable itimerspec.
        let setting = unsafe {
            TimerSetting {
                value: nanoseconds(&raw const (*new).it_value)?,
                interval: nanoseconds(&raw const (*new).it_interval)?,
            }
        };
        let flags = TimerFlags {
            absolute: flags & libc::TFD_TIMER_ABSTIME != 0,
            cancel_on_set: flags & libc::TFD_TIMER_CANCEL_ON_SET != 0,
        };
        let previous = k.timer_set(id, flags, setting)?;
        if !old.is_null() {
            // SAFETY: the caller passes a writable itimerspec or null.
            unsafe { *old = itimerspec(previous) };
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn timerfd_gettime(fd: c_int, out: *mut libc::itimerspec) -> c_int {
    if !ours(fd) {
        return real!(SYS_timerfd_gettime, fd, out) as c_int;
    }
    ret_unit(quick("timerfd_gettime", Cost::CALL, |k| {
        let id = k.object(fd)?;
        let setting = k.timer_get(id)?;
        // SAFETY: the caller passes a writable itimerspec.
        unsafe { *out = itimerspec(setting) };
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn timer_create(
    id: c_int,
    event: *mut libc::sigevent,
    out: *mut libc::timer_t,
) -> c_int {
    if !simulated() {
        return next!(
            c"timer_create",
            fn(c_int, *mut libc::sigevent, *mut libc::timer_t) -> c_int,
            id,
            event,
            out
        );
    }
    super::fail(refuse("timer_create", Errno::ENOSYS, false))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn setitimer(
    which: c_int,
    new: *const libc::itimerval,
    old: *mut libc::itimerval,
) -> c_int {
    if !simulated() {
        return real!(SYS_setitimer, which, new, old) as c_int;
    }
    super::fail(refuse("setitimer", Errno::ENOSYS, false))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alarm(seconds: c_uint) -> c_uint {
    if !simulated() {
        return real!(SYS_alarm, seconds) as c_uint;
    }
    refuse("alarm", Errno::ENOSYS, false);
    0
}
