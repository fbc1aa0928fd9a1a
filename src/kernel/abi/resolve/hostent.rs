//! gethostbyname(3), gethostbyaddr(3) and their reentrant forms.

use super::super::raw::{self, next};
use super::super::simulated;
use super::text;
use super::wanted::{numeric, resolve};
use crate::kernel::thread;
use libc::{hostent, socklen_t};
use std::ffi::{c_char, c_int, c_void};
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `h_errno`: nobody has the name.
const HOST_NOT_FOUND: c_int = 1;

/// Lays a result out in `room`: pointers first, then addresses, then the name. Returns the bytes needed; writes nothing if
/// there are fewer.
///
/// # Safety
/// `room` must be writable for `len` bytes and aligned for pointers, and `out` writable, unless `len` is 0.
unsafe fn lay_out(
    name: &str,
    found: &[IpAddr],
    out: *mut hostent,
    room: *mut u8,
    len: usize,
) -> usize {
    let v4 = found.first().is_none_or(IpAddr::is_ipv4);
    let size = if v4 { 4 } else { 16 };
    // The list of addresses with its end, and an empty list of aliases.
    let pointers = (found.len() + 2) * size_of::<*mut c_char>();
    let needed = pointers + found.len() * size + name.len() + 1;
    if len < needed {
        return needed;
    }
    let list = room.cast::<*mut c_char>();
    // SAFETY: the room has `needed` bytes, divided as computed above.
    unsafe {
        let mut place = room.add(pointers);
        for (i, ip) in found.iter().enumerate() {
            list.add(i).write(place.cast());
            match ip {
                IpAddr::V4(a) => std::ptr::copy_nonoverlapping(a.octets().as_ptr(), place, 4),
                IpAddr::V6(a) => std::ptr::copy_nonoverlapping(a.octets().as_ptr(), place, 16),
            }
            place = place.add(size);
        }
        list.add(found.len()).write(std::ptr::null_mut());
        list.add(found.len() + 1).write(std::ptr::null_mut());
        std::ptr::copy_nonoverlapping(name.as_ptr(), place, name.len());
        place.add(name.len()).write(0);
        out.write(hostent {
            h_name: place.cast(),
            h_aliases: list.add(found.len() + 1),
            h_addrtype: if v4 { libc::AF_INET } else { libc::AF_INET6 },
            h_length: size as c_int,
            h_addr_list: list,
        });
    }
    needed
}

/// The addresses of a name, of one family.
fn find(name: &str, family: c_int) -> Vec<IpAddr> {
    let found = match numeric(name) {
        Some((ip, _)) => vec![ip],
        None => resolve(name),
    };
    found
        .into_iter()
        .filter(|ip| ip.is_ipv4() == (family == libc::AF_INET))
        .collect()
}

/// The name of an address, and the address.
///
/// # Safety
/// `a` must be readable for `len` bytes.
unsafe fn reverse(a: *const c_void, len: socklen_t, family: c_int) -> Option<(String, IpAddr)> {
    // SAFETY: the caller's promise; the lengths are checked.
    let ip = unsafe {
        match (family, len) {
            (libc::AF_INET, 4) => IpAddr::V4(Ipv4Addr::from(a.cast::<[u8; 4]>().read_unaligned())),
            (libc::AF_INET6, 16) => {
                IpAddr::V6(Ipv6Addr::from(a.cast::<[u8; 16]>().read_unaligned()))
            }
            _ => return None,
        }
    };
    let name = thread::with_kernel(|k| k.name_of(k.host_id(), ip))?;
    Some((name, ip))
}

/// The result of the forms that return memory of libc's own. Nobody frees it, so each call leaks a small block, which is
/// gone with the process.
fn leaked(name: &str, found: &[IpAddr]) -> *mut hostent {
    if found.is_empty() {
        return std::ptr::null_mut();
    }
    // SAFETY: with no room nothing is written.
    let needed = unsafe { lay_out(name, found, std::ptr::null_mut(), std::ptr::null_mut(), 0) };
    let block = raw::c_alloc(size_of::<hostent>() + needed);
    if block.is_null() {
        return std::ptr::null_mut();
    }
    let out = block.cast::<hostent>();
    // SAFETY: the block has room for the structure and what it points to, and is aligned by the allocator.
    unsafe { lay_out(name, found, out, out.add(1).cast(), needed) };
    out
}

