//! send(2), recv(2) and their kin.

use super::super::raw::real;
use super::super::{ret_size, ours, sys};
use super::{Call, Direction};
use crate::kernel::{Cost, Result, Step};
use libc::{sockaddr, socklen_t};
use std::ffi::{c_int, c_void};

fn send_bytes(name: &'static str, fd: c_int, data: &[u8], flags: c_int) -> Result<usize> {
    let mut call = Call::default();
    let mut sent = 0;
    sys(name, Cost::CALL, |k| {
        let id = match call.object(k, fd, Direction::Send) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        let dont_wait = flags & libc::MSG_DONTWAIT != 0;
        let waits = !dont_wait && !k.objects.nonblocking(id);
        let attempt = loop {
            match k.socket_send(id, &data[sent..]) {
                // A blocking call sends all of it.
                Ok(n) if waits && n > 0 && sent + n < data.len() => sent += n,
                Ok(n) => break Ok(sent + n),
                Err(e) => break Err(e),
            }
        };
        match k.or_block(id, dont_wait, call.until(), attempt) {
            Step::Done(Err(_)) if sent > 0 => Step::Done(Ok(sent)),
            other => other,
        }
    })
}

fn receive_bytes(name: &'static str, fd: c_int, out: &mut [u8], flags: c_int) -> Result<usize> {
    let mut call = Call::default();
    let mut got = 0;
    sys(name, Cost::CALL, |k| {
        let id = match call.object(k, fd, Direction::Receive) {
            Ok(id) => id,
            Err(e) => return Step::Done(Err(e)),
        };
        let peek = flags & libc::MSG_PEEK != 0;
        let all = flags & libc::MSG_WAITALL != 0 && !peek && !k.objects.nonblocking(id);
        let attempt = loop {
            match k.socket_recv(id, &mut out[got..], peek) {
                Ok(n) if all && n > 0 && got + n < out.len() => got += n,
                Ok(n) => break Ok(got + n),
                Err(e) => break Err(e),
            }
        };
        match k.or_block(id, flags & libc::MSG_DONTWAIT != 0, call.until(), attempt) {
            Step::Done(Err(_)) if got > 0 => Step::Done(Ok(got)),
            Step::Done(Ok(n)) => {
                k.trace.fold_bytes(&out[..n]);
                Step::Done(Ok(n))
            }
            other => other,
        }
    })
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
unsafe extern "C" fn recv(fd: c_int, out: *mut c_void, len: usize, flags: c_int) -> isize {
    if !ours(fd) {
        return real!(SYS_recvfrom, fd, out, len, flags, 0, 0);
    }
    // SAFETY: the caller passes `len` writable bytes.
    ret_size(receive_bytes("recv", fd, unsafe { output(out, len) }, flags))
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
    ret_size(send_bytes("sendto", fd, unsafe { input(data, len) }, flags))
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
