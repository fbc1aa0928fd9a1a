//! send(2), recv(2) and their kin: from the caller's buffers to the kernel's calls and back, with blocking.
//!
//! Stream sockets with a single buffer take a short way; `message.rs` adds what `sendmsg` and `recvmsg` need.

use super::super::raw::real;
use super::super::{ours, quick, ret_size, sys};
use super::{Call, Direction, address};
use crate::kernel::descriptor::ObjectId;
use crate::kernel::net::address::{Address, Style};
use crate::kernel::net::socket::{Control, Received};
use crate::kernel::sched::On;
use crate::kernel::{Cost, Errno, Kernel, Result, Step};
use libc::{sockaddr, socklen_t};
use std::ffi::{c_int, c_void};

/// What is sent.
pub(super) struct Outgoing<'a> {
    pub(super) parts: &'a [&'a [u8]],
    pub(super) to: Option<Address>,
    pub(super) control: Control,
    /// Descriptors that go along.
    pub(super) rights: Vec<c_int>,
}

/// Whether a transfer goes on until all is done: a stream does, a datagram is one piece.
fn is_stream(k: &Kernel, id: ObjectId) -> bool {
    k.socket_kind(id)
        .is_ok_and(|(_, style, _)| style == Style::Stream)
}

/// Blocks as the kernel says, also on what stood in the way.
fn or_wait(
    k: &mut Kernel,
    id: ObjectId,
    dont_wait: bool,
    call: &Call,
    attempt: Result<usize>,
) -> Step<usize> {
    match k.or_block(id, dont_wait, call.until(), attempt) {
        Step::Wait(mut wait) => {
            if let Some(other) = k.socket_obstacle(id) {
                wait.on = On::Objects(vec![id, other]);
            }
            Step::Wait(wait)
        }
        done => done,
    }
}

/// The buffers without their first `skip` bytes.
fn rest<'a>(parts: &[&'a [u8]], mut skip: usize) -> Vec<&'a [u8]> {
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let now = skip.min(part.len());
        skip -= now;
        if now < part.len() {
            out.push(&part[now..]);
        }
    }
    out
}

/// Takes a reference to each descriptor that goes along.
fn take_rights(k: &mut Kernel, fds: &[c_int]) -> Result<Vec<ObjectId>> {
    let mut objects = Vec::with_capacity(fds.len());
    for fd in fds {
        objects.push(k.object(*fd)?);
    }
    for object in &objects {
        k.retain(*object);
    }
    Ok(objects)
}

/// Sends a message, or a stream's bytes.
pub(super) fn send_message(
    name: &'static str,
    fd: c_int,
    out: &Outgoing<'_>,
    flags: c_int,
) -> Result<usize> {
    let mut call = Call::default();
    let mut sent = 0;
    let whole: usize = out.parts.iter().map(|p| p.len()).sum();
    sys(name, Cost::CALL, |k| {
        let id = match call.object(k, fd, Direction::Send) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        let stream = is_stream(k, id);
        if flags & libc::MSG_OOB != 0 && !stream {
            return Step::Done(Err(Errno::EOPNOTSUPP));
        }
        let dont_wait = flags & libc::MSG_DONTWAIT != 0;
        let all = stream && !dont_wait && !k.objects.nonblocking(id);
        let attempt = loop {
            let rights = match take_rights(k, if sent == 0 { &out.rights } else { &[] }) {
                Ok(rights) => rights,
                Err(e) => break Err(e),
            };
            let tried = if sent == 0 {
                k.socket_transmit(id, out.parts, out.to.as_ref(), &out.control, &rights)
            } else {
                k.socket_transmit(id, &rest(out.parts, sent), None, &out.control, &rights)
            };
            match tried {
                // A blocking call on a stream sends all of it.
                Ok(n) if all && n > 0 && sent + n < whole => sent += n,
                Ok(n) => break Ok(sent + n),
                Err(e) => {
                    for object in rights {
                        k.release(object);
                    }
                    break Err(e);
                }
            }
        };
        match or_wait(k, id, dont_wait, &call, attempt) {
            Step::Done(Err(_)) if sent > 0 => Step::Done(Ok(sent)),
            other => other,
        }
    })
}

