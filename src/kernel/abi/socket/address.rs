//! `sockaddr` in and out. Called by the other files here and by `abi/resolve.rs`.

use crate::kernel::net::address::{Address, UnixName};
use crate::kernel::{Errno, Result};
use libc::{sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, sockaddr_un, socklen_t};
use std::mem::{offset_of, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

const UNIX_PATH: usize = offset_of!(sockaddr_un, sun_path);

/// Reads an address. `EINVAL` if it is too short for its family, `EAFNOSUPPORT` for a family that is not simulated.
///
/// # Safety
/// `a` must be readable for `len` bytes.
pub(crate) unsafe fn decode(a: *const sockaddr, len: socklen_t) -> Result<Address> {
    let len = len as usize;
    if a.is_null() {
        return Err(Errno::EFAULT);
    }
    if len < size_of::<libc::sa_family_t>() || len > size_of::<sockaddr_storage>() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the caller vouches for `len` bytes; they may be unaligned.
    let bytes = unsafe { std::slice::from_raw_parts(a.cast::<u8>(), len) };
    let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
    match family {
        libc::AF_UNSPEC => Ok(Address::Unspecified),
        libc::AF_INET => {
            if len < size_of::<sockaddr_in>() {
                return Err(Errno::EINVAL);
            }
            // SAFETY: `len` covers the structure.
            let a = unsafe { a.cast::<sockaddr_in>().read_unaligned() };
            Ok(Address::Inet(SocketAddr::V4(from_in(&a))))
        }
        libc::AF_INET6 => {
            // The scope at the end may be missing.
            if len < 24 {
                return Err(Errno::EINVAL);
            }
            // SAFETY: all-zero is a valid sockaddr_in6.
            let mut whole: sockaddr_in6 = unsafe { std::mem::zeroed() };
            let n = len.min(size_of::<sockaddr_in6>());
            // SAFETY: both are good for `n` bytes and do not overlap.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut whole).cast::<u8>(), n)
            };
            Ok(Address::Inet(SocketAddr::V6(from_in6(&whole))))
        }
        libc::AF_UNIX => {
            if len > size_of::<sockaddr_un>() {
                return Err(Errno::EINVAL);
            }
            let path = &bytes[UNIX_PATH..];
            Ok(Address::Unix(match path {
                [] => UnixName::Unnamed,
                [0, name @ ..] => UnixName::Abstract(name.to_vec()),
                _ => {
                    let end = path.iter().position(|b| *b == 0).unwrap_or(path.len());
                    UnixName::Path(path[..end].to_vec())
                }
            }))
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

fn from_in(a: &sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(
        Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr)),
        u16::from_be(a.sin_port),
    )
}

fn from_in6(a: &sockaddr_in6) -> SocketAddrV6 {
    SocketAddrV6::new(
        Ipv6Addr::from(a.sin6_addr.s6_addr),
        u16::from_be(a.sin6_port),
        a.sin6_flowinfo,
        a.sin6_scope_id,
    )
}

/// An address in C's layout.
pub(crate) struct Encoded {
    bytes: [u8; size_of::<sockaddr_storage>()],
    len: usize,
}

impl Encoded {
    /// The bytes that count.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Lays an address out for C.
pub(crate) fn encode(a: &Address) -> Encoded {
    let mut e = Encoded {
        bytes: [0; size_of::<sockaddr_storage>()],
        len: 0,
    };
    let family = |f: i32| (f as u16).to_ne_bytes();
    match a {
        Address::Unspecified => e.len = 2,
        Address::Inet(SocketAddr::V4(a)) => {
            e.bytes[..2].copy_from_slice(&family(libc::AF_INET));
            e.bytes[2..4].copy_from_slice(&a.port().to_be_bytes());
            e.bytes[4..8].copy_from_slice(&a.ip().octets());
            e.len = size_of::<sockaddr_in>();
        }
        Address::Inet(SocketAddr::V6(a)) => {
            e.bytes[..2].copy_from_slice(&family(libc::AF_INET6));
            e.bytes[2..4].copy_from_slice(&a.port().to_be_bytes());
            e.bytes[4..8].copy_from_slice(&a.flowinfo().to_ne_bytes());
            e.bytes[8..24].copy_from_slice(&a.ip().octets());
            e.bytes[24..28].copy_from_slice(&a.scope_id().to_ne_bytes());
            e.len = size_of::<sockaddr_in6>();
        }
        Address::Unix(name) => {
            e.bytes[..2].copy_from_slice(&family(libc::AF_UNIX));
            let path = &mut e.bytes[UNIX_PATH..];
            e.len = UNIX_PATH
                + match name {
                    UnixName::Unnamed => 0,
                    UnixName::Path(p) => {
                        path[..p.len()].copy_from_slice(p);
                        p.len() + 1
                    }
                    UnixName::Abstract(n) => {
                        path[1..=n.len()].copy_from_slice(n);
                        n.len() + 1
                    }
                };
        }
    }
    e
}

/// Hands an address to the caller, cut to its room; `*len` becomes the full length.
///
/// # Safety
/// `len` must be null or writable, and `out` null or writable for `*len` bytes.
pub(crate) unsafe fn give(a: &Address, out: *mut sockaddr, len: *mut socklen_t) {
    if out.is_null() || len.is_null() {
        return;
    }
    let e = encode(a);
    // SAFETY: the caller vouches for both pointers.
    unsafe {
        let room = *len as usize;
        std::ptr::copy_nonoverlapping(e.bytes.as_ptr(), out.cast::<u8>(), room.min(e.len));
        *len = e.len as socklen_t;
    }
}
