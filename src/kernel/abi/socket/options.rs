//! getsockopt(2) and setsockopt(2).

use super::super::raw::real;
use super::super::{ours, quick, ret_unit};
use crate::kernel::net::options::Value;
use crate::kernel::{Cost, Errno};
use libc::socklen_t;
use std::ffi::{c_int, c_void};

/// A value in C's layout.
fn bytes(v: Value) -> Vec<u8> {
    match v {
        Value::Int(n) => n.to_ne_bytes().to_vec(),
        Value::Time(ns) => {
            let ns = ns.unwrap_or(0);
            let (s, us) = (
                (ns / 1_000_000_000) as i64,
                (ns % 1_000_000_000 / 1000) as i64,
            );
            [s.to_ne_bytes(), us.to_ne_bytes()].concat()
        }
        Value::Linger(seconds) => {
            let on = i32::from(seconds.is_some());
            let seconds = seconds.unwrap_or(0) as i32;
            [on.to_ne_bytes(), seconds.to_ne_bytes()].concat()
        }
        Value::Text("") => Vec::new(),
        Value::Text(t) => {
            // Linux hands out a fixed field of sixteen bytes (TCP_CA_NAME_MAX).
            let mut field = t.as_bytes().to_vec();
            field.resize(16, 0);
            field
        }
        Value::Credentials(pid, uid, gid) => [
            pid.to_ne_bytes(),
            uid.cast_signed().to_ne_bytes(),
            gid.cast_signed().to_ne_bytes(),
        ]
        .concat(),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    out: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    if !ours(fd) {
        return real!(SYS_getsockopt, fd, level, name, out, len) as c_int;
    }
    ret_unit(quick("getsockopt", Cost::CALL, |k| {
        let id = k.object(fd)?;
        k.is_socket(id)?;
        if out.is_null() || len.is_null() {
            return Err(Errno::EFAULT);
        }
        // SAFETY: the caller passes a readable and writable length.
        let room = unsafe { *len };
        if room.cast_signed() < 0 {
            return Err(Errno::EINVAL);
        }
        let value = bytes(k.socket_option(id, level, name)?);
        let n = value.len().min(room as usize);
        // SAFETY: the caller's buffer has room for `room` bytes, and its length is writable.
        unsafe {
            std::ptr::copy_nonoverlapping(value.as_ptr(), out.cast::<u8>(), n);
            *len = n as socklen_t;
        }
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    if !ours(fd) {
        return real!(SYS_setsockopt, fd, level, name, value, len) as c_int;
    }
    ret_unit(quick("setsockopt", Cost::CALL, |k| {
        let id = k.object(fd)?;
        k.is_socket(id)?;
        if len.cast_signed() < 0 {
            return Err(Errno::EINVAL);
        }
        let value = if len == 0 {
            &[]
        } else if value.is_null() {
            return Err(Errno::EFAULT);
        } else {
            // SAFETY: the caller passes a buffer of `len` readable bytes.
            unsafe { std::slice::from_raw_parts(value.cast::<u8>(), len as usize) }
        };
        k.socket_set_option(id, level, name, value)
    }))
}