/// Fills the caller's structure in the reentrant forms.
///
/// # Safety
/// As gethostbyname_r(3) asks for its arguments.
unsafe fn reentrant(
    found: Option<(&str, Vec<IpAddr>)>,
    out: *mut hostent,
    room: *mut c_char,
    len: usize,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        *result = std::ptr::null_mut();
        let Some((name, found)) = found.filter(|f| !f.1.is_empty()) else {
            *error = HOST_NOT_FOUND;
            return 0;
        };
        let skip = room.align_offset(size_of::<usize>()).min(len);
        if lay_out(name, &found, out, room.add(skip).cast(), len - skip) > len - skip {
            return libc::ERANGE;
        }
        *result = out;
        *error = 0;
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
    if !simulated() {
        return next!(
            c"gethostbyname2",
            fn(*const c_char, c_int) -> *mut hostent,
            name,
            family
        );
    }
    // SAFETY: the caller passes a C string.
    match unsafe { text(name) } {
        Ok(Some(name)) => leaked(name, &find(name, family)),
        _ => std::ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    if !simulated() {
        return next!(c"gethostbyname", fn(*const c_char) -> *mut hostent, name);
    }
    // SAFETY: the same contract.
    unsafe { gethostbyname2(name, libc::AF_INET) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    out: *mut hostent,
    room: *mut c_char,
    len: usize,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    if !simulated() {
        return next!(
            c"gethostbyname2_r",
            fn(
                *const c_char,
                c_int,
                *mut hostent,
                *mut c_char,
                usize,
                *mut *mut hostent,
                *mut c_int,
            ) -> c_int,
            name,
            family,
            out,
            room,
            len,
            result,
            error
        );
    }
    // SAFETY: the caller's contract, here and below.
    let found = match unsafe { text(name) } {
        Ok(Some(name)) => Some((name, find(name, family))),
        _ => None,
    };
    // SAFETY: as above.
    unsafe { reentrant(found, out, room, len, result, error) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname_r(
    name: *const c_char,
    out: *mut hostent,
    room: *mut c_char,
    len: usize,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    if !simulated() {
        return next!(
            c"gethostbyname_r",
            fn(
                *const c_char,
                *mut hostent,
                *mut c_char,
                usize,
                *mut *mut hostent,
                *mut c_int,
            ) -> c_int,
            name,
            out,
            room,
            len,
            result,
            error
        );
    }
    // SAFETY: the same contract.
    unsafe { gethostbyname2_r(name, libc::AF_INET, out, room, len, result, error) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr(
    a: *const c_void,
    len: socklen_t,
    family: c_int,
) -> *mut hostent {
    if !simulated() {
        return next!(
            c"gethostbyaddr",
            fn(*const c_void, socklen_t, c_int) -> *mut hostent,
            a,
            len,
            family
        );
    }
    // SAFETY: the caller passes `len` readable bytes.
    match unsafe { reverse(a, len, family) } {
        Some((name, ip)) => leaked(&name, &[ip]),
        None => std::ptr::null_mut(),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr_r(
    a: *const c_void,
    len: socklen_t,
    family: c_int,
    out: *mut hostent,
    room: *mut c_char,
    room_len: usize,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    if !simulated() {
        return next!(
            c"gethostbyaddr_r",
            fn(
                *const c_void,
                socklen_t,
                c_int,
                *mut hostent,
                *mut c_char,
                usize,
                *mut *mut hostent,
                *mut c_int,
            ) -> c_int,
            a,
            len,
            family,
            out,
            room,
            room_len,
            result,
            error
        );
    }
    // SAFETY: the caller's contract, here and below.
    let found = unsafe { reverse(a, len, family) };
    let found = found.as_ref().map(|(name, ip)| (name.as_str(), vec![*ip]));
    unsafe { reentrant(found, out, room, room_len, result, error) }
}
