//! Port spaces: which socket of a host holds which port, who may share one, and who receives what is sent there.
//!
//! One [`Ports`] for TCP and one for UDP. Called by the TCP and UDP sockets; addresses are in canonical form.

use super::options::Options;
use crate::kernel::descriptor::ObjectId;
use crate::kernel::{Domain, Errno, Kernel, Result};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Ports that the system hands out on its own: Linux' default range.
const EPHEMERAL: std::ops::Range<u16> = 32_768..61_000;

/// One socket's hold on a port.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) object: ObjectId,
    pub(crate) ip: IpAddr,
    pub(crate) v6only: bool,
    pub(crate) reuse_addr: bool,
    pub(crate) reuse_port: bool,
    /// A TCP socket that listens.
    pub(crate) listening: bool,
    /// The peer of a connected UDP socket.
    pub(crate) peer: Option<SocketAddr>,
}

#[derive(Default)]
struct Port {
    bound: Vec<Bound>,
    /// Accepted connections, which hold the port as long as they live.
    flows: u32,
    /// They came from a listener with `SO_REUSEADDR`.
    flows_reuse: bool,
    /// Until then a closed connection lingers in TIME_WAIT (virtual nanoseconds).
    busy_until: u64,
}

/// The ports of one protocol on all hosts.
#[derive(Default)]
pub(crate) struct Ports {
    /// By host and port.
    map: BTreeMap<(u16, u16), Port>,
    /// The next ephemeral port to try, per host; 0 before the first.
    next: Vec<u16>,
}

fn overlap(a: &Bound, b: &Bound) -> bool {
    match (a.ip, b.ip) {
        (IpAddr::V4(x), IpAddr::V4(y)) => x == y || x.is_unspecified() || y.is_unspecified(),
        (IpAddr::V6(x), IpAddr::V6(y)) => x == y || x.is_unspecified() || y.is_unspecified(),
        (IpAddr::V4(_), IpAddr::V6(y)) => y.is_unspecified() && !b.v6only,
        (IpAddr::V6(x), IpAddr::V4(_)) => x.is_unspecified() && !a.v6only,
    }
}

/// How well a hold matches a destination; `None` if it does not.
fn score(b: &Bound, to: IpAddr, from: SocketAddr) -> Option<u8> {
    let address = match (b.ip, to) {
        (x, y) if x == y => 2,
        (IpAddr::V4(x), IpAddr::V4(_)) if x.is_unspecified() => 1,
        (IpAddr::V6(x), IpAddr::V6(_)) if x.is_unspecified() => 1,
        (IpAddr::V6(x), IpAddr::V4(_)) if x.is_unspecified() && !b.v6only => 0,
        _ => return None,
    };
    match b.peer {
        None => Some(address),
        Some(peer) if peer == from => Some(address + 4),
        Some(peer) if peer.port() == 0 && peer.ip() == from.ip() => Some(address + 3),
        Some(_) => None,
    }
}

impl Ports {
    pub(crate) fn clear(&mut self) {
        self.map.clear();
        self.next.clear();
    }

    /// A host has crashed: nothing of it holds a port any more, nor lingers.
    pub(crate) fn forget_host(&mut self, host: u16) {
        self.map.retain(|(at, _), _| *at != host);
    }

    /// Takes `port` for a socket. `EADDRINUSE` if somebody else has it and will not share.
    fn bind(&mut self, host: u16, port: u16, new: Bound, stream: bool, now: u64) -> Result<()> {
        let place = self.map.entry((host, port)).or_default();
        let clash = place.bound.iter().any(|old| {
            let shared_port = new.reuse_port && old.reuse_port;
            let shared_address = new.reuse_addr && old.reuse_addr && !(stream && old.listening);
            overlap(&new, old) && !shared_port && !shared_address
        });
        let lingering =
            (place.flows > 0 || place.busy_until > now) && !(new.reuse_addr && place.flows_reuse);
        if clash || lingering {
            return Err(Errno::EADDRINUSE);
        }
        place.bound.push(new);
        Ok(())
    }

