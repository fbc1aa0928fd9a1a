//! Unix sockets as programs hold them: names, connections, closing. Their bytes and messages move in
//! [`local`](crate::kernel::net::local). Called by `net/socket.rs`.
//!
//! A name belongs to a host. A path stays taken after its socket is closed until it is unlinked, as on Linux, where it is
//! a file; an abstract name goes with its socket.

use super::{Kind, ObjectId, bits};
use crate::kernel::net::address::{Family, Style, UnixName};
use crate::kernel::net::local::Inbox;
use crate::kernel::net::options::Options;
use crate::kernel::{Domain, Errno, Kernel, Result};
use std::collections::VecDeque;

/// The longest accept queue, whatever `listen` was asked for.
const BACKLOG_MAX: i32 = 4096;
/// Everything changed.
const ALL: u32 = bits::IN | bits::OUT | bits::ERR | bits::HUP | bits::RDHUP;

/// How far a socket is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Idle,
    Listening {
        backlog: usize,
        /// Sockets that wait to be accepted; the listener holds their only reference.
        queue: VecDeque<ObjectId>,
    },
    /// Has a peer, or had one.
    Connected,
}

/// A Unix socket.
#[derive(Debug)]
pub(crate) struct Unix {
    pub(crate) style: Style,
    pub(crate) options: Options,
    pub(crate) name: UnixName,
    pub(crate) state: State,
    /// Where what it sends goes; stale once that socket is closed.
    pub(crate) peer: Option<ObjectId>,
    /// The name of the peer, which outlives it, and the peer's process.
    pub(crate) peer_name: UnixName,
    pub(crate) peer_pid: i32,
    pub(crate) inbox: Inbox,
    /// What it sent and nobody has read yet, as Linux charges it, in bytes.
    pub(crate) outstanding: usize,
    /// The socket whose full queue the last call met.
    pub(crate) full: Option<ObjectId>,
    pub(crate) no_more_in: bool,
    pub(crate) no_more_out: bool,
    pub(crate) error: Option<Errno>,
    /// Nobody has accepted it yet.
    unaccepted: bool,
}

impl Unix {
    pub(crate) fn new(style: Style) -> Unix {
        Unix {
            style,
            options: Options::new(Family::Unix, style),
            name: UnixName::Unnamed,
            state: State::Idle,
            peer: None,
            peer_name: UnixName::Unnamed,
            peer_pid: 0,
            inbox: Inbox::default(),
            outstanding: 0,
            full: None,
            no_more_in: false,
            no_more_out: false,
            error: None,
            unaccepted: false,
        }
    }

    pub(super) fn text(&self) -> String {
        let name = match &self.name {
            UnixName::Unnamed => return "a Unix socket".to_owned(),
            UnixName::Path(p) => String::from_utf8_lossy(p),
            UnixName::Abstract(n) => String::from_utf8_lossy(n),
        };
        match self.state {
            State::Listening { .. } => format!("a Unix listener on {name}"),
            _ => format!("a Unix socket on {name}"),
        }
    }

    /// Connections that wait to be accepted, and bytes that wait to be read.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let connections = match &self.state {
            State::Listening { queue, .. } => queue.len(),
            State::Idle | State::Connected => 0,
        };
        (connections, self.inbox.bytes())
    }

    /// Whether Linux calls it writable: three quarters of its buffer are free.
    pub(crate) fn writable(&self) -> bool {
        self.outstanding * 4 <= self.options.send_capacity()
    }

    /// What it is ready for.
    pub(super) fn readiness(&self) -> u32 {
        let mut r = if self.error.is_some() { bits::ERR } else { 0 };
        if self.no_more_in && self.no_more_out {
            r |= bits::HUP;
        }
        if self.no_more_in {
            r |= bits::IN | bits::RDHUP;
        }
        match &self.state {
            State::Listening { queue, .. } => {
                return if queue.is_empty() { r } else { r | bits::IN };
            }
            State::Idle if self.style != Style::Datagram => r |= bits::HUP,
            State::Idle | State::Connected => {}
        }
        if !self.inbox.is_empty() {
            r |= bits::IN;
        }
        if self.writable() {
            r |= bits::OUT;
        }
        r
    }
}

impl Kernel {
    /// The Unix socket: `EBADF` if the object is gone or of another kind.
    pub(crate) fn unix(&mut self, id: ObjectId) -> Result<&mut Unix> {
        match self.objects.get_mut(id) {
            Some(Kind::Unix(u)) => Ok(u),
            _ => Err(Errno::EBADF),
        }
    }

