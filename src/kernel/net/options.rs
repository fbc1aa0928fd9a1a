//! Socket options: what a socket remembers, and `getsockopt`/`setsockopt` over it. Options that change what the kernel does
//! are named fields; the others are stored and read back. Values are native-endian integers as in C.

use super::address::{Family, Style};
use super::alive::{KeepAlive, Patience};
use crate::kernel::{Errno, Result};
use libc::c_int;

/// Buffer sizes that Linux gives a fresh socket, in bytes.
const TCP_RECEIVE: u32 = 131_072;
const TCP_SEND: u32 = 16_384;
const DATAGRAM: u32 = 212_992;
/// A TCP socket whose program does not fix `SO_SNDBUF` buffers this much: Linux lets such buffers grow on their own.
const TCP_SEND_GROWN: u32 = 262_144;
/// The bounds that Linux puts on a requested size, before it doubles it.
const BUFFER_MAX: u32 = 4_194_304;
/// The most that `SO_RCVLOWAT` asks of a TCP socket: half of what a receive buffer may grow to.
const LOW_WATER_MAX: i32 = 3_145_728;
const RECEIVE_MIN: u32 = 2304;
const SEND_MIN: u32 = 4608;

/// Every on/off option that is only stored, as (level, name), in the order of their bits.
const SWITCHES: [(c_int, c_int); 24] = [
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::SOL_SOCKET, libc::SO_BROADCAST),
    (libc::SOL_SOCKET, libc::SO_OOBINLINE),
    (libc::SOL_SOCKET, libc::SO_DONTROUTE),
    (libc::SOL_SOCKET, libc::SO_PASSCRED),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    (libc::IPPROTO_TCP, libc::TCP_CORK),
    (libc::IPPROTO_TCP, libc::TCP_QUICKACK),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IP, libc::IP_RECVTOS),
    (libc::IPPROTO_IP, libc::IP_RECVTTL),
    (libc::IPPROTO_IP, libc::IP_RECVERR),
    (libc::IPPROTO_IP, libc::IP_FREEBIND),
    (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
    (libc::IPPROTO_IP, libc::IP_MULTICAST_ALL),
    (libc::IPPROTO_IP, libc::IP_HDRINCL),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
    (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT),
];

/// Every numeric option that is only stored: (level, name, default, least, greatest).
const NUMBERS: [(c_int, c_int, i32, i32, i32); 22] = [
    (libc::IPPROTO_IP, libc::IP_TTL, 64, 1, 255),
    (libc::IPPROTO_IP, libc::IP_TOS, 0, 0, 255),
    (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, 1, 0, 255),
    (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, 1, 0, 5),
    (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, 64, -1, 255),
    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, 0, -1, 255),
    (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, 1, -1, 255),
    (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, 0, 0, 2),
    (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, 1, 0, 5),
    (libc::SOL_SOCKET, libc::SO_PRIORITY, 0, 0, 6),
    (libc::SOL_SOCKET, libc::SO_MARK, 0, i32::MIN, i32::MAX),
    (libc::SOL_SOCKET, libc::SO_RCVLOWAT, 1, 0, i32::MAX),
    (libc::SOL_SOCKET, libc::SO_BUSY_POLL, 0, 0, i32::MAX),
    (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 7200, 1, 32_767),
    (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 75, 1, 32_767),
    (libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 9, 1, 127),
    (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 0, 0, i32::MAX),
    (libc::IPPROTO_TCP, libc::TCP_MAXSEG, 536, 88, 32_767),
    (
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        0,
        i32::MIN,
        i32::MAX,
    ),
    (libc::IPPROTO_TCP, libc::TCP_LINGER2, 60, i32::MIN, i32::MAX),
    (libc::IPPROTO_TCP, libc::TCP_SYNCNT, 6, 1, 127),
    (
        libc::IPPROTO_TCP,
        libc::TCP_NOTSENT_LOWAT,
        -1,
        i32::MIN,
        i32::MAX,
    ),
];

