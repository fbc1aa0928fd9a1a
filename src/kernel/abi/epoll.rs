//! epoll_create(2), epoll_ctl(2), epoll_wait(2).

use super::raw::{self, real};
use super::{nanoseconds, ours, quick, ret_int, ret_unit, simulated, sys};
use crate::kernel::descriptor::epoll::{Control, Epoll};
use crate::kernel::descriptor::{FIRST, Kind};
use crate::kernel::sched::{On, Resume, Wait};
use crate::kernel::{Cost, Errno, Result, Step};
use std::ffi::c_int;

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_create1(flags: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_epoll_create1, flags) as c_int;
    }
    ret_int(quick("epoll_create1", Cost::CALL, |k| {
        if flags & !libc::EPOLL_CLOEXEC != 0 {
            return Err(Errno::EINVAL);
        }
        k.open(Kind::Epoll(Box::<Epoll>::default()), false, flags != 0)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_create(size: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_epoll_create, size) as c_int;
    }
    if size <= 0 {
        return super::fail(Errno::EINVAL);
    }
    // SAFETY: epoll_create1 takes a flag word.
    unsafe { epoll_create1(0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(
    ep: c_int,
    op: c_int,
    fd: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    if !ours(ep) {
        return real!(SYS_epoll_ctl, ep, op, fd, event) as c_int;
    }
    ret_unit(quick("epoll_ctl", Cost::CALL, |k| {
        let id = k.object(ep)?;
        let op = match op {
            libc::EPOLL_CTL_ADD => Control::Add,
            libc::EPOLL_CTL_MOD => Control::Modify,
            libc::EPOLL_CTL_DEL => Control::Delete,
            _ => return Err(Errno::EINVAL),
        };
        if fd < FIRST {
            // A real file: Linux, too, refuses regular files.
            return Err(if super::file::is_open(fd) {
                Errno::EPERM
            } else {
                Errno::EBADF
            });
        }
        let (mask, data) = if op == Control::Delete {
            (0, 0)
        } else if event.is_null() {
            return Err(Errno::EFAULT);
        } else {
            // SAFETY: the caller passes a readable epoll_event, which may be unaligned because it is packed.
            let e = unsafe { event.read_unaligned() };
            (e.events, e.u64)
        };
        k.epoll_control(id, op, fd, mask, data)
    }))
}

fn wait(
    ep: c_int,
    events: *mut libc::epoll_event,
    max: c_int,
    timeout: Option<u64>,
) -> Result<i32> {
    let mut until = None;
    sys("epoll_wait", Cost::CALL, |k| {
        let id = match k.object(ep) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        if max <= 0 {
            return Step::Done(Err(Errno::EINVAL));
        }
        let mut n = 0;
        let collected = k.epoll_collect(id, max as usize, |ready, data| {
            // SAFETY: the caller passes room for `max` events; epoll_collect reports no more. Each is packed.
            unsafe {
                events.add(n).write_unaligned(libc::epoll_event {
                    events: ready,
                    u64: data,
                });
            }
            n += 1;
        });
        match collected {
            Err(e) => Step::Done(Err(e)),
            Ok(0) if timeout != Some(0) && k.sched.me().resume != Resume::TimedOut => {
                if until.is_none() {
                    until = timeout.map(|ns| k.after(ns));
                }
                Step::Wait(Wait {
                    on: On::Object(id),
                    until,
                })
            }
            Ok(n) => {
                k.sched.point = true;
                if n > 0 {
                    k.progress();
                }
                Step::Done(Ok(n as i32))
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    ep: c_int,
    events: *mut libc::epoll_event,
    max: c_int,
    timeout: c_int,
) -> c_int {
    if !ours(ep) {
        return real!(SYS_epoll_wait, ep, events, max, timeout) as c_int;
    }
    let timeout = u64::try_from(timeout).ok().map(|ms| ms * 1_000_000);
    ret_int(wait(ep, events, max, timeout))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait(
    ep: c_int,
    events: *mut libc::epoll_event,
    max: c_int,
    timeout: c_int,
    mask: *const libc::sigset_t,
) -> c_int {
    if !ours(ep) {
        return real!(SYS_epoll_pwait, ep, events, max, timeout, mask, 8) as c_int;
    }
    // SAFETY: the caller's contract is the same; simulated threads receive no signals, so the mask has no effect.
    unsafe { epoll_wait(ep, events, max, timeout) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait2(
    ep: c_int,
    events: *mut libc::epoll_event,
    max: c_int,
    timeout: *const libc::timespec,
    mask: *const libc::sigset_t,
) -> c_int {
    if !ours(ep) {
        // SAFETY: the arguments are the caller's.
        return raw::c_result(unsafe {
            raw::call6(
                libc::SYS_epoll_pwait2,
                [
                    ep as usize,
                    events as usize,
                    max as usize,
                    timeout as usize,
                    mask as usize,
                    8,
                ],
            )
        }) as c_int;
    }
    let timeout = if timeout.is_null() {
        Ok(None)
    } else {
        // SAFETY: the caller passes a readable timespec.
        unsafe { nanoseconds(timeout) }.map(Some)
    };
    ret_int(timeout.and_then(|t| wait(ep, events, max, t)))
}
