//! Sequences of calls on TCP, UDP and Unix sockets, pipes and eventfds: non-blocking, on one thread, over the loopback.

use crate::calls::{self, Answer, Name, word};
use crate::{Log, differs};
use libc::c_int;
use proptest::prelude::*;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many descriptors a sequence holds at once.
const SLOTS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Make {
    Tcp4,
    Tcp6,
    Udp4,
    Udp6,
    UnixStream,
    UnixDatagram,
    UnixPacket,
    EventFd(u32, bool),
}

#[derive(Clone, Debug)]
enum Op {
    Make(usize, Make),
    /// A connected TCP pair.
    TcpPair(usize, usize),
    UnixPair(usize, usize, c_int),
    Pipe(usize, usize),
    Bind(usize, bool),
    Listen(usize, c_int),
    /// Connects to the name that another slot is bound to.
    Connect(usize, usize),
    Disconnect(usize),
    Accept(usize, usize),
    Send(usize, usize),
    SendTo(usize, usize, usize),
    SendMessage(usize, usize, usize),
    Receive(usize, usize, c_int),
    ReceiveFrom(usize, usize),
    ReceiveMessage(usize, usize, usize, c_int),
    Read(usize, usize),
    Write(usize, usize),
    Add(usize, u64),
    Shutdown(usize, c_int),
    Close(usize),
    Dup(usize, usize),
    Name(usize),
    Peer(usize),
    Option(usize, c_int, c_int),
    Set(usize, c_int, c_int, c_int),
    Waiting(usize),
    Watch(usize, c_int, u32),
    Events,
}

