//! read(2), write(2), close(2), dup(2), fcntl(2), ioctl(2), pipe(2), eventfd(2) on simulated descriptors. Real files pass
//! through.

use super::raw::real;
use super::{fail, ours, quick, refuse, ret_int, ret_size, ret_unit, simulated, steady, sys};
use crate::kernel::descriptor::eventfd::EventFd;
use crate::kernel::descriptor::{FIRST, Kind, ObjectId};
use crate::kernel::record::What;
use crate::kernel::thread;
use crate::kernel::{Cost, Errno, Kernel, Result, Step};
use libc::iovec;
use std::ffi::{c_int, c_uint, c_ulong, c_void};

/// Whether a real descriptor is open.
pub(super) fn is_open(fd: c_int) -> bool {
    // SAFETY: fcntl with F_GETFD takes a number and touches no memory.
    unsafe {
        super::raw::call6(
            libc::SYS_fcntl,
            [fd as usize, libc::F_GETFD as usize, 0, 0, 0, 0],
        ) >= 0
    }
}

impl Kernel {
    /// One attempt to read from any kind of object.
    pub(super) fn read_object(&mut self, id: ObjectId, out: &mut [u8]) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::EventFd(_)) => {
                let out = out.first_chunk_mut::<8>().ok_or(Errno::EINVAL)?;
                *out = self.eventfd_read(id)?.to_ne_bytes();
                Ok(8)
            }
            Some(Kind::TimerFd(_)) => {
                let out = out.first_chunk_mut::<8>().ok_or(Errno::EINVAL)?;
                *out = self.timer_read(id)?.to_ne_bytes();
                Ok(8)
            }
            Some(Kind::PipeReader(_)) => self.pipe_read(id, out),
            Some(Kind::PipeWriter(_)) => Err(Errno::EBADF),
            Some(Kind::Epoll(_)) => Err(Errno::EINVAL),
            Some(Kind::Random) => {
                self.entropy(out);
                Ok(out.len())
            }
            Some(Kind::Tcp(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Unix(_)) => {
                self.socket_recv(id, out, false)
            }
            None => Err(Errno::EBADF),
        }
    }

    /// One attempt to write to any kind of object.
    pub(super) fn write_object(&mut self, id: ObjectId, data: &[u8]) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::EventFd(_)) => {
                let word = data.first_chunk::<8>().ok_or(Errno::EINVAL)?;
                self.eventfd_write(id, u64::from_ne_bytes(*word))?;
                Ok(8)
            }
            Some(Kind::TimerFd(_) | Kind::Epoll(_)) => Err(Errno::EINVAL),
            Some(Kind::PipeReader(_)) => Err(Errno::EBADF),
            Some(Kind::PipeWriter(_)) => self.pipe_write(id, data),
            Some(Kind::Random) => Ok(data.len()),
            Some(Kind::Tcp(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Unix(_)) => {
                self.socket_send(id, data)
            }
            None => Err(Errno::EBADF),
        }
    }

    /// Whether a blocking write goes on until everything is written.
    fn writes_all(&self, id: ObjectId) -> bool {
        matches!(self.objects.get(id), Some(Kind::PipeWriter(_)))
    }
}

/// Reads into a list of buffers.
pub(super) fn read_into(name: &'static str, fd: c_int, parts: &mut [&mut [u8]]) -> Result<usize> {
    if super::socket::is_socket(fd) {
        return super::socket::read_parts(name, fd, parts);
    }
    sys(name, Cost::CALL, |k| {
        let id = match k.object(fd) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        let mut total = 0;
        let mut failure = None;
        for part in parts.iter_mut() {
            if part.is_empty() && total > 0 {
                continue;
            }
            match k.read_object(id, part) {
                Ok(n) => {
                    k.trace.fold_bytes(&part[..n]);
                    total += n;
                    if n < part.len() {
                        break;
                    }
                }
                Err(e) => {
                    failure = Some(e);
                    break;
                }
            }
        }
        let attempt = match failure {
            Some(e) if total == 0 => Err(e),
            _ => Ok(total),
        };
        k.or_block(id, false, None, attempt)
    })
}

