//! What a TCP socket tells of itself, its names and its pending error, and what follows from a changed option. Called by
//! `net/socket.rs`.

use super::tcp::{Hold, State};
use super::{Kind, ObjectId};
use crate::kernel::net::address::{any, shown};
use crate::kernel::net::flow::{Owner, Phase};
use crate::kernel::{Errno, Kernel, Result};
use std::net::SocketAddr;

impl Kernel {
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

    /// Who connected, told even if that connection is over already: accept(2) reports it.
    pub(crate) fn tcp_came_from(&mut self, id: ObjectId) -> Result<SocketAddr> {
        let t = self.tcp(id)?;
        let (family, end) = (t.family, t.end());
        let (flow, side) = end.ok_or(Errno::ENOTCONN)?;
        Ok(shown(family, self.flow(flow)?.ends[1 - side].address))
    }

    /// `SO_ERROR`: takes the pending error.
    pub(crate) fn tcp_take_error(&mut self, id: ObjectId) -> Option<Errno> {
        let Ok(t) = self.tcp(id) else {
            return None;
        };
        let State::Joined {
            flow,
            side,
            announced,
        } = t.state
        else {
            return t.error.take();
        };
        let end = &mut self.flow(flow).ok()?.ends[side];
        let error = end.error.take();
        if !announced && error.is_some() && end.phase == Phase::Dead {
            // A failed attempt that only SO_ERROR told of.
            end.owner = Owner::Nobody;
            self.flow_collect(flow);
            let host = self.objects.host(id)?;
            let t = self.tcp(id).ok()?;
            t.state = State::Failed;
            if let Some(local) = t.local
                && !t.chosen
                && !t.rebound
            {
                t.rebound = true;
                let hold = std::mem::replace(&mut t.hold, Hold::Nothing);
                self.tcp_release(host, id, local.port(), hold, 0);
            }
        }
        error
    }

    /// The options of the socket changed: buffers of a connection follow, and so does its hold on the port.
    pub(crate) fn tcp_options_changed(&mut self, id: ObjectId) {
        let host = self.objects.host(id).unwrap_or(0);
        let Ok(t) = self.tcp(id) else {
            return;
        };
        let (end, local) = (t.end(), t.local.filter(|_| t.hold == Hold::Port));
        let (receive, send) = t.options.capacities();
        let (reuse_addr, reuse_port) = (t.options.reuse_addr, t.options.reuse_port);
        let (low_water, patience) = (t.options.low_water(), t.options.patience());
        if let Some((flow, side)) = end
            && let Ok(f) = self.flow(flow)
        {
            f.ends[side].receive_capacity = receive;
            f.ends[side].send_capacity = send;
            f.ends[side].low_water = low_water;
            let before = std::mem::replace(&mut f.ends[side].patience, patience);
            if before.keep_alive != patience.keep_alive {
                self.keep_alive_start(flow, side);
            }
        }
        if let Some(local) = local
            && let Some(bound) = self.net.tcp.bound_mut(host, local.port(), id)
        {
            bound.reuse_addr = reuse_addr;
            bound.reuse_port = reuse_port;
        }
    }
}