fn send_bytes(name: &'static str, fd: c_int, data: &[u8], flags: c_int) -> Result<usize> {
    let mut call = Call::default();
    let mut sent = 0;
    sys(name, Cost::CALL, |k| {
        let id = match call.object(k, fd, Direction::Send) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        if flags & libc::MSG_OOB != 0 && !is_stream(k, id) {
            return Step::Done(Err(Errno::EOPNOTSUPP));
        }
        let dont_wait = flags & libc::MSG_DONTWAIT != 0;
        let waits = !dont_wait && !k.objects.nonblocking(id);
        let attempt = loop {
            match k.socket_send(id, &data[sent..]) {
                // A blocking call sends all of it; only streams send less at a time.
                Ok(n) if waits && n > 0 && sent + n < data.len() => sent += n,
                Ok(n) => break Ok(sent + n),
                Err(e) => break Err(e),
            }
        };
        match or_wait(k, id, dont_wait, &call, attempt) {
            Step::Done(Err(_)) if sent > 0 => Step::Done(Ok(sent)),
            other => other,
        }
    })
}

/// Receives a message, or a stream's bytes; `done` is told what came and may give more of it to the caller.
pub(super) fn receive_message(
    name: &'static str,
    fd: c_int,
    parts: &mut [&mut [u8]],
    flags: c_int,
    mut done: impl FnMut(&mut Kernel, ObjectId, Received),
) -> Result<usize> {
    let mut call = Call::default();
    sys(name, Cost::CALL, |k| {
        let id = match call.object(k, fd, Direction::Receive) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        if flags & libc::MSG_ERRQUEUE != 0 {
            return Step::Done(Err(Errno::EAGAIN));
        }
        if flags & libc::MSG_OOB != 0 {
            let stream = is_stream(k, id);
            return Step::Done(Err(if stream {
                Errno::EINVAL
            } else {
                Errno::EOPNOTSUPP
            }));
        }
        let mut received = None;
        let attempt = k
            .socket_receive(id, parts, flags & libc::MSG_PEEK != 0)
            .map(|r| received.insert(r).len);
        let step = k.or_block(id, flags & libc::MSG_DONTWAIT != 0, call.until(), attempt);
        if let (Step::Done(Ok(n)), Some(r)) = (&step, received) {
            let (n, whole) = (*n, r.whole);
            let mut left = n;
            for part in parts.iter() {
                let now = part.len().min(left);
                k.trace.fold_bytes(&part[..now]);
                left -= now;
            }
            done(k, id, r);
            if flags & libc::MSG_TRUNC != 0 && !is_stream(k, id) {
                return Step::Done(Ok(whole));
            }
        }
        step
    })
}

fn receive_bytes(name: &'static str, fd: c_int, out: &mut [u8], flags: c_int) -> Result<usize> {
    const PLAIN: c_int = libc::MSG_PEEK
        | libc::MSG_WAITALL
        | libc::MSG_DONTWAIT
        | libc::MSG_NOSIGNAL
        | libc::MSG_CMSG_CLOEXEC;
    if flags & !PLAIN != 0 {
        return receive_message(name, fd, &mut [out], flags, |k, _, r| {
            for object in r.rights {
                k.release(object);
            }
        });
    }
    let mut call = Call::default();
    let mut got = 0;
    sys(name, Cost::CALL, |k| {
        let id = match call.object(k, fd, Direction::Receive) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        let peek = flags & libc::MSG_PEEK != 0;
        let dont_wait = flags & libc::MSG_DONTWAIT != 0;
        let waits = !dont_wait && !k.objects.nonblocking(id);
        // A Unix socket looks for more even if it would not wait for it, and meets a pending error.
        let all =
            flags & libc::MSG_WAITALL != 0 && !peek && is_stream(k, id) && (waits || k.is_unix(id));
        let attempt = loop {
            match k.socket_recv(id, &mut out[got..], peek) {
                Ok(n) if all && n > 0 && got + n < out.len() => got += n,
                Ok(n) => break Ok(got + n),
                Err(e) => break Err(e),
            }
        };
        match k.or_block(id, dont_wait, call.until(), attempt) {
            Step::Done(Err(_)) if got > 0 => {
                k.trace.fold_bytes(&out[..got]);
                Step::Done(Ok(got))
            }
            Step::Done(Ok(n)) => {
                k.trace.fold_bytes(&out[..n]);
                Step::Done(Ok(n))
            }
            other => other,
        }
    })
}

/// read(2) and readv(2) of a socket: unlike recv(2), reading nothing is no question to it.
pub(crate) fn read_parts(name: &'static str, fd: c_int, parts: &mut [&mut [u8]]) -> Result<usize> {
    match parts {
        _ if parts.iter().all(|p| p.is_empty()) => {
            quick(name, Cost::CALL, |k| k.object(fd).map(|_| 0))
        }
        [one] => receive_bytes(name, fd, one, 0),
        _ => receive_message(name, fd, parts, 0, |k, _, r| {
            for object in r.rights {
                k.release(object);
            }
        }),
    }
}