/// Options that are asked for and set with numbers.
const OPTIONS: [(c_int, c_int); 16] = [
    (libc::SOL_SOCKET, libc::SO_ERROR),
    (libc::SOL_SOCKET, libc::SO_TYPE),
    (libc::SOL_SOCKET, libc::SO_DOMAIN),
    (libc::SOL_SOCKET, libc::SO_PROTOCOL),
    (libc::SOL_SOCKET, libc::SO_ACCEPTCONN),
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::SOL_SOCKET, libc::SO_BROADCAST),
    (libc::SOL_SOCKET, libc::SO_RCVLOWAT),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
    (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
    (libc::IPPROTO_IP, libc::IP_TTL),
    (libc::IPPROTO_IP, libc::IP_TOS),
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let slot = || 0..SLOTS;
    let two = || (0..SLOTS, 1..SLOTS).prop_map(|(a, d)| (a, (a + d) % SLOTS));
    let small = || prop_oneof![Just(0usize), Just(1), 2..40usize, 100..2000usize];
    let make = prop_oneof![
        Just(Make::Tcp4),
        Just(Make::Tcp6),
        Just(Make::Udp4),
        Just(Make::Udp6),
        Just(Make::UnixStream),
        Just(Make::UnixDatagram),
        Just(Make::UnixPacket),
        (0..3u32, any::<bool>()).prop_map(|(n, s)| Make::EventFd(n, s)),
    ];
    let style = || {
        prop_oneof![
            Just(libc::SOCK_STREAM),
            Just(libc::SOCK_DGRAM),
            Just(libc::SOCK_SEQPACKET)
        ]
    };
    let how = prop_oneof![
        4 => Just(libc::SHUT_WR),
        2 => Just(libc::SHUT_RD),
        2 => Just(libc::SHUT_RDWR),
        1 => Just(7)
    ];
    let flags = || prop_oneof![6 => Just(0), 2 => Just(libc::MSG_PEEK), 1 => Just(libc::MSG_DONTWAIT | libc::MSG_WAITALL)];
    let interest = prop_oneof![
        Just(libc::EPOLLIN),
        Just(libc::EPOLLIN | libc::EPOLLRDHUP),
        Just(libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP),
        Just(libc::EPOLLOUT),
        Just(libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLONESHOT),
        Just(libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET),
        Just(libc::EPOLLIN | libc::EPOLLET),
    ];
    let control = prop_oneof![
        4 => Just(libc::EPOLL_CTL_ADD),
        2 => Just(libc::EPOLL_CTL_MOD),
        1 => Just(libc::EPOLL_CTL_DEL)
    ];
    let op = prop_oneof![
        4 => (slot(), make).prop_map(|(s, m)| Op::Make(s, m)),
        5 => two().prop_map(|(a, b)| Op::TcpPair(a, b)),
        3 => (two(), style()).prop_map(|((a, b), k)| Op::UnixPair(a, b, k)),
        1 => two().prop_map(|(a, b)| Op::Pipe(a, b)),
        4 => (slot(), any::<bool>()).prop_map(|(s, any)| Op::Bind(s, any)),
        3 => (slot(), prop_oneof![Just(8), Just(1), Just(-1)]).prop_map(|(s, n)| Op::Listen(s, n)),
        5 => two().prop_map(|(a, b)| Op::Connect(a, b)),
        1 => slot().prop_map(Op::Disconnect),
        4 => two().prop_map(|(a, b)| Op::Accept(a, b)),
        8 => (slot(), small()).prop_map(|(s, n)| Op::Send(s, n)),
        4 => (two(), small()).prop_map(|((a, b), n)| Op::SendTo(a, b, n)),
        2 => (slot(), small(), small()).prop_map(|(s, a, b)| Op::SendMessage(s, a, b)),
        8 => (slot(), small(), flags()).prop_map(|(s, n, f)| Op::Receive(s, n, f)),
        3 => (slot(), small()).prop_map(|(s, n)| Op::ReceiveFrom(s, n)),
        2 => (slot(), small(), small(), flags()).prop_map(|(s, a, b, f)| Op::ReceiveMessage(s, a, b, f)),
        3 => (slot(), small()).prop_map(|(s, n)| Op::Read(s, n)),
        3 => (slot(), small()).prop_map(|(s, n)| Op::Write(s, n)),
        2 => (slot(), prop_oneof![Just(0), Just(1), 2..9u64, Just(u64::MAX - 1), Just(u64::MAX)])
            .prop_map(|(s, n)| Op::Add(s, n)),
        4 => (slot(), how).prop_map(|(s, h)| Op::Shutdown(s, h)),
        4 => slot().prop_map(Op::Close),
        1 => two().prop_map(|(a, b)| Op::Dup(a, b)),
        2 => slot().prop_map(Op::Name),
        2 => slot().prop_map(Op::Peer),
        3 => (slot(), prop::sample::select(&OPTIONS[..])).prop_map(|(s, o)| Op::Option(s, o.0, o.1)),
        3 => (slot(), prop::sample::select(&OPTIONS[..]), prop_oneof![Just(0), Just(1), Just(-1), 2..70, Just(1000)])
            .prop_map(|(s, o, v)| Op::Set(s, o.0, o.1, v)),
        2 => slot().prop_map(Op::Waiting),
        3 => (slot(), control, interest).prop_map(|(s, c, i)| Op::Watch(s, c, i.cast_unsigned())),
        3 => Just(Op::Events),
    ];
    prop::collection::vec(op, 1..40)
}

/// The descriptors that a sequence works on.
struct World {
    slots: [Option<c_int>; SLOTS],
    made: [Option<Make>; SLOTS],
    epoll: c_int,
    /// Makes abstract names differ between runs.
    prefix: String,
    log: Log,
}

/// A descriptor that is never open.
const NOTHING: c_int = 900;

impl World {
    fn new() -> World {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        World {
            slots: [None; SLOTS],
            made: [None; SLOTS],
            epoll: calls::epoll().expect("an epoll instance") as c_int,
            prefix: format!("squall-{}-{run}", std::process::id()),
            log: Log::new(),
        }
    }

    fn fd(&self, slot: usize) -> c_int {
        self.slots[slot].unwrap_or(NOTHING)
    }

    fn put(&mut self, slot: usize, fd: c_int, made: Option<Make>) {
        // Otherwise small segments wait for acknowledgements, which take real time.
        let _ = calls::set_option(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            &1i32.to_ne_bytes(),
        );
        if let Some(old) = self.slots[slot].replace(fd) {
            let _ = calls::close(old);
        }
        self.made[slot] = made;
    }

