//! The network: addresses, port spaces, connections, links between hosts, names.
//!
//! The socket objects in `descriptor/{tcp,udp,unix}` are what programs hold; this module is what lies between them. All of
//! it is state of the [`Kernel`] and safe code.

pub(crate) mod address;
pub(crate) mod alive;
pub(crate) mod flow;
mod groups;
mod handshake;
pub(crate) mod link;
pub(crate) mod local;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod ports;
pub(crate) mod socket;
mod stream;
pub(crate) mod wire;

use super::descriptor::ObjectId;
use super::descriptor::udp::Datagram;
use super::{Errno, Kernel, Result};
use address::UnixName;
use flow::{FlowId, Flows};
use link::Links;
use ports::Ports;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Something that arrives over the network.
#[derive(Clone, Debug)]
pub(crate) enum NetEvent {
    /// A packet of a connection arrives at an end.
    Packet {
        flow: FlowId,
        to: usize,
        packet: wire::Packet,
    },
    /// An end may have something to repeat.
    FlowTimer { flow: FlowId, side: usize },
    /// An end may ask whether its peer is there.
    KeepAlive {
        flow: FlowId,
        side: usize,
        timer: u32,
    },
    /// A datagram arrives at a host.
    Datagram { host: u16, datagram: Box<Datagram> },
    /// A copy of a multicast or broadcast datagram arrives at a socket.
    Copy {
        to: ObjectId,
        datagram: Box<Datagram>,
    },
    /// The sender of a datagram learns that nobody was there.
    Unreachable {
        host: u16,
        from: SocketAddr,
        to: SocketAddr,
    },
}

impl NetEvent {
    /// Changes a byte of a datagram's payload, as faulty memory on its way does, after which the checksum was computed anew.
    fn corrupt(&mut self, below: &mut dyn FnMut(u64) -> u64) {
        if let NetEvent::Datagram { datagram, .. } | NetEvent::Copy { datagram, .. } = self
            && !datagram.data.is_empty()
        {
            let at = below(datagram.data.len() as u64) as usize;
            datagram.data[at] ^= 1 + below(255) as u8;
        }
    }
}

/// The network's state.
#[derive(Default)]
pub(crate) struct Net {
    pub(crate) flows: Flows,
    pub(crate) links: Links,
    pub(crate) tcp: Ports,
    pub(crate) udp: Ports,
    /// Names of Unix sockets, by host. A path stays after its socket is gone.
    pub(crate) unix: BTreeMap<(u16, UnixName), ObjectId>,
    /// Buffers of datagrams that were read, for the next ones.
    pub(crate) spare: Vec<Vec<u8>>,
    /// Some host does not listen to the network.
    pub(crate) sleepers: bool,
}

/// The most buffers that are kept.
const SPARES: usize = 64;

impl Net {
    pub(crate) fn clear(&mut self) {
        self.flows.clear();
        self.links.clear();
        self.tcp.clear();
        self.udp.clear();
        self.unix.clear();
        self.sleepers = false;
    }

    /// Whether anything can come of the event.
    pub(crate) fn is_live(&self, event: &NetEvent) -> bool {
        match event {
            NetEvent::Packet { flow, .. }
            | NetEvent::FlowTimer { flow, .. }
            | NetEvent::KeepAlive { flow, .. } => self.flows.get(*flow).is_some(),
            NetEvent::Datagram { .. } | NetEvent::Copy { .. } | NetEvent::Unreachable { .. } => {
                true
            }
        }
    }

    /// Keeps a buffer for the next datagram.
    pub(crate) fn spare(&mut self, mut data: Vec<u8>) {
        if self.spare.len() < SPARES {
            data.clear();
            self.spare.push(data);
        }
    }
}

impl Kernel {
    /// A network event is due.
    pub(crate) fn net_event(&mut self, mut event: NetEvent) {
        if self.net.sleepers {
            match self.reaches(event) {
                Some(happens) => event = happens,
                None => return,
            }
        }
        match event {
            NetEvent::Packet { flow, to, packet } => self.wire_arrival(flow, to, packet),
            NetEvent::FlowTimer { flow, side } => self.wire_timer_fires(flow, side),
            NetEvent::KeepAlive { flow, side, timer } => self.keep_alive_fires(flow, side, timer),
            NetEvent::Datagram { host, datagram } => self.udp_arrives(host, *datagram),
            NetEvent::Copy { to, datagram } => self.udp_deliver(to, *datagram),
            NetEvent::Unreachable { host, from, to } => self.udp_unreachable(host, from, to),
        }
    }

    /// The host that packets from `from` to `ip` reach. `ENETUNREACH` for an address outside the simulation.
    pub(crate) fn route(&self, from: u16, ip: IpAddr) -> Result<u16> {
        if self.hosts[usize::from(from)].is_local(ip) {
            return Ok(from);
        }
        let found = self.hosts.iter().position(|h| match ip {
            IpAddr::V4(a) => h.v4 == a,
            IpAddr::V6(a) => h.v6 == a,
        });
        found.map(|h| h as u16).ok_or(Errno::ENETUNREACH)
    }

    /// The address that `from` uses for packets to `ip`.
    pub(crate) fn source(&self, from: u16, ip: IpAddr) -> IpAddr {
        let host = &self.hosts[usize::from(from)];
        match ip {
            IpAddr::V4(a) if a.is_loopback() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V4(_) => IpAddr::V4(host.v4),
            IpAddr::V6(a) if a.is_loopback() => ip,
            IpAddr::V6(_) => IpAddr::V6(host.v6),
        }
    }
}