/// write(2) and writev(2) of a socket.
pub(crate) fn write_parts(name: &'static str, fd: c_int, parts: &[&[u8]]) -> Result<usize> {
    if let [one] = parts {
        return send_bytes(name, fd, one, 0);
    }
    let out = Outgoing {
        parts,
        to: None,
        control: Control::default(),
        rights: Vec::new(),
    };
    send_message(name, fd, &out, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, data: *const c_void, len: usize, flags: c_int) -> isize {
    if !ours(fd) {
        return real!(SYS_sendto, fd, data, len, flags, 0, 0);
    }
    // SAFETY: the caller passes `len` readable bytes.
    ret_size(send_bytes("send", fd, unsafe { input(data, len) }, flags))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    data: *const c_void,
    len: usize,
    flags: c_int,
    to: *const sockaddr,
    to_len: socklen_t,
) -> isize {
    if !ours(fd) {
        return real!(SYS_sendto, fd, data, len, flags, to, to_len);
    }
    // SAFETY: the caller passes `len` readable bytes.
    let data = unsafe { input(data, len) };
    if to.is_null() || to_len == 0 {
        return ret_size(send_bytes("sendto", fd, data, flags));
    }
    // SAFETY: the caller passes `to_len` readable bytes.
    let to = match unsafe { address::decode(to, to_len) } {
        Ok(to) => Some(to),
        Err(e) => return ret_size(Err(e)),
    };
    let out = Outgoing {
        parts: &[data],
        to,
        control: Control::default(),
        rights: Vec::new(),
    };
    ret_size(send_message("sendto", fd, &out, flags))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, out: *mut c_void, len: usize, flags: c_int) -> isize {
    if !ours(fd) {
        return real!(SYS_recvfrom, fd, out, len, flags, 0, 0);
    }
    // SAFETY: the caller passes `len` writable bytes.
    let out = unsafe { output(out, len) };
    ret_size(receive_bytes("recv", fd, out, flags))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    out: *mut c_void,
    len: usize,
    flags: c_int,
    from: *mut sockaddr,
    from_len: *mut socklen_t,
) -> isize {
    if !ours(fd) {
        return real!(SYS_recvfrom, fd, out, len, flags, from, from_len);
    }
    // SAFETY: the caller passes `len` writable bytes.
    let out = unsafe { output(out, len) };
    if from.is_null() {
        return ret_size(receive_bytes("recvfrom", fd, out, flags));
    }
    ret_size(receive_message(
        "recvfrom",
        fd,
        &mut [out],
        flags,
        |k, _, r| {
            for object in r.rights {
                k.release(object);
            }
            // SAFETY: the caller passes a writable length and as many writable bytes.
            unsafe { give_from(r.from.as_ref(), from, from_len) };
        },
    ))
}

/// Hands out the sender's address; a stream has none, nor has a sender without a name.
///
/// # Safety
/// As for [`address::give`].
pub(super) unsafe fn give_from(from: Option<&Address>, out: *mut sockaddr, len: *mut socklen_t) {
    use crate::kernel::net::address::UnixName;
    match from {
        None | Some(Address::Unix(UnixName::Unnamed)) if !len.is_null() => {
            // SAFETY: the caller's promise.
            unsafe { *len = 0 };
        }
        None => {}
        // SAFETY: the caller's promise.
        Some(a) => unsafe { address::give(a, out, len) },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __recv_chk(
    fd: c_int,
    out: *mut c_void,
    len: usize,
    _room: usize,
    flags: c_int,
) -> isize {
    // SAFETY: the fortified form of the same call.
    unsafe { recv(fd, out, len, flags) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    out: *mut c_void,
    len: usize,
    _room: usize,
    flags: c_int,
    from: *mut sockaddr,
    from_len: *mut socklen_t,
) -> isize {
    // SAFETY: the fortified form of the same call.
    unsafe { recvfrom(fd, out, len, flags, from, from_len) }
}

/// The caller's bytes to send.
///
/// # Safety
/// `data` must be readable for `len` bytes unless `len` is 0.
unsafe fn input<'a>(data: *const c_void, len: usize) -> &'a [u8] {
    if len == 0 || data.is_null() {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts(data.cast(), len) }
}

/// The caller's room to receive into.
///
/// # Safety
/// `out` must be writable for `len` bytes unless `len` is 0, and nothing else may use it meanwhile.
unsafe fn output<'a>(out: *mut c_void, len: usize) -> &'a mut [u8] {
    if len == 0 || out.is_null() {
        return &mut [];
    }
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts_mut(out.cast(), len) }
}
