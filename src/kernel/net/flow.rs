//! A TCP connection: both of its ends in one place, because both live in this process.
//!
//! What the program holds is a [`Tcp`](crate::kernel::descriptor::tcp::Tcp) object that names an end of a flow. Between two
//! sockets of one host a byte that is sent is readable at once, as on Linux' loopback: `send` puts it straight into the
//! peer's receive buffer. Between hosts [`wire`](super::wire) carries packets. An end outlives its object: what was sent
//! before `close` still arrives.

use super::alive::{Patience, Pulse};
use super::wire::Wire;
use crate::kernel::descriptor::buffer::Buffer;
use crate::kernel::descriptor::{ObjectId, bits};
use crate::kernel::{Errno, Kernel, Result};
use std::net::SocketAddr;

/// Names a flow; a stale name finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct FlowId {
    index: u32,
    generation: u32,
}

/// The end that connected.
pub(crate) const CLIENT: usize = 0;
/// The end that was accepted.
pub(crate) const SERVER: usize = 1;

/// How far an end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// The server's end before the first SYN arrives.
    Unborn,
    SynSent,
    SynReceived,
    Open,
    /// Reset, refused or timed out.
    Dead,
}

/// Who uses an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Nobody any more: the program closed it, or it never got that far.
    Nobody,
    /// A listener, in whose queue it waits to be accepted.
    Listener(ObjectId),
    /// A socket.
    Socket(ObjectId),
}

/// One end of a connection.
pub(crate) struct End {
    pub(crate) host: u16,
    pub(crate) address: SocketAddr,
    pub(crate) owner: Owner,
    pub(crate) phase: Phase,
    /// What arrived and was not read yet.
    pub(crate) inbox: Buffer,
    /// How many bytes of its peer's may wait unread, and how many of its own may wait unsent.
    pub(crate) receive_capacity: usize,
    pub(crate) send_capacity: usize,
    /// `SO_RCVLOWAT`: so many bytes make it readable.
    pub(crate) low_water: usize,
    /// It has said that it will send no more.
    pub(crate) finished: bool,
    /// Its peer has said so.
    pub(crate) peer_finished: bool,
    /// `shutdown(SHUT_RD)` was called.
    pub(crate) deaf: bool,
    /// The pending error, which the next call or `SO_ERROR` takes.
    pub(crate) error: Option<Errno>,
    pub(crate) patience: Patience,
    pub(crate) pulse: Pulse,
    pub(crate) wire: Wire,
}

impl End {
    fn new() -> End {
        End {
            host: 0,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            owner: Owner::Nobody,
            phase: Phase::Unborn,
            inbox: Buffer::new(usize::MAX),
            receive_capacity: 0,
            send_capacity: 0,
            low_water: 1,
            finished: false,
            peer_finished: false,
            deaf: false,
            error: None,
            patience: Patience::default(),
            pulse: Pulse::default(),
            wire: Wire::default(),
        }
    }

    fn reset(&mut self, host: u16, address: SocketAddr) {
        self.host = host;
        self.address = address;
        self.owner = Owner::Nobody;
        self.phase = Phase::Unborn;
        self.inbox.clear();
        self.receive_capacity = 0;
        self.send_capacity = 0;
        self.low_water = 1;
        self.finished = false;
        self.peer_finished = false;
        self.deaf = false;
        self.error = None;
        self.patience = Patience::default();
        self.pulse = Pulse::default();
        self.wire.reset();
    }

    /// Nothing more will be read or written: Linux' state CLOSE.
    pub(crate) fn closed(&self) -> bool {
        self.phase == Phase::Dead || (self.finished && self.peer_finished)
    }

    /// Data that arrives now resets the connection: nobody will ever read it.
    pub(super) fn rejects(&self) -> bool {
        self.owner == Owner::Nobody || (self.deaf && self.finished)
    }

    /// What an end in use is ready for; `room` and `capacity` are those of its way out, in bytes.
    fn readiness(&self, room: usize, capacity: usize) -> u32 {
        let mut r = if self.error.is_some() { bits::ERR } else { 0 };
        if matches!(self.phase, Phase::SynSent | Phase::Unborn) {
            return r;
        }
        let dead = self.phase == Phase::Dead;
        let no_more_in = dead || self.peer_finished || self.deaf;
        let no_more_out = dead || self.finished;
        if no_more_in {
            r |= bits::IN | bits::RDHUP;
        }
        if (no_more_in && no_more_out) || self.closed() {
            r |= bits::HUP;
        }
        if self.inbox.len() >= self.low_water {
            r |= bits::IN;
        }
        if no_more_out || room >= capacity / 3 {
            r |= bits::OUT;
        }
        r
    }
}

