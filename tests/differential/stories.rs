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
