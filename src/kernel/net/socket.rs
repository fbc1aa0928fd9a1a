//! Socket calls over all kinds of sockets: what `abi/socket` and `abi/file` call.

use super::address::{Address, Family, Style, UnixName};
use super::options::{Options, Value};
use crate::kernel::descriptor::tcp::Tcp;
use crate::kernel::descriptor::udp::Udp;
use crate::kernel::descriptor::unix::{State, Unix};
use crate::kernel::descriptor::{Kind, ObjectId};
use crate::kernel::{Errno, Kernel, Result};
use libc::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What `sendmsg` may say about one datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Control {
    /// The traffic class, with the ECN bits.
    pub(crate) class: Option<u8>,
    /// The address to send from.
    pub(crate) source: Option<IpAddr>,
}

/// What was received, besides the bytes.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Bytes that were copied out.
    pub(crate) len: usize,
    /// The length of the whole datagram, larger than `len` if it was cut.
    pub(crate) whole: usize,
    pub(crate) from: Option<Address>,
    /// The address that a datagram was sent to.
    pub(crate) to: Option<IpAddr>,
    /// Its traffic class.
    pub(crate) class: u8,
    /// Objects that came with it, one reference each, now the caller's.
    pub(crate) rights: Vec<ObjectId>,
}

impl Kernel {
    /// socket(2): a new object behind a descriptor.
    pub(crate) fn socket(
        &mut self,
        family: Family,
        style: Style,
        nonblocking: bool,
        close_on_exec: bool,
    ) -> Result<i32> {
        let kind = match (family, style) {
            (Family::Unix, style) => Kind::Unix(Box::new(Unix::new(style))),
            (_, Style::Stream) => Kind::Tcp(Box::new(Tcp::new(family))),
            (_, Style::Datagram) => Kind::Udp(Box::new(Udp::new(family))),
            (_, Style::SeqPacket) => return Err(Errno(libc::ESOCKTNOSUPPORT)),
        };
        self.room_for_socket()?;
        let fd = self.open(kind, nonblocking, close_on_exec)?;
        if self.host().buffer_limit < u32::MAX {
            let id = self.object(fd)?;
            self.buffers_follow(id);
        }
        Ok(fd)
    }

    /// The machine's limit on buffers changed, or the socket is new.
    pub(crate) fn buffers_follow(&mut self, id: ObjectId) {
        let host = self.objects.host(id).unwrap_or(0);
        let most = self.hosts[usize::from(host)].buffer_limit;
        match self.objects.get_mut(id) {
            Some(Kind::Tcp(t)) => t.options.limit_buffers(most),
            Some(Kind::Listener(l)) => l.options.limit_buffers(most),
            Some(Kind::Udp(u)) => u.options.limit_buffers(most),
            Some(Kind::Unix(u)) => u.options.limit_buffers(most),
            _ => return,
        }
        self.tcp_options_changed(id);
    }