/// Writes a list of buffers.
pub(super) fn write_from(name: &'static str, fd: c_int, parts: &[&[u8]]) -> Result<usize> {
    if super::socket::is_socket(fd) {
        return super::socket::write_parts(name, fd, parts);
    }
    let mut total = 0usize;
    let whole: usize = parts.iter().map(|p| p.len()).sum();
    sys(name, Cost::CALL, |k| {
        let id = match k.object(fd) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        let mut failure = None;
        let mut skip = total;
        for part in parts {
            if skip >= part.len() && !(part.is_empty() && whole == 0) {
                skip -= part.len();
                continue;
            }
            match k.write_object(id, &part[skip..]) {
                Ok(n) => {
                    total += n;
                    if n < part.len() - skip {
                        break;
                    }
                }
                Err(e) => {
                    failure = Some(e);
                    break;
                }
            }
            skip = 0;
        }
        let attempt = match failure {
            Some(e) if total == 0 => Err(e),
            // A blocking stream goes on until all is written or it fails.
            None | Some(Errno::EAGAIN)
                if total < whole && !k.objects.nonblocking(id) && k.writes_all(id) =>
            {
                Err(Errno::EAGAIN)
            }
            _ => Ok(total),
        };
        match k.or_block(id, false, None, attempt) {
            Step::Done(Err(Errno::EAGAIN)) if total > 0 => Step::Done(Ok(total)),
            other => other,
        }
    })
}

/// The caller's buffers of readv(2) and writev(2).
///
/// # Safety
/// `v` must point to `n` records, each naming readable memory that lives as long as the result is used.
pub(super) unsafe fn slices<'a>(v: *const iovec, n: c_int) -> Result<Vec<&'a [u8]>> {
    if !(0..=1024).contains(&n) {
        return Err(Errno::EINVAL);
    }
    let mut out = Vec::with_capacity(n as usize);
    for i in 0..n as usize {
        // SAFETY: the caller's promise.
        let part = unsafe { &*v.add(i) };
        out.push(if part.iov_len == 0 {
            &[][..]
        } else {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts(part.iov_base as *const u8, part.iov_len) }
        });
    }
    Ok(out)
}

/// As [`slices`], to write to.
///
/// # Safety
/// As for [`slices`], with writable memory that nothing else refers to.
pub(super) unsafe fn slices_mut<'a>(v: *const iovec, n: c_int) -> Result<Vec<&'a mut [u8]>> {
    if !(0..=1024).contains(&n) {
        return Err(Errno::EINVAL);
    }
    let mut out = Vec::with_capacity(n as usize);
    for i in 0..n as usize {
        // SAFETY: the caller's promise.
        let part = unsafe { &*v.add(i) };
        out.push(if part.iov_len == 0 {
            &mut [][..]
        } else {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts_mut(part.iov_base.cast::<u8>(), part.iov_len) }
        });
    }
    Ok(out)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, out: *mut c_void, n: usize) -> isize {
    if !ours(fd) {
        return real!(SYS_read, fd, out, n);
    }
    if n > 0 && out.is_null() {
        return fail(Errno::EFAULT) as isize;
    }
    let part: &mut [u8] = if n == 0 {
        &mut []
    } else {
        // SAFETY: the caller passes `n` writable bytes.
        unsafe { std::slice::from_raw_parts_mut(out.cast::<u8>(), n) }
    };
    ret_size(read_into("read", fd, &mut [part]))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, v: *const iovec, n: c_int) -> isize {
    if !ours(fd) {
        return real!(SYS_readv, fd, v, n);
    }
    // SAFETY: the caller passes `n` records naming writable memory.
    ret_size(unsafe { slices_mut(v, n) }.and_then(|mut parts| read_into("readv", fd, &mut parts)))
}

/// So many bytes of what is printed at once are kept for the story.
const TOLD: usize = 400;

/// What a simulated thread prints goes to the run's sink; the length is the call's result.
fn print(name: &'static str, fd: c_int, parts: &[&[u8]]) -> isize {
    let n: usize = parts.iter().map(|p| p.len()).sum();
    let r = steady(name, Cost::CALL, |k| {
        for part in parts {
            k.trace.fold_bytes(part);
        }
        if k.trace.recording() {
            let mut text = parts.concat();
            text.truncate(TOLD);
            let text = String::from_utf8_lossy(&text).into_owned();
            k.tell(What::Output { fd, text }, false);
        }
        Ok(n)
    });
    for part in parts {
        thread::sink(fd, part);
    }
    ret_size(r)
}

