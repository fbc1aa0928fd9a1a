//! sendmsg and recvmsg with what travels beside the bytes.

use crate::seeds;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Room for ancillary data, aligned as C wants it.
#[repr(C, align(8))]
struct Control([u8; 256]);

struct Sent<'a> {
    data: &'a [u8],
    to: Option<std::net::SocketAddrV4>,
    control: Vec<(i32, i32, Vec<u8>)>,
}

fn send(fd: i32, s: &Sent<'_>) -> isize {
    let mut control = Control([0; 256]);
    let mut part = libc::iovec {
        iov_base: s.data.as_ptr().cast_mut().cast(),
        iov_len: s.data.len(),
    };
    let mut name: libc::sockaddr_in = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: 0 },
        sin_zero: [0; 8],
    };
    // SAFETY: all-zero is a valid msghdr; what it names lives until the call is over, and the macros stay in the buffer.
    unsafe {
        let mut m: libc::msghdr = std::mem::zeroed();
        m.msg_iov = &raw mut part;
        m.msg_iovlen = 1;
        if let Some(to) = s.to {
            name.sin_port = to.port().to_be();
            name.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
            m.msg_name = (&raw mut name).cast();
            m.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        m.msg_control = control.0.as_mut_ptr().cast();
        m.msg_controllen = 256;
        let mut used = 0;
        let mut header = libc::CMSG_FIRSTHDR(&raw const m);
        for (level, kind, data) in &s.control {
            (*header).cmsg_level = *level;
            (*header).cmsg_type = *kind;
            (*header).cmsg_len = libc::CMSG_LEN(data.len() as u32) as usize;
            std::ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(header), data.len());
            used += libc::CMSG_SPACE(data.len() as u32) as usize;
            header = libc::CMSG_NXTHDR(&raw const m, header);
        }
        m.msg_controllen = used;
        libc::sendmsg(fd, &raw const m, 0)
    }
}

/// The bytes, the flags, and each piece of ancillary data.
type Got = (Vec<u8>, i32, Vec<(i32, i32, Vec<u8>)>);

fn receive(fd: i32, room: usize) -> Got {
    let mut control = Control([0; 256]);
    let mut data = vec![0; 100];
    let mut part = libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: data.len(),
    };
    // SAFETY: as in `send`.
    unsafe {
        let mut m: libc::msghdr = std::mem::zeroed();
        m.msg_iov = &raw mut part;
        m.msg_iovlen = 1;
        m.msg_control = control.0.as_mut_ptr().cast();
        m.msg_controllen = room;
        let n = libc::recvmsg(fd, &raw mut m, 0);
        assert!(n >= 0, "{}", std::io::Error::last_os_error());
        data.truncate(n as usize);
        let mut found = Vec::new();
        let mut header = libc::CMSG_FIRSTHDR(&raw const m);
        while !header.is_null() {
            let h = &*header;
            let len = h.cmsg_len - libc::CMSG_LEN(0) as usize;
            let bytes = std::slice::from_raw_parts(libc::CMSG_DATA(header), len);
            found.push((h.cmsg_level, h.cmsg_type, bytes.to_vec()));
            header = libc::CMSG_NXTHDR(&raw const m, header);
        }
        (data, m.msg_flags, found)
    }
}

#[test]
fn descriptors_travel() {
    seeds(3, || {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        let rights = far.as_raw_fd().to_ne_bytes().to_vec();
        let sent = Sent {
            data: b"take this",
            to: None,
            control: vec![(libc::SOL_SOCKET, libc::SCM_RIGHTS, rights.clone())],
        };
        assert_eq!(send(a.as_raw_fd(), &sent), 9);
        assert_eq!(send(a.as_raw_fd(), &sent), 9);
        drop(far);
        // A read ends where the next descriptors begin.
        let (data, flags, found) = receive(b.as_raw_fd(), 256);
        assert_eq!((data.as_slice(), flags), (&b"take this"[..], 0));
        let (libc::SOL_SOCKET, libc::SCM_RIGHTS, fd) = &found[0] else {
            panic!("{found:?}");
        };
        let fd = i32::from_ne_bytes(fd.as_slice().try_into().unwrap());
        // SAFETY: the descriptor is this process's now.
        let mut far = UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
        near.write_all(b"hello").unwrap();
        let mut buf = [0; 5];
        far.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"hello");
        // Without room they are closed, and the flags say so.
        let (data, flags, found) = receive(b.as_raw_fd(), 0);
        assert_eq!((data.len(), flags), (9, libc::MSG_CTRUNC));
        assert!(found.is_empty());
        // What is never read is closed with its queue.
        assert_eq!(send(a.as_raw_fd(), &sent), 9);
        drop(far);
        drop(b);
        assert_eq!(near.read(&mut buf).unwrap(), 0);
        let nothing = Sent {
            control: vec![(
                libc::SOL_SOCKET,
                libc::SCM_RIGHTS,
                999i32.to_ne_bytes().to_vec(),
            )],
            ..sent
        };
        assert_eq!(send(a.as_raw_fd(), &nothing), -1);
    });
}

