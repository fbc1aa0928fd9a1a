//! getaddrinfo(3), getnameinfo(3), gethostname(2), and, in the files below, what a request asks for, the older lookups and the network interfaces.
//!
//! Results are blocks of libc's own allocator, laid out so that libc's `freeaddrinfo` and `freeifaddrs` free them.

mod hostent;
mod interfaces;
mod wanted;

use super::raw::{self, next};
use super::socket::address;
use super::{quick, ret_unit, simulated};
use crate::kernel::net::address::Address;
use crate::kernel::net::names;
use crate::kernel::{Cost, Errno};
use libc::{addrinfo, sockaddr, socklen_t};
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::mem::size_of;
use std::net::SocketAddr;
use wanted::{Transport, Wanted, decide};

/// A C string as text; `None` for null, an error for what is not UTF-8.
///
/// # Safety
/// `s` must be null or a C string.
unsafe fn text<'a>(s: *const c_char) -> Result<Option<&'a str>, c_int> {
    if s.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let s = unsafe { CStr::from_ptr(s) };
    s.to_str().map(Some).map_err(|_| libc::EAI_NONAME)
}

/// A copy of a text that `free` accepts.
fn c_string(s: &str) -> *mut c_char {
    let p = raw::c_alloc(s.len() + 1).cast::<u8>();
    if !p.is_null() {
        // SAFETY: the block has room for the text; it came zeroed, so the end is marked.
        unsafe { std::ptr::copy_nonoverlapping(s.as_ptr(), p, s.len()) };
    }
    p.cast()
}

/// Builds the list in memory that libc's `freeaddrinfo` frees: each node and its address are one block.
fn encode(found: &[(Transport, SocketAddr)], canonical: Option<&str>) -> *mut addrinfo {
    let mut head = std::ptr::null_mut();
    for (i, ((kind, protocol), a)) in found.iter().enumerate().rev() {
        let e = address::encode(&Address::Inet(*a));
        let block = raw::c_alloc(size_of::<addrinfo>() + e.bytes().len());
        if block.is_null() {
            return head;
        }
        let node = block.cast::<addrinfo>();
        // SAFETY: the block is large enough for the node and the address behind it, and aligned by the allocator.
        unsafe {
            let place = node.add(1).cast::<u8>();
            std::ptr::copy_nonoverlapping(e.bytes().as_ptr(), place, e.bytes().len());
            node.write(addrinfo {
                ai_flags: 0,
                ai_family: if a.is_ipv4() {
                    libc::AF_INET
                } else {
                    libc::AF_INET6
                },
                ai_socktype: *kind,
                ai_protocol: *protocol,
                ai_addrlen: e.bytes().len() as socklen_t,
                ai_addr: place.cast(),
                ai_canonname: match canonical {
                    Some(name) if i == 0 => c_string(name),
                    _ => std::ptr::null_mut(),
                },
                ai_next: head,
            });
        }
        head = node;
    }
    head
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    out: *mut *mut addrinfo,
) -> c_int {
    if !simulated() {
        return next!(
            c"getaddrinfo",
            fn(*const c_char, *const c_char, *const addrinfo, *mut *mut addrinfo) -> c_int,
            node,
            service,
            hints,
            out
        );
    }
    // SAFETY: the caller passes C strings or null.
    let (node, service) = match unsafe { (text(node), text(service)) } {
        (Ok(n), Ok(s)) => (n, s),
        _ => return libc::EAI_NONAME,
    };
    // SAFETY: the caller passes readable hints or null.
    let hints = unsafe { hints.as_ref() };
    let w = Wanted {
        node,
        service,
        flags: hints.map_or(libc::AI_V4MAPPED | libc::AI_ADDRCONFIG, |h| h.ai_flags),
        family: hints.map_or(libc::AF_UNSPEC, |h| h.ai_family),
        kind: hints.map_or(0, |h| h.ai_socktype),
        protocol: hints.map_or(0, |h| h.ai_protocol),
    };
    let canonical = w.node.filter(|_| w.flags & libc::AI_CANONNAME != 0);
    match decide(&w) {
        Ok(found) => {
            // SAFETY: the caller passes a writable pointer.
            unsafe { *out = encode(&found, canonical) };
            0
        }
        Err(code) => code,
    }
}

/// Puts a text into the caller's room; `EAI_OVERFLOW` if it does not fit.
///
/// # Safety
/// `out` must be null or writable for `len` bytes.
unsafe fn give_text(s: &str, out: *mut c_char, len: socklen_t) -> c_int {
    if out.is_null() || len == 0 {
        return 0;
    }
    if s.len() >= len as usize {
        return libc::EAI_OVERFLOW;
    }
    // SAFETY: the text and its end fit.
    unsafe {
        std::ptr::copy_nonoverlapping(s.as_ptr(), out.cast::<u8>(), s.len());
        *out.add(s.len()) = 0;
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getnameinfo(
    a: *const sockaddr,
    len: socklen_t,
    host: *mut c_char,
    host_len: socklen_t,
    service: *mut c_char,
    service_len: socklen_t,
    flags: c_uint,
) -> c_int {
    if !simulated() {
        return next!(
            c"getnameinfo",
            fn(
                *const sockaddr,
                socklen_t,
                *mut c_char,
                socklen_t,
                *mut c_char,
                socklen_t,
                c_uint,
            ) -> c_int,
            a,
            len,
            host,
            host_len,
            service,
            service_len,
            flags
        );
    }
    let flags = flags.cast_signed();
    // SAFETY: the caller passes `len` readable bytes.
    let Ok(Address::Inet(a)) = (unsafe { address::decode(a, len) }) else {
        return libc::EAI_FAMILY;
    };
    let ip = a.ip();
    let numeric = flags & libc::NI_NUMERICHOST != 0;
    let named = quick("getnameinfo", Cost::CALL, |k| {
        let host = k.host_id();
        Ok(k.name_of(host, ip).filter(|_| !numeric).is_some())
    });
    let name = if named == Ok(true) {
        crate::kernel::thread::with_kernel(|k| k.name_of(k.host_id(), ip))
    } else {
        None
    };
    let name = match name {
        Some(name) => name,
        None if flags & libc::NI_NAMEREQD != 0 => return libc::EAI_NONAME,
        None => ip.to_string(),
    };
    // SAFETY: the caller passes writable room of the lengths that it says.
    unsafe {
        let code = give_text(&name, host, host_len);
        if code != 0 {
            return code;
        }
        let port = match names::service_name(a.port()) {
            Some(s) if flags & libc::NI_NUMERICSERV == 0 => s.to_owned(),
            _ => a.port().to_string(),
        };
        give_text(&port, service, service_len)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostname(out: *mut c_char, len: usize) -> c_int {
    if !simulated() {
        return next!(c"gethostname", fn(*mut c_char, usize) -> c_int, out, len);
    }
    ret_unit(quick("gethostname", Cost::CALL, |k| {
        let name = k.host().name.clone();
        let n = name.len().min(len);
        // SAFETY: the caller passes room for `len` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(name.as_ptr(), out.cast::<u8>(), n);
            if n < len {
                *out.add(n) = 0;
            }
        }
        if name.len() < len {
            Ok(())
        } else {
            Err(Errno(libc::ENAMETOOLONG))
        }
    }))
}