    fn put_pair(&mut self, a: usize, b: usize, pair: Answer<(c_int, c_int)>) -> String {
        match pair {
            Ok((x, y)) => {
                self.put(a, x, None);
                self.put(b, y, None);
                "0".to_owned()
            }
            Err(e) => e,
        }
    }

    fn tcp_pair() -> Answer<(c_int, c_int)> {
        let listener = calls::socket(libc::AF_INET, libc::SOCK_STREAM)? as c_int;
        calls::bind(listener, &Name::v4([127, 0, 0, 1], 0))?;
        calls::listen(listener, 5)?;
        let client = calls::socket(libc::AF_INET, libc::SOCK_STREAM)? as c_int;
        let _ = calls::connect(client, &calls::name(listener)?);
        let server = calls::accept(listener)?.0;
        // The first says that the attempt succeeded.
        let _ = calls::connect(client, &calls::name(listener)?);
        let _ = calls::close(listener);
        // Nagle's algorithm holds small segments back for as long as the real system's timers say.
        for socket in [client, server] {
            calls::set_option(
                socket,
                libc::IPPROTO_TCP,
                libc::TCP_NODELAY,
                &1i32.to_ne_bytes(),
            )?;
        }
        Ok((client, server))
    }

    /// The name that others reach the slot's socket by.
    fn target(&self, from: usize, slot: usize) -> Name {
        match calls::name(self.fd(slot)) {
            // What a short address of a foreign family is called differs from call to call.
            Ok(name) if name.is_unix() && !self.is_unix(from) => name.resized(110),
            Ok(name) => name,
            Err(_) => Name::v4([127, 0, 0, 1], 1),
        }
    }

    fn protocol(&self, slot: usize) -> Answer {
        calls::get_option(self.fd(slot), libc::SOL_SOCKET, libc::SO_PROTOCOL)
    }

    fn is_same_tcp(&self, a: usize, b: usize) -> bool {
        self.protocol(a) == Ok(libc::IPPROTO_TCP.into())
            && self.target(a, a).port() == self.target(a, b).port()
    }

    fn is_unix(&self, slot: usize) -> bool {
        calls::get_option(self.fd(slot), libc::SOL_SOCKET, libc::SO_DOMAIN)
            == Ok(libc::AF_UNIX.into())
    }

    fn payload(&self, n: usize) -> Vec<u8> {
        (0..n).map(|i| (i % 251) as u8).collect()
    }

