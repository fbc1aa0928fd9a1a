//! getifaddrs(3), if_nametoindex(3) and their kin: every host has the interfaces `lo` and `eth0`.

use super::super::raw::{self, next};
use super::super::socket::address;
use super::super::{quick, simulated};
use super::{c_string, text};
use crate::kernel::net::address::Address;
use crate::kernel::{Cost, Errno, thread};
use libc::ifaddrs;
use std::ffi::{c_char, c_int, c_uint};
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The interfaces, by number from 1.
const NAMES: [&str; 2] = ["lo", "eth0"];

/// One address of an interface.
struct Entry {
    interface: usize,
    address: IpAddr,
    mask: IpAddr,
    broadcast: Option<IpAddr>,
}

fn entries() -> Vec<Entry> {
    let (v4, v6) = thread::with_kernel(|k| (k.host().v4, k.host().v6));
    let v4_entry = |interface, address: Ipv4Addr, bits: u32, broadcast: bool| {
        let mask = Ipv4Addr::from(u32::MAX << (32 - bits));
        Entry {
            interface,
            address: IpAddr::V4(address),
            mask: IpAddr::V4(mask),
            broadcast: broadcast.then(|| IpAddr::V4(address | !mask)),
        }
    };
    let v6_entry = |interface, address: Ipv6Addr, bits: u32| Entry {
        interface,
        address: IpAddr::V6(address),
        mask: IpAddr::V6(Ipv6Addr::from(u128::MAX << (128 - bits))),
        broadcast: None,
    };
    vec![
        v4_entry(0, Ipv4Addr::LOCALHOST, 8, false),
        v4_entry(1, v4, 16, true),
        v6_entry(0, Ipv6Addr::LOCALHOST, 128),
        v6_entry(1, v6, 64),
    ]
}

/// The room for one entry: the record, three addresses and the name, rounded up.
const ROOM: usize = size_of::<ifaddrs>() + 3 * 32 + 8;

#[unsafe(no_mangle)]
unsafe extern "C" fn getifaddrs(out: *mut *mut ifaddrs) -> c_int {
    if !simulated() {
        return next!(c"getifaddrs", fn(*mut *mut ifaddrs) -> c_int, out);
    }
    let entries = entries();
    let _ = quick("getifaddrs", Cost::CALL, |_| Ok(entries.len()));
    let block = raw::c_alloc(entries.len() * ROOM).cast::<u8>();
    if block.is_null() {
        return super::super::fail(Errno::ENOMEM);
    }
    for (i, e) in entries.iter().enumerate() {
        // SAFETY: the block has `ROOM` bytes for each entry: the record, three places of 32 bytes (a sockaddr_in6 has 28)
        // and eight bytes for the name; all are multiples of eight, so everything is aligned.
        unsafe {
            let record = block.add(i * ROOM).cast::<ifaddrs>();
            let places = record.add(1).cast::<u8>();
            let put = |n: usize, ip: IpAddr| {
                let encoded = address::encode(&Address::Inet(SocketAddr::new(ip, 0)));
                let place = places.add(n * 32);
                std::ptr::copy_nonoverlapping(
                    encoded.bytes().as_ptr(),
                    place,
                    encoded.bytes().len(),
                );
                place.cast()
            };
            let name = NAMES[e.interface];
            std::ptr::copy_nonoverlapping(name.as_ptr(), places.add(96), name.len());
            let flags = libc::IFF_UP
                | libc::IFF_RUNNING
                | match e.interface {
                    0 => libc::IFF_LOOPBACK,
                    _ => libc::IFF_BROADCAST | libc::IFF_MULTICAST,
                };
            record.write(ifaddrs {
                ifa_next: if i + 1 < entries.len() {
                    block.add((i + 1) * ROOM).cast()
                } else {
                    std::ptr::null_mut()
                },
                ifa_name: places.add(96).cast(),
                ifa_flags: flags as c_uint,
                ifa_addr: put(0, e.address),
                ifa_netmask: put(1, e.mask),
                ifa_ifu: e.broadcast.map_or(std::ptr::null_mut(), |b| put(2, b)),
                ifa_data: std::ptr::null_mut(),
            });
        }
    }
    // SAFETY: the caller passes a writable pointer.
    unsafe { *out = block.cast() };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn if_nametoindex(name: *const c_char) -> c_uint {
    if !simulated() {
        return next!(c"if_nametoindex", fn(*const c_char) -> c_uint, name);
    }
    // SAFETY: the caller passes a C string.
    let name = unsafe { text(name) }.ok().flatten();
    match NAMES.iter().position(|n| Some(*n) == name) {
        Some(at) => at as c_uint + 1,
        None => {
            super::super::fail(Errno::ENODEV);
            0
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn if_indextoname(index: c_uint, out: *mut c_char) -> *mut c_char {
    if !simulated() {
        return next!(
            c"if_indextoname",
            fn(c_uint, *mut c_char) -> *mut c_char,
            index,
            out
        );
    }
    match NAMES.get((index as usize).wrapping_sub(1)) {
        Some(name) => {
            // SAFETY: the caller passes room for IF_NAMESIZE bytes, more than any name here has.
            unsafe {
                std::ptr::copy_nonoverlapping(name.as_ptr(), out.cast::<u8>(), name.len());
                *out.add(name.len()) = 0;
            }
            out
        }
        None => {
            super::super::fail(Errno::ENXIO);
            std::ptr::null_mut()
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn if_nameindex() -> *mut libc::if_nameindex {
    if !simulated() {
        return next!(c"if_nameindex", fn() -> *mut libc::if_nameindex);
    }
    // One more record, all zero, ends the list; libc frees each name and then the list.
    let block = raw::c_alloc((NAMES.len() + 1) * size_of::<libc::if_nameindex>())
        .cast::<libc::if_nameindex>();
    if block.is_null() {
        super::super::fail(Errno::ENOMEM);
        return block;
    }
    for (i, name) in NAMES.iter().enumerate() {
        // SAFETY: the block has a record for each name and one more.
        unsafe {
            block.add(i).write(libc::if_nameindex {
                if_index: i as c_uint + 1,
                if_name: c_string(name),
            });
        }
    }
    block
}