    /// socketpair(2).
    pub(crate) fn socketpair(
        &mut self,
        style: Style,
        nonblocking: bool,
        close_on_exec: bool,
    ) -> Result<(i32, i32)> {
        let a = self.new_object(Kind::Unix(Box::new(Unix::new(style))), nonblocking);
        let b = self.new_object(Kind::Unix(Box::new(Unix::new(style))), nonblocking);
        let pid = self.host().pid;
        for (me, peer) in [(a, b), (b, a)] {
            let u = self.unix(me)?;
            u.state = State::Connected;
            u.peer = Some(peer);
            u.peer_pid = pid;
        }
        let first = match self.install(a, close_on_exec) {
            Ok(fd) => fd,
            Err(e) => {
                self.release(b);
                return Err(e);
            }
        };
        match self.install(b, close_on_exec) {
            Ok(second) => Ok((first, second)),
            Err(e) => {
                self.close(first)?;
                Err(e)
            }
        }
    }

    /// bind(2). An empty name asks for an abstract one of the system's choice.
    pub(crate) fn unix_bind(&mut self, id: ObjectId, name: &UnixName) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        if self.unix(id)?.name != UnixName::Unnamed {
            return if *name == UnixName::Unnamed {
                Ok(())
            } else {
                Err(Errno::EINVAL)
            };
        }
        let name = if *name == UnixName::Unnamed {
            // Upwards from a number that was drawn: an oracle may give the same one each time.
            let mut n = self.oracle.below(Domain::Network, 1 << 20);
            loop {
                let name = UnixName::Abstract(format!("{n:05x}").into_bytes());
                if !self.net.unix.contains_key(&(host, name.clone())) {
                    break name;
                }
                n = (n + 1) % (1 << 20);
            }
        } else {
            name.clone()
        };
        if self.net.unix.contains_key(&(host, name.clone())) {
            return Err(Errno::EADDRINUSE);
        }
        self.net.unix.insert((host, name.clone()), id);
        self.unix(id)?.name = name;
        Ok(())
    }

    /// unlink(2) of a path that a socket was bound to; false if none was. The socket lives on without a name to find it by.
    pub(crate) fn unix_unlink(&mut self, path: &[u8]) -> bool {
        let host = self.host_id();
        let name = UnixName::Path(path.to_vec());
        self.net.unix.remove(&(host, name)).is_some()
    }

    /// Whether a socket was bound to this path and not unlinked since.
    pub(crate) fn unix_path_exists(&self, path: &[u8]) -> bool {
        let name = UnixName::Path(path.to_vec());
        self.net.unix.contains_key(&(self.host_id(), name))
    }

    /// The socket of that name: `ENOENT` for an unknown path, `ECONNREFUSED` for one whose socket is closed or an unknown
    /// abstract name, `EPROTOTYPE` for one of another style.
    pub(crate) fn unix_find(&self, host: u16, name: &UnixName, style: Style) -> Result<ObjectId> {
        let found = self.net.unix.get(&(host, name.clone())).copied();
        let path = match name {
            UnixName::Unnamed => return Err(Errno::EINVAL),
            UnixName::Path(_) => true,
            UnixName::Abstract(_) => false,
        };
        let id = found.ok_or(if path {
            Errno::ENOENT
        } else {
            Errno::ECONNREFUSED
        })?;
        match self.objects.get(id) {
            Some(Kind::Unix(u)) if u.style == style => Ok(id),
            Some(_) if path => Err(Errno::EPROTOTYPE),
            _ => Err(Errno::ECONNREFUSED),
        }
    }

    /// listen(2).
    pub(crate) fn unix_listen(&mut self, id: ObjectId, backlog: i32) -> Result<()> {
        let limit = if backlog < 0 {
            BACKLOG_MAX
        } else {
            backlog.min(BACKLOG_MAX)
        } as usize;
        let u = self.unix(id)?;
        if u.style == Style::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        if u.name == UnixName::Unnamed {
            return Err(Errno::EINVAL);
        }
        match &mut u.state {
            State::Idle => {
                u.state = State::Listening {
                    backlog: limit,
                    queue: VecDeque::new(),
                };
            }
            State::Listening { backlog, .. } => *backlog = limit,
            State::Connected => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// connect(2). `EAGAIN` while the listener's queue is full; the listener is then in `full`.
    pub(crate) fn unix_connect(&mut self, id: ObjectId, name: &UnixName) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let pid = self.hosts[usize::from(host)].pid;
        let style = self.unix(id)?.style;
        let other = self.unix_find(host, name, style)?;
        if style == Style::Datagram {
            let o = self.unix(other)?;
            if o.peer.is_some_and(|p| p != id) {
                return Err(Errno::EPERM);
            }
            let peer_name = o.name.clone();
            let u = self.unix(id)?;
            u.peer_name = peer_name;
            u.state = State::Connected;
            return self.unix_part(id, Some(other));
        }
        let o = self.unix(other)?;
        let State::Listening { backlog, queue } = &o.state else {
            return Err(Errno::ECONNREFUSED);
        };
        if o.no_more_in {
            return Err(Errno::ECONNREFUSED);
        }
        let full = queue.len() > *backlog;
        let (server_name, options) = (o.name.clone(), o.options.clone());
        let u = self.unix(id)?;
        if full {
            u.full = Some(other);
            return Err(Errno::EAGAIN);
        }
        match u.state {
            State::Idle => {}
            State::Connected => return Err(Errno::EISCONN),
            State::Listening { .. } => return Err(Errno::EINVAL),
        }
        u.state = State::Connected;
        u.peer_name = server_name.clone();
        u.peer_pid = pid;
        let client_name = u.name.clone();
        let mut server = Unix::new(style);
        server.options = options;
        server.name = server_name;
        server.state = State::Connected;
        server.peer = Some(id);
        server.peer_name = client_name;
        server.peer_pid = pid;
        server.unaccepted = true;
        let server = self.new_object_on(host, Kind::Unix(Box::new(server)), false);
        self.unix(id)?.peer = Some(server);
        if let State::Listening { queue, .. } = &mut self.unix(other)?.state {
            queue.push_back(server);
        }
        self.progress();
        self.notify(other, bits::IN);
        self.notify(id, bits::OUT);
        Ok(())
    }

    /// Dissolves a datagram socket's association.
    pub(crate) fn unix_disconnect(&mut self, id: ObjectId) -> Result<()> {
        let u = self.unix(id)?;
        if u.style != Style::Datagram {
            return Err(Errno::EINVAL);
        }
        u.peer_name = UnixName::Unnamed;
        u.state = State::Idle;
        self.unix_part(id, None)
    }

    /// A datagram socket gets another peer, or none. What the old one sent is lost, and the old one is told so.
    fn unix_part(&mut self, id: ObjectId, new: Option<ObjectId>) -> Result<()> {
        let u = self.unix(id)?;
        let old = std::mem::replace(&mut u.peer, new);
        let Some(old) = old.filter(|old| Some(*old) != new) else {
            return Ok(());
        };
        let inbox = std::mem::take(&mut u.inbox);
        if !inbox.is_empty()
            && let Ok(o) = self.unix(old)
            && o.peer == Some(id)
        {
            o.error = Some(Errno::ECONNRESET);
            self.notify(old, ALL);
        }
        self.inbox_dropped(inbox);
        Ok(())
    }

    /// accept(2): the socket object, with one reference, now the caller's.
    pub(crate) fn unix_accept(&mut self, id: ObjectId, nonblocking: bool) -> Result<ObjectId> {
        let waits = !self.objects.nonblocking(id);
        let u = self.unix(id)?;
        if u.style == Style::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        let shut = u.no_more_in && waits;
        let State::Listening { queue, .. } = &mut u.state else {
            return Err(Errno::EINVAL);
        };
        let Some(new) = queue.pop_front() else {
            return Err(if shut { Errno::EINVAL } else { Errno::EAGAIN });
        };
        self.unix(new)?.unaccepted = false;
        self.objects.set_nonblocking(new, nonblocking);
        self.progress();
        // Somebody may be blocked in connect because the queue was full.
        self.notify(id, bits::OUT);
        Ok(new)
    }

    /// shutdown(2): the peer of a connection sees the other half.
    pub(crate) fn unix_shutdown(&mut self, id: ObjectId, read: bool, write: bool) -> Result<()> {
        let u = self.unix(id)?;
        u.no_more_in |= read;
        u.no_more_out |= write;
        let (peer, style) = (u.peer, u.style);
        self.notify(id, ALL);
        if style != Style::Datagram
            && let Some(peer) = peer
            && let Ok(p) = self.unix(peer)
        {
            p.no_more_out |= read;
            p.no_more_in |= write;
            self.notify(peer, ALL);
        }
        Ok(())
    }

    /// getpeername(2).
    pub(crate) fn unix_peer(&mut self, id: ObjectId) -> Result<UnixName> {
        let u = self.unix(id)?;
        if u.peer.is_none() {
            return Err(Errno::ENOTCONN);
        }
        Ok(u.peer_name.clone())
    }

    pub(super) fn unix_closed(&mut self, id: ObjectId, host: u16, u: Unix) {
        if let UnixName::Abstract(_) = u.name
            && self.net.unix.get(&(host, u.name.clone())) == Some(&id)
        {
            self.net.unix.remove(&(host, u.name));
        }
        if let State::Listening { queue, .. } = u.state {
            for waiting in queue {
                self.release(waiting);
            }
        }
        let unread = u.inbox.is_unread();
        self.inbox_dropped(u.inbox);
        if u.style != Style::Datagram
            && let Some(peer) = u.peer
            && let Ok(p) = self.unix(peer)
        {
            p.no_more_in = true;
            p.no_more_out = true;
            if unread || u.unaccepted {
                p.error = Some(Errno::ECONNRESET);
            }
            self.notify(peer, ALL);
        }
    }
}
