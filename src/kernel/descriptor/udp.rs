//! UDP sockets: binding, connecting, sending and receiving datagrams. Called by `net/socket.rs`; datagrams between hosts
//! arrive through [`NetEvent::Datagram`].

use super::{Kind, ObjectId, bits};
use crate::kernel::net::NetEvent;
use crate::kernel::net::address::{Address, Family, Style, any, canonical, destination, shown};
use crate::kernel::net::local::charge;
use crate::kernel::net::options::Options;
use crate::kernel::net::socket::{Control, Received};
use crate::kernel::{Domain, Errno, Kernel, Result};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The most bytes that a datagram carries over IPv4; IPv6 allows 20 more.
const LARGEST: usize = 65_507;

/// A datagram under way or waiting.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) data: Vec<u8>,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// The traffic class, with the ECN bits.
    pub(crate) class: u8,
}

/// A UDP socket.
#[derive(Debug)]
pub(crate) struct Udp {
    pub(crate) family: Family,
    pub(crate) options: Options,
    /// In canonical form; the port is never 0.
    local: Option<SocketAddr>,
    /// `bind` fixed the address, not only the port.
    fixed: bool,
    /// `bind` named the port.
    chosen: bool,
    peer: Option<SocketAddr>,
    queue: VecDeque<Datagram>,
    /// The memory that the queue is charged for, in bytes.
    charged: usize,
    no_more_in: bool,
    no_more_out: bool,
    error: Option<Errno>,
    /// Multicast groups that it joined.
    pub(crate) groups: Vec<IpAddr>,
}

impl Udp {
    pub(crate) fn new(family: Family) -> Udp {
        Udp {
            family,
            options: Options::new(family, Style::Datagram),
            local: None,
            fixed: false,
            chosen: false,
            peer: None,
            queue: VecDeque::new(),
            charged: 0,
            no_more_in: false,
            no_more_out: false,
            error: None,
            groups: Vec::new(),
        }
    }

    pub(super) fn text(&self) -> String {
        match self.local {
            Some(a) => format!("a UDP socket on {a}"),
            None => "a UDP socket".to_owned(),
        }
    }

    pub(super) fn readiness(&self) -> u32 {
        let mut r = bits::OUT;
        if self.error.is_some() {
            r |= bits::ERR;
        }
        if self.no_more_in {
            r |= bits::IN | bits::RDHUP;
            if self.no_more_out {
                r |= bits::HUP;
            }
        }
        if !self.queue.is_empty() {
            r |= bits::IN;
        }
        r
    }

    /// The length of the first datagram, for `FIONREAD`.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.front().map_or(0, |d| d.data.len())
    }

    /// The bytes of all datagrams that wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.iter().map(|d| d.data.len()).sum()
    }

    /// Whether it has a port.
    pub(crate) fn is_bound(&self) -> bool {
        self.local.is_some()
    }

    /// Takes the pending error.
    pub(crate) fn take_error(&mut self) -> Option<Errno> {
        self.error.take()
    }
}

impl Kernel {
    /// The UDP socket: `EBADF` if the object is gone or of another kind.
    pub(crate) fn udp(&mut self, id: ObjectId) -> Result<&mut Udp> {
        match self.objects.get_mut(id) {
            Some(Kind::Udp(u)) => Ok(u),
            _ => Err(Errno::EBADF),
        }
    }

    fn udp_hold(&mut self, id: ObjectId, address: SocketAddr) -> Result<SocketAddr> {
        let bound = self.udp(id)?.options.bound(id, address.ip());
        let port = self.hold_port(bound, address.port(), false)?;
        let local = SocketAddr::new(address.ip(), port);
        self.udp(id)?.local = Some(local);
        Ok(local)
    }

    /// The socket's own address; a port of the system's choice if it has none yet.
    pub(crate) fn udp_bound(&mut self, id: ObjectId) -> Result<SocketAddr> {
        let u = self.udp(id)?;
        match u.local {
            Some(local) => Ok(local),
            None => {
                let address = SocketAddr::new(any(u.family), 0);
                self.udp_hold(id, address).map_err(|_| Errno::EAGAIN)
            }
        }
    }

    /// The port table learns what changed about the socket.
    pub(crate) fn udp_rebound(&mut self, id: ObjectId) {
        let host = self.objects.host(id).unwrap_or(0);
        let Ok(u) = self.udp(id) else {
            return;
        };
        let (local, peer) = (u.local, u.peer);
        let (reuse_addr, reuse_port) = (u.options.reuse_addr, u.options.reuse_port);
        if let Some(local) = local
            && let Some(b) = self.net.udp.bound_mut(host, local.port(), id)
        {
            b.ip = local.ip();
            b.peer = peer;
            b.reuse_addr = reuse_addr;
            b.reuse_port = reuse_port;
        }
    }