    fn bytes(r: &Answer<Vec<u8>>) -> String {
        match r {
            Ok(data) => {
                let sum = data
                    .iter()
                    .fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(*b)));
                format!("{} ({sum:x})", data.len())
            }
            Err(e) => e.clone(),
        }
    }

    fn perform(&mut self, op: &Op) -> String {
        match *op {
            Op::Make(s, make) => {
                let made = match make {
                    Make::Tcp4 => calls::socket(libc::AF_INET, libc::SOCK_STREAM),
                    Make::Tcp6 => calls::socket(libc::AF_INET6, libc::SOCK_STREAM),
                    Make::Udp4 => calls::socket(libc::AF_INET, libc::SOCK_DGRAM),
                    Make::Udp6 => calls::socket(libc::AF_INET6, libc::SOCK_DGRAM),
                    Make::UnixStream => calls::socket(libc::AF_UNIX, libc::SOCK_STREAM),
                    Make::UnixDatagram => calls::socket(libc::AF_UNIX, libc::SOCK_DGRAM),
                    Make::UnixPacket => calls::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET),
                    Make::EventFd(n, semaphore) => calls::eventfd(n, semaphore),
                };
                match made {
                    Ok(fd) => {
                        self.put(s, fd as c_int, Some(make));
                        "0".to_owned()
                    }
                    Err(e) => e,
                }
            }
            Op::TcpPair(a, b) => self.put_pair(a, b, World::tcp_pair()),
            Op::UnixPair(a, b, style) => self.put_pair(a, b, calls::socketpair(style)),
            Op::Pipe(a, b) => self.put_pair(a, b, calls::pipe()),
            // Linux takes the port of a dead connection away; what becomes of a socket bound after that helps nobody.
            Op::Bind(s, _) if self.made[s].is_none() => "not tried".to_owned(),
            Op::Bind(s, any) => {
                let name = match self.made[s] {
                    Some(Make::Tcp6 | Make::Udp6) if any => Name::v6(Ipv6Addr::UNSPECIFIED, 0),
                    Some(Make::Tcp6 | Make::Udp6) => Name::v6(Ipv6Addr::LOCALHOST, 0),
                    Some(Make::UnixStream | Make::UnixDatagram | Make::UnixPacket) if any => {
                        Name::unix("")
                    }
                    Some(Make::UnixStream | Make::UnixDatagram | Make::UnixPacket) => {
                        Name::unix(&format!("{}-{s}", self.prefix))
                    }
                    _ if any => Name::v4([0, 0, 0, 0], 0),
                    _ => Name::v4([127, 0, 0, 1], 0),
                };
                word(&calls::bind(self.fd(s), &name))
            }
            Op::Listen(s, n) => word(&calls::listen(self.fd(s), n)),
            // A TCP socket that connects to itself (a simultaneous open) is not simulated: it is refused.
            Op::Connect(a, b) if self.is_same_tcp(a, b) => "not tried".to_owned(),
            Op::Connect(a, b) => word(&calls::connect(self.fd(a), &self.target(a, b))),
            // Linux leaves a UDP socket whose port it chose with the port 0 then, bound and not bound.
            Op::Disconnect(s) if self.protocol(s) == Ok(libc::IPPROTO_UDP.into()) => {
                "not tried".to_owned()
            }
            Op::Disconnect(s) => word(&calls::connect(self.fd(s), &Name::unspecified())),
            Op::Accept(s, to) => match calls::accept(self.fd(s)) {
                Ok((fd, peer)) => {
                    self.put(to, fd, None);
                    format!("0 from {}", peer.text())
                }
                Err(e) => e,
            },
            Op::Send(s, n) => word(&calls::send(self.fd(s), &self.payload(n), 0)),
            Op::SendTo(s, to, n) => word(&calls::send_to(
                self.fd(s),
                &self.payload(n),
                &self.target(s, to),
            )),
            Op::SendMessage(s, a, b) => word(&calls::send_message(
                self.fd(s),
                &self.payload(a),
                &self.payload(b),
            )),
            Op::Receive(s, n, flags) => World::bytes(&calls::recv(self.fd(s), n, flags)),
            Op::ReceiveFrom(s, n) => match calls::recv_from(self.fd(s), n) {
                Ok((data, from)) => format!("{} from {}", World::bytes(&Ok(data)), from.text()),
                Err(e) => e,
            },
            Op::ReceiveMessage(s, a, b, flags) => {
                match calls::recv_message(self.fd(s), a, b, flags) {
                    Ok((n, flags)) => format!("{n} flags {flags:#x}"),
                    Err(e) => e,
                }
            }
            Op::Read(s, n) => World::bytes(&calls::read(self.fd(s), n)),
            // Linux versions differ on a write of more than eight bytes to an eventfd.
            Op::Write(s, n) if matches!(self.made[s], Some(Make::EventFd(..))) => {
                word(&calls::write(self.fd(s), &self.payload(n.min(8))))
            }
            Op::Write(s, n) => word(&calls::write(self.fd(s), &self.payload(n))),
            Op::Add(s, n) => word(&calls::write(self.fd(s), &n.to_ne_bytes())),
            Op::Shutdown(s, how) => word(&calls::shutdown(self.fd(s), how)),
            Op::Close(s) => match self.slots[s].take() {
                Some(fd) => word(&calls::close(fd)),
                None => "nothing".to_owned(),
            },
            Op::Dup(s, to) => match calls::dup(self.fd(s)) {
                Ok(fd) => {
                    let made = self.made[s];
                    self.put(to, fd as c_int, made);
                    "0".to_owned()
                }
                Err(e) => e,
            },
            Op::Name(s) => calls::name(self.fd(s)).map_or_else(|e| e, |n| n.text()),
            Op::Peer(s) => calls::peer(self.fd(s)).map_or_else(|e| e, |n| n.text()),
            Op::Option(s, level, name) => word(&calls::get_option(self.fd(s), level, name)),
            Op::Set(_, libc::IPPROTO_TCP, libc::TCP_NODELAY, _) => "not tried".to_owned(),
            // The largest value depends on the machine's settings.
            Op::Set(_, libc::SOL_SOCKET, libc::SO_RCVLOWAT, -1) => "not tried".to_owned(),
            Op::Set(s, level, name, v) => word(&calls::set_option(
                self.fd(s),
                level,
                name,
                &v.to_ne_bytes(),
            )),
            Op::Waiting(s) => word(&calls::waiting(self.fd(s))),
            Op::Watch(s, control, interest) => word(&calls::watch(
                self.epoll,
                control,
                self.fd(s),
                interest,
                s as u64,
            )),
            Op::Events => word(&calls::events(self.epoll)),
        }
    }

    /// Performs an operation and notes its result and what every descriptor is then ready for.
    fn step(&mut self, op: &Op) {
        let result = self.perform(op);
        let ready: Vec<String> = (0..SLOTS)
            .filter(|s| self.slots[*s].is_some())
            .map(|s| format!("{s}:{}", word(&calls::readiness(self.fd(s)))))
            .collect();
        self.log
            .push(format!("{op:?} = {result}    {}", ready.join(" ")));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for fd in self.slots.iter().flatten() {
            let _ = calls::close(*fd);
        }
        let _ = calls::close(self.epoll);
    }
}

