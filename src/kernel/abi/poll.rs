//! poll(2), ppoll(2), select(2), pselect(2).

use super::raw::real;
use super::{nanoseconds, ret_int, simulated, sys};
use crate::kernel::descriptor::{FIRST, ObjectId, bits};
use crate::kernel::sched::{On, Resume, Wait};
use crate::kernel::{Cost, Errno, Kernel, Result, Step};
use libc::{fd_set, pollfd, sigset_t, timespec, timeval};
use std::ffi::c_int;

/// Blocks until `scan` counts a ready descriptor or the time is over. `scan` also lists what to wait for.
fn wait_for(
    name: &'static str,
    timeout: Option<u64>,
    mut scan: impl FnMut(&mut Kernel, &mut Vec<ObjectId>) -> Result<i32>,
) -> Result<i32> {
    let mut until = None;
    sys(name, Cost::CALL, |k| {
        let mut objects = Vec::new();
        match scan(k, &mut objects) {
            Err(e) => Step::Done(Err(e)),
            Ok(0) if timeout != Some(0) && k.sched.me().resume != Resume::TimedOut => {
                if until.is_none() {
                    until = timeout.map(|ns| k.after(ns));
                }
                objects.sort_unstable();
                objects.dedup();
                Step::Wait(Wait {
                    on: On::Objects(objects),
                    until,
                })
            }
            Ok(n) => {
                k.sched.point = true;
                Step::Done(Ok(n))
            }
        }
    })
}

fn poll_all(fds: *mut pollfd, n: libc::nfds_t, timeout: Option<u64>) -> Result<i32> {
    let fds: &mut [pollfd] = if n == 0 {
        &mut []
    } else {
        // SAFETY: poll(2): the caller passes `n` records to read and write.
        unsafe { std::slice::from_raw_parts_mut(fds, n as usize) }
    };
    wait_for("poll", timeout, |k, objects| {
        let mut ready = 0;
        for f in fds.iter_mut() {
            f.revents = 0;
            if f.fd < 0 {
                continue;
            }
            let found = if f.fd < FIRST {
                // A real file: regular files are always ready.
                if super::file::is_open(f.fd) {
                    u32::from(f.events as u16) & (bits::IN | bits::OUT)
                } else {
                    libc::POLLNVAL as u32
                }
            } else {
                match k.object(f.fd) {
                    Ok(id) => {
                        objects.push(id);
                        k.readiness(id) & (u32::from(f.events as u16) | bits::ERR | bits::HUP)
                    }
                    Err(_) => libc::POLLNVAL as u32,
                }
            };
            f.revents = found as i16;
            ready += i32::from(found != 0);
        }
        Ok(ready)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn poll(fds: *mut pollfd, n: libc::nfds_t, timeout: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_poll, fds, n, timeout) as c_int;
    }
    ret_int(poll_all(
        fds,
        n,
        u64::try_from(timeout).ok().map(|ms| ms * 1_000_000),
    ))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ppoll(
    fds: *mut pollfd,
    n: libc::nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    if !simulated() {
        // Linux writes the time that is left into the argument, which the C function promises not to do.
        // SAFETY: the caller passes a readable timespec or null.
        let mut copy = (!timeout.is_null()).then(|| unsafe { *timeout });
        let p = copy.as_mut().map_or(std::ptr::null_mut(), |t| &raw mut *t);
        return real!(SYS_ppoll, fds, n, p, mask, 8) as c_int;
    }
    let timeout = if timeout.is_null() {
        Ok(None)
    } else {
        // SAFETY: the caller passes a readable timespec.
        unsafe { nanoseconds(timeout) }.map(Some)
    };
    ret_int(timeout.and_then(|t| poll_all(fds, n, t)))
}

/// Reads one bit of a descriptor set.
///
/// # Safety
/// `set` must be null or a readable fd_set, and `fd` below `FD_SETSIZE`.
unsafe fn has(set: *mut fd_set, fd: c_int) -> bool {
    // SAFETY: the caller's promise.
    !set.is_null() && unsafe { libc::FD_ISSET(fd, set) }
}

fn select_all(n: c_int, sets: [*mut fd_set; 3], timeout: Option<u64>) -> Result<i32> {
    if !(0..=libc::FD_SETSIZE as c_int).contains(&n) {
        return Err(Errno::EINVAL);
    }
    let mut asked = Vec::new();
    for fd in 0..n {
        // SAFETY: select(2): the caller passes readable sets or null, and `fd` is below FD_SETSIZE.
        let wanted = sets.map(|s| unsafe { has(s, fd) });
        if wanted.contains(&true) {
            asked.push((fd, wanted));
        }
    }
    wait_for("select", timeout, |k, objects| {
        let mut answer = Vec::new();
        for (fd, wanted) in &asked {
            let ready = if *fd < FIRST {
                if !super::file::is_open(*fd) {
                    return Err(Errno::EBADF);
                }
                bits::IN | bits::OUT
            } else {
                let id = k.object(*fd)?;
                objects.push(id);
                k.readiness(id)
            };
            let masks = [
                bits::IN | bits::HUP | bits::ERR,
                bits::OUT | bits::ERR,
                bits::PRI,
            ];
            for i in 0..3 {
                if wanted[i] && ready & masks[i] != 0 {
                    answer.push((*fd, sets[i]));
                }
            }
        }
        let timed_out = timeout == Some(0) || k.sched.me().resume == Resume::TimedOut;
        if !answer.is_empty() || timed_out {
            for set in sets {
                if !set.is_null() {
                    // SAFETY: the caller passes writable sets or null.
                    unsafe { libc::FD_ZERO(set) };
                }
            }
            for (fd, set) in &answer {
                // SAFETY: as above; the descriptor was in this set.
                unsafe { libc::FD_SET(*fd, *set) };
            }
        }
        Ok(answer.len() as i32)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn select(
    n: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    if !simulated() {
        return real!(SYS_select, n, read, write, except, timeout) as c_int;
    }
    let limit = if timeout.is_null() {
        None
    } else {
        // SAFETY: the caller passes a readable timeval.
        let t = unsafe { *timeout };
        if t.tv_sec < 0 || t.tv_usec < 0 {
            return super::fail(Errno::EINVAL);
        }
        Some(t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1000)
    };
    ret_int(select_all(n, [read, write, except], limit))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pselect(
    n: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    if !simulated() {
        return super::raw::next!(
            c"pselect",
            fn(
                c_int,
                *mut fd_set,
                *mut fd_set,
                *mut fd_set,
                *const timespec,
                *const sigset_t,
            ) -> c_int,
            n,
            read,
            write,
            except,
            timeout,
            mask
        );
    }
    let limit = if timeout.is_null() {
        Ok(None)
    } else {
        // SAFETY: the caller passes a readable timespec.
        unsafe { nanoseconds(timeout) }.map(Some)
    };
    ret_int(limit.and_then(|t| select_all(n, [read, write, except], t)))
}
