//! libc's calls with plain arguments and results: a number, or the name of the error. Used by the families.

use libc::{c_int, c_void, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_un, socklen_t};
use std::mem::size_of;

/// A call's result.
pub type Answer<T = i64> = Result<T, String>;

/// The name of an error number.
pub fn error_name(e: i32) -> String {
    let name = squall::kernel::Errno(e).name();
    if name == "E?" {
        format!("errno {e}")
    } else {
        name.to_owned()
    }
}

fn answer(r: i64) -> Answer {
    if r < 0 {
        let e = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
        return Err(error_name(e));
    }
    Ok(r)
}

/// As one word of a log line.
pub fn word<T: ToString>(a: &Answer<T>) -> String {
    match a {
        Ok(v) => v.to_string(),
        Err(e) => e.clone(),
    }
}

pub fn socket(domain: c_int, kind: c_int) -> Answer {
    // SAFETY: no pointers.
    answer(i64::from(unsafe {
        libc::socket(domain, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0)
    }))
}

pub fn socketpair(kind: c_int) -> Answer<(c_int, c_int)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    answer(i64::from(unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            kind | libc::SOCK_NONBLOCK,
            0,
            fds.as_mut_ptr(),
        )
    }))?;
    Ok((fds[0], fds[1]))
}

pub fn pipe() -> Answer<(c_int, c_int)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    answer(i64::from(unsafe {
        libc::pipe2(fds.as_mut_ptr(), libc::O_NONBLOCK)
    }))?;
    Ok((fds[0], fds[1]))
}

pub fn eventfd(count: u32, semaphore: bool) -> Answer {
    let flags = libc::EFD_NONBLOCK | if semaphore { libc::EFD_SEMAPHORE } else { 0 };
    // SAFETY: no pointers.
    answer(i64::from(unsafe { libc::eventfd(count, flags) }))
}

pub fn close(fd: c_int) -> Answer {
    // SAFETY: the tests use descriptors of their own only.
    answer(i64::from(unsafe { libc::close(fd) }))
}

pub fn dup(fd: c_int) -> Answer {
    // SAFETY: no pointers.
    answer(i64::from(unsafe {
        libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0)
    }))
}

/// An address in C's layout.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; 128],
    len: socklen_t,
}

impl Name {
    pub fn v4(ip: [u8; 4], port: u16) -> Name {
        let a = sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(ip),
            },
            sin_zero: [0; 8],
        };
        Name::of(&a, size_of::<sockaddr_in>())
    }

    pub fn v6(ip: std::net::Ipv6Addr, port: u16) -> Name {
        let a = sockaddr_in6 {
            sin6_family: libc::AF_INET6 as u16,
            sin6_port: port.to_be(),
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr {
                s6_addr: ip.octets(),
            },
            sin6_scope_id: 0,
        };
        Name::of(&a, size_of::<sockaddr_in6>())
    }

    /// A name in the abstract namespace; an empty one asks for one of the system's choice.
    pub fn unix(name: &str) -> Name {
        let mut a = sockaddr_un {
            sun_family: libc::AF_UNIX as u16,
            sun_path: [0; 108],
        };
        for (place, b) in a.sun_path[1..].iter_mut().zip(name.bytes()) {
            *place = b.cast_signed();
        }
        Name::of(&a, if name.is_empty() { 2 } else { 3 + name.len() })
    }

    pub fn unspecified() -> Name {
        Name::of(&(libc::AF_UNSPEC as u16), 2).resized(16)
    }

    pub fn resized(mut self, len: socklen_t) -> Name {
        self.len = len;
        self
    }

    fn of<T>(a: &T, len: usize) -> Name {
        let mut bytes = [0; 128];
        // SAFETY: every structure given here is plain data of at most 128 bytes.
        let source = unsafe {
            std::slice::from_raw_parts(std::ptr::from_ref(a).cast::<u8>(), size_of::<T>())
        };
        bytes[..source.len()].copy_from_slice(source);
        Name {
            bytes,
            len: len as socklen_t,
        }
    }

    fn empty() -> Name {
        Name {
            bytes: [0; 128],
            len: 128,
        }
    }

    pub fn is_unix(&self) -> bool {
        i32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]])) == libc::AF_UNIX
    }

    pub fn port(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// Without what differs from run to run: ports and the names of the system's choice.
    pub fn text(&self) -> String {
        if self.len == 0 {
            return "none".to_owned();
        }
        let family = i32::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]]));
        let port = if self.port() == 0 { "0" } else { "port" };
        match family {
            libc::AF_INET => format!(
                "{}.{}.{}.{}:{port}",
                self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]
            ),
            libc::AF_INET6 => {
                let ip: [u8; 16] = self.bytes[8..24].try_into().expect("sixteen bytes");
                format!("[{}]:{port}", std::net::Ipv6Addr::from(ip))
            }
            libc::AF_UNIX if self.len <= 2 => "unix".to_owned(),
            libc::AF_UNIX => "unix name".to_owned(),
            other => format!("family {other}"),
        }
    }
}

