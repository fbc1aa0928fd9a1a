//! sendmsg(2), recvmsg(2) and their many-at-once forms, with ancillary data: descriptors (`SCM_RIGHTS`), the address that a
//! datagram was sent to, its traffic class.

use super::super::file::{slices, slices_mut};
use super::super::raw::real;
use super::super::{nanoseconds, ours, ret_int, ret_size};
use super::address;
use super::transfer::{Outgoing, give_from, receive_message, send_message};
use crate::kernel::descriptor::{FIRST, ObjectId};
use crate::kernel::net::socket::{Control, Received};
use crate::kernel::thread;
use crate::kernel::{Errno, Kernel, Result};
use libc::{cmsghdr, mmsghdr, msghdr, timespec};
use std::ffi::{c_int, c_uint};
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of the only network interface besides the loopback.
const ETH0: u32 = 2;
const LO: u32 = 1;
const HEADER: usize = size_of::<cmsghdr>();

const fn aligned(n: usize) -> usize {
    (n + 7) & !7
}

/// Reads a number of four bytes.
fn word(data: &[u8]) -> Option<i32> {
    data.first_chunk().map(|b| i32::from_ne_bytes(*b))
}

/// Reads the ancillary data of a message to send. `EINVAL` if it is malformed or asks for what is not simulated.
///
/// # Safety
/// The control buffer of `m` must be readable.
unsafe fn decode_control(m: &msghdr) -> Result<(Control, Vec<c_int>)> {
    let mut control = Control::default();
    let mut rights = Vec::new();
    if m.msg_control.is_null() || m.msg_controllen == 0 {
        return Ok((control, rights));
    }
    // SAFETY: the caller's promise.
    let mut bytes =
        unsafe { std::slice::from_raw_parts(m.msg_control.cast::<u8>(), m.msg_controllen) };
    while bytes.len() >= HEADER {
        let len = usize::from_ne_bytes(*bytes.first_chunk().ok_or(Errno::EINVAL)?);
        if len < HEADER || len > bytes.len() {
            return Err(Errno::EINVAL);
        }
        let level = word(&bytes[8..]).ok_or(Errno::EINVAL)?;
        let kind = word(&bytes[12..]).ok_or(Errno::EINVAL)?;
        let data = &bytes[HEADER..len];
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                rights.extend(data.chunks_exact(4).filter_map(word))
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {}
            (libc::IPPROTO_IP, libc::IP_TOS) | (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                control.class = match data {
                    [b] => Some(*b),
                    _ => Some(word(data).ok_or(Errno::EINVAL)? as u8),
                };
            }
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let from: &[u8; 4] = data
                    .get(4..)
                    .and_then(|d| d.first_chunk())
                    .ok_or(Errno::EINVAL)?;
                let from = Ipv4Addr::from(*from);
                control.source = (!from.is_unspecified()).then_some(IpAddr::V4(from));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let from: &[u8; 16] = data.first_chunk().ok_or(Errno::EINVAL)?;
                let from = Ipv6Addr::from(*from);
                control.source =
                    (!from.is_unspecified()).then_some(IpAddr::V6(from).to_canonical());
            }
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {}
            _ => return Err(Errno::EINVAL),
        }
        bytes = bytes.get(aligned(len)..).unwrap_or(&[]);
    }
    Ok((control, rights))
}

/// Sends one message.
///
/// # Safety
/// As sendmsg(2) asks for `m`.
unsafe fn send_one(name: &'static str, fd: c_int, m: *const msghdr, flags: c_int) -> Result<usize> {
    // SAFETY: the caller's promise, here and below.
    let m = unsafe { &*m };
    let parts = unsafe { slices(m.msg_iov, m.msg_iovlen as c_int) }?;
    let (control, rights) = unsafe { decode_control(m) }?;
    let to = if m.msg_name.is_null() || m.msg_namelen == 0 {
        None
    } else {
        // SAFETY: as above.
        Some(unsafe { address::decode(m.msg_name.cast(), m.msg_namelen) }?)
    };
    if rights.iter().any(|fd| (0..FIRST).contains(fd)) {
        // The receiver may be on another simulated host, whose descriptors are its own.
        return Err(super::refuse(
            "sendmsg with a real file as SCM_RIGHTS",
            Errno::EINVAL,
            false,
        ));
    }
    let out = Outgoing {
        parts: &parts,
        to,
        control,
        rights,
    };
    send_message(name, fd, &out, flags)
}

