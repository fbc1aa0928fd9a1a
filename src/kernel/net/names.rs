//! Names of hosts and services. Called by `abi/resolve.rs`, which knows C's structures and error codes.

use crate::kernel::{Domain, Kernel};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The services that have names, with their port: those that programs look up, from the list that every system has.
const SERVICES: [(&str, u16); 20] = [
    ("domain", 53),
    ("echo", 7),
    ("ftp", 21),
    ("http", 80),
    ("https", 443),
    ("imap", 143),
    ("imaps", 993),
    ("ldap", 389),
    ("ldaps", 636),
    ("mysql", 3306),
    ("ntp", 123),
    ("pop3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("redis", 6379),
    ("smtp", 25),
    ("ssh", 22),
    ("submission", 587),
    ("telnet", 23),
    ("tftp", 69),
];

/// The port of a named service. Of those listed only the ones that Linux knows over UDP have a UDP port.
pub(crate) fn service(name: &str, datagram: bool) -> Option<u16> {
    let port = SERVICES.iter().find(|s| s.0 == name)?.1;
    let over_udp = matches!(port, 7 | 53 | 69 | 123 | 389 | 443 | 636);
    (!datagram || over_udp).then_some(port)
}

/// The name of a port.
pub(crate) fn service_name(port: u16) -> Option<&'static str> {
    SERVICES.iter().find(|s| s.1 == port).map(|s| s.0)
}

impl Kernel {
    /// The addresses of a host name as seen from `from`, in the order in which a client should try them. Empty if nobody
    /// has the name.
    pub(crate) fn resolve(&self, from: u16, name: &str) -> Vec<IpAddr> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if is_localhost(name) {
            return vec![
                IpAddr::V6(Ipv6Addr::LOCALHOST),
                IpAddr::V4(Ipv4Addr::LOCALHOST),
            ];
        }
        let own = &self.hosts[usize::from(from)];
        let found = if own.name.eq_ignore_ascii_case(name) {
            Some(own)
        } else {
            self.hosts
                .iter()
                .find(|h| h.name.eq_ignore_ascii_case(name))
        };
        // RFC 6724 prefers IPv4 to unique local IPv6 addresses.
        found.map_or_else(Vec::new, |h| vec![IpAddr::V4(h.v4), IpAddr::V6(h.v6)])
    }

    /// How long the lookup of a name takes, in nanoseconds: the names of one's own host are in a file, others are asked for.
    pub(crate) fn resolve_time(&mut self, from: u16, name: &str) -> u64 {
        let own = &self.hosts[usize::from(from)].name;
        if is_localhost(name) || own.eq_ignore_ascii_case(name) {
            return 0;
        }
        let (least, most) = super::link::USUAL;
        2 * least + self.oracle.below(Domain::Network, 2 * (most - least) + 1)
    }

    /// The name of the host that has an address, as seen from `from`.
    pub(crate) fn name_of(&self, from: u16, ip: IpAddr) -> Option<String> {
        let ip = ip.to_canonical();
        if ip.is_loopback() {
            return Some("localhost".to_owned());
        }
        let at = self.route(from, ip).ok()?;
        (!ip.is_unspecified()).then(|| self.hosts[usize::from(at)].name.clone())
    }
}

fn is_localhost(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == "localhost" || lower.ends_with(".localhost")
}
