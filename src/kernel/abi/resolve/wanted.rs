//! What a request of getaddrinfo(3) asks for, decoded, and the addresses that answer it. `resolve` reads requests and writes answers; `hostent` looks
//! names up here too.

use crate::kernel::abi::sys;
use crate::kernel::net::names;
use crate::kernel::sched::{On, Resume, Wait};
use crate::kernel::{Cost, Step};
use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Flags that are known; all others are `EAI_BADFLAGS`.
const KNOWN: c_int = libc::AI_PASSIVE
    | libc::AI_CANONNAME
    | libc::AI_NUMERICHOST
    | libc::AI_V4MAPPED
    | libc::AI_ALL
    | libc::AI_ADDRCONFIG
    | libc::AI_NUMERICSERV
    // AI_IDN, AI_CANONIDN and two obsolete companions.
    | 0x3c0;

/// The node has no address of the wanted family; the libc crate lacks it.
const EAI_ADDRFAMILY: c_int = -9;

/// One way to talk to an address: socket type and protocol.
pub(super) type Transport = (c_int, c_int);
const TRANSPORTS: [Transport; 3] = [
    (libc::SOCK_STREAM, libc::IPPROTO_TCP),
    (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
    (libc::SOCK_RAW, 0),
];

/// The request, decoded.
pub(super) struct Wanted<'a> {
    pub(super) node: Option<&'a str>,
    pub(super) service: Option<&'a str>,
    pub(super) flags: c_int,
    pub(super) family: c_int,
    pub(super) kind: c_int,
    pub(super) protocol: c_int,
}

/// An address written as a number, with the scope if it has one. IPv4 also in its short forms, such as `127.1`.
pub(super) fn numeric(node: &str) -> Option<(IpAddr, u32)> {
    if let Some((ip, scope)) = node.split_once('%') {
        let ip: Ipv6Addr = ip.parse().ok()?;
        let scope = match scope {
            "lo" => 1,
            "eth0" => 2,
            n => n.parse().ok()?,
        };
        return Some((IpAddr::V6(ip), scope));
    }
    if let Ok(ip) = node.parse() {
        return Some((ip, 0));
    }
    let mut parts = Vec::new();
    for part in node.split('.') {
        let (digits, radix) = match part.as_bytes() {
            [b'0', b'x' | b'X', ..] => (&part[2..], 16),
            [b'0', _, ..] => (&part[1..], 8),
            _ => (part, 10),
        };
        parts.push(
            u32::from_str_radix(digits, radix)
                .ok()
                .filter(|_| !digits.starts_with('+'))?,
        );
    }
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|p| *p > 255) {
        return None;
    }
    let bits = 32 - 8 * first.len() as u32;
    if u64::from(*last) >= 1 << bits {
        return None;
    }
    let high = first.iter().fold(0u64, |n, p| n << 8 | u64::from(*p));
    Some((
        IpAddr::V4(Ipv4Addr::from(((high << bits) | u64::from(*last)) as u32)),
        0,
    ))
}

/// The transports that are asked for, each with the port of the service.
fn transports(w: &Wanted<'_>) -> Result<Vec<(Transport, u16)>, c_int> {
    let fits: Vec<Transport> = TRANSPORTS
        .into_iter()
        .filter(|(kind, protocol)| {
            (w.kind == 0 || w.kind == *kind)
                && (w.protocol == 0 || *kind == libc::SOCK_RAW || w.protocol == *protocol)
                && !(w.protocol != 0 && w.kind == 0 && *kind == libc::SOCK_RAW)
        })
        .collect();
    if fits.is_empty() {
        return Err(if w.kind == 0 {
            libc::EAI_SERVICE
        } else {
            libc::EAI_SOCKTYPE
        });
    }
    let Some(service) = w.service else {
        return Ok(fits.into_iter().map(|t| (t, 0)).collect());
    };
    if let Ok(port) = service.parse::<u64>() {
        // As glibc does, a number that is too large loses its upper bits.
        return Ok(fits.into_iter().map(|t| (t, port as u16)).collect());
    }
    if w.flags & libc::AI_NUMERICSERV != 0 {
        return Err(libc::EAI_NONAME);
    }
    let named: Vec<(Transport, u16)> = fits
        .into_iter()
        .filter(|t| t.0 != libc::SOCK_RAW)
        .filter_map(|t| Some((t, names::service(service, t.0 == libc::SOCK_DGRAM)?)))
        .collect();
    if named.is_empty() {
        Err(libc::EAI_SERVICE)
    } else {
        Ok(named)
    }
}

