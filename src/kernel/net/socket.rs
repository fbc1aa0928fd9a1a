//! Socket calls over all kinds of sockets: what `abi/socket` and `abi/file` call.

use super::address::{Address, Family, Style};
use super::options::Value;
use crate::kernel::descriptor::tcp::Tcp;
use crate::kernel::descriptor::{Kind, ObjectId};
use crate::kernel::{Errno, Kernel, Result};
use libc::c_int;

/// What a datagram or a message carries besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Received {
    /// Bytes that were copied out.
    pub(crate) len: usize,
    /// The length of the whole datagram, larger than `len` if it was cut.
    pub(crate) whole: usize,
    pub(crate) from: Option<Address>,
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
            (Family::V4 | Family::V6, Style::Stream) => Kind::Tcp(Box::new(Tcp::new(family))),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        self.open(kind, nonblocking, close_on_exec)
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
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// bind(2).
    pub(crate) fn socket_bind(&mut self, id: ObjectId, to: &Address) -> Result<()> {
        match (self.objects.get(id), to) {
            (Some(Kind::Listener(_)), _) => Err(Errno::EINVAL),
            (Some(Kind::Tcp(_)), Address::Inet(a)) => self.tcp_bind(id, *a),
            (Some(_), _) => Err(Errno::EINVAL),
            (None, _) => Err(Errno::EBADF),
        }
    }

    /// listen(2).
    pub(crate) fn socket_listen(&mut self, id: ObjectId, backlog: i32) -> Result<()> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_listen(id, backlog),
            Some(_) => Err(Errno::EOPNOTSUPP),
            None => Err(Errno::EBADF),
        }
    }

    /// accept(2): a new object with one reference, the caller's.
    pub(crate) fn socket_accept(&mut self, id: ObjectId, nonblocking: bool) -> Result<ObjectId> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_accept(id, nonblocking),
            Some(_) => Err(Errno::EOPNOTSUPP),
            None => Err(Errno::EBADF),
        }
    }

    /// connect(2): `EINPROGRESS` for one that has been started, see [`socket_connected`](Kernel::socket_connected).
    pub(crate) fn socket_connect(&mut self, id: ObjectId, to: &Address) -> Result<()> {
        match (self.objects.get(id), to) {
            (Some(Kind::Tcp(_) | Kind::Listener(_)), Address::Inet(a)) => self.tcp_connect(id, *a),
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
            Some(_) => Err(Errno::ENOTCONN),
            None => Err(Errno::EBADF),
        }
    }

    /// getsockname(2).
    pub(crate) fn socket_name(&mut self, id: ObjectId) -> Result<Address> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_name(id).map(Address::Inet),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// getpeername(2).
    pub(crate) fn socket_peer(&mut self, id: ObjectId) -> Result<Address> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_) | Kind::Listener(_)) => self.tcp_peer(id).map(Address::Inet),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// Receives from a socket without asking where from. `EAGAIN` while nothing is there.
    #[inline]
    pub(crate) fn socket_recv(&mut self, id: ObjectId, out: &mut [u8], peek: bool) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => match t.end() {
                Some((flow, side)) => self.flow_receive(flow, side, out, peek),
                None => Err(Errno::ENOTCONN),
            },
            Some(Kind::Listener(_)) => Err(Errno::ENOTCONN),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// Sends on a socket to its peer. `EAGAIN` while there is no room.
    #[inline]
    pub(crate) fn socket_send(&mut self, id: ObjectId, data: &[u8]) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => match t.end() {
                Some((flow, side)) => {
                    let may_split = self.objects.nonblocking(id);
                    self.flow_send(flow, side, data, may_split)
                }
                None => Err(Errno::EPIPE),
            },
            Some(Kind::Listener(_)) => Err(Errno::EPIPE),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// How many bytes can be read now, for `FIONREAD`.
    pub(crate) fn socket_waiting(&self, id: ObjectId) -> Result<usize> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => Ok(match t.end() {
                Some((flow, side)) => self.net.flows.get(flow).map_or(0, |f| f.ends[side].inbox.len()),
                None => 0,
            }),
            Some(Kind::Listener(_)) => Err(Errno::EINVAL),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// How long calls on the socket may block to receive and to send, in nanoseconds.
    pub(crate) fn socket_timeouts(&self, id: ObjectId) -> (Option<u64>, Option<u64>) {
        let o = match self.objects.get(id) {
            Some(Kind::Tcp(t)) => &t.options,
            Some(Kind::Listener(l)) => &l.options,
            _ => return (None, None),
        };
        (o.receive_timeout, o.send_timeout)
    }

    /// getsockopt(2).
    pub(crate) fn socket_option(&mut self, id: ObjectId, level: c_int, name: c_int) -> Result<Value> {
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
                libc::SO_ACCEPTCONN => matches!(self.objects.get(id), Some(Kind::Listener(_))).into(),
                _ => return self.socket_stored_option(id, level, name),
            };
            return Ok(Value::Int(n));
        }
        self.socket_stored_option(id, level, name)
    }

    fn socket_stored_option(&self, id: ObjectId, level: c_int, name: c_int) -> Result<Value> {
        match self.objects.get(id) {
            Some(Kind::Tcp(t)) => t.options.get(t.family, Style::Stream, level, name),
            Some(Kind::Listener(l)) => l.options.get(l.family, Style::Stream, level, name),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }

    /// Takes the pending error.
    pub(crate) fn socket_take_error(&mut self, id: ObjectId) -> Option<Errno> {
        match self.objects.get(id) {
            Some(Kind::Tcp(_)) => self.tcp_take_error(id),
            _ => None,
        }
    }

    /// setsockopt(2).
    pub(crate) fn socket_set_option(&mut self, id: ObjectId, level: c_int, name: c_int, value: &[u8]) -> Result<()> {
        match self.objects.get_mut(id) {
            Some(Kind::Tcp(t)) => {
                t.options.set(t.family, Style::Stream, level, name, value)?;
                self.tcp_options_changed(id);
                Ok(())
            }
            Some(Kind::Listener(l)) => l.options.set(l.family, Style::Stream, level, name, value),
            Some(_) => Err(Errno::ENOTSOCK),
            None => Err(Errno::EBADF),
        }
    }
}