    /// Takes a free port of the system's choice, of the `most` that it hands out, upward from `start` (drawn once per host).
    /// `EADDRINUSE` if none is free.
    fn bind_any(
        &mut self,
        host: u16,
        new: Bound,
        now: u64,
        most: u16,
        start: impl FnOnce(u64) -> u64,
    ) -> Result<u16> {
        let index = usize::from(host);
        if self.next.len() <= index {
            self.next.resize(index + 1, 0);
        }
        let count = (EPHEMERAL.end - EPHEMERAL.start).min(most);
        if count == 0 {
            return Err(Errno::EADDRINUSE);
        }
        let end = EPHEMERAL.start + count;
        if self.next[index] == 0 {
            self.next[index] = EPHEMERAL.start + start(u64::from(count)) as u16;
        }
        for _ in 0..count {
            let port = match self.next[index] {
                next if next < end => next,
                _ => EPHEMERAL.start,
            };
            self.next[index] = if port + 1 == end {
                EPHEMERAL.start
            } else {
                port + 1
            };
            let place = self.map.entry((host, port)).or_default();
            if place.bound.is_empty() && place.flows == 0 && place.busy_until <= now {
                place.bound.push(new);
                return Ok(port);
            }
        }
        Err(Errno::EADDRINUSE)
    }

    /// The hold of a socket, to change.
    pub(crate) fn bound_mut(
        &mut self,
        host: u16,
        port: u16,
        object: ObjectId,
    ) -> Option<&mut Bound> {
        let place = self.map.get_mut(&(host, port))?;
        place.bound.iter_mut().find(|b| b.object == object)
    }

    /// Marks a socket as listening. `EADDRINUSE` if another one that will not share listens there already.
    pub(crate) fn listen(&mut self, host: u16, port: u16, object: ObjectId) -> Result<()> {
        let Some(place) = self.map.get_mut(&(host, port)) else {
            return Err(Errno::EINVAL);
        };
        let Some(at) = place.bound.iter().position(|b| b.object == object) else {
            return Err(Errno::EINVAL);
        };
        let me = &place.bound[at];
        let clash = place.bound.iter().any(|b| {
            b.object != object && b.listening && overlap(me, b) && !(me.reuse_port && b.reuse_port)
        });
        if clash {
            return Err(Errno::EADDRINUSE);
        }
        place.bound[at].listening = true;
        Ok(())
    }

    /// A socket gives its port back. `linger` keeps it busy until then, unless both sides say `SO_REUSEADDR`.
    pub(crate) fn release(&mut self, host: u16, port: u16, object: ObjectId) {
        if let Some(place) = self.map.get_mut(&(host, port)) {
            place.bound.retain(|b| b.object != object);
            if place.bound.is_empty() && place.flows == 0 && place.busy_until == 0 {
                self.map.remove(&(host, port));
            }
        }
    }

    /// A connection was accepted on the port.
    pub(crate) fn hold_flow(&mut self, host: u16, port: u16, reuse: bool) {
        let place = self.map.entry((host, port)).or_default();
        place.flows += 1;
        place.flows_reuse = reuse;
    }

    /// An accepted connection is closed; it stays in TIME_WAIT until `busy_until`, 0 if it does not.
    pub(crate) fn drop_flow(&mut self, host: u16, port: u16, busy_until: u64) {
        if let Some(place) = self.map.get_mut(&(host, port)) {
            place.flows = place.flows.saturating_sub(1);
            place.busy_until = place.busy_until.max(busy_until);
            if place.bound.is_empty() && place.flows == 0 && place.busy_until == 0 {
                self.map.remove(&(host, port));
            }
        }
    }

    /// Every socket that a datagram for many reaches.
    pub(crate) fn all(&self, host: u16, to: SocketAddr) -> Vec<ObjectId> {
        let bound = self
            .map
            .get(&(host, to.port()))
            .map_or(&[][..], |p| &p.bound);
        let wants = |b: &&Bound| {
            b.ip == to.ip()
                || (b.ip.is_unspecified() && (b.ip.is_ipv4() == to.is_ipv4() || !b.v6only))
        };
        bound.iter().filter(wants).map(|b| b.object).collect()
    }

    /// Who receives what comes from `from` for `to`: of the sockets that match best, the one that `choose` picks.
    pub(crate) fn find(
        &self,
        host: u16,
        to: SocketAddr,
        from: SocketAddr,
        listening: bool,
        choose: impl FnOnce(u64) -> u64,
    ) -> Option<ObjectId> {
        let place = self.map.get(&(host, to.port()))?;
        let mut best = None;
        let mut ties = 0;
        for b in place.bound.iter().filter(|b| b.listening == listening) {
            let Some(s) = score(b, to.ip(), from) else {
                continue;
            };
            match best {
                Some((top, _)) if s < top => {}
                Some((top, _)) if s == top => ties += 1,
                _ => {
                    best = Some((s, b));
                    ties = 1;
                }
            }
        }
        let (top, only) = best?;
        if ties == 1 {
            return Some(only.object);
        }
        let matching = place
            .bound
            .iter()
            .filter(|b| b.listening == listening && score(b, to.ip(), from) == Some(top));
        if only.reuse_port {
            matching.map(|b| b.object).nth(choose(ties) as usize)
        } else {
            // Sockets that share by SO_REUSEADDR alone: Linux gives everything to the last one bound.
            matching.map(|b| b.object).next_back()
        }
    }
}