fn run(ops: &[Op]) -> Log {
    let mut world = World::new();
    for op in ops {
        world.step(op);
    }
    std::mem::take(&mut world.log)
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    #[test]
    fn sockets_behave_as_on_linux(ops in ops()) {
        if let Some(text) = differs(move || run(&ops)) {
            return Err(TestCaseError::fail(text));
        }
    }

    #[test]
    fn edges_come_as_on_linux(pair in pairs(), ops in edge_ops()) {
        let text = differs(move || {
            let mut world = World::new();
            world.step(&pair);
            for slot in [0, 1] {
                world.step(&Op::Watch(slot, libc::EPOLL_CTL_ADD, EDGES));
            }
            world.step(&Op::Events);
            for op in &ops {
                world.step(op);
                world.step(&Op::Events);
                // Linux reports, too, when the FIN is acknowledged, and that may take a while.
                if matches!((&pair, op), (Op::TcpPair(..), Op::Shutdown(..))) {
                    break;
                }
            }
            std::mem::take(&mut world.log)
        });
        if let Some(text) = text {
            return Err(TestCaseError::fail(text));
        }
    }
}

/// Everything, edge-triggered.
const EDGES: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET).cast_unsigned();

/// Two connected descriptors.
fn pairs() -> impl Strategy<Value = Op> {
    prop_oneof![
        Just(Op::TcpPair(0, 1)),
        Just(Op::UnixPair(0, 1, libc::SOCK_STREAM)),
        Just(Op::UnixPair(0, 1, libc::SOCK_DGRAM)),
        Just(Op::UnixPair(0, 1, libc::SOCK_SEQPACKET)),
        Just(Op::Pipe(0, 1)),
        Just(Op::Make(0, Make::EventFd(0, false))),
        Just(Op::Make(0, Make::EventFd(2, true))),
    ]
}

fn edge_ops() -> impl Strategy<Value = Vec<Op>> {
    let slot = || 0..2usize;
    let op = prop_oneof![
        4 => (slot(), 1..200usize).prop_map(|(s, n)| Op::Send(s, n)),
        4 => (slot(), 1..200usize).prop_map(|(s, n)| Op::Receive(s, n, 0)),
        2 => (slot(), 8..200usize).prop_map(|(s, n)| Op::Read(s, n)),
        2 => (slot(), 1..9usize).prop_map(|(s, n)| Op::Write(s, n)),
        2 => (slot(), 0..4u64).prop_map(|(s, n)| Op::Add(s, n)),
        1 => (slot(), 0..3).prop_map(|(s, how)| Op::Shutdown(s, how)),
        1 => slot().prop_map(Op::Close),
        1 => slot().prop_map(|s| Op::Watch(s, libc::EPOLL_CTL_MOD, EDGES)),
    ];
    prop::collection::vec(op, 1..15)
}