pub fn bind(fd: c_int, a: &Name) -> Answer {
    // SAFETY: the address is readable for its length.
    answer(i64::from(unsafe {
        libc::bind(fd, a.bytes.as_ptr().cast::<sockaddr>(), a.len)
    }))
}

pub fn connect(fd: c_int, a: &Name) -> Answer {
    // SAFETY: the address is readable for its length.
    answer(i64::from(unsafe {
        libc::connect(fd, a.bytes.as_ptr().cast::<sockaddr>(), a.len)
    }))
}

pub fn listen(fd: c_int, backlog: c_int) -> Answer {
    // SAFETY: no pointers.
    answer(i64::from(unsafe { libc::listen(fd, backlog) }))
}

pub fn accept(fd: c_int) -> Answer<(c_int, Name)> {
    let mut a = Name::empty();
    // SAFETY: room for an address and its length.
    let fd = answer(i64::from(unsafe {
        libc::accept4(
            fd,
            a.bytes.as_mut_ptr().cast(),
            &raw mut a.len,
            libc::SOCK_NONBLOCK,
        )
    }))?;
    Ok((fd as c_int, a))
}

pub fn shutdown(fd: c_int, how: c_int) -> Answer {
    // SAFETY: no pointers.
    answer(i64::from(unsafe { libc::shutdown(fd, how) }))
}

type NameCall = unsafe extern "C" fn(c_int, *mut sockaddr, *mut socklen_t) -> c_int;

fn name_by(call: NameCall, fd: c_int) -> Answer<Name> {
    let mut a = Name::empty();
    // SAFETY: room for an address and its length.
    answer(i64::from(unsafe {
        call(fd, a.bytes.as_mut_ptr().cast(), &raw mut a.len)
    }))?;
    Ok(a)
}

pub fn name(fd: c_int) -> Answer<Name> {
    name_by(libc::getsockname, fd)
}

pub fn peer(fd: c_int) -> Answer<Name> {
    name_by(libc::getpeername, fd)
}

pub fn send(fd: c_int, data: &[u8], flags: c_int) -> Answer {
    // SAFETY: the buffer is readable for its length.
    answer(unsafe {
        libc::send(
            fd,
            data.as_ptr().cast(),
            data.len(),
            flags | libc::MSG_NOSIGNAL,
        ) as i64
    })
}

pub fn send_to(fd: c_int, data: &[u8], a: &Name) -> Answer {
    // SAFETY: the buffer and the address are readable for their lengths.
    answer(unsafe {
        libc::sendto(
            fd,
            data.as_ptr().cast(),
            data.len(),
            libc::MSG_NOSIGNAL,
            a.bytes.as_ptr().cast(),
            a.len,
        ) as i64
    })
}

pub fn recv(fd: c_int, n: usize, flags: c_int) -> Answer<Vec<u8>> {
    let mut data = vec![0; n];
    // SAFETY: the buffer is writable for its length.
    let got = answer(unsafe { libc::recv(fd, data.as_mut_ptr().cast(), n, flags) as i64 })?;
    data.truncate(got as usize);
    Ok(data)
}

pub fn recv_from(fd: c_int, n: usize) -> Answer<(Vec<u8>, Name)> {
    let mut data = vec![0; n];
    let mut a = Name::empty();
    // SAFETY: the buffer and the address are writable for their lengths.
    let got = answer(unsafe {
        libc::recvfrom(
            fd,
            data.as_mut_ptr().cast(),
            n,
            0,
            a.bytes.as_mut_ptr().cast(),
            &raw mut a.len,
        ) as i64
    })?;
    data.truncate(got as usize);
    Ok((data, a))
}

/// recvmsg with two buffers: the bytes, the flags that came back.
pub fn recv_message(fd: c_int, first: usize, second: usize, flags: c_int) -> Answer<(i64, c_int)> {
    let (mut a, mut b) = (vec![0u8; first], vec![0u8; second]);
    let mut parts = [
        libc::iovec {
            iov_base: a.as_mut_ptr().cast(),
            iov_len: first,
        },
        libc::iovec {
            iov_base: b.as_mut_ptr().cast(),
            iov_len: second,
        },
    ];
    // SAFETY: all-zero is a valid msghdr.
    let mut m: libc::msghdr = unsafe { std::mem::zeroed() };
    m.msg_iov = parts.as_mut_ptr();
    m.msg_iovlen = 2;
    // SAFETY: the message names live buffers.
    let got = answer(unsafe { libc::recvmsg(fd, &raw mut m, flags) as i64 })?;
    Ok((got, m.msg_flags & !libc::MSG_CMSG_CLOEXEC))
}

