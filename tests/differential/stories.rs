//! Longer sequences written by hand: buffers that fill up, edges, backlogs, ports that are taken.

use crate::calls::{self, Name, word};
use crate::{Log, same};
use libc::c_int;

#[test]
fn a_full_unix_stream_opens_again() {
    same(|| {
        let mut log = Log::new();
        let (a, b) = calls::socketpair(libc::SOCK_STREAM).expect("a pair");
        let mut sent = 0;
        while let Ok(n) = calls::send(a, &[1; 1000], 0) {
            sent += n;
        }
        log.push(format!(
            "filled after {sent}, {}",
            word(&calls::readiness(a))
        ));
        for _ in 0..93 {
            let got = calls::recv(b, 1000, 0).map(|d| d.len());
            log.push(format!("{} {}", word(&got), word(&calls::readiness(a))));
        }
        let _ = calls::close(a);
        let _ = calls::close(b);
        log
    });
}

#[test]
fn taken_ports_are_refused() {
    same(|| {
        let mut log = Log::new();
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            for (first, second, listening) in (0..32).map(|i| (i & 3, (i >> 2) & 3, i & 16 != 0)) {
                let bind = |fd: c_int, bits: c_int, port: u16| {
                    let on = 1i32.to_ne_bytes();
                    if bits & 1 != 0 {
                        let _ = calls::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &on);
                    }
                    if bits & 2 != 0 {
                        let _ = calls::set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, &on);
                    }
                    calls::bind(fd, &Name::v4([127, 0, 0, 1], port))
                };
                let a = calls::socket(libc::AF_INET, kind).expect("a socket") as c_int;
                let b = calls::socket(libc::AF_INET, kind).expect("a socket") as c_int;
                let _ = bind(a, first, 0);
                if listening {
                    let _ = calls::listen(a, 1);
                }
                let port = calls::name(a).expect("a name").port();
                let second_bind = bind(b, second, port);
                let second_listen = calls::listen(b, 1);
                log.push(format!(
                    "{kind} {first} {second} {listening}: {} {}",
                    word(&second_bind),
                    word(&second_listen)
                ));
                let _ = calls::close(a);
                let _ = calls::close(b);
            }
        }
        log
    });
}

#[test]
fn a_connection_that_ends_in_the_queue_is_accepted() {
    same(|| {
        let mut log = Log::new();
        for abort in [false, true] {
            let listener =
                calls::socket(libc::AF_INET, libc::SOCK_STREAM).expect("a socket") as c_int;
            let _ = calls::bind(listener, &Name::v4([127, 0, 0, 1], 0));
            let _ = calls::listen(listener, 1);
            let name = calls::name(listener).expect("a name");
            let client =
                calls::socket(libc::AF_INET, libc::SOCK_STREAM).expect("a socket") as c_int;
            log.push(word(&calls::connect(client, &name)));
            log.push(word(&calls::send(client, b"abc", 0)));
            if abort {
                let linger = [1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat();
                log.push(word(&calls::set_option(
                    client,
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    &linger,
                )));
            }
            let _ = calls::close(client);
            match calls::accept(listener) {
                Ok((server, peer)) => {
                    log.push(peer.text());
                    log.push(calls::peer(server).map_or_else(|e| e, |p| p.text()));
                    for _ in 0..3 {
                        log.push(word(&calls::recv(server, 10, 0).map(|d| d.len())));
                    }
                    let _ = calls::close(server);
                }
                Err(e) => log.push(e),
            }
            let _ = calls::close(listener);
        }
        log
    });
}

#[test]
fn options_are_stored_as_linux_stores_them() {
    same(|| {
        let mut log = Log::new();
        let numbers = [
            (libc::SOL_SOCKET, libc::SO_RCVBUF),
            (libc::SOL_SOCKET, libc::SO_SNDBUF),
            (libc::SOL_SOCKET, libc::SO_OOBINLINE),
            (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
            (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
            (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
            (libc::IPPROTO_TCP, libc::TCP_SYNCNT),
            (libc::IPPROTO_TCP, libc::TCP_CORK),
            (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
            (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
            (libc::IPPROTO_IP, libc::IP_PKTINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
            (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            (libc::IPPROTO_UDP, 77),
            (77, 1),
        ];
        for (domain, kind) in [
            (libc::AF_INET, libc::SOCK_STREAM),
            (libc::AF_INET6, libc::SOCK_DGRAM),
            (libc::AF_UNIX, libc::SOCK_STREAM),
        ] {
            let fd = calls::socket(domain, kind).expect("a socket") as c_int;
            for (level, name) in numbers {
                for value in [0, 1, 5, 300, 20_000] {
                    let set = calls::set_option(fd, level, name, &i32::to_ne_bytes(value));
                    let get = calls::get_option(fd, level, name);
                    log.push(format!(
                        "{domain} {kind} {level} {name} {value}: {} {}",
                        word(&set),
                        word(&get)
                    ));
                }
                let short = calls::set_option(fd, level, name, &[1, 0]);
                log.push(format!(
                    "{domain} {kind} {level} {name} short: {}",
                    word(&short)
                ));
            }
            let time = [1i64.to_ne_bytes(), 1_000_001i64.to_ne_bytes()].concat();
            log.push(word(&calls::set_option(
                fd,
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                &time,
            )));
            let _ = calls::close(fd);
        }
        log
    });
}

#[test]
fn a_full_tcp_connection_opens_again() {
    same(|| {
        let mut log = Log::new();
        let listener = calls::socket(libc::AF_INET, libc::SOCK_STREAM).expect("a socket") as c_int;
        let _ = calls::bind(listener, &Name::v4([127, 0, 0, 1], 0));
        let _ = calls::listen(listener, 1);
        let client = calls::socket(libc::AF_INET, libc::SOCK_STREAM).expect("a socket") as c_int;
        let _ = calls::connect(client, &calls::name(listener).expect("a name"));
        let (server, _) = calls::accept(listener).expect("a connection");
        let ep = calls::epoll().expect("an epoll") as c_int;
        let all = libc::EPOLLOUT | libc::EPOLLET;
        let _ = calls::watch(ep, libc::EPOLL_CTL_ADD, client, all.cast_unsigned(), 1);
        log.push(word(&calls::events(ep)));
        let mut sent = 0;
        while let Ok(n) = calls::send(client, &[1; 10_000], 0) {
            sent += n;
        }
        log.push(format!(
            "{} {}",
            word(&calls::readiness(client)),
            word(&calls::events(ep))
        ));
        let mut got = 0;
        while got < sent {
            got += calls::recv(server, 10_000, 0).map_or(0, |d| d.len() as i64);
        }
        log.push(format!(
            "{} {}",
            word(&calls::readiness(client)),
            word(&calls::events(ep))
        ));
        for fd in [listener, client, server, ep] {
            let _ = calls::close(fd);
        }
        log
    });
}