fn is_output(fd: c_int) -> bool {
    fd == 1 || fd == 2
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, data: *const c_void, n: usize) -> isize {
    let output = is_output(fd) && simulated();
    if !output && !ours(fd) {
        return real!(SYS_write, fd, data, n);
    }
    if n > 0 && data.is_null() {
        return fail(Errno::EFAULT) as isize;
    }
    let part: &[u8] = if n == 0 {
        &[]
    } else {
        // SAFETY: the caller passes `n` readable bytes.
        unsafe { std::slice::from_raw_parts(data.cast::<u8>(), n) }
    };
    if output {
        return print("write", fd, &[part]);
    }
    ret_size(write_from("write", fd, &[part]))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, v: *const iovec, n: c_int) -> isize {
    let output = is_output(fd) && simulated();
    if !output && !ours(fd) {
        return real!(SYS_writev, fd, v, n);
    }
    // SAFETY: the caller passes `n` records naming readable memory.
    match unsafe { slices(v, n) } {
        Ok(parts) if output => print("writev", fd, &parts),
        Ok(parts) => ret_size(write_from("writev", fd, &parts)),
        Err(e) => fail(e) as isize,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    if !ours(fd) {
        return real!(SYS_close, fd) as c_int;
    }
    ret_unit(quick("close", Cost::CALL, |k| k.close(fd)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close_range(first: c_uint, last: c_uint, flags: c_int) -> c_int {
    if simulated() && last >= FIRST as c_uint {
        let r = quick("close_range", Cost::CALL, |k| {
            let limit = FIRST + k.descriptors as i32 * 2;
            for fd in (first.max(FIRST as c_uint) as c_int)..=(last.min(limit as c_uint) as c_int) {
                if flags & libc::CLOSE_RANGE_CLOEXEC as c_int != 0 {
                    let _ = k.set_close_on_exec(fd, true);
                } else {
                    let _ = k.close(fd);
                }
            }
            Ok(())
        });
        if first >= FIRST as c_uint {
            return ret_unit(r);
        }
    }
    real!(SYS_close_range, first, last.min(FIRST as c_uint - 1), flags) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dup(fd: c_int) -> c_int {
    if !ours(fd) {
        return real!(SYS_dup, fd) as c_int;
    }
    ret_int(quick("dup", Cost::CALL, |k| k.dup(fd, FIRST, false)))
}

fn dup_to(fd: c_int, to: c_int, close_on_exec: bool) -> c_int {
    match (fd >= FIRST, to >= FIRST) {
        (true, true) => ret_int(quick("dup3", Cost::CALL, |k| {
            k.dup_onto(fd, to, close_on_exec)?;
            Ok(to)
        })),
        _ => fail(refuse(
            format!("dup2 between a simulated and a real descriptor ({fd} onto {to})"),
            Errno::EBADF,
            false,
        )),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dup2(fd: c_int, to: c_int) -> c_int {
    if !simulated() || (fd < FIRST && to < FIRST) {
        return real!(SYS_dup2, fd, to) as c_int;
    }
    if fd == to {
        return ret_int(quick("dup2", Cost::CALL, |k| k.object(fd).map(|_| fd)));
    }
    dup_to(fd, to, false)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
    if !simulated() || (fd < FIRST && to < FIRST) {
        return real!(SYS_dup3, fd, to, flags) as c_int;
    }
    if fd == to || flags & !libc::O_CLOEXEC != 0 {
        return fail(Errno::EINVAL);
    }
    dup_to(fd, to, flags & libc::O_CLOEXEC != 0)
}

impl Kernel {
    fn status_flags(&self, id: ObjectId) -> c_int {
        let mode = match self.objects.get(id) {
            Some(Kind::PipeReader(_) | Kind::Random) => libc::O_RDONLY,
            Some(Kind::PipeWriter(_)) => libc::O_WRONLY,
            _ => libc::O_RDWR,
        };
        if self.objects.nonblocking(id) {
            mode | libc::O_NONBLOCK
        } else {
            mode
        }
    }
}

/// fcntl on a simulated descriptor.
fn control(fd: c_int, op: c_int, arg: usize) -> c_int {
    if matches!(
        op,
        libc::F_GETLK | libc::F_SETLK | libc::F_SETLKW | libc::F_OFD_SETLK
    ) {
        return fail(refuse(
            format!("fcntl {op} (file lock)"),
            Errno::EINVAL,
            true,
        ));
    }
    ret_int(quick("fcntl", Cost::CALL, |k| {
        let id = k.object(fd)?;
        match op {
            libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => {
                k.dup(fd, arg as c_int, op == libc::F_DUPFD_CLOEXEC)
            }
            libc::F_GETFD => Ok(if k.close_on_exec(fd)? {
                libc::FD_CLOEXEC
            } else {
                0
            }),
            libc::F_SETFD => {
                k.set_close_on_exec(fd, arg as c_int & libc::FD_CLOEXEC != 0)?;
                Ok(0)
            }
            libc::F_GETFL => Ok(k.status_flags(id)),
            libc::F_SETFL => {
                k.objects
                    .set_nonblocking(id, arg as c_int & libc::O_NONBLOCK != 0);
                Ok(0)
            }
            libc::F_GETPIPE_SZ => match k.objects.get(id) {
                Some(Kind::PipeReader(_) | Kind::PipeWriter(_)) => Ok(65_536),
                _ => Err(Errno::EBADF),
            },
            libc::F_SETOWN | libc::F_GETOWN => Ok(0),
            _ => Err(Errno::EINVAL),
        }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl(fd: c_int, op: c_int, arg: usize) -> c_int {
    if !ours(fd) {
        return real!(SYS_fcntl, fd, op, arg) as c_int;
    }
    control(fd, op, arg)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl64(fd: c_int, op: c_int, arg: usize) -> c_int {
    if !ours(fd) {
        return real!(SYS_fcntl, fd, op, arg) as c_int;
    }
    control(fd, op, arg)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, arg: *mut c_int) -> c_int {
    if !ours(fd) {
        return real!(SYS_ioctl, fd, request, arg) as c_int;
    }
    ret_unit(quick("ioctl", Cost::CALL, |k| {
        let id = k.object(fd)?;
        match request {
            libc::FIONBIO => {
                // SAFETY: ioctl_tty(2): the argument of FIONBIO is a readable int.
                k.objects.set_nonblocking(id, unsafe { *arg } != 0);
                Ok(())
            }
            libc::FIOCLEX => k.set_close_on_exec(fd, true),
            libc::FIONCLEX => k.set_close_on_exec(fd, false),
            libc::FIONREAD => {
                let n = match k.objects.get(id) {
                    Some(Kind::PipeReader(_) | Kind::PipeWriter(_)) => k.pipe_waiting(id),
                    Some(Kind::Tcp(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Unix(_)) => {
                        k.socket_waiting(id)?
                    }
                    _ => return Err(Errno::ENOTTY),
                };
                // SAFETY: the argument of FIONREAD is a writable int.
                unsafe { *arg = n as c_int };
                Ok(())
            }
            _ => Err(Errno::ENOTTY),
        }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(out: *mut c_int, flags: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_pipe2, out, flags) as c_int;
    }
    let r = quick("pipe2", Cost::CALL, |k| {
        if flags & !(libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
            return Err(Errno::EINVAL);
        }
        k.pipe(flags & libc::O_NONBLOCK != 0, flags & libc::O_CLOEXEC != 0)
    });
    ret_unit(r.map(|(read, write)| {
        // SAFETY: the caller passes room for two descriptors.
        unsafe {
            *out = read;
            *out.add(1) = write;
        }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pipe(out: *mut c_int) -> c_int {
    // SAFETY: the caller's contract is the same.
    unsafe { pipe2(out, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn eventfd(count: c_uint, flags: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_eventfd2, count, flags) as c_int;
    }
    ret_int(quick("eventfd", Cost::CALL, |k| {
        if flags & !(libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE) != 0 {
            return Err(Errno::EINVAL);
        }
        k.open(
            Kind::EventFd(EventFd::new(
                u64::from(count),
                flags & libc::EFD_SEMAPHORE != 0,
            )),
            flags & libc::EFD_NONBLOCK != 0,
            flags & libc::EFD_CLOEXEC != 0,
        )
    }))
}
