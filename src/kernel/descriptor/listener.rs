//! TCP sockets that listen: the queue of connections that wait to be accepted. Called by `net/socket.rs`, and by `net/wire.rs`
//! when somebody connects.

use super::tcp::{Hold, State, Tcp};
use super::{Kind, ObjectId, bits};
use crate::kernel::net::address::Family;
use crate::kernel::net::flow::{FlowId, Owner, SERVER};
use crate::kernel::net::options::Options;
use crate::kernel::{Errno, Kernel, Result};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The longest accept queue, whatever `listen` was asked for.
const BACKLOG_MAX: i32 = 4096;

/// A TCP socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) family: Family,
    pub(crate) options: Options,
    pub(super) local: SocketAddr,
    fixed: bool,
    chosen: bool,
    backlog: usize,
    queue: VecDeque<FlowId>,
    /// Left over from before it listened.
    pub(crate) error: Option<Errno>,
}

impl Listener {
    pub(super) fn text(&self) -> String {
        format!("a TCP listener on {}", self.local)
    }

    pub(super) fn readiness(&self) -> u32 {
        if self.queue.is_empty() { 0 } else { bits::IN }
    }

    /// Connections that wait to be accepted.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether a new connection has to wait.
    pub(crate) fn full(&self) -> bool {
        self.queue.len() > self.backlog
    }

    /// The receive and send capacities of the connections that it accepts, in bytes.
    pub(crate) fn capacities(&self) -> (usize, usize) {
        self.options.capacities()
    }
}

impl Kernel {
    /// listen(2); again to change the backlog.
    pub(crate) fn tcp_listen(&mut self, id: ObjectId, backlog: i32) -> Result<()> {
        let backlog = if backlog < 0 {
            BACKLOG_MAX
        } else {
            backlog.min(BACKLOG_MAX)
        } as usize;
        if let Some(Kind::Listener(l)) = self.objects.get_mut(id) {
            l.backlog = backlog;
            return Ok(());
        }
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        let t = self.tcp(id)?;
        if t.state != State::Idle || t.ended {
            return Err(Errno::EINVAL);
        }
        let (family, home, fixed, chosen) = (t.family, t.home(), t.fixed, t.chosen);
        let local = match t.held() {
            Some(local) => local,
            None => self.tcp_hold(id, SocketAddr::new(home, 0))?,
        };
        self.net.tcp.listen(host, local.port(), id)?;
        let t = self.tcp(id)?;
        let (options, error) = (t.options.clone(), t.error);
        self.objects.replace(
            id,
            Kind::Listener(Box::new(Listener {
                family,
                options,
                local,
                fixed,
                chosen,
                backlog,
                queue: VecDeque::new(),
                error,
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
        let (flow, family, fixed, options) = match self.objects.get_mut(id) {
            Some(Kind::Listener(l)) => match l.queue.pop_front() {
                Some(flow) => (flow, l.family, l.fixed, l.options.clone()),
                None => return Err(Errno::EAGAIN),
            },
            _ => return Err(Errno::EINVAL),
        };
        let local = self.flow(flow)?.ends[SERVER].address;
        let host = self.objects.host(id).ok_or(Errno::EBADF)?;
        self.net
            .tcp
            .hold_flow(host, local.port(), options.reuse_addr);
        let (low_water, patience) = (options.low_water(), options.patience());
        let socket = Tcp {
            options,
            local: Some(local),
            fixed,
            hold: Hold::Accepted,
            state: State::Joined {
                flow,
                side: SERVER,
                announced: true,
            },
            ..Tcp::new(family)
        };
        let object = self.new_object_on(host, Kind::Tcp(Box::new(socket)), nonblocking);
        let end = &mut self.flow(flow)?.ends[SERVER];
        end.owner = Owner::Socket(object);
        end.low_water = low_water;
        end.patience = patience;
        self.keep_alive_start(flow, SERVER);
        self.progress();
        Ok(object)
    }

    /// A listener is shut down: it becomes an idle socket again, which keeps its port.
    pub(super) fn listener_stops(&mut self, id: ObjectId) {
        let host = self.objects.host(id).unwrap_or(0);
        let Some(Kind::Listener(l)) = self.objects.get_mut(id) else {
            return;
        };
        let queue = std::mem::take(&mut l.queue);
        let socket = Tcp {
            options: l.options.clone(),
            local: Some(l.local),
            fixed: l.fixed,
            chosen: l.chosen,
            hold: Hold::Port,
            error: l.error,
            ..Tcp::new(l.family)
        };
        if let Some(bound) = self.net.tcp.bound_mut(host, l.local.port(), id) {
            bound.listening = false;
        }
        self.objects.replace(id, Kind::Tcp(Box::new(socket)));
        for flow in queue {
            self.flow_close(flow, SERVER, true);
        }
        let _ = self.tcp_unjoin(id);
        self.notify(id, bits::IN | bits::OUT | bits::HUP);
    }

    pub(super) fn listener_closed(&mut self, id: ObjectId, host: u16, l: Listener) {
        self.net.tcp.release(host, l.local.port(), id);
        for flow in l.queue {
            self.flow_close(flow, SERVER, true);
        }
    }
}