impl Options {
    /// The hold of the socket that has them on a port of this address.
    pub(crate) fn bound(&self, object: ObjectId, ip: IpAddr) -> Bound {
        Bound {
            object,
            ip,
            v6only: self.v6only,
            reuse_addr: self.reuse_addr,
            reuse_port: self.reuse_port,
            listening: false,
            peer: None,
        }
    }
}

impl Kernel {
    /// Takes a port of TCP's, if it is for a `stream`, or of UDP's, and one of the system's choice for 0. `EADDRINUSE`, `EADDRNOTAVAIL`.
    pub(crate) fn hold_port(&mut self, bound: Bound, port: u16, stream: bool) -> Result<u16> {
        let host = self.objects.host(bound.object).ok_or(Errno::EBADF)?;
        let most = self.hosts[usize::from(host)].port_limit;
        let (now, oracle) = (self.now, &mut self.oracle);
        let ports = match stream {
            true => &mut self.net.tcp,
            false => &mut self.net.udp,
        };
        if port == 0 {
            let draw = |n| oracle.below(Domain::Network, n);
            return ports.bind_any(host, bound, now, most, draw);
        }
        ports.bind(host, port, bound, stream, now)?;
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::descriptor::Objects;

    fn bound(ip: &str, object: ObjectId) -> Bound {
        Bound {
            object,
            ip: ip.parse().expect("an address"),
            v6only: false,
            reuse_addr: false,
            reuse_port: false,
            listening: false,
            peer: None,
        }
    }

    fn address(a: &str) -> SocketAddr {
        a.parse().expect("an address")
    }

    #[test]
    fn wildcards_overlap_with_everything_of_their_family() {
        let [a, b] = Objects::names();
        let mut ports = Ports::default();
        assert_eq!(ports.bind(0, 80, bound("::", a), true, 0), Ok(()));
        assert_eq!(
            ports.bind(0, 80, bound("127.0.0.1", b), true, 0),
            Err(Errno::EADDRINUSE)
        );
        // Another host has ports of its own.
        assert_eq!(ports.bind(1, 80, bound("127.0.0.1", b), true, 0), Ok(()));
        ports.release(0, 80, a);
        let only = Bound {
            v6only: true,
            ..bound("::", a)
        };
        assert_eq!(ports.bind(0, 80, only, true, 0), Ok(()));
        assert_eq!(ports.bind(0, 80, bound("127.0.0.1", b), true, 0), Ok(()));
        let [client, server] = [address("127.0.0.1:5"), address("127.0.0.1:80")];
        assert_eq!(ports.find(0, server, client, false, |_| 0), Some(b));
        assert_eq!(
            ports.find(0, address("[::1]:80"), client, false, |_| 0),
            Some(a)
        );
        assert_eq!(ports.find(0, server, client, true, |_| 0), None);
    }

    #[test]
    fn a_port_lingers_after_its_connections() {
        let [a, _] = Objects::names();
        let mut ports = Ports::default();
        ports.hold_flow(0, 80, false);
        assert_eq!(
            ports.bind(0, 80, bound("0.0.0.0", a), true, 0),
            Err(Errno::EADDRINUSE)
        );
        ports.drop_flow(0, 80, 60);
        assert_eq!(
            ports.bind(0, 80, bound("0.0.0.0", a), true, 59),
            Err(Errno::EADDRINUSE)
        );
        assert_eq!(ports.bind(0, 80, bound("0.0.0.0", a), true, 60), Ok(()));
    }

    #[test]
    fn ephemeral_ports_run_out() {
        let [a, _] = Objects::names();
        let mut ports = Ports::default();
        let count = EPHEMERAL.end - EPHEMERAL.start;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..count {
            let port = ports
                .bind_any(0, bound("0.0.0.0", a), 0, u16::MAX, |n| n - 1)
                .expect("a port");
            assert!(EPHEMERAL.contains(&port) && seen.insert(port));
        }
        assert_eq!(
            ports.bind_any(0, bound("0.0.0.0", a), 0, u16::MAX, |_| 0),
            Err(Errno::EADDRINUSE)
        );
    }
}