    /// Whether the object is a socket: `ENOTSOCK`, `EBADF`.
    pub(crate) fn is_socket(&self, id: ObjectId) -> Result<()> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_) | Kind::Udp(_) | Kind::Unix(_)) => Ok(()),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// The family, the style, and the IP protocol number.
    pub(crate) fn socket_kind(&self, id: ObjectId) -> Result<(Family, Style, c_int)> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => Ok((t.family, Style::Stream, libc::IPPROTO_TCP)),
            Some(Kind::Listener(l)) => Ok((l.family, Style::Stream, libc::IPPROTO_TCP)),
            Some(Kind::Udp(u)) => Ok((u.family, Style::Datagram, libc::IPPROTO_UDP)),
            Some(Kind::Unix(u)) => Ok((Family::Unix, u.style, 0)),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// As [`fits`], for the socket.
    pub(crate) fn fitting(&self, id: ObjectId, a: SocketAddr) -> Result<SocketAddr> {
        let (family, style, _) = self.socket_kind(id)?;
        fits(family, style, a)
    }

    /// bind(2).
    pub(crate) fn socket_bind(&mut self, id: ObjectId, to: &Address) -> Result<()> {
        match (self.objects.get(id), to) {
            (Some(Kind::Tcp(_)), Address::Inet(a)) => self.tcp_bind(id, self.fitting(id, *a)?),
            (Some(Kind::Udp(u)), Address::Inet(a)) if u.family == Family::V6 && a.is_ipv4() => {
                Err(Errno::EINVAL)
            }
            (Some(Kind::Udp(_)), Address::Inet(a)) => self.udp_bind(id, self.fitting(id, *a)?),
            (Some(Kind::Unix(_)), Address::Unix(name)) => self.unix_bind(id, name),
            (Some(Kind::Tcp(_) | Kind::Udp(_)), _) => Err(Errno::EAFNOSUPPORT),
            (Some(_), _) => Err(Errno::EINVAL),
            (None, _) => Err(Errno::EBADF),
        }
    }

    /// listen(2).
    pub(crate) fn socket_listen(&mut self, id: ObjectId, backlog: i32) -> Result<()> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_listen(id, backlog),
            Some(Kind::Unix(_)) => self.unix_listen(id, backlog),
            Some(_) => Err(Errno::EOPNOTSUPP),
            None => Err(Errno::EBADF),
        }
    }

    /// accept(2): a new object with one reference, the caller's.
    pub(crate) fn socket_accept(&mut self, id: ObjectId, nonblocking: bool) -> Result<ObjectId> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_accept(id, nonblocking),
            Some(Kind::Unix(_)) => self.unix_accept(id, nonblocking),
            Some(_) => Err(Errno::EOPNOTSUPP),
            None => Err(Errno::EBADF),
        }
    }

    /// connect(2): `EINPROGRESS` for one that has been started, see [`socket_connected`](Kernel::socket_connected);
    /// `EAGAIN` for one that could not be started because a queue is full, see [`socket_obstacle`](Kernel::socket_obstacle).
    pub(crate) fn socket_connect(&mut self, id: ObjectId, to: &Address) -> Result<()> {
        match (self.objects.get(id), to) {
            (Some(Kind::Tcp(_) | Kind::Listener(_)), Address::Unspecified) => {
                self.tcp_disconnect(id)
            }
            (Some(Kind::Tcp(_) | Kind::Listener(_)), to) => self.tcp_connect(id, to),
            (Some(Kind::Udp(_)), Address::Unspecified) => self.udp_connect(id, None),
            (Some(Kind::Udp(_)), to) => {
                // Linux gives it a port before it looks at the address.
                self.udp_bound(id)?;
                match to {
                    Address::Inet(a) => self.udp_connect(id, Some(self.fitting(id, *a)?)),
                    _ => Err(Errno::EAFNOSUPPORT),
                }
            }
            (Some(Kind::Unix(_)), Address::Unix(name)) => self.unix_connect(id, name),
            (Some(Kind::Unix(_)), Address::Unspecified) => self.unix_disconnect(id),
            (Some(Kind::Unix(_)), _) => Err(Errno::EINVAL),
            (Some(_), _) => Err(Errno::EAFNOSUPPORT),
            (None, _) => Err(Errno::EBADF),
        }
    }

    /// What became of a connection attempt that was started: `EAGAIN` while it is open.
    pub(crate) fn socket_connected(&mut self, id: ObjectId) -> Result<()> {
        self.tcp_connected(id)
    }

    /// shutdown(2).
    pub(crate) fn socket_shutdown(&mut self, id: ObjectId, how: c_int) -> Result<()> {
        let (read, write) = match how {
            libc::SHUT_RD => (true, false),
            libc::SHUT_WR => (false, true),
            libc::SHUT_RDWR => (true, true),
            _ => return Err(Errno::EINVAL),
        };
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_shutdown(id, read, write),
            Some(Kind::Udp(_)) => self.udp_shutdown(id, read, write),
            Some(Kind::Unix(_)) => self.unix_shutdown(id, read, write),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// getsockname(2).
    pub(crate) fn socket_name(&mut self, id: ObjectId) -> Result<Address> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_name(id).map(Address::Inet),
            Some(Kind::Udp(_)) => self.udp_name(id).map(Address::Inet),
            Some(Kind::Unix(u)) => Ok(Address::Unix(u.name.clone())),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// getpeername(2).
    pub(crate) fn socket_peer(&mut self, id: ObjectId) -> Result<Address> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_peer(id).map(Address::Inet),
            Some(Kind::Udp(_)) => self.udp_peer(id).map(Address::Inet),
            Some(Kind::Unix(_)) => self.unix_peer(id).map(Address::Unix),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// Who connected, for accept(2).
    pub(crate) fn socket_came_from(&mut self, id: ObjectId) -> Result<Address> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_)) => self.tcp_came_from(id).map(Address::Inet),
            Some(Kind::Unix(u)) => Ok(Address::Unix(u.peer_name.clone())),
            _ => Err(Errno::EBADF),
        }
    }

    /// Receives from a socket without asking where from. `EAGAIN` while nothing is there.
    #[inline]
    pub(crate) fn socket_recv(
        &mut self,
        id: ObjectId,
        out: &mut [u8],
        peek: bool,
    ) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => match t.end() {
                Some((flow, side)) => self.flow_receive(flow, side, &mut [out], peek),
                None => self.tcp_receive_idle(id),
            },
            Some(Kind::Listener(_)) => Err(Errno::ENOTCONN),
            Some(Kind::Udp(_) | Kind::Unix(_)) => {
                self.socket_receive(id, &mut [out], peek).map(|r| {
                    // Nobody asked for descriptors: those that came are closed.
                    for object in r.rights {
                        self.release(object);
                    }
                    r.len
                })
            }
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// Receives into a list of buffers, with all that is known about what was received. `EAGAIN` while nothing is there.
    pub(crate) fn socket_receive(
        &mut self,
        id: ObjectId,
        parts: &mut [&mut [u8]],
        peek: bool,
    ) -> Result<Received> {
        match self.objects.get(id) {
            Some(Kind::Udp(_)) => self.udp_receive(id, parts, peek),
            Some(Kind::Unix(_)) => self.unix_receive(id, parts, peek),
            Some(Kind::Tcp(t)) => {
                let len = match t.end() {
                    Some((flow, side)) => self.flow_receive(flow, side, parts, peek),
                    None => self.tcp_receive_idle(id),
                }?;
                Ok(Received {
                    len,
                    whole: len,
                    ..Received::default()
                })
            }
            Some(Kind::Listener(_)) => Err(Errno::ENOTCONN),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// Sends a list of buffers to `to` or to the peer; a datagram socket makes one datagram of it. `EAGAIN` while there is
    /// no room. The references to `rights` go with the message on success and stay the caller's on failure.
    pub(crate) fn socket_transmit(
        &mut self,
        id: ObjectId,
        parts: &[&[u8]],
        to: Option<&Address>,
        control: &Control,
        rights: &[ObjectId],
    ) -> Result<usize> {
        if matches!(self.objects.get(id), Some(Kind::Udp(_))) {
            self.udp_bound(id)?;
        }
        match (self.objects.get(id), to) {
            (Some(Kind::Udp(_)), None | Some(Address::Unspecified)) => {
                self.udp_send(id, parts, None, control)
            }
            (Some(Kind::Udp(_)), Some(Address::Inet(a))) => {
                let to = self.fitting(id, *a)?;
                self.udp_send(id, parts, Some(to), control)
            }
            (Some(Kind::Unix(_)), None) => self.unix_send(id, parts, None, rights),
            (Some(Kind::Unix(_)), Some(Address::Unix(name))) => {
                self.unix_send(id, parts, Some(name), rights)
            }
            (Some(Kind::Udp(u)), Some(_)) if u.family == Family::V6 => Err(Errno::EINVAL),
            (Some(Kind::Udp(_)), Some(_)) => Err(Errno::EAFNOSUPPORT),
            (Some(Kind::Unix(u)), Some(_)) if u.style == Style::Datagram => Err(Errno::EINVAL),
            // Connections look at no address, only at whether there is one.
            (Some(Kind::Unix(_)), Some(_)) => {
                self.unix_send(id, parts, Some(&UnixName::Unnamed), rights)
            }
            (Some(Kind::Tcp(t)), _) => match t.end() {
                Some((flow, side)) => {
                    let may_split = self.objects.nonblocking(id);
                    self.flow_send(flow, side, parts, may_split)
                }
                None => self.tcp_send_idle(id),
            },
            (Some(Kind::Listener(_)), _) => Err(self.socket_take_error(id).unwrap_or(Errno::EPIPE)),
            (Some(_), _) => Err(Errno::ENOTSOCK),
            (None, _) => Err(Errno::EBADF),
        }
    }

    /// The other object that a call met full and that it may wait for: a listener, or the receiver of a message.
    pub(crate) fn socket_obstacle(&mut self, id: ObjectId) -> Option<ObjectId> {
        self.unix(id).ok()?.full.take()
    }

    /// Sends on a socket to its peer. `EAGAIN` while there is no room.
    #[inline]
    pub(crate) fn socket_send(&mut self, id: ObjectId, data: &[u8]) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => match t.end() {
                Some((flow, side)) => {
                    let may_split = self.objects.nonblocking(id);
                    self.flow_send(flow, side, &[data], may_split)
                }
                None => self.tcp_send_idle(id),
            },
            Some(Kind::Listener(_)) => Err(self.socket_take_error(id).unwrap_or(Errno::EPIPE)),
            Some(Kind::Udp(_) | Kind::Unix(_)) => {
                self.socket_transmit(id, &[data], None, &Control::default(), &[])
            }
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// How many bytes can be read now, for `FIONREAD`.
    pub(crate) fn socket_waiting(&self, id: ObjectId) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => Ok(match t.end() {
                Some((flow, side)) => self
                    .net
                    .flows
                    .get(flow)
                    .map_or(0, |f| f.ends[side].inbox.len()),
                None => 0,
            }),
            Some(Kind::Listener(_)) => Err(Errno::EINVAL),
            Some(Kind::Udp(u)) => Ok(u.waiting()),
            Some(Kind::Unix(u)) => match u.state {
                State::Listening { .. } => Err(Errno::EINVAL),
                State::Idle | State::Connected => Ok(u.inbox.waiting(u.style)),
            },
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    fn socket_options(&self, id: ObjectId) -> Result<&Options> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => Ok(&t.options),
            Some(Kind::Listener(l)) => Ok(&l.options),
            Some(Kind::Udp(u)) => Ok(&u.options),
            Some(Kind::Unix(u)) => Ok(&u.options),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// Whether an on/off option of the socket is set.
    pub(crate) fn socket_switch(&self, id: ObjectId, level: c_int, name: c_int) -> bool {
        self.socket_options(id).is_ok_and(|o| o.switch(level, name))
    }

    /// How long calls on the socket may block to receive and to send, in nanoseconds.
    pub(crate) fn socket_timeouts(&self, id: ObjectId) -> (Option<u64>, Option<u64>) {
        self.socket_options(id)
            .map_or((None, None), |o| (o.receive_timeout, o.send_timeout))
    }

    /// getsockopt(2).
    pub(crate) fn socket_option(
        &mut self,
        id: ObjectId,
        level: c_int,
        name: c_int,
    ) -> Result<Value> {
        let (family, style, protocol) = self.socket_kind(id)?;
        if level == libc::SOL_SOCKET {
            let n = match name {
                libc::SO_ERROR => self.socket_take_error(id).map_or(0, |e| e.0),
                libc::SO_TYPE => match style {
                    Style::Stream => libc::SOCK_STREAM,
                    Style::Datagram => libc::SOCK_DGRAM,
                    Style::SeqPacket => libc::SOCK_SEQPACKET,
                },
                libc::SO_DOMAIN => match family {
                    Family::V4 => libc::AF_INET,
                    Family::V6 => libc::AF_INET6,
                    Family::Unix => libc::AF_UNIX,
                },
                libc::SO_PROTOCOL => protocol,
                libc::SO_ACCEPTCONN => self.socket_listens(id).into(),
                libc::SO_PEERCRED => return self.socket_credentials(id),
                _ => return self.socket_options(id)?.get(family, style, level, name),
            };
            return Ok(Value::Int(n));
        }
        self.socket_options(id)?.get(family, style, level, name)
    }

    fn socket_listens(&self, id: ObjectId) -> bool {
        match self.objects.get(id) {
            Some(Kind::Listener(_)) => true,
            Some(Kind::Unix(u)) => matches!(u.state, State::Listening { .. }),
            _ => false,
        }
    }

    fn socket_credentials(&self, id: ObjectId) -> Result<Value> {
        Ok(match self.objects.get(id) {
            Some(Kind::Unix(u)) if u.peer_pid != 0 => Value::Credentials(u.peer_pid, USER, USER),
            _ => Value::Credentials(0, u32::MAX, u32::MAX),
        })
    }

    /// Takes the pending error.
    pub(crate) fn socket_take_error(&mut self, id: ObjectId) -> Option<Errno> {
        match self.objects.get_mut(id) {
            Some(Kind::Tcp(_)) => self.tcp_take_error(id),
            Some(Kind::Listener(l)) => l.error.take(),
            Some(Kind::Udp(u)) => u.take_error(),
            Some(Kind::Unix(u)) => u.error.take(),
            _ => None,
        }
    }

    /// setsockopt(2).
    pub(crate) fn socket_set_option(
        &mut self,
        id: ObjectId,
        level: c_int,
        name: c_int,
        value: &[u8],
    ) -> Result<()> {
        let (family, style, _) = self.socket_kind(id)?;
        let bound = match self.objects.get(id) {
            Some(Kind::Tcp(t)) => t.held().is_some(),
            Some(Kind::Udp(u)) => u.is_bound(),
            Some(Kind::Listener(_)) => true,
            _ => false,
        };
        if bound && family == Family::V6 && (level, name) == (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)
        {
            return Err(Errno::EINVAL);
        }
        match self.objects.get_mut(id) {
            Some(Kind::Tcp(t)) => {
                t.options.set(family, style, level, name, value)?;
                self.tcp_options_changed(id);
                Ok(())
            }
            Some(Kind::Listener(l)) => l.options.set(family, style, level, name, value),
            Some(Kind::Udp(u)) => {
                if let Some((group, join)) = membership(level, name, value)? {
                    return self.udp_group(id, group, join);
                }
                u.options.set(family, style, level, name, value)?;
                self.udp_rebound(id);
                Ok(())
            }
            Some(Kind::Unix(u)) => u.options.set(family, style, level, name, value),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }
}

/// The user and the group that every simulated process runs as.
const USER: u32 = 1000;

/// The address as a socket of this family takes it: an IPv4 socket takes no IPv6 address. The other way round it is too
/// short an address, except for UDP, where it is like the mapped one.
fn fits(family: Family, style: Style, a: SocketAddr) -> Result<SocketAddr> {
    match family {
        Family::V4 if a.is_ipv6() => Err(Errno::EAFNOSUPPORT),
        Family::V6 if a.is_ipv4() && style == Style::Stream => Err(Errno::EINVAL),
        _ => Ok(a),
    }
}

/// The multicast group that an option joins or leaves.
fn membership(level: c_int, name: c_int, value: &[u8]) -> Result<Option<(IpAddr, bool)>> {
    let join = match (level, name) {
        (libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP)
        | (libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP) => true,
        (libc::IPPROTO_IP, libc::IP_DROP_MEMBERSHIP)
        | (libc::IPPROTO_IPV6, libc::IPV6_DROP_MEMBERSHIP) => false,
        _ => return Ok(None),
    };
    let group = if level == libc::IPPROTO_IP {
        let bytes = value.get(..8).and_then(|v| v.first_chunk::<4>());
        IpAddr::V4(Ipv4Addr::from(*bytes.ok_or(Errno::EINVAL)?))
    } else {
        let bytes = value.get(..20).and_then(|v| v.first_chunk::<16>());
        IpAddr::V6(Ipv6Addr::from(*bytes.ok_or(Errno::EINVAL)?))
    };
    Ok(Some((group, join)))
}