/// The numbers that -1 sets back to their default.
const RESETS: [(c_int, c_int); 5] = [
    (libc::IPPROTO_IP, libc::IP_TTL),
    (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
    (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
    (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
];

/// What a socket remembers of its options.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    switches: u32,
    numbers: [i32; NUMBERS.len()],
    pub(crate) reuse_addr: bool,
    pub(crate) reuse_port: bool,
    pub(crate) v6only: bool,
    /// Seconds that `close` waits for unsent data; `Some(0)` makes it reset the connection.
    pub(crate) linger: Option<u32>,
    /// As `getsockopt` shows them, in bytes.
    pub(crate) receive_buffer: u32,
    send_buffer: u32,
    send_fixed: bool,
    /// The most that the machine gives to either.
    ceiling: u32,
    /// Nanoseconds; `None` waits without limit.
    pub(crate) receive_timeout: Option<u64>,
    pub(crate) send_timeout: Option<u64>,
    congestion: &'static str,
}

impl Options {
    /// What Linux gives a fresh socket.
    pub(crate) fn new(family: Family, style: Style) -> Options {
        let tcp = family != Family::Unix && style == Style::Stream;
        let mut numbers = [0; NUMBERS.len()];
        for (place, n) in numbers.iter_mut().zip(NUMBERS) {
            *place = n.2;
        }
        let mut o = Options {
            switches: 0,
            numbers,
            reuse_addr: false,
            reuse_port: false,
            v6only: false,
            linger: None,
            receive_buffer: if tcp { TCP_RECEIVE } else { DATAGRAM },
            send_buffer: if tcp { TCP_SEND } else { DATAGRAM },
            send_fixed: !tcp,
            ceiling: u32::MAX,
            receive_timeout: None,
            send_timeout: None,
            congestion: "cubic",
        };
        for name in [
            (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
            (libc::IPPROTO_IP, libc::IP_MULTICAST_ALL),
            (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
            (libc::IPPROTO_TCP, libc::TCP_QUICKACK),
        ] {
            o.set_switch(name.0, name.1, true);
        }
        o
    }

    /// How many bytes the socket keeps that its peer has not taken, in bytes.
    pub(crate) fn send_capacity(&self) -> usize {
        let wanted = if self.send_fixed {
            self.send_buffer
        } else {
            TCP_SEND_GROWN
        };
        wanted.min(self.ceiling.max(SEND_MIN)) as usize
    }

    /// How many bytes it keeps that its program has not read.
    pub(crate) fn receive_capacity(&self) -> usize {
        self.receive_buffer.min(self.ceiling.max(RECEIVE_MIN)) as usize
    }

    /// Both capacities: to receive and to send.
    pub(crate) fn capacities(&self) -> (usize, usize) {
        (self.receive_capacity(), self.send_capacity())
    }

    /// The machine gives so many bytes at most to a buffer, though never less than Linux' least.
    pub(crate) fn limit_buffers(&mut self, most: u32) {
        self.ceiling = most;
    }

    /// How long a TCP connection bears silence.
    pub(crate) fn patience(&self) -> Patience {
        let number = |name| self.number(libc::IPPROTO_TCP, name).unwrap_or(0).max(0) as u64;
        let seconds = |name| number(name) * 1_000_000_000;
        let user_timeout = number(libc::TCP_USER_TIMEOUT) * 1_000_000;
        Patience {
            keep_alive: self
                .switch(libc::SOL_SOCKET, libc::SO_KEEPALIVE)
                .then(|| KeepAlive {
                    idle: seconds(libc::TCP_KEEPIDLE),
                    interval: seconds(libc::TCP_KEEPINTVL),
                    probes: number(libc::TCP_KEEPCNT) as u32,
                }),
            user_timeout: (user_timeout > 0).then_some(user_timeout),
            syn_retries: number(libc::TCP_SYNCNT) as u32,
        }
    }

    /// How many bytes make a TCP socket readable.
    pub(crate) fn low_water(&self) -> usize {
        self.number(libc::SOL_SOCKET, libc::SO_RCVLOWAT)
            .unwrap_or(1) as usize
    }

    /// Whether an on/off option is set.
    pub(crate) fn switch(&self, level: c_int, name: c_int) -> bool {
        SWITCHES
            .iter()
            .position(|s| *s == (level, name))
            .is_some_and(|at| self.switches & (1 << at) != 0)
    }

    fn set_switch(&mut self, level: c_int, name: c_int, on: bool) -> bool {
        let Some(at) = SWITCHES.iter().position(|s| *s == (level, name)) else {
            return false;
        };
        self.switches = (self.switches & !(1 << at)) | (u32::from(on) << at);
        true
    }

    /// A stored number.
    pub(crate) fn number(&self, level: c_int, name: c_int) -> Option<i32> {
        NUMBERS
            .iter()
            .position(|n| (n.0, n.1) == (level, name))
            .map(|at| self.numbers[at])
    }

    /// getsockopt(2) for what is stored here. `ENOPROTOOPT` for anything unknown.
    pub(crate) fn get(
        &self,
        family: Family,
        style: Style,
        level: c_int,
        name: c_int,
    ) -> Result<Value> {
        applies(family, style, level, true)?;
        if let Some(n) = self.number(level, name) {
            return Ok(Value::Int(n));
        }
        if SWITCHES.contains(&(level, name)) {
            return Ok(Value::Int(self.switch(level, name).into()));
        }
        Ok(match (level, name) {
            (libc::SOL_SOCKET, libc::SO_REUSEADDR) => Value::Int(self.reuse_addr.into()),
            (libc::SOL_SOCKET, libc::SO_REUSEPORT) => Value::Int(self.reuse_port.into()),
            (libc::SOL_SOCKET, libc::SO_RCVBUF) => Value::Int(self.receive_buffer as i32),
            (libc::SOL_SOCKET, libc::SO_SNDBUF) => Value::Int(self.send_buffer as i32),
            (libc::SOL_SOCKET, libc::SO_SNDLOWAT) => Value::Int(1),
            (libc::SOL_SOCKET, libc::SO_INCOMING_CPU) => Value::Int(0),
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO) => Value::Time(self.receive_timeout),
            (libc::SOL_SOCKET, libc::SO_SNDTIMEO) => Value::Time(self.send_timeout),
            (libc::SOL_SOCKET, libc::SO_LINGER) => Value::Linger(self.linger),
            (libc::SOL_SOCKET, libc::SO_BINDTODEVICE) => Value::Text(""),
            (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY) => Value::Int(self.v6only.into()),
            (libc::IPPROTO_IP, libc::IP_MULTICAST_IF) => Value::Int(0),
            (libc::IPPROTO_IP, libc::IP_OPTIONS) => Value::Text(""),
            (libc::IPPROTO_TCP, libc::TCP_CONGESTION) => Value::Text(self.congestion),
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }

    /// setsockopt(2) for what is stored here. `EINVAL` for a short or impossible value, `ENOPROTOOPT` for an unknown name.
    pub(crate) fn set(
        &mut self,
        family: Family,
        style: Style,
        level: c_int,
        name: c_int,
        value: &[u8],
    ) -> Result<()> {
        if level == libc::IPPROTO_UDP && family != Family::Unix && style == Style::Datagram {
            // Without segmentation offload there is nothing to set.
            int(value)?;
        }
        applies(family, style, level, false)?;
        if level == libc::SOL_SOCKET
            && matches!(
                name,
                libc::SO_BINDTODEVICE
                    | libc::SO_ATTACH_FILTER
                    | libc::SO_DETACH_FILTER
                    | libc::SO_PEERCRED
            )
        {
            let eth0 = matches!(value, [] | b"\0" | b"lo" | b"eth0" | b"lo\0" | b"eth0\0");
            return if name == libc::SO_BINDTODEVICE && eth0 {
                Ok(())
            } else if name == libc::SO_BINDTODEVICE {
                Err(Errno::ENODEV)
            } else {
                Err(Errno::ENOPROTOOPT)
            };
        }
        if (level, name) == (libc::IPPROTO_TCP, libc::TCP_CONGESTION) {
            let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
            self.congestion = match &value[..end] {
                b"cubic" => "cubic",
                b"reno" => "reno",
                _ => return Err(Errno::ENOENT),
            };
            return Ok(());
        }
        if level == libc::SOL_SOCKET {
            match name {
                libc::SO_RCVTIMEO => self.receive_timeout = timeout(value)?,
                libc::SO_SNDTIMEO => self.send_timeout = timeout(value)?,
                libc::SO_LINGER => {
                    let (on, seconds) = (int(value)?, int(value.get(4..).unwrap_or(&[]))?);
                    self.linger = (on != 0).then_some(seconds.max(0) as u32);
                }
                _ => return self.set_number(family, style, level, name, int(value)?),
            }
            return Ok(());
        }
        // Of IP options Linux takes a single byte if there are no four.
        let n = match (level, value) {
            (libc::IPPROTO_IP, []) => 0,
            (libc::IPPROTO_IP, [b] | [b, _] | [b, _, _]) => i32::from(*b),
            _ => int(value)?,
        };
        self.set_number(family, style, level, name, n)
    }

    fn set_number(
        &mut self,
        family: Family,
        style: Style,
        level: c_int,
        name: c_int,
        n: i32,
    ) -> Result<()> {
        if style == Style::Stream {
            // Multicast is for datagrams.
            match (level, name) {
                (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL | libc::IP_MULTICAST_IF) => {
                    return Err(Errno::EINVAL);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS | libc::IPV6_MULTICAST_IF) => {
                    return Err(Errno::ENOPROTOOPT);
                }
                _ => {}
            }
        }
        if self.set_switch(level, name, n != 0) {
            return Ok(());
        }
        if let Some(at) = NUMBERS.iter().position(|o| (o.0, o.1) == (level, name)) {
            let (_, _, default, least, greatest) = NUMBERS[at];
            if n == -1 && RESETS.contains(&(level, name)) {
                self.numbers[at] = default;
            } else if (level, name) == (libc::IPPROTO_IP, libc::IP_TOS) {
                // TCP keeps the ECN bits to itself.
                self.numbers[at] = if style == Style::Stream {
                    n & 0xfc
                } else {
                    n & 0xff
                };
            } else if (level, name) == (libc::SOL_SOCKET, libc::SO_RCVLOWAT) {
                let n = if n < 0 { i32::MAX } else { n.max(1) };
                let tcp = family != Family::Unix && style == Style::Stream;
                self.numbers[at] = if tcp { n.min(LOW_WATER_MAX) } else { n };
            } else if (least..=greatest).contains(&n) {
                self.numbers[at] = n;
            } else if (level, name) == (libc::SOL_SOCKET, libc::SO_PRIORITY) {
                return Err(Errno::EPERM);
            } else {
                return Err(Errno::EINVAL);
            }
            return Ok(());
        }
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_REUSEADDR) => self.reuse_addr = n != 0,
            (libc::SOL_SOCKET, libc::SO_REUSEPORT) if n != 0 && family == Family::Unix => {
                return Err(Errno::EOPNOTSUPP);
            }
            (libc::SOL_SOCKET, libc::SO_REUSEPORT) => self.reuse_port = n != 0,
            (libc::SOL_SOCKET, libc::SO_RCVBUF | libc::SO_RCVBUFFORCE) => {
                self.receive_buffer = ((n as u32).min(BUFFER_MAX) * 2).max(RECEIVE_MIN);
            }
            (libc::SOL_SOCKET, libc::SO_SNDBUF | libc::SO_SNDBUFFORCE) => {
                self.send_buffer = ((n as u32).min(BUFFER_MAX) * 2).max(SEND_MIN);
                self.send_fixed = true;
            }
            (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY) => self.v6only = n != 0,
            (libc::SOL_SOCKET, libc::SO_INCOMING_CPU)
            | (libc::IPPROTO_IP, libc::IP_MULTICAST_IF) => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }
}

/// Whether a socket of this kind has options at `level`; if not, Linux has several ways to say so.
fn applies(family: Family, style: Style, level: c_int, reading: bool) -> Result<()> {
    let there = match level {
        libc::SOL_SOCKET => true,
        libc::IPPROTO_IP => family != Family::Unix,
        libc::IPPROTO_IPV6 => family == Family::V6,
        libc::IPPROTO_TCP => family != Family::Unix && style == Style::Stream,
        _ => false,
    };
    match (there, family) {
        (true, _) => Ok(()),
        (false, Family::Unix) => Err(Errno::EOPNOTSUPP),
        (false, Family::V4) if reading => Err(Errno::EOPNOTSUPP),
        (false, _) => Err(Errno::ENOPROTOOPT),
    }
}

/// The value of an option, to be laid out as C expects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Int(i32),
    /// Nanoseconds, as a `timeval`.
    Time(Option<u64>),
    Linger(Option<u32>),
    Text(&'static str),
    /// Process, user and group.
    Credentials(i32, u32, u32),
}

fn int(value: &[u8]) -> Result<i32> {
    match value.first_chunk() {
        Some(b) => Ok(i32::from_ne_bytes(*b)),
        None => Err(Errno::EINVAL),
    }
}

/// A `timeval`; zero means no limit.
fn timeout(value: &[u8]) -> Result<Option<u64>> {
    let (Some(s), Some(us)) = (
        value.first_chunk(),
        value.get(8..).and_then(|v| v.first_chunk()),
    ) else {
        return Err(Errno::EINVAL);
    };
    let (s, us) = (i64::from_ne_bytes(*s), i64::from_ne_bytes(*us));
    if !(0..1_000_000).contains(&us) {
        return Err(Errno::EDOM);
    }
    if s < 0 {
        // Linux: a negative timeout is over at once.
        return Ok(Some(0));
    }
    let ns = (s as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(us as u64 * 1000);
    Ok((ns > 0).then_some(ns))
}