/// sendmsg with two buffers.
pub fn send_message(fd: c_int, first: &[u8], second: &[u8]) -> Answer {
    let mut parts = [first, second].map(|p| libc::iovec {
        iov_base: p.as_ptr().cast_mut().cast(),
        iov_len: p.len(),
    });
    // SAFETY: all-zero is a valid msghdr.
    let mut m: libc::msghdr = unsafe { std::mem::zeroed() };
    m.msg_iov = parts.as_mut_ptr();
    m.msg_iovlen = 2;
    // SAFETY: the message names live buffers, which the call only reads.
    answer(unsafe { libc::sendmsg(fd, &raw const m, libc::MSG_NOSIGNAL) as i64 })
}

pub fn read(fd: c_int, n: usize) -> Answer<Vec<u8>> {
    let mut data = vec![0; n];
    // SAFETY: the buffer is writable for its length.
    let got = answer(unsafe { libc::read(fd, data.as_mut_ptr().cast(), n) as i64 })?;
    data.truncate(got as usize);
    Ok(data)
}

pub fn write(fd: c_int, data: &[u8]) -> Answer {
    // SAFETY: the buffer is readable for its length.
    answer(unsafe { libc::write(fd, data.as_ptr().cast(), data.len()) as i64 })
}

pub fn get_option(fd: c_int, level: c_int, option: c_int) -> Answer {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as socklen_t;
    // SAFETY: room for a number.
    answer(i64::from(unsafe {
        libc::getsockopt(
            fd,
            level,
            option,
            (&raw mut value).cast::<c_void>(),
            &raw mut len,
        )
    }))?;
    Ok(i64::from(value))
}

pub fn set_option(fd: c_int, level: c_int, option: c_int, value: &[u8]) -> Answer {
    // SAFETY: the value is readable for its length.
    answer(i64::from(unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            value.as_ptr().cast(),
            value.len() as socklen_t,
        )
    }))
}

/// What poll(2) says of a descriptor at once.
pub fn readiness(fd: c_int) -> Answer<String> {
    let mut p = libc::pollfd {
        fd,
        events: libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDHUP,
        revents: 0,
    };
    // SAFETY: one record.
    answer(i64::from(unsafe { libc::poll(&raw mut p, 1, 0) }))?;
    Ok(mask(p.revents.cast_unsigned().into()))
}

/// Readiness bits by name.
pub fn mask(bits: u32) -> String {
    let names = [
        (libc::EPOLLIN, "IN"),
        (libc::EPOLLOUT, "OUT"),
        (libc::EPOLLERR, "ERR"),
        (libc::EPOLLHUP, "HUP"),
        (libc::EPOLLRDHUP, "RDHUP"),
        (libc::EPOLLPRI, "PRI"),
        (libc::POLLNVAL.into(), "NVAL"),
    ];
    let set: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| bits & bit.cast_unsigned() != 0)
        .map(|(_, name)| *name)
        .collect();
    set.join("|")
}

pub fn epoll() -> Answer {
    // SAFETY: no pointers.
    answer(i64::from(unsafe {
        libc::epoll_create1(libc::EPOLL_CLOEXEC)
    }))
}

pub fn watch(ep: c_int, op: c_int, fd: c_int, events: u32, data: u64) -> Answer {
    let mut e = libc::epoll_event { events, u64: data };
    // SAFETY: one record.
    answer(i64::from(unsafe {
        libc::epoll_ctl(ep, op, fd, &raw mut e)
    }))
}

/// Everything that epoll reports at once, ordered by its data.
pub fn events(ep: c_int) -> Answer<String> {
    let mut found = [libc::epoll_event { events: 0, u64: 0 }; 32];
    // SAFETY: room for 32 records.
    let n = answer(i64::from(unsafe {
        libc::epoll_wait(ep, found.as_mut_ptr(), 32, 0)
    }))?;
    let mut list: Vec<(u64, u32)> = found[..n as usize]
        .iter()
        .map(|e| (e.u64, e.events))
        .collect();
    list.sort_unstable();
    let list: Vec<String> = list
        .iter()
        .map(|(d, e)| format!("{d}:{}", mask(*e)))
        .collect();
    Ok(format!("[{}]", list.join(" ")))
}

/// `FIONREAD`.
pub fn waiting(fd: c_int) -> Answer {
    let mut n: c_int = -1;
    // SAFETY: room for a number.
    answer(i64::from(unsafe {
        libc::ioctl(fd, libc::FIONREAD, &raw mut n)
    }))?;
    Ok(i64::from(n))
}
