//! TCP sockets as programs hold them: binding, listening, accepting, connecting, closing. The bytes move in
//! [`flow`](crate::kernel::net::flow). Called by `net/socket.rs`, which dispatches over the kinds of sockets.

use super::{Kind, ObjectId, bits};
use crate::kernel::net::address::{Family, Style, any, canonical, destination, shown};
use crate::kernel::net::flow::{CLIENT, FlowId, Owner, Phase, SERVER};
use crate::kernel::net::options::Options;
use crate::kernel::net::ports::Bound;
use crate::kernel::{Domain, Errno, Kernel, Result};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// How long a closed connection keeps its port busy, in nanoseconds: Linux' TIME_WAIT.
const TIME_WAIT: u64 = 60_000_000_000;
/// The longest accept queue, whatever `listen` was asked for.
const BACKLOG_MAX: i32 = 4096;

/// How far a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Neither connected nor connecting.
    Idle,
    /// A connection attempt failed, and no `connect` has said so yet.
    Failed,
    /// Connected, or on the way; `announced` once a `connect` returned success.
    Joined {
        flow: FlowId,
        side: usize,
        announced: bool,
    },
}

/// A TCP socket that does not listen.
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) family: Family,
    pub(crate) options: Options,
    /// The address it was bound to, in canonical form; the port is never 0.
    local: Option<SocketAddr>,
    /// Its hold on the port is in the port table (and not that of the listener that it came from).
    holds_port: bool,
    state: State,
    error: Option<Errno>,
}

/// A TCP socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) family: Family,
    pub(crate) options: Options,
    local: SocketAddr,
    backlog: usize,
    queue: VecDeque<FlowId>,
}

impl Tcp {
    pub(crate) fn new(family: Family) -> Tcp {
        Tcp {
            family,
            options: Options::new(family, Style::Stream),
            local: None,
            holds_port: false,
            state: State::Idle,
            error: None,
        }
    }

    pub(super) fn text(&self) -> String {
        match (self.state, self.local) {
            (State::Joined { .. }, Some(a)) => format!("a TCP connection of {a}"),
            (_, Some(a)) => format!("a TCP socket on {a}"),
            (_, None) => "a TCP socket".to_owned(),
        }
    }

    /// The end of a connection that it is.
    #[inline]
    pub(crate) fn end(&self) -> Option<(FlowId, usize)> {
        match self.state {
            State::Joined { flow, side, .. } => Some((flow, side)),
            State::Idle | State::Failed => None,
        }
    }

    pub(super) fn readiness(&self) -> u32 {
        let error = if self.error.is_some() { bits::ERR } else { 0 };
        match self.state {
            State::Failed => bits::IN | bits::OUT | bits::HUP | bits::RDHUP | error,
            _ => bits::OUT | bits::HUP | error,
        }
    }
}

impl Listener {
    pub(super) fn text(&self) -> String {
        format!("a TCP listener on {}", self.local)
    }

    pub(super) fn readiness(&self) -> u32 {
        if self.queue.is_empty() { 0 } else { bits::IN }
    }

    /// Whether a new connection has to wait.
    pub(crate) fn full(&self) -> bool {
        self.queue.len() > self.backlog
    }

    /// The receive and send capacities of the connections that it accepts, in bytes.
    pub(crate) fn capacities(&self) -> (usize, usize) {
        (self.options.receive_buffer as usize, self.options.send_capacity())
    }
}

impl Kernel {
    pub(super) fn tcp_readiness(&self, t: &Tcp) -> u32 {
        match t.end() {
            Some((flow, side)) => self.flow_readiness(flow, side),
            None => t.readiness(),
        }
    }

    fn tcp(&mut self, id: ObjectId) -> Result<&mut Tcp> {
        match self.objects.get_mut(id) {
            Some(Kind::Tcp(t)) => Ok(t),
            Some(Kind::Listener(_)) => Err(Errno::EINVAL),
            _ => Err(Errno::EBADF),
        }
    }