/// A connection.
pub(crate) struct Flow {
    generation: u32,
    live: bool,
    /// Its ends are on different hosts.
    pub(crate) remote: bool,
    pub(crate) ends: [End; 2],
}

impl Flow {
    /// How many bytes `side` may have under way, and how many more it may send now.
    pub(crate) fn way_out(&self, side: usize) -> (usize, usize) {
        let (me, peer) = (&self.ends[side], &self.ends[1 - side]);
        if self.remote {
            return (
                me.send_capacity,
                me.send_capacity.saturating_sub(me.wire.out.len()),
            );
        }
        let capacity = me.send_capacity + peer.receive_capacity;
        (capacity, capacity.saturating_sub(peer.inbox.len()))
    }
}

/// All connections of a run. Freed ones keep their buffers for the next.
#[derive(Default)]
pub(crate) struct Flows {
    slots: Vec<Flow>,
    free: Vec<u32>,
}

impl Flows {
    pub(crate) fn clear(&mut self) {
        self.free.clear();
        for (i, f) in self.slots.iter_mut().enumerate().rev() {
            f.generation = 0;
            f.live = false;
            f.ends[CLIENT].owner = Owner::Nobody;
            f.ends[SERVER].owner = Owner::Nobody;
            self.free.push(i as u32);
        }
    }

    #[inline]
    pub(crate) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.slots
            .get(id.index as usize)
            .filter(|f| f.generation == id.generation)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|f| f.generation == id.generation)
    }

    /// A new flow between two addresses, each on its host.
    pub(crate) fn add(&mut self, client: (u16, SocketAddr), server: (u16, SocketAddr)) -> FlowId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Flow {
                generation: 0,
                live: false,
                remote: false,
                ends: [End::new(), End::new()],
            });
            self.slots.len() as u32 - 1
        });
        let flow = &mut self.slots[index as usize];
        flow.live = true;
        flow.remote = client.0 != server.0;
        flow.ends[CLIENT].reset(client.0, client.1);
        flow.ends[SERVER].reset(server.0, server.1);
        FlowId {
            index,
            generation: flow.generation,
        }
    }

    /// The connections whose ends are on different hosts that `wanted` says, in the order of their places.
    pub(crate) fn between(&self, wanted: impl Fn(u16, u16) -> bool) -> Vec<FlowId> {
        let slots = self.slots.iter().enumerate();
        let crossing = slots.filter(|(_, f)| {
            f.live && f.remote && wanted(f.ends[CLIENT].host, f.ends[SERVER].host)
        });
        crossing
            .map(|(index, f)| FlowId {
                index: index as u32,
                generation: f.generation,
            })
            .collect()
    }

    /// The bytes that wait to be read at each end that somebody has, and its host.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (u16, u64)> {
        let live = self.slots.iter().filter(|flow| flow.live);
        let ends = live.flat_map(|flow| &flow.ends);
        let owned = ends.filter(|end| end.owner != Owner::Nobody);
        owned.map(|end| (end.host, end.inbox.len() as u64))
    }

    fn remove(&mut self, id: FlowId) {
        if let Some(f) = self.get_mut(id) {
            f.generation = f.generation.wrapping_add(1);
            f.live = false;
            for end in &mut f.ends {
                end.inbox.shrink();
                end.wire.out.shrink();
            }
            self.free.push(id.index);
        }
    }
}

impl Kernel {
    /// The flow; a stale name is the kernel's own bug only for callers that hold an end.
    pub(crate) fn flow(&mut self, id: FlowId) -> Result<&mut Flow> {
        self.net.flows.get_mut(id).ok_or(Errno::EBADF)
    }

    /// Tells whoever uses an end that it changed.
    pub(crate) fn flow_notify(&mut self, id: FlowId, side: usize, changed: u32) {
        if let Some(f) = self.net.flows.get(id)
            && let Owner::Socket(object) = f.ends[side].owner
        {
            self.notify(object, changed);
        }
    }

    /// What a socket on this end is ready for.
    pub(crate) fn flow_readiness(&self, id: FlowId, side: usize) -> u32 {
        let Some(f) = self.net.flows.get(id) else {
            return bits::HUP;
        };
        let (capacity, room) = f.way_out(side);
        f.ends[side].readiness(room, capacity)
    }

    /// Forgets a flow that nobody uses and that has nothing left to do.
    pub(crate) fn flow_collect(&mut self, id: FlowId) {
        let Some(f) = self.net.flows.get(id) else {
            return;
        };
        let unused = f.ends.iter().all(|e| e.owner == Owner::Nobody);
        let idle = !f.remote
            || f.ends
                .iter()
                .all(|e| e.phase == Phase::Dead || e.wire.settled(e));
        if unused && idle {
            self.net.flows.remove(id);
        }
    }
}
