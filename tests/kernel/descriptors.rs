//! Descriptors: numbers, aliases, pipes, eventfds, epoll, poll, select.

use crate::both;
use std::ffi::c_int;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

fn readable(fd: c_int, timeout: c_int) -> bool {
    let mut p = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the record is a writable local.
    let n = unsafe { libc::poll(&mut p, 1, timeout) };
    n == 1 && p.revents & libc::POLLIN != 0
}

#[test]
fn numbers_are_reused_lowest_first_and_alias_objects() {
    both(1, || {
        // SAFETY: the calls take numbers and live locals.
        unsafe {
            let a = libc::eventfd(0, libc::EFD_NONBLOCK);
            let b = libc::eventfd(0, 0);
            assert_eq!(b, a + 1);
            let c = libc::dup(a);
            assert_eq!(c, b + 1);
            assert_eq!(libc::close(a), 0);
            assert_eq!(libc::fcntl(a, libc::F_GETFD), -1);
            assert_eq!(errno(), libc::EBADF);
            let one = 1u64;
            assert_eq!(libc::write(c, (&raw const one).cast(), 8), 8);
            let d = libc::fcntl(c, libc::F_DUPFD_CLOEXEC, 0);
            assert_eq!(d, a, "the lowest free number");
            assert_eq!(libc::fcntl(d, libc::F_GETFD), libc::FD_CLOEXEC);
            assert_eq!(libc::fcntl(c, libc::F_GETFD), 0);
            // Status flags belong to the object.
            assert_ne!(libc::fcntl(d, libc::F_GETFL) & libc::O_NONBLOCK, 0);
            let mut got = 0u64;
            assert_eq!(libc::read(d, (&raw mut got).cast(), 8), 8);
            assert_eq!(got, 1);
            assert_eq!(libc::read(c, (&raw mut got).cast(), 8), -1);
            assert_eq!(errno(), libc::EAGAIN);
            assert_eq!(libc::dup2(d, b), b);
            assert_eq!(libc::write(b, (&raw const one).cast(), 8), 8);
            assert!(readable(c, 0));
            for fd in [b, c, d] {
                assert_eq!(libc::close(fd), 0);
            }
        }
    });
}

#[test]
fn a_host_has_so_many_descriptors() {
    both(2, || {
        let mut open = Vec::new();
        loop {
            // SAFETY: eventfd takes numbers.
            let fd = unsafe { libc::eventfd(0, 0) };
            if fd < 0 {
                assert_eq!(errno(), libc::EMFILE);
                break;
            }
            open.push(fd);
        }
        assert_eq!(open.len(), 1024);
        for fd in open {
            // SAFETY: the descriptor is ours.
            assert_eq!(unsafe { libc::close(fd) }, 0);
        }
    });
}

#[test]
fn pipes_block_fill_and_end() {
    both(3, || {
        let (mut r, mut w) = std::io::pipe().unwrap();
        let t = std::thread::spawn(move || {
            // Four times a pipe's capacity: the writer must block and be woken.
            w.write_all(&vec![7u8; 4 * 65_536]).unwrap();
        });
        let mut all = Vec::new();
        r.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 4 * 65_536);
        t.join().unwrap();
        let (r, mut w) = std::io::pipe().unwrap();
        drop(r);
        assert_eq!(
            w.write(b"x").unwrap_err().kind(),
            std::io::ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn poll_and_select_wait_and_time_out() {
    both(4, || {
        let (r, mut w) = std::io::pipe().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&r);
        let start = Instant::now();
        assert!(!readable(fd, 30));
        assert!(start.elapsed() >= Duration::from_millis(30));
        let t = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            w.write_all(b"x").unwrap();
            w
        });
        assert!(readable(fd, -1));
        let w = t.join().unwrap();
        // SAFETY: the sets are initialised by FD_ZERO, and the descriptors are below FD_SETSIZE.
        unsafe {
            let mut set: libc::fd_set = std::mem::zeroed();
            libc::FD_ZERO(&mut set);
            libc::FD_SET(fd, &mut set);
            let none = std::ptr::null_mut::<libc::fd_set>;
            assert_eq!(
                libc::select(fd + 1, &mut set, none(), none(), std::ptr::null_mut()),
                1
            );
            assert!(libc::FD_ISSET(fd, &set));
        }
        drop(w);
        let mut p = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: the record is a writable local.
        assert_eq!(unsafe { libc::poll(&mut p, 1, -1) }, 1);
        assert_eq!(p.revents, libc::POLLIN | libc::POLLHUP);
    });
}