    /// bind(2). `EINVAL` if it is bound already.
    pub(crate) fn udp_bind(&mut self, id: ObjectId, address: SocketAddr) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        if self.udp(id)?.local.is_some() {
            return Err(Errno::EINVAL);
        }
        let address = canonical(address);
        let ip = address.ip();
        if !self.hosts[usize::from(host)].is_local(ip) && !ip.is_multicast() && !is_broadcast(ip) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.udp_hold(id, address)?;
        let u = self.udp(id)?;
        u.fixed = !ip.is_unspecified();
        u.options.v6only |= u.fixed && ip.is_ipv6();
        u.chosen = address.port() != 0;
        Ok(())
    }

    /// connect(2): from now on it sends to and receives from `to` alone; `None` dissolves that.
    pub(crate) fn udp_connect(&mut self, id: ObjectId, to: Option<SocketAddr>) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let u = self.udp(id)?;
        let Some(to) = to else {
            u.peer = None;
            let (family, local) = (u.family, u.local);
            match local {
                Some(local) if !u.chosen => {
                    u.local = None;
                    self.net.udp.release(host, local.port(), id);
                }
                Some(local) if !u.fixed => {
                    u.local = Some(SocketAddr::new(any(family), local.port()))
                }
                _ => {}
            }
            self.udp_rebound(id);
            return Ok(());
        };
        let mapped = to.is_ipv6();
        let to = canonical(to);
        let local = self.udp_bound(id)?;
        let to = SocketAddr::new(destination(to.ip(), Some(local.ip())), to.port());
        let u = self.udp(id)?;
        if u.family == Family::V6 && u.options.v6only && to.is_ipv4() {
            return Err(if mapped {
                Errno::ENETUNREACH
            } else {
                Errno::EAFNOSUPPORT
            });
        }
        let (family, fixed) = (u.family, u.fixed);
        let own = local.ip();
        if family == Family::V6 && own.is_ipv4() && to.is_ipv6() {
            return Err(Errno::EAFNOSUPPORT);
        }
        // The other way round Linux keeps the IPv6 address, though it then sends from an IPv4 one.
        let fixed = fixed || (own.is_ipv6() && !own.is_unspecified() && to.is_ipv4());
        let source = if fixed {
            local.ip()
        } else {
            self.source(host, to.ip())
        };
        if !to.ip().is_multicast() && !is_broadcast(to.ip()) {
            self.route(host, to.ip())?;
        }
        let u = self.udp(id)?;
        u.local = Some(SocketAddr::new(source, local.port()));
        u.peer = Some(to);
        self.udp_rebound(id);
        Ok(())
    }

    /// Sends one datagram, to `to` or to its peer.
    pub(crate) fn udp_send(
        &mut self,
        id: ObjectId,
        parts: &[&[u8]],
        to: Option<SocketAddr>,
        control: &Control,
    ) -> Result<usize> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let n: usize = parts.iter().map(|p| p.len()).sum();
        let local = self.udp_bound(id)?;
        let u = self.udp(id)?;
        let explicit = to.is_some();
        let to = match to.map(canonical).or(u.peer) {
            Some(to) => SocketAddr::new(destination(to.ip(), Some(local.ip())), to.port()),
            None => return Err(Errno::EDESTADDRREQ),
        };
        if u.family == Family::V6 && u.options.v6only && to.is_ipv4() {
            return Err(Errno::ENETUNREACH);
        }
        if to.port() == 0 && (explicit || (u.family == Family::V6 && to.is_ipv4())) {
            return Err(Errno::EINVAL);
        }
        if n > LARGEST + if to.is_ipv6() { 20 } else { 0 } {
            return Err(Errno::EMSGSIZE);
        }
        let broadcast = is_broadcast(to.ip());
        if broadcast && !u.options.switch(libc::SOL_SOCKET, libc::SO_BROADCAST) {
            return Err(Errno::EACCES);
        }
        if let Some(e) = u.error.take() {
            return Err(e);
        }
        if u.no_more_out {
            return Err(Errno::EPIPE);
        }
        let class = control.class.unwrap_or_else(|| {
            let (level, name) = match to.is_ipv4() {
                true => (libc::IPPROTO_IP, libc::IP_TOS),
                false => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            u.options.number(level, name).unwrap_or(0) as u8
        });
        let fixed = u.fixed;
        let everyone = broadcast || to.ip().is_multicast();
        let there = if everyone {
            host
        } else {
            self.route(host, to.ip())?
        };
        let from = match control.source {
            Some(ip) => ip,
            None if local.ip().is_unspecified() || (local.is_ipv4() != to.is_ipv4() && !fixed) => {
                self.source(host, to.ip())
            }
            None => local.ip(),
        };
        if from.is_ipv4() != to.is_ipv4() {
            return Err(Errno::ENETUNREACH);
        }
        if from.is_loopback() && there != host {
            return Err(Errno::EINVAL);
        }
        let mut data = self.net.spare.pop().unwrap_or_default();
        for part in parts {
            data.extend_from_slice(part);
        }
        let datagram = Datagram {
            data,
            from: SocketAddr::new(from, local.port()),
            to,
            class,
        };
        self.progress();
        if everyone {
            self.udp_send_everyone(host, datagram);
        } else if there == host {
            self.udp_arrives(host, datagram);
        } else {
            let event = NetEvent::Datagram {
                host: there,
                datagram: Box::new(datagram),
            };
            self.send_alone(host, there, n, event);
        }
        Ok(n)
    }

    /// A datagram arrives at a host: the socket that it is for takes it, or its sender learns that there is none.
    pub(crate) fn udp_arrives(&mut self, host: u16, d: Datagram) {
        let oracle = &mut self.oracle;
        let found = self.net.udp.find(host, d.to, d.from, false, |n| {
            oracle.below(Domain::Network, n)
        });
        match found {
            Some(id) => self.udp_deliver(id, d),
            None => {
                let Ok(sender) = self.route(host, d.from.ip()) else {
                    return;
                };
                if sender == host {
                    self.udp_unreachable(sender, d.from, d.to);
                } else {
                    let event = NetEvent::Unreachable {
                        host: sender,
                        from: d.from,
                        to: d.to,
                    };
                    self.send_alone(host, sender, 0, event);
                }
                self.net.spare(d.data);
            }
        }
    }

    /// Puts a datagram into a socket's queue, if there is room.
    pub(crate) fn udp_deliver(&mut self, id: ObjectId, d: Datagram) {
        let Ok(u) = self.udp(id) else {
            return;
        };
        // As Linux: the queue may exceed its limit by one datagram.
        if u.charged > u.options.receive_capacity() {
            self.net.spare(d.data);
            return;
        }
        u.charged += charge(d.data.len());
        u.queue.push_back(d);
        self.progress();
        self.notify(id, bits::IN);
    }

    /// Nobody was there for a datagram: a connected sender is told at its next call.
    pub(crate) fn udp_unreachable(&mut self, host: u16, from: SocketAddr, to: SocketAddr) {
        let Some(id) = self.net.udp.find(host, from, to, false, |_| 0) else {
            return;
        };
        if let Ok(u) = self.udp(id)
            && u.peer
                .is_some_and(|p| p == to || (p.port() == 0 && p.ip() == to.ip()))
        {
            u.error = Some(Errno::ECONNREFUSED);
            self.notify(id, bits::ERR | bits::IN | bits::OUT);
        }
    }

    /// Receives one datagram. `EAGAIN` while none is there.
    pub(crate) fn udp_receive(
        &mut self,
        id: ObjectId,
        parts: &mut [&mut [u8]],
        peek: bool,
    ) -> Result<Received> {
        let nonblocking = self.objects.nonblocking(id);
        let u = self.udp(id)?;
        if let Some(e) = u.error.take() {
            return Err(e);
        }
        let Some(d) = u.queue.front() else {
            if u.no_more_in && !nonblocking {
                return Ok(Received::default());
            }
            return Err(Errno::EAGAIN);
        };
        let mut copied = 0;
        for part in parts.iter_mut() {
            let now = part.len().min(d.data.len() - copied);
            part[..now].copy_from_slice(&d.data[copied..copied + now]);
            copied += now;
        }
        let received = Received {
            len: copied,
            whole: d.data.len(),
            from: Some(Address::Inet(shown(u.family, d.from))),
            to: Some(d.to.ip()),
            class: d.class,
            rights: Vec::new(),
        };
        if !peek && let Some(d) = u.queue.pop_front() {
            u.charged -= charge(d.data.len());
            self.net.spare(d.data);
            self.progress();
        }
        Ok(received)
    }

    /// shutdown(2). `ENOTCONN` unless connected, though it takes effect.
    pub(crate) fn udp_shutdown(&mut self, id: ObjectId, read: bool, write: bool) -> Result<()> {
        let u = self.udp(id)?;
        u.no_more_in |= read;
        u.no_more_out |= write;
        let connected = u.peer.is_some();
        self.notify(id, bits::IN | bits::OUT | bits::HUP | bits::RDHUP);
        if connected {
            Ok(())
        } else {
            Err(Errno::ENOTCONN)
        }
    }

    /// getsockname(2).
    pub(crate) fn udp_name(&mut self, id: ObjectId) -> Result<SocketAddr> {
        let u = self.udp(id)?;
        let local = u.local.unwrap_or(SocketAddr::new(any(u.family), 0));
        Ok(shown(u.family, local))
    }

    /// getpeername(2).
    pub(crate) fn udp_peer(&mut self, id: ObjectId) -> Result<SocketAddr> {
        let u = self.udp(id)?;
        match u.peer {
            Some(p) if p.port() != 0 => Ok(shown(u.family, p)),
            _ => Err(Errno::ENOTCONN),
        }
    }

    pub(super) fn udp_closed(&mut self, id: ObjectId, host: u16, u: Udp) {
        if let Some(local) = u.local {
            self.net.udp.release(host, local.port(), id);
        }
        for d in u.queue {
            self.net.spare(d.data);
        }
    }
}

/// The broadcast address of everyone.
fn is_broadcast(ip: IpAddr) -> bool {
    ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}
