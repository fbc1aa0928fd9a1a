//! Socket addresses as the kernel sees them, free of C's layouts. Used by the socket kinds and by `abi/socket`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address family of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
    Unix,
}

/// The communication style of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Stream,
    Datagram,
    SeqPacket,
}

/// The name of a Unix socket.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord, Default)]
pub(crate) enum UnixName {
    #[default]
    Unnamed,
    /// A path, without a terminating zero.
    Path(Vec<u8>),
    /// A name in the abstract namespace, without the leading zero.
    Abstract(Vec<u8>),
}

/// What `bind`, `connect` and `sendto` are given, and `getsockname` and its kin return.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    /// `AF_UNSPEC`: dissolves the association of a connected socket.
    Unspecified,
    Inet(SocketAddr),
    Unix(UnixName),
}

/// The one form in which the kernel compares addresses: IPv4 stays IPv4 even when written as `::ffff:a.b.c.d`, and flow
/// labels and scopes are dropped.
pub(crate) fn canonical(a: SocketAddr) -> SocketAddr {
    SocketAddr::new(a.ip().to_canonical(), a.port())
}

/// An address as a socket of this family shows it: IPv6 sockets see IPv4 peers mapped.
pub(crate) fn shown(family: Family, a: SocketAddr) -> SocketAddr {
    match (family, a.ip()) {
        (Family::V6, IpAddr::V4(v4)) => SocketAddr::new(IpAddr::V6(v4.to_ipv6_mapped()), a.port()),
        _ => a,
    }
}

/// The address that stands for every address of a family.
pub(crate) fn any(family: Family) -> IpAddr {
    match family {
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Family::V4 | Family::Unix => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// Where a packet to `ip` goes: Linux sends what is for the unspecified address to itself, over IPv4 if the socket's own
/// address is one.
pub(crate) fn destination(ip: IpAddr, own: Option<IpAddr>) -> IpAddr {
    let own_v4 = own.is_some_and(|o| o.is_ipv4() && !o.is_unspecified());
    match ip {
        IpAddr::V4(a) if a.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(a) if a.is_unspecified() && own_v4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(a) if a.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}