/// The addresses that are asked for, before the family is looked at.
fn lookup(w: &Wanted<'_>) -> Result<Vec<(IpAddr, u32)>, c_int> {
    let Some(node) = w.node else {
        return Ok(if w.flags & libc::AI_PASSIVE != 0 {
            vec![
                (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
                (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
            ]
        } else {
            vec![
                (IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
                (IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            ]
        });
    };
    if let Some((ip, scope)) = numeric(node) {
        let mapped = w.flags & libc::AI_V4MAPPED != 0;
        let fits = match ip {
            IpAddr::V4(_) => w.family != libc::AF_INET6 || mapped,
            IpAddr::V6(_) => w.family != libc::AF_INET,
        };
        return if fits {
            Ok(vec![(ip, scope)])
        } else {
            Err(EAI_ADDRFAMILY)
        };
    }
    if node.is_empty() || w.flags & libc::AI_NUMERICHOST != 0 {
        return Err(libc::EAI_NONAME);
    }
    Ok(resolve(node).into_iter().map(|ip| (ip, 0)).collect())
}

/// Looks a host name up, which takes a while unless it is the host's own.
pub(super) fn resolve(name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut waited = false;
    let _ = sys("getaddrinfo", Cost::CALL, |k| {
        let host = k.host_id();
        k.trace.fold_bytes(name.as_bytes());
        if !waited && k.sched.me().resume == Resume::First {
            waited = true;
            let takes = k.resolve_time(host, name);
            if takes > 0 {
                return Step::Wait(Wait {
                    on: On::Clock,
                    until: Some(k.after(takes)),
                });
            }
        }
        found = k.resolve(host, name);
        Step::Done(Ok(found.len()))
    });
    found
}

/// Leaves the addresses of the wanted family, IPv4 ones mapped if that was asked for.
fn of_family(found: Vec<(IpAddr, u32)>, w: &Wanted<'_>) -> Vec<(IpAddr, u32)> {
    let mapped = |(ip, scope)| match ip {
        IpAddr::V4(a) => (IpAddr::V6(a.to_ipv6_mapped()), scope),
        IpAddr::V6(_) => (ip, scope),
    };
    match w.family {
        libc::AF_INET => found.into_iter().filter(|a| a.0.is_ipv4()).collect(),
        libc::AF_INET6 => {
            let (v6, v4): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| a.0.is_ipv6());
            let map =
                w.flags & libc::AI_V4MAPPED != 0 && (v6.is_empty() || w.flags & libc::AI_ALL != 0);
            let v4 = v4.into_iter().filter(|_| map).map(mapped);
            v6.into_iter().chain(v4).collect()
        }
        _ => found,
    }
}

pub(super) fn decide(w: &Wanted<'_>) -> Result<Vec<(Transport, SocketAddr)>, c_int> {
    if w.node.is_none() && w.service.is_none() {
        return Err(libc::EAI_NONAME);
    }
    if w.flags & !KNOWN != 0 || (w.flags & libc::AI_CANONNAME != 0 && w.node.is_none()) {
        return Err(libc::EAI_BADFLAGS);
    }
    if ![libc::AF_UNSPEC, libc::AF_INET, libc::AF_INET6].contains(&w.family) {
        return Err(libc::EAI_FAMILY);
    }
    let transports = transports(w)?;
    let addresses = of_family(lookup(w)?, w);
    if addresses.is_empty() {
        return Err(libc::EAI_NONAME);
    }
    let mut out = Vec::new();
    for (ip, scope) in addresses {
        for (transport, port) in &transports {
            let a = match ip {
                IpAddr::V4(_) => SocketAddr::new(ip, *port),
                IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, *port, 0, scope)),
            };
            out.push((*transport, a));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_inet_aton_reads_them() {
        let v4 = |a, b, c, d| Some((IpAddr::V4(Ipv4Addr::new(a, b, c, d)), 0));
        assert_eq!(numeric("10.1.2.3"), v4(10, 1, 2, 3));
        assert_eq!(numeric("127.1"), v4(127, 0, 0, 1));
        assert_eq!(numeric("0x7f.0.0.010"), v4(127, 0, 0, 8));
        assert_eq!(numeric("3232235777"), v4(192, 168, 1, 1));
        for bad in [
            "",
            "1.2.3.4.5",
            "256.0.0.1",
            "1.2.3.256",
            "a.b",
            "+1.2.3.4",
            "1..2",
            "08.1.1.1",
        ] {
            assert_eq!(numeric(bad), None, "{bad}");
        }
        assert_eq!(numeric("fe80::1%eth0").map(|a| a.1), Some(2));
        assert_eq!(numeric("fe80::1%nope"), None);
    }

    #[test]
    fn what_glibc_answers() {
        let wanted = |node, service, family, kind, protocol, flags| Wanted {
            node,
            service,
            flags,
            family,
            kind,
            protocol,
        };
        let codes = [
            (wanted(None, None, 0, 0, 0, 0), libc::EAI_NONAME),
            (
                wanted(Some("::1"), None, libc::AF_INET, 0, 0, 0),
                EAI_ADDRFAMILY,
            ),
            (
                wanted(Some("127.0.0.1"), None, 99, 0, 0, 0),
                libc::EAI_FAMILY,
            ),
            (
                wanted(Some("127.0.0.1"), None, 0, 7, 0, 0),
                libc::EAI_SOCKTYPE,
            ),
            (
                wanted(Some("127.0.0.1"), Some("nosuch"), 0, 0, 0, 0),
                libc::EAI_SERVICE,
            ),
            (
                wanted(Some("127.0.0.1"), Some("http"), 0, libc::SOCK_DGRAM, 0, 0),
                libc::EAI_SERVICE,
            ),
            (
                wanted(Some("x"), None, 0, 0, 0, libc::AI_NUMERICHOST),
                libc::EAI_NONAME,
            ),
            (
                wanted(Some("127.0.0.1"), None, 0, 0, 0, 1 << 20),
                libc::EAI_BADFLAGS,
            ),
        ];
        for (w, code) in codes {
            assert_eq!(decide(&w), Err(code), "{:?} {:?}", w.node, w.service);
        }
        let found = decide(&wanted(Some("127.1"), Some("99999"), 0, 0, 0, 0)).expect("addresses");
        let port = 99_999u32 as u16;
        assert_eq!(found.len(), 3);
        assert!(
            found
                .iter()
                .all(|f| f.1 == SocketAddr::from(([127, 0, 0, 1], port)))
        );
        let mapped = wanted(
            Some("10.0.0.1"),
            None,
            libc::AF_INET6,
            1,
            0,
            libc::AI_V4MAPPED,
        );
        let found = decide(&mapped).expect("an address");
        assert_eq!(
            found[0].1,
            "[::ffff:10.0.0.1]:0".parse().expect("an address")
        );
    }
}