#[test]
fn datagrams_say_where_they_went_and_how() {
    seeds(3, || {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = UdpSocket::bind("0.0.0.0:0").unwrap();
        let on = 1i32;
        for name in [libc::IP_PKTINFO, libc::IP_RECVTOS] {
            // SAFETY: the value is readable for its length.
            let r = unsafe {
                libc::setsockopt(
                    b.as_raw_fd(),
                    libc::IPPROTO_IP,
                    name,
                    (&raw const on).cast(),
                    4,
                )
            };
            assert_eq!(r, 0);
        }
        let to = std::net::SocketAddrV4::new([127, 0, 0, 1].into(), b.local_addr().unwrap().port());
        let sent = Sent {
            data: b"marked",
            to: Some(to),
            control: vec![(libc::IPPROTO_IP, libc::IP_TOS, 2i32.to_ne_bytes().to_vec())],
        };
        assert_eq!(send(a.as_raw_fd(), &sent), 6);
        let (data, _, found) = receive(b.as_raw_fd(), 256);
        assert_eq!(data, b"marked");
        let mut info = 1i32.to_ne_bytes().to_vec();
        info.extend([127, 0, 0, 1, 127, 0, 0, 1]);
        assert_eq!(
            found,
            vec![
                (libc::IPPROTO_IP, libc::IP_PKTINFO, info),
                (libc::IPPROTO_IP, libc::IP_TOS, vec![2])
            ]
        );
    });
}

#[test]
fn many_at_once() {
    seeds(3, || {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = UdpSocket::bind("127.0.0.1:0").unwrap();
        a.connect(b.local_addr().unwrap()).unwrap();
        let payload = [*b"one!", *b"two!", *b"tri!"];
        let mut buffers = [[0u8; 4]; 5];
        // SAFETY: all-zero is a valid mmsghdr; what the records name lives until the calls are over.
        unsafe {
            let mut parts = payload.map(|_| libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: 4,
            });
            let mut out: [libc::mmsghdr; 3] = std::mem::zeroed();
            for i in 0..3 {
                parts[i].iov_base = payload[i].as_ptr().cast_mut().cast();
                out[i].msg_hdr.msg_iov = &raw mut parts[i];
                out[i].msg_hdr.msg_iovlen = 1;
            }
            assert_eq!(libc::sendmmsg(a.as_raw_fd(), out.as_mut_ptr(), 3, 0), 3);
            assert_eq!(out[2].msg_len, 4);
            let mut parts = buffers.map(|_| libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: 4,
            });
            let mut got: [libc::mmsghdr; 5] = std::mem::zeroed();
            for i in 0..5 {
                parts[i].iov_base = buffers[i].as_mut_ptr().cast();
                got[i].msg_hdr.msg_iov = &raw mut parts[i];
                got[i].msg_hdr.msg_iovlen = 1;
            }
            let n = libc::recvmmsg(
                b.as_raw_fd(),
                got.as_mut_ptr(),
                5,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            );
            assert_eq!(n, 3);
        }
        assert_eq!(buffers[..3], payload);
    });
}

#[test]
fn interfaces_and_names() {
    seeds(2, || {
        let mut list = std::ptr::null_mut();
        let mut found = Vec::new();
        // SAFETY: the list is libc's to free, and ends with a null pointer.
        unsafe {
            assert_eq!(libc::getifaddrs(&raw mut list), 0);
            let mut at = list;
            while !at.is_null() {
                let name = std::ffi::CStr::from_ptr((*at).ifa_name)
                    .to_str()
                    .unwrap()
                    .to_owned();
                let family = i32::from((*(*at).ifa_addr).sa_family);
                found.push((name, family));
                at = (*at).ifa_next;
            }
            libc::freeifaddrs(list);
            assert_eq!(libc::if_nametoindex(c"eth0".as_ptr()), 2);
            let mut name = [0; 30];
            assert_eq!(libc::gethostname(name.as_mut_ptr(), name.len()), 0);
            assert_eq!(std::ffi::CStr::from_ptr(name.as_ptr()), c"test");
        }
        assert_eq!(found.len(), 4);
        assert!(found.contains(&("lo".to_owned(), libc::AF_INET6)));
        assert!(found.contains(&("eth0".to_owned(), libc::AF_INET)));
        let local: Vec<_> = std::net::ToSocketAddrs::to_socket_addrs("localhost:http")
            .map(Iterator::collect)
            .unwrap_or_default();
        assert!(local.is_empty() || local.len() == 2);
    });
}
