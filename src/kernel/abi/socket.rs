//! socket(2), bind(2), listen(2), accept(2), connect(2), shutdown(2), getsockname(2) and their kin. Sending and receiving is
//! in `socket/transfer.rs` and `socket/message.rs`, options in `socket/options.rs`.

pub(crate) mod address;
mod message;
mod options;
mod transfer;

pub(super) use transfer::{read_parts, write_parts};

use super::raw::real;
use super::{ours, quick, refuse, ret_int, ret_unit, simulated, sys};
use crate::kernel::clock::Until;
use crate::kernel::descriptor::ObjectId;
use crate::kernel::net::address::{Address, Family, Style};
use crate::kernel::sched::{On, Wait};
use crate::kernel::thread;
use crate::kernel::{Cost, Errno, Kernel, Result, Step};
use libc::{sockaddr, socklen_t};
use std::ffi::c_int;

/// Whether a descriptor is a simulated socket.
#[inline]
pub(super) fn is_socket(fd: c_int) -> bool {
    thread::with_kernel(|k| k.object(fd).is_ok_and(|id| k.is_socket(id).is_ok()))
}

/// The family and the style of a request, or the refusal.
fn decode(domain: c_int, kind: c_int, protocol: c_int) -> Result<(Family, Style)> {
    let style = match kind & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) {
        libc::SOCK_STREAM => Style::Stream,
        libc::SOCK_DGRAM => Style::Datagram,
        libc::SOCK_SEQPACKET => Style::SeqPacket,
        libc::SOCK_RAW | libc::SOCK_RDM => {
            let errno = if domain == libc::AF_INET || domain == libc::AF_INET6 {
                Errno::EPERM
            } else {
                Errno::EAFNOSUPPORT
            };
            return Err(refuse(
                format!("socket({domain}, {kind}, {protocol})"),
                errno,
                true,
            ));
        }
        _ => return Err(Errno::EINVAL),
    };
    let family = match domain {
        libc::AF_INET => Family::V4,
        libc::AF_INET6 => Family::V6,
        libc::AF_UNIX => Family::Unix,
        _ => {
            return Err(refuse(
                format!("socket({domain}, {kind}, {protocol})"),
                Errno::EAFNOSUPPORT,
                true,
            ));
        }
    };
    let fits = match (family, style, protocol) {
        (Family::Unix, _, 0 | libc::PF_UNIX) => true,
        (Family::Unix, ..) => return Err(Errno::EPROTONOSUPPORT),
        (_, Style::Stream, 0 | libc::IPPROTO_TCP) | (_, Style::Datagram, 0 | libc::IPPROTO_UDP) => {
            true
        }
        (_, Style::SeqPacket, _) => return Err(Errno(libc::ESOCKTNOSUPPORT)),
        _ => false,
    };
    if fits {
        Ok((family, style))
    } else {
        Err(refuse(
            format!("socket({domain}, {kind}, {protocol})"),
            Errno::EPROTONOSUPPORT,
            true,
        ))
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if !simulated() {
        return real!(SYS_socket, domain, kind, protocol) as c_int;
    }
    ret_int(decode(domain, kind, protocol).and_then(|(family, style)| {
        quick("socket", Cost::CALL, |k| {
            k.socket(
                family,
                style,
                kind & libc::SOCK_NONBLOCK != 0,
                kind & libc::SOCK_CLOEXEC != 0,
            )
        })
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(
    domain: c_int,
    kind: c_int,
    protocol: c_int,
    out: *mut c_int,
) -> c_int {
    if !simulated() {
        return real!(SYS_socketpair, domain, kind, protocol, out) as c_int;
    }
    let pair = decode(domain, kind, protocol).and_then(|(family, style)| {
        if family != Family::Unix {
            return Err(Errno::EOPNOTSUPP);
        }
        quick("socketpair", Cost::CALL, |k| {
            k.socketpair(
                style,
                kind & libc::SOCK_NONBLOCK != 0,
                kind & libc::SOCK_CLOEXEC != 0,
            )
        })
    });
    ret_unit(pair.map(|(a, b)| {
        // SAFETY: the caller passes room for two descriptors.
        unsafe {
            *out = a;
            *out.add(1) = b;
        }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, a: *const sockaddr, len: socklen_t) -> c_int {
    if !ours(fd) {
        return real!(SYS_bind, fd, a, len) as c_int;
    }
    ret_unit(quick("bind", Cost::CALL, |k| {
        let id = k.object(fd)?;
        k.is_socket(id)?;
        // SAFETY: the caller passes `len` readable bytes.
        let to = unsafe { address::decode(a, len) }?;
        k.socket_bind(id, &to)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    if !ours(fd) {
        return real!(SYS_listen, fd, backlog) as c_int;
    }
    ret_unit(quick("listen", Cost::CALL, |k| {
        let id = k.object(fd)?;
        k.is_socket(id)?;
        k.socket_listen(id, backlog)
    }))
}

/// Whether a call waits for the socket's receive timeout or for its send timeout.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Receive,
    Send,
}

/// Remembers, over the attempts of one call, the object and the deadline.
#[derive(Default)]
pub(super) struct Call {
    object: Option<ObjectId>,
    until: Option<Until>,
}

impl Call {
    /// The socket that the call is for, found at the first attempt: a blocked call keeps it when the number is closed.
    pub(super) fn object(
        &mut self,
        k: &Kernel,
        fd: c_int,
        direction: Direction,
    ) -> Result<ObjectId> {
        if let Some(id) = self.object {
            return Ok(id);
        }
        let id = k.object(fd)?;
        k.is_socket(id)?;
        let (receive, send) = k.socket_timeouts(id);
        let timeout = match direction {
            Direction::Receive => receive,
            Direction::Send => send,
        };
        self.until = timeout.map(|ns| k.after(ns));
        self.object = Some(id);
        Ok(id)
    }

    /// When the call gives up.
    pub(super) fn until(&self) -> Option<Until> {
        self.until
    }
}

fn accept_with(fd: c_int, a: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> Result<i32> {
    let mut call = Call::default();
    sys("accept", Cost::CALL, |k| {
        if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
            return Step::Done(Err(Errno::EINVAL));
        }
        let id = match call.object(k, fd, Direction::Receive) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        if let Err(e) = k.room_for_socket() {
            // Linux takes the number first: the connection stays in the queue.
            return Step::Done(Err(e));
        }
        let accepted = k.socket_accept(id, flags & libc::SOCK_NONBLOCK != 0);
        match k.or_block(id, false, call.until(), accepted) {
            Step::Wait(w) => Step::Wait(w),
            Step::Done(Err(e)) => Step::Done(Err(e)),
            Step::Done(Ok(new)) => {
                if !a.is_null() {
                    let peer = match k.socket_came_from(new) {
                        Ok(peer) => peer,
                        Err(e) => return Step::Done(Err(e)),
                    };
                    // SAFETY: the caller passes a writable length and as many writable bytes.
                    unsafe { address::give(&peer, a, len) };
                }
                Step::Done(k.install(new, flags & libc::SOCK_CLOEXEC != 0))
            }
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, a: *mut sockaddr, len: *mut socklen_t) -> c_int {
    if !ours(fd) {
        return real!(SYS_accept, fd, a, len) as c_int;
    }
    ret_int(accept_with(fd, a, len, 0))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: c_int,
    a: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
) -> c_int {
    if !ours(fd) {
        return real!(SYS_accept4, fd, a, len, flags) as c_int;
    }
    ret_int(accept_with(fd, a, len, flags))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, a: *const sockaddr, len: socklen_t) -> c_int {
    if !ours(fd) {
        return real!(SYS_connect, fd, a, len) as c_int;
    }
    let mut call = Call::default();
    let mut started = false;
    ret_unit(sys("connect", Cost::CALL, |k| {
        let id = match call.object(k, fd, Direction::Send) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        if !started {
            // SAFETY: the caller passes `len` readable bytes.
            let tried = unsafe { address::decode(a, len) }.and_then(|to| k.socket_connect(id, &to));
            match tried {
                Err(Errno::EINPROGRESS | Errno::EALREADY) if !k.objects.nonblocking(id) => {
                    started = true
                }
                other => {
                    let step = k.or_block(id, false, call.until(), other);
                    return match (step, k.socket_obstacle(id)) {
                        // Only a full queue makes a start wait.
                        (Step::Wait(wait), Some(listener)) => Step::Wait(Wait {
                            on: On::Object(listener),
                            ..wait
                        }),
                        (step, _) => step,
                    };
                }
            }
        }
        let connected = k.socket_connected(id);
        match k.or_block(id, false, call.until(), connected) {
            // The send timeout is over.
            Step::Done(Err(Errno::EAGAIN)) => Step::Done(Err(Errno::EINPROGRESS)),
            other => other,
        }
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    if !ours(fd) {
        return real!(SYS_shutdown, fd, how) as c_int;
    }
    ret_unit(quick("shutdown", Cost::CALL, |k| {
        let id = k.object(fd)?;
        k.is_socket(id)?;
        k.socket_shutdown(id, how)
    }))
}

/// Reports an address of a socket.
fn name(
    call: &'static str,
    fd: c_int,
    out: *mut sockaddr,
    len: *mut socklen_t,
    of: fn(&mut Kernel, ObjectId) -> Result<Address>,
) -> Result<()> {
    quick(call, Cost::CALL, |k| {
        let id = k.object(fd)?;
        k.is_socket(id)?;
        let a = of(k, id)?;
        if out.is_null() || len.is_null() {
            return Err(Errno::EFAULT);
        }
        // SAFETY: the caller passes a writable length and as many writable bytes.
        unsafe { address::give(&a, out, len) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, out: *mut sockaddr, len: *mut socklen_t) -> c_int {
    if !ours(fd) {
        return real!(SYS_getsockname, fd, out, len) as c_int;
    }
    ret_unit(name("getsockname", fd, out, len, Kernel::socket_name))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, out: *mut sockaddr, len: *mut socklen_t) -> c_int {
    if !ours(fd) {
        return real!(SYS_getpeername, fd, out, len) as c_int;
    }
    ret_unit(name("getpeername", fd, out, len, Kernel::socket_peer))
}