    /// Takes a port of the system's choice if `address` has none. `EADDRINUSE`, `EADDRNOTAVAIL`.
    fn tcp_hold(&mut self, id: ObjectId, address: SocketAddr) -> Result<SocketAddr> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let t = self.tcp(id)?;
        let bound = Bound {
            object: id,
            ip: address.ip(),
            v6only: t.options.v6only,
            reuse_addr: t.options.reuse_addr,
            reuse_port: t.options.reuse_port,
            listening: false,
            peer: None,
        };
        let (now, oracle) = (self.now, &mut self.oracle);
        let port = if address.port() == 0 {
            let draw = |n| oracle.below(Domain::Network, n);
            self.net.tcp.bind_any(host, bound, now, draw)?
        } else {
            self.net.tcp.bind(host, address.port(), bound, true, now)?;
            address.port()
        };
        let local = SocketAddr::new(address.ip(), port);
        let t = self.tcp(id)?;
        t.local = Some(local);
        t.holds_port = true;
        Ok(local)
    }

    /// bind(2). `EINVAL` if it is bound already.
    pub(crate) fn tcp_bind(&mut self, id: ObjectId, address: SocketAddr) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        if self.tcp(id)?.local.is_some() {
            return Err(Errno::EINVAL);
        }
        let address = canonical(address);
        if !self.hosts[usize::from(host)].is_local(address.ip()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.tcp_hold(id, address).map(|_| ())
    }

    /// listen(2); again to change the backlog.
    pub(crate) fn tcp_listen(&mut self, id: ObjectId, backlog: i32) -> Result<()> {
        let backlog = if backlog < 0 { BACKLOG_MAX } else { backlog.min(BACKLOG_MAX) } as usize;
        if let Some(Kind::Listener(l)) = self.objects.get_mut(id) {
            l.backlog = backlog;
            return Ok(());
        }
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let t = self.tcp(id)?;
        if t.end().is_some() {
            return Err(Errno::EINVAL);
        }
        let (family, local) = (t.family, t.local);
        let local = match local {
            Some(local) => local,
            None => self.tcp_hold(id, SocketAddr::new(any(family), 0))?,
        };
        self.net.tcp.listen(host, local.port(), id)?;
        let options = self.tcp(id)?.options.clone();
        self.objects.replace(
            id,
            Kind::Listener(Box::new(Listener {
                family,
                options,
                local,
                backlog,
                queue: VecDeque::new(),
            })),
        );
        Ok(())
    }

    /// A connection has been established and waits to be accepted. False if the listener is gone.
    pub(crate) fn listener_arrival(&mut self, listener: ObjectId, flow: FlowId) -> bool {
        let Some(Kind::Listener(l)) = self.objects.get_mut(listener) else {
            return false;
        };
        l.queue.push_back(flow);
        self.notify(listener, bits::IN);
        true
    }

    /// accept(2): a new socket object with one reference, the caller's. `EAGAIN` while nobody connects.
    pub(crate) fn tcp_accept(&mut self, id: ObjectId, nonblocking: bool) -> Result<ObjectId> {
        let (flow, family, options) = match self.objects.get_mut(id) {
            Some(Kind::Listener(l)) => match l.queue.pop_front() {
                Some(flow) => (flow, l.family, l.options.clone()),
                None => return Err(Errno::EAGAIN),
            },
            _ => return Err(Errno::EINVAL),
        };
        let local = self.flow(flow)?.ends[SERVER].address;
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        self.net.tcp.hold_flow(host, local.port(), options.reuse_addr);
        let socket = Tcp {
            family,
            options,
            local: Some(local),
            holds_port: false,
            state: State::Joined {
                flow,
                side: SERVER,
                announced: true,
            },
            error: None,
        };
        let object = self.new_object_on(host, Kind::Tcp(Box::new(socket)), nonblocking);
        self.flow(flow)?.ends[SERVER].owner = Owner::Socket(object);
        self.progress();
        Ok(object)
    }

    /// connect(2), the first half: starts the attempt, or says what became of an earlier one. `EINPROGRESS` when it was
    /// started; then [`tcp_connected`](Kernel::tcp_connected) tells.
    pub(crate) fn tcp_connect(&mut self, id: ObjectId, to: SocketAddr) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        if matches!(self.objects.get(id), Some(Kind::Listener(_))) {
            return Err(Errno::EISCONN);
        }
        match self.tcp(id)?.state {
            State::Idle => {}
            State::Joined { announced: true, .. } => return Err(Errno::EISCONN),
            State::Joined { .. } | State::Failed => {
                return match self.tcp_connected(id) {
                    Err(Errno::EAGAIN) => Err(Errno::EALREADY),
                    other => other,
                };
            }
        }
        let t = self.tcp(id)?;
        let (local, v6only) = (t.local, t.family == Family::V6 && t.options.v6only);
        t.error = None;
        let to = canonical(to);
        if v6only && to.is_ipv4() {
            return Err(Errno::ENETUNREACH);
        }
        let to = SocketAddr::new(destination(to.ip()), to.port());
        let there = self.route(host, to.ip())?;
        let source = match local.map(|l| l.ip()) {
            Some(ip) if !ip.is_unspecified() => {
                if ip.is_ipv4() != to.is_ipv4() {
                    return Err(Errno::ENETUNREACH);
                }
                if ip.is_loopback() && there != host {
                    return Err(Errno::EINVAL);
                }
                ip
            }
            _ => self.source(host, to.ip()),
        };
        let local = match local {
            Some(l) => SocketAddr::new(source, l.port()),
            None => match self.tcp_hold(id, SocketAddr::new(source, 0)) {
                Err(Errno::EADDRINUSE) => return Err(Errno::EADDRNOTAVAIL),
                held => held?,
            },
        };
        let flow = self.net.flows.add((host, local), (there, to));
        let t = self.tcp(id)?;
        let (receive, send) = (t.options.receive_buffer as usize, t.options.send_capacity());
        t.local = Some(local);
        t.state = State::Joined {
            flow,
            side: CLIENT,
            announced: false,
        };
        let end = &mut self.flow(flow)?.ends[CLIENT];
        end.owner = Owner::Socket(id);
        end.phase = Phase::SynSent;
        end.receive_capacity = receive;
        end.send_capacity = send;
        self.wire_connect(flow);
        Err(Errno::EINPROGRESS)
    }

    /// connect(2) with `AF_UNSPEC`: a connection is reset, and the socket can connect anew.
    pub(crate) fn tcp_disconnect(&mut self, id: ObjectId) -> Result<()> {
        if matches!(self.objects.get(id), Some(Kind::Listener(_))) {
            self.listener_stops(id);
            return Ok(());
        }
        let t = self.tcp(id)?;
        let end = t.end();
        t.state = State::Idle;
        t.error = None;
        if let Some((flow, side)) = end {
            self.flow_close(flow, side, true);
        }
        Ok(())
    }

    /// What became of the connection attempt; `EAGAIN` while that is open.
    pub(crate) fn tcp_connected(&mut self, id: ObjectId) -> Result<()> {
        let t = self.tcp(id)?;
        let State::Joined { flow, side, .. } = t.state else {
            t.state = State::Idle;
            return Err(t.error.take().unwrap_or(Errno::ECONNABORTED));
        };
        let end = &mut self.flow(flow)?.ends[side];
        match end.phase {
            Phase::SynSent | Phase::Unborn | Phase::SynReceived => Err(Errno::EAGAIN),
            Phase::Open => {
                self.tcp(id)?.state = State::Joined {
                    flow,
                    side,
                    announced: true,
                };
                Ok(())
            }
            Phase::Dead => {
                let error = end.error.take().unwrap_or(Errno::ECONNABORTED);
                end.owner = Owner::Nobody;
                self.flow_collect(flow);
                self.tcp(id)?.state = State::Idle;
                Err(error)
            }
        }
    }

    /// shutdown(2). `ENOTCONN` unless connected.
    pub(crate) fn tcp_shutdown(&mut self, id: ObjectId, read: bool, write: bool) -> Result<()> {
        if let Some(Kind::Listener(_)) = self.objects.get(id) {
            if read {
                self.listener_stops(id);
            }
            return Ok(());
        }
        let (flow, side) = self.tcp(id)?.end().ok_or(Errno::ENOTCONN)?;
        let end = &mut self.flow(flow)?.ends[side];
        if end.closed() {
            return Err(Errno::ENOTCONN);
        }
        if end.phase == Phase::SynSent {
            self.tcp(id)?.state = State::Idle;
            self.flow_close(flow, side, true);
            return Ok(());
        }
        if read {
            end.deaf = true;
            self.flow_notify(flow, side, bits::IN | bits::RDHUP | bits::HUP);
        }
        if write {
            self.flow_finish(flow, side);
        }
        Ok(())
    }

    /// A listener is shut down: it becomes an idle socket again, which keeps its port.
    fn listener_stops(&mut self, id: ObjectId) {
        let host = self.objects.host(id).unwrap_or(0);
        let Some(Kind::Listener(l)) = self.objects.get_mut(id) else {
            return;
        };
        let queue = std::mem::take(&mut l.queue);
        let socket = Tcp {
            family: l.family,
            options: l.options.clone(),
            local: Some(l.local),
            holds_port: true,
            state: State::Idle,
            error: None,
        };
        if let Some(bound) = self.net.tcp.bound_mut(host, l.local.port(), id) {
            bound.listening = false;
        }
        self.objects.replace(id, Kind::Tcp(Box::new(socket)));
        for flow in queue {
            self.flow_close(flow, SERVER, true);
        }
        self.notify(id, bits::IN | bits::OUT | bits::HUP);
    }

    /// getsockname(2).
    pub(crate) fn tcp_name(&self, id: ObjectId) -> Result<SocketAddr> {
        match self.objects.get(id) {
            Some(Kind::Listener(l)) => Ok(shown(l.family, l.local)),
            Some(Kind::Tcp(t)) => {
                let local = t.local.unwrap_or(SocketAddr::new(any(t.family), 0));
                Ok(shown(t.family, local))
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// getpeername(2). `ENOTCONN` before and after the connection.
    pub(crate) fn tcp_peer(&mut self, id: ObjectId) -> Result<SocketAddr> {
        if matches!(self.objects.get(id), Some(Kind::Listener(_))) {
            return Err(Errno::ENOTCONN);
        }
        let t = self.tcp(id)?;
        let (family, end) = (t.family, t.end());
        let (flow, side) = end.ok_or(Errno::ENOTCONN)?;
        let flow = self.flow(flow)?;
        if flow.ends[side].closed() || flow.ends[side].phase != Phase::Open {
            return Err(Errno::ENOTCONN);
        }
        Ok(shown(family, flow.ends[1 - side].address))
    }

    /// `SO_ERROR`: takes the pending error.
    pub(crate) fn tcp_take_error(&mut self, id: ObjectId) -> Option<Errno> {
        let Ok(t) = self.tcp(id) else {
            return None;
        };
        let State::Joined { flow, side, announced } = t.state else {
            return t.error.take();
        };
        let end = &mut self.flow(flow).ok()?.ends[side];
        let error = end.error.take();
        if !announced && error.is_some() && end.phase == Phase::Dead {
            // A failed attempt that only SO_ERROR told of.
            end.owner = Owner::Nobody;
            self.flow_collect(flow);
            self.tcp(id).ok()?.state = State::Failed;
        }
        error
    }

    /// The options of the socket changed: buffers of a connection follow, and so does its hold on the port.
    pub(crate) fn tcp_options_changed(&mut self, id: ObjectId) {
        let host = self.objects.host(id).unwrap_or(0);
        let Ok(t) = self.tcp(id) else {
            return;
        };
        let (end, local) = (t.end(), t.local.filter(|_| t.holds_port));
        let (receive, send) = (t.options.receive_buffer as usize, t.options.send_capacity());
        let (reuse_addr, reuse_port) = (t.options.reuse_addr, t.options.reuse_port);
        if let Some((flow, side)) = end
            && let Ok(f) = self.flow(flow)
        {
            f.ends[side].receive_capacity = receive;
            f.ends[side].send_capacity = send;
        }
        if let Some(local) = local
            && let Some(bound) = self.net.tcp.bound_mut(host, local.port(), id)
        {
            bound.reuse_addr = reuse_addr;
            bound.reuse_port = reuse_port;
        }
    }

    pub(super) fn tcp_closed(&mut self, id: ObjectId, host: u16, t: Tcp) {
        let mut busy_until = 0;
        if let Some((flow, side)) = t.end() {
            if let Ok(f) = self.flow(flow)
                && f.ends[side].phase == Phase::Open
                && !f.ends[side].peer_finished
            {
                busy_until = self.now + TIME_WAIT;
            }
            self.flow_close(flow, side, t.options.linger == Some(0));
        }
        if let Some(local) = t.local {
            if t.holds_port {
                self.net.tcp.release(host, local.port(), id);
            } else {
                self.net.tcp.drop_flow(host, local.port(), busy_until);
            }
        }
    }

    pub(super) fn listener_closed(&mut self, id: ObjectId, host: u16, l: Listener) {
        self.net.tcp.release(host, l.local.port(), id);
        for flow in l.queue {
            self.flow_close(flow, SERVER, true);
        }
    }
}
