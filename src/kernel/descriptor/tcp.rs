//! TCP sockets as programs hold them: binding, connecting, closing; listening is in [`listener`](super::listener). The bytes
//! move in [`flow`](crate::kernel::net::flow). Called by `net/socket.rs`, which dispatches over the kinds of sockets.

use super::{Kind, ObjectId, bits};
use crate::kernel::net::address::{Address, Family, Style, any, canonical, destination};
use crate::kernel::net::flow::{CLIENT, FlowId, Owner, Phase};
use crate::kernel::net::options::Options;
use crate::kernel::{Errno, Kernel, Result};
use std::net::{IpAddr, SocketAddr};

/// How long a closed connection keeps its port busy, in nanoseconds: Linux' TIME_WAIT.
const TIME_WAIT: u64 = 60_000_000_000;

/// What shutdown(2) may change; Linux wakes those who watch for any of it, whatever changed.
const CHANGED: u32 = bits::IN | bits::OUT | bits::ERR | bits::HUP | bits::RDHUP;

/// How far a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
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

/// How a socket holds its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    Nothing,
    /// It is in the port table.
    Port,
    /// It was accepted, and shares the port of its listener.
    Accepted,
}

/// A TCP socket that does not listen.
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) family: Family,
    pub(crate) options: Options,
    /// Its address as `getsockname` shows it, in canonical form; shown even when the port is no longer held.
    pub(super) local: Option<SocketAddr>,
    /// `bind` named the address.
    pub(super) fixed: bool,
    /// `bind` named the port.
    pub(super) chosen: bool,
    pub(super) hold: Hold,
    /// Its connection is over, and with it went its port: what it is bound to now is new.
    pub(super) rebound: bool,
    pub(super) state: State,
    /// It was shut down after a failed attempt, and connects to nothing any more.
    pub(super) ended: bool,
    /// `shutdown` was called before it was connected: that fails, but is remembered.
    pub(super) deaf: bool,
    pub(super) mute: bool,
    pub(super) error: Option<Errno>,
}