/// The room for ancillary data of a message to receive.
struct Room {
    at: *mut u8,
    left: usize,
    used: usize,
    cut: bool,
}

impl Room {
    fn put(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        let len = HEADER + data.len();
        if len > self.left {
            self.cut = true;
            return;
        }
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(&len.to_ne_bytes());
        header[8..12].copy_from_slice(&level.to_ne_bytes());
        header[12..].copy_from_slice(&kind.to_ne_bytes());
        // SAFETY: `at` is writable for `left` bytes, which cover the header and the data.
        unsafe {
            std::ptr::copy_nonoverlapping(header.as_ptr(), self.at, HEADER);
            std::ptr::copy_nonoverlapping(data.as_ptr(), self.at.add(HEADER), data.len());
        }
        let step = aligned(len).min(self.left);
        // SAFETY: `step` is at most `left`.
        self.at = unsafe { self.at.add(step) };
        self.left -= step;
        self.used += step;
    }
}

/// Gives the descriptors that came with a message to the running process.
fn give_rights(k: &mut Kernel, room: &mut Room, rights: Vec<ObjectId>, close_on_exec: bool) {
    if rights.is_empty() {
        return;
    }
    let fit = room.left.saturating_sub(HEADER) / 4;
    let mut bytes = Vec::with_capacity(rights.len() * 4);
    for (i, object) in rights.into_iter().enumerate() {
        if i >= fit {
            k.release(object);
            room.cut = true;
            continue;
        }
        match k.install(object, close_on_exec) {
            Ok(fd) => bytes.extend_from_slice(&fd.to_ne_bytes()),
            Err(_) => room.cut = true,
        }
    }
    if !bytes.is_empty() {
        room.put(libc::SOL_SOCKET, libc::SCM_RIGHTS, &bytes);
    }
}

fn give_packet_info(k: &mut Kernel, id: ObjectId, room: &mut Room, r: &Received) {
    let on = |k: &Kernel, level, name| k.socket_switch(id, level, name);
    let Some(to) = r.to else {
        return;
    };
    let interface = if to.is_loopback() { LO } else { ETH0 };
    match to {
        IpAddr::V4(a) => {
            if on(k, libc::IPPROTO_IP, libc::IP_PKTINFO) {
                let a = a.octets();
                room.put(
                    libc::IPPROTO_IP,
                    libc::IP_PKTINFO,
                    &[interface.to_ne_bytes(), a, a].concat(),
                );
            }
            if on(k, libc::IPPROTO_IP, libc::IP_RECVTOS) {
                room.put(libc::IPPROTO_IP, libc::IP_TOS, &[r.class]);
            }
            if on(k, libc::IPPROTO_IP, libc::IP_RECVTTL) {
                room.put(libc::IPPROTO_IP, libc::IP_TTL, &64i32.to_ne_bytes());
            }
        }
        IpAddr::V6(_) => {
            if on(k, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS) {
                room.put(
                    libc::IPPROTO_IPV6,
                    libc::IPV6_TCLASS,
                    &i32::from(r.class).to_ne_bytes(),
                );
            }
            if on(k, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT) {
                room.put(
                    libc::IPPROTO_IPV6,
                    libc::IPV6_HOPLIMIT,
                    &64i32.to_ne_bytes(),
                );
            }
        }
    }
    if on(k, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) {
        let a = match to {
            IpAddr::V4(a) => a.to_ipv6_mapped(),
            IpAddr::V6(a) => a,
        };
        let mut info = a.octets().to_vec();
        info.extend_from_slice(&interface.to_ne_bytes());
        room.put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
    }
}

