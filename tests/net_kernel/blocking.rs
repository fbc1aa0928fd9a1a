//! std's blocking sockets on one host.

use crate::echo::pattern;
use crate::seeds;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn an_echo_and_a_refusal() {
    seeds(30, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut s, peer) = listener.accept().unwrap();
            assert!(peer.ip().is_loopback());
            let mut buf = [0; 7];
            loop {
                let n = s.read(&mut buf).unwrap();
                if n == 0 {
                    break;
                }
                s.write_all(&buf[..n]).unwrap();
            }
        });
        let mut c = TcpStream::connect(address).unwrap();
        assert_eq!(c.peer_addr().unwrap(), address);
        c.set_nodelay(true).unwrap();
        assert!(c.nodelay().unwrap());
        c.write_all(b"hello, simulated world").unwrap();
        c.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        c.read_to_string(&mut back).unwrap();
        assert_eq!(back, "hello, simulated world");
        server.join().unwrap();
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn back_pressure_and_a_read_timeout() {
    seeds(8, || {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut c = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut s, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip().to_canonical(), c.local_addr().unwrap().ip());
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            s.read_to_end(&mut all).unwrap();
            all
        });
        let data = pattern(2_000_000);
        c.write_all(&data).unwrap();
        c.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let before = Instant::now();
        let e = c.read(&mut [0; 10]).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::WouldBlock);
        let waited = before.elapsed().as_secs_f64();
        assert!((3.0..3.1).contains(&waited), "{waited}");
        drop(c);
        assert!(reader.join().unwrap() == data);
    });
}