/// Waits on an epoll instance; gives (events, data) of what is ready.
fn epoll(ep: c_int, timeout: c_int) -> Vec<(u32, u64)> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
    // SAFETY: the array has room for eight events.
    let n = unsafe { libc::epoll_wait(ep, events.as_mut_ptr(), 8, timeout) };
    assert!(n >= 0);
    events[..n as usize]
        .iter()
        .map(|e| (e.events, e.u64))
        .collect()
}

#[test]
fn epoll_is_level_edge_and_one_shot() {
    const IN: u32 = libc::EPOLLIN as u32;
    const ET: u32 = libc::EPOLLET as u32;
    const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
    both(5, || {
        // SAFETY: the descriptors are ours, and the records live locals.
        unsafe {
            let ep = libc::epoll_create1(0);
            let add = |op: c_int, fd: c_int, events: u32, data: u64| {
                let mut e = libc::epoll_event { events, u64: data };
                libc::epoll_ctl(ep, op, fd, &mut e)
            };
            let bump = |fd: c_int| {
                let one = 1u64;
                assert_eq!(libc::write(fd, (&raw const one).cast(), 8), 8);
            };
            let [level, edge, once] = [0; 3].map(|_| libc::eventfd(0, libc::EFD_NONBLOCK));
            assert_eq!(add(libc::EPOLL_CTL_ADD, level, IN, 1), 0);
            assert_eq!(add(libc::EPOLL_CTL_ADD, edge, IN | ET, 2), 0);
            assert_eq!(add(libc::EPOLL_CTL_ADD, once, IN | ONESHOT, 3), 0);
            assert_eq!(add(libc::EPOLL_CTL_ADD, once, IN, 3), -1);
            assert_eq!(errno(), libc::EEXIST);
            assert_eq!(epoll(ep, 0), []);
            for fd in [level, edge, once] {
                bump(fd);
            }
            assert_eq!(epoll(ep, -1), [(IN, 1), (IN, 2), (IN, 3)]);
            assert_eq!(
                epoll(ep, 0),
                [(IN, 1)],
                "level again, edge and one-shot not"
            );
            bump(edge);
            bump(once);
            let mut now = epoll(ep, 0);
            now.sort_unstable();
            assert_eq!(now, [(IN, 1), (IN, 2)]);
            assert_eq!(add(libc::EPOLL_CTL_MOD, once, IN | ONESHOT, 4), 0);
            assert!(epoll(ep, 0).contains(&(IN, 4)), "rearmed");
            let mut sink = 0u64;
            libc::read(level, (&raw mut sink).cast(), 8);
            assert_eq!(epoll(ep, 20), []);
            // Closing the last descriptor forgets the item.
            bump(level);
            libc::close(level);
            assert_eq!(epoll(ep, 0), []);
            assert_eq!(add(libc::EPOLL_CTL_DEL, edge, 0, 0), 0);
            bump(edge);
            assert_eq!(epoll(ep, 0), []);
            for fd in [edge, once, ep] {
                libc::close(fd);
            }
        }
    });
}

#[test]
fn the_path_of_a_unix_socket_exists_until_it_is_unlinked() {
    use std::os::unix::net::{UnixListener, UnixStream};
    both(6, || {
        let path = std::path::Path::new("/tmp/squall-no-such-directory/server.sock");
        assert!(!path.exists());
        let listener = UnixListener::bind(path).unwrap();
        assert!(path.exists());
        assert_eq!(
            UnixListener::bind(path).unwrap_err().kind(),
            std::io::ErrorKind::AddrInUse
        );
        let mut client = UnixStream::connect(path).unwrap();
        let (mut served, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        let mut five = [0; 5];
        served.read_exact(&mut five).unwrap();
        assert_eq!(&five, b"hello");
        drop(listener);
        assert!(path.exists(), "closing leaves the name");
        assert_eq!(
            UnixStream::connect(path).unwrap_err().kind(),
            std::io::ErrorKind::ConnectionRefused
        );
        std::fs::remove_file(path).unwrap();
        assert!(!path.exists());
        assert_eq!(
            UnixStream::connect(path).unwrap_err().kind(),
            std::io::ErrorKind::NotFound
        );
    });
}