/// Receives one message.
///
/// # Safety
/// As recvmsg(2) asks for `m`.
unsafe fn receive_one(
    name: &'static str,
    fd: c_int,
    m: *mut msghdr,
    flags: c_int,
) -> Result<usize> {
    // SAFETY: the caller's promise, here and below.
    let m = unsafe { &mut *m };
    let mut parts = unsafe { slices_mut(m.msg_iov, m.msg_iovlen as c_int) }?;
    receive_message(name, fd, &mut parts, flags, |k, id, mut r| {
        m.msg_flags = flags & libc::MSG_CMSG_CLOEXEC;
        if r.len < r.whole {
            m.msg_flags |= libc::MSG_TRUNC;
        }
        let mut room = Room {
            at: m.msg_control.cast(),
            left: if m.msg_control.is_null() {
                0
            } else {
                m.msg_controllen
            },
            used: 0,
            cut: false,
        };
        let rights = std::mem::take(&mut r.rights);
        give_rights(k, &mut room, rights, flags & libc::MSG_CMSG_CLOEXEC != 0);
        give_packet_info(k, id, &mut room, &r);
        m.msg_controllen = room.used;
        if room.cut {
            m.msg_flags |= libc::MSG_CTRUNC;
        }
        if m.msg_name.is_null() {
            m.msg_namelen = 0;
        } else {
            // SAFETY: the caller's promise.
            unsafe { give_from(r.from.as_ref(), m.msg_name.cast(), &raw mut m.msg_namelen) };
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, m: *const msghdr, flags: c_int) -> isize {
    if !ours(fd) {
        return real!(SYS_sendmsg, fd, m, flags);
    }
    if m.is_null() {
        return ret_size(Err(Errno::EFAULT));
    }
    // SAFETY: the caller's contract is that of sendmsg(2).
    ret_size(unsafe { send_one("sendmsg", fd, m, flags) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, m: *mut msghdr, flags: c_int) -> isize {
    if !ours(fd) {
        return real!(SYS_recvmsg, fd, m, flags);
    }
    if m.is_null() {
        return ret_size(Err(Errno::EFAULT));
    }
    // SAFETY: the caller's contract is that of recvmsg(2).
    ret_size(unsafe { receive_one("recvmsg", fd, m, flags) })
}

/// The most messages that Linux takes at once.
const MANY: c_uint = 1024;

#[unsafe(no_mangle)]
unsafe extern "C" fn sendmmsg(fd: c_int, v: *mut mmsghdr, n: c_uint, flags: c_int) -> c_int {
    if !ours(fd) {
        return real!(SYS_sendmmsg, fd, v, n, flags) as c_int;
    }
    for i in 0..n.min(MANY) {
        // SAFETY: the caller passes `n` records.
        let m = unsafe { &mut *v.add(i as usize) };
        // SAFETY: the caller's contract is that of sendmmsg(2).
        match unsafe { send_one("sendmmsg", fd, &raw const m.msg_hdr, flags) } {
            Ok(sent) => m.msg_len = sent as c_uint,
            Err(e) if i == 0 => return ret_int(Err(e)),
            Err(_) => return i as c_int,
        }
    }
    n.min(MANY) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn recvmmsg(
    fd: c_int,
    v: *mut mmsghdr,
    n: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    if !ours(fd) {
        return real!(SYS_recvmmsg, fd, v, n, flags, timeout) as c_int;
    }
    let until = if timeout.is_null() {
        None
    } else {
        // SAFETY: the caller passes a readable timespec or null.
        match unsafe { nanoseconds(timeout) } {
            Ok(ns) => Some(thread::with_kernel(|k| k.after(ns))),
            Err(e) => return ret_int(Err(e)),
        }
    };
    let mut flags = flags;
    let one = flags & libc::MSG_WAITFORONE != 0;
    flags &= !libc::MSG_WAITFORONE;
    for i in 0..n.min(MANY) {
        // SAFETY: the caller passes `n` records.
        let m = unsafe { &mut *v.add(i as usize) };
        // SAFETY: the caller's contract is that of recvmmsg(2).
        match unsafe { receive_one("recvmmsg", fd, &raw mut m.msg_hdr, flags) } {
            Ok(got) => m.msg_len = got as c_uint,
            Err(e) if i == 0 => return ret_int(Err(e)),
            Err(_) => return i as c_int,
        }
        if one {
            flags |= libc::MSG_DONTWAIT;
        }
        // As Linux: the limit is looked at after each message only.
        if until.is_some_and(|until| thread::with_kernel(|k| k.reached(until))) {
            return i as c_int + 1;
        }
    }
    n.min(MANY) as c_int
}