#[test]
fn a_write_timeout_tells_how_much_was_written() {
    seeds(5, || {
        let (mut c, s) = pair();
        c.set_write_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let data = pattern(5_000_000);
        let mut written = 0;
        let e = loop {
            match c.write(&data) {
                Ok(n) => written += n,
                Err(e) => break e,
            }
        };
        assert_eq!(e.kind(), ErrorKind::WouldBlock);
        assert!((100_000..2_000_000).contains(&written), "{written}");
        drop(s);
        let e = c.write(&data).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::ConnectionReset);
        let e = c.write(&data).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn another_thread_ends_a_blocked_read() {
    seeds(20, || {
        let (c, _s) = pair();
        let mut mine = c.try_clone().unwrap();
        let reader = std::thread::spawn(move || mine.read(&mut [0; 10]).unwrap());
        std::thread::sleep(Duration::from_millis(1));
        c.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn a_full_backlog_makes_connect_wait() {
    seeds(10, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: a number and a live descriptor.
        unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 1) };
        let address = listener.local_addr().unwrap();
        let first = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        let before = Instant::now();
        let third = std::thread::spawn(move || TcpStream::connect(address).map(|_| ()));
        std::thread::sleep(Duration::from_millis(1500));
        let accepted = [(); 2].map(|()| listener.accept().unwrap());
        third.join().unwrap().unwrap();
        // The SYN is repeated after one second and then after two more.
        let took = before.elapsed().as_secs_f64();
        assert!((2.9..3.2).contains(&took), "{took}");
        let limit = Duration::from_millis(100);
        let e = [(); 3].map(|()| TcpStream::connect_timeout(&address, limit).map(|_| ()));
        assert_eq!(e[2].as_ref().unwrap_err().kind(), ErrorKind::TimedOut);
        drop((first, accepted));
    });
}

#[test]
fn descriptors_run_out() {
    squall::Builder::new()
        .seeds(3)
        .descriptors(10)
        .check_blocking(|_| {
            let mut all: Vec<UdpSocket> = Vec::new();
            let e = loop {
                match UdpSocket::bind("127.0.0.1:0") {
                    Ok(s) => all.push(s),
                    Err(e) => break e,
                }
            };
            assert_eq!(e.raw_os_error(), Some(libc::EMFILE));
            all.pop();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            drop(all.pop());
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(
                listener.accept().unwrap_err().raw_os_error(),
                Some(libc::EMFILE)
            );
            drop(all.pop());
            // The connection has waited in the queue.
            let (mut server, _) = listener.accept().unwrap();
            server.write_all(b"x").unwrap();
            assert_eq!((&client).read(&mut [0; 1]).unwrap(), 1);
        });
}

#[test]
fn datagrams() {
    seeds(10, || {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = UdpSocket::bind("[::]:0").unwrap();
        let port = b.local_addr().unwrap().port();
        a.send_to(b"one", ("127.0.0.1", port)).unwrap();
        a.send_to(b"", ("127.0.0.1", port)).unwrap();
        let mut buf = [0; 2];
        let (n, from) = b.recv_from(&mut buf).unwrap();
        assert_eq!((n, &buf), (2, b"on"));
        assert_eq!(from.ip().to_canonical(), a.local_addr().unwrap().ip());
        assert_eq!(b.recv(&mut buf).unwrap(), 0);
        a.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(a.recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        a.connect(("127.0.0.1", port)).unwrap();
        drop(b);
        a.send(b"lost").unwrap();
        assert_eq!(
            a.recv(&mut buf).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        let waiter = std::thread::spawn({
            let a = a.try_clone().unwrap();
            a.set_read_timeout(None).unwrap();
            move || a.recv(&mut [0; 9])
        });
        std::thread::sleep(Duration::from_millis(1));
        a.send(b"lost").unwrap();
        assert_eq!(
            waiter.join().unwrap().unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn a_multicast_group() {
    seeds(3, || {
        let group = "224.0.0.251".parse().unwrap();
        let joined = UdpSocket::bind("0.0.0.0:5353").unwrap();
        joined
            .join_multicast_v4(&group, &"0.0.0.0".parse().unwrap())
            .unwrap();
        let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
        sender.send_to(b"who is there", (group, 5353)).unwrap();
        let mut buf = [0; 20];
        assert_eq!(joined.recv(&mut buf).unwrap(), 12);
        joined
            .leave_multicast_v4(&group, &"0.0.0.0".parse().unwrap())
            .unwrap();
        sender.send_to(b"anybody", (group, 5353)).unwrap();
        joined.set_nonblocking(true).unwrap();
        assert!(joined.recv(&mut buf).is_err());
    });
}

#[test]
fn unix_streams() {
    seeds(10, || {
        let name = std::os::unix::net::SocketAddr::from_abstract_name("squall").unwrap();
        let listener = UnixListener::bind_addr(&name).unwrap();
        let server = std::thread::spawn(move || {
            let (mut s, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            s.read_to_end(&mut all).unwrap();
            s.write_all(&all).unwrap();
        });
        let mut c = UnixStream::connect_addr(&name).unwrap();
        let data = pattern(1_000_000);
        let mut writer = c.try_clone().unwrap();
        let sent = data.clone();
        let writing = std::thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        c.read_to_end(&mut back).unwrap();
        assert!(back == data);
        writing.join().unwrap();
        server.join().unwrap();
        assert_eq!(
            UnixStream::connect_addr(&name).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        assert_eq!(
            UnixStream::connect("/no/such/socket").unwrap_err().kind(),
            ErrorKind::NotFound
        );
    });
}

#[test]
fn a_full_unix_datagram_queue_blocks_the_sender() {
    seeds(10, || {
        let name = std::os::unix::net::SocketAddr::from_abstract_name("box").unwrap();
        let receiver = UnixDatagram::bind_addr(&name).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let other = UnixDatagram::unbound().unwrap();
        for _ in 0..11 {
            other.send_to_addr(b"x", &name).unwrap();
        }
        let sending = std::thread::spawn(move || sender.send_to_addr(b"last", &name).unwrap());
        std::thread::sleep(Duration::from_millis(1));
        let mut buf = [0; 10];
        for _ in 0..11 {
            assert_eq!(receiver.recv(&mut buf).unwrap(), 1);
        }
        assert_eq!(receiver.recv(&mut buf).unwrap(), 4);
        sending.join().unwrap();
    });
}

#[test]
fn ports_and_time_wait() {
    seeds(3, || {
        let (c, s) = pair();
        let port = s.local_addr().unwrap().port();
        drop(s);
        drop(c);
        // std sets SO_REUSEADDR, so a server comes back at once.
        let again = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_eq!(
            TcpListener::bind(("0.0.0.0", port)).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        assert_eq!(
            UdpSocket::bind("10.9.9.9:0").unwrap_err().kind(),
            ErrorKind::AddrNotAvailable
        );
        drop(again);
    });
}