impl Tcp {
    pub(crate) fn new(family: Family) -> Tcp {
        Tcp {
            family,
            options: Options::new(family, Style::Stream),
            local: None,
            fixed: false,
            chosen: false,
            hold: Hold::Nothing,
            rebound: false,
            state: State::Idle,
            ended: false,
            deaf: false,
            mute: false,
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

    /// The address of a socket that holds its port.
    pub(crate) fn held(&self) -> Option<SocketAddr> {
        self.local.filter(|_| self.hold != Hold::Nothing)
    }

    /// The address that `bind` named, else the one that stands for all.
    pub(super) fn home(&self) -> IpAddr {
        match self.local {
            Some(local) if self.fixed => local.ip(),
            _ => any(self.family),
        }
    }

    pub(super) fn readiness(&self) -> u32 {
        let error = if self.error.is_some() { bits::ERR } else { 0 };
        match self.state {
            State::Failed => bits::IN | bits::OUT | bits::HUP | bits::RDHUP | error,
            _ if self.deaf => bits::IN | bits::OUT | bits::HUP | bits::RDHUP | error,
            _ => bits::OUT | bits::HUP | error,
        }
    }
}

impl Kernel {
    pub(super) fn tcp_readiness(&self, t: &Tcp) -> u32 {
        match t.end() {
            Some((flow, side)) => self.flow_readiness(flow, side),
            None => t.readiness(),
        }
    }

    pub(super) fn tcp(&mut self, id: ObjectId) -> Result<&mut Tcp> {
        match self.objects.get_mut(id) {
            Some(Kind::Tcp(t)) => Ok(t),
            Some(Kind::Listener(_)) => Err(Errno::EINVAL),
            _ => Err(Errno::EBADF),
        }
    }

    /// Takes a port of the system's choice if `address` has none. `EADDRINUSE`, `EADDRNOTAVAIL`.
    pub(super) fn tcp_hold(&mut self, id: ObjectId, address: SocketAddr) -> Result<SocketAddr> {
        let bound = self.tcp(id)?.options.bound(id, address.ip());
        let port = self.hold_port(bound, address.port(), true)?;
        let local = SocketAddr::new(address.ip(), port);
        let t = self.tcp(id)?;
        t.local = Some(local);
        t.hold = Hold::Port;
        Ok(local)
    }

    /// bind(2). `EINVAL` if it is bound already.
    pub(crate) fn tcp_bind(&mut self, id: ObjectId, address: SocketAddr) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let t = self.tcp(id)?;
        let (end, stays, held) = (t.end(), t.chosen || t.rebound, t.held());
        if let Some((flow, side)) = end
            && !stays
            && self.flow(flow)?.ends[side].closed()
            && let Some(local) = held
        {
            // A port that the system chose for a connection goes with it.
            let hold = std::mem::replace(&mut self.tcp(id)?.hold, Hold::Nothing);
            self.tcp_release(host, id, local.port(), hold, 0);
        }
        if self.tcp(id)?.hold != Hold::Nothing {
            return Err(Errno::EINVAL);
        }
        let address = canonical(address);
        if !self.hosts[usize::from(host)].is_local(address.ip()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.tcp_hold(id, address)?;
        let t = self.tcp(id)?;
        t.fixed = !address.ip().is_unspecified();
        t.options.v6only |= t.fixed && address.is_ipv6();
        t.chosen = address.port() != 0;
        t.rebound |= end.is_some();
        Ok(())
    }

    /// connect(2), the first half: starts the attempt, or says what became of an earlier one. `EINPROGRESS` when it was
    /// started; then [`tcp_connected`](Kernel::tcp_connected) tells.
    pub(crate) fn tcp_connect(&mut self, id: ObjectId, to: &Address) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        if matches!(self.objects.get(id), Some(Kind::Listener(_))) {
            return Err(Errno::EISCONN);
        }
        if self.tcp(id)?.ended {
            return Err(Errno::EINVAL);
        }
        match self.tcp(id)?.state {
            State::Idle => {}
            State::Joined {
                announced: true, ..
            } => return Err(Errno::EISCONN),
            State::Joined { .. } | State::Failed => {
                return match self.tcp_connected(id) {
                    Err(Errno::EAGAIN) => Err(Errno::EALREADY),
                    other => other,
                };
            }
        }
        let Address::Inet(to) = to else {
            return Err(Errno::EAFNOSUPPORT);
        };
        let to = self.fitting(id, *to)?;
        let t = self.tcp(id)?;
        let home = t.home();
        let (local, v6only) = (t.held(), t.family == Family::V6 && t.options.v6only);
        t.error = None;
        let to = canonical(to);
        if v6only && to.is_ipv4() {
            return Err(Errno::ENETUNREACH);
        }
        let to = SocketAddr::new(destination(to.ip(), local.map(|l| l.ip())), to.port());
        let there = self.route(host, to.ip())?;
        let source = match local.map_or(home, |l| l.ip()) {
            ip if !ip.is_unspecified() => {
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
        let (receive, send) = t.options.capacities();
        let (low_water, patience) = (t.options.low_water(), t.options.patience());
        let (deaf, mute) = (t.deaf, t.mute);
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
        end.low_water = low_water;
        end.patience = patience;
        end.deaf = deaf;
        end.finished = mute;
        self.wire_connect(flow);
        Err(Errno::EINPROGRESS)
    }

    /// connect(2) with `AF_UNSPEC`: a connection is reset, and the socket can connect anew.
    pub(crate) fn tcp_disconnect(&mut self, id: ObjectId) -> Result<()> {
        if matches!(self.objects.get(id), Some(Kind::Listener(_))) {
            self.listener_stops(id);
            return Ok(());
        }
        let Some((flow, side)) = self.tcp(id)?.end() else {
            let t = self.tcp(id)?;
            if t.state == State::Failed {
                return self.tcp_unjoin(id);
            }
            t.deaf = false;
            t.mute = false;
            return Ok(());
        };
        let end = &mut self.flow(flow)?.ends[side];
        let pending = if end.closed() {
            end.error.take()
        } else {
            Some(Errno::ECONNRESET)
        };
        self.flow_close(flow, side, true);
        self.tcp_unjoin(id)?;
        self.tcp(id)?.error = pending;
        self.notify(id, bits::OUT | bits::ERR | bits::HUP);
        Ok(())
    }

    /// The socket is no part of a connection any more. It keeps what `bind` named, and gives back a port that the system chose.
    pub(super) fn tcp_unjoin(&mut self, id: ObjectId) -> Result<()> {
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let t = self.tcp(id)?;
        t.state = State::Idle;
        let stays = t.chosen || std::mem::take(&mut t.rebound);
        t.ended = false;
        t.deaf = false;
        t.mute = false;
        let Some(local) = t.local else {
            return Ok(());
        };
        if !t.fixed {
            t.local = Some(SocketAddr::new(any(t.family), local.port()));
        }
        if !stays {
            let hold = std::mem::replace(&mut t.hold, Hold::Nothing);
            self.tcp_release(host, id, local.port(), hold, 0);
        }
        Ok(())
    }

    pub(super) fn tcp_release(
        &mut self,
        host: u16,
        id: ObjectId,
        port: u16,
        hold: Hold,
        busy_until: u64,
    ) {
        match hold {
            Hold::Nothing => {}
            Hold::Port => self.net.tcp.release(host, port, id),
            Hold::Accepted => self.net.tcp.drop_flow(host, port, busy_until),
        }
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
                self.tcp_unjoin(id)?;
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
        let t = self.tcp(id)?;
        let Some((flow, side)) = t.end() else {
            t.ended |= t.state == State::Failed;
            t.deaf |= read;
            t.mute |= write;
            self.notify(id, CHANGED);
            return Err(Errno::ENOTCONN);
        };
        let end = &mut self.flow(flow)?.ends[side];
        if end.closed() {
            let t = self.tcp(id)?;
            t.ended |= matches!(
                t.state,
                State::Joined {
                    announced: false,
                    ..
                }
            );
            self.notify(id, CHANGED);
            return Err(Errno::ENOTCONN);
        }
        if end.phase == Phase::SynSent {
            self.flow_close(flow, side, true);
            return self.tcp_unjoin(id);
        }
        if read {
            end.deaf = true;
        }
        if write {
            self.flow_finish(flow, side);
        }
        self.notify(id, CHANGED);
        Ok(())
    }

    /// A send on a socket that is not connected.
    pub(crate) fn tcp_send_idle(&mut self, id: ObjectId) -> Result<usize> {
        Err(self.tcp(id)?.error.take().unwrap_or(Errno::EPIPE))
    }

    /// A receive on a socket that is not connected.
    pub(crate) fn tcp_receive_idle(&mut self, id: ObjectId) -> Result<usize> {
        let t = self.tcp(id)?;
        match (t.error.take(), t.state) {
            (Some(e), _) => Err(e),
            (None, State::Failed) => Ok(0),
            (None, _) if t.deaf => Ok(0),
            (None, _) => Err(Errno::ENOTCONN),
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
            self.tcp_release(host, id, local.port(), t.hold, busy_until);
        }
    }
}
