//! What happens on a connection: bytes are sent and received, ends finish, close and die. The descriptors call it, and `wire` for what arrives from
//! another host; the ends themselves are in `flow`.

use super::flow::{CLIENT, FlowId, Owner, Phase};
use crate::kernel::descriptor::bits;
use crate::kernel::{Domain, Errno, Kernel, Result};

/// Inside one host, so many bytes are never split.
const WHOLE: usize = 16 << 10;

/// One non-blocking write in so many is cut short.
const SHORT_WRITE: u64 = 32;
/// One read in so many is cut short.
const SHORT_READ: u64 = 16;

impl Kernel {
    /// How many bytes of `n` a read takes first: now and then not all.
    #[inline]
    pub(super) fn split_read(&mut self, n: usize, remote: bool) -> usize {
        self.split(n, remote, SHORT_READ)
    }

    /// How many bytes of `n` a non-blocking write takes first: seldom not all.
    #[inline]
    pub(super) fn split_write(&mut self, n: usize, remote: bool) -> usize {
        self.split(n, remote, SHORT_WRITE)
    }

    #[inline]
    fn split(&mut self, n: usize, remote: bool, one_in: u64) -> usize {
        // What is written at once inside one host arrives at once, and existing tests rely on it.
        if n < 2
            || (!remote && n <= WHOLE)
            || self.oracle.below(Domain::Network, one_in) != one_in - 1
        {
            return n;
        }
        n - 1 - self.oracle.below(Domain::Network, n as u64 - 1) as usize
    }

    /// Sends what fits of a list of buffers. `EAGAIN` while nothing does. `may_split` allows a seeded short count, which only
    /// calls that may return one ask for.
    pub(crate) fn flow_send(
        &mut self,
        id: FlowId,
        side: usize,
        parts: &[&[u8]],
        may_split: bool,
    ) -> Result<usize> {
        let me = &mut self.flow(id)?.ends[side];
        if let Some(e) = me.error.take() {
            return Err(e);
        }
        match me.phase {
            _ if me.finished => return Err(Errno::EPIPE),
            Phase::Dead => return Err(Errno::EPIPE),
            Phase::Unborn | Phase::SynSent | Phase::SynReceived => return Err(Errno::EAGAIN),
            Phase::Open => {}
        }
        let whole: usize = parts.iter().map(|p| p.len()).sum();
        if whole == 0 {
            return Ok(0);
        }
        let remote = self.flow(id)?.remote;
        let short = if may_split {
            self.split_write(whole, remote)
        } else {
            whole
        };
        let flow = self.flow(id)?;
        let (_, room) = flow.way_out(side);
        let n = room.min(short);
        if n == 0 {
            return Err(Errno::EAGAIN);
        }
        let remote = flow.remote;
        let [client, server] = &mut flow.ends;
        let (me, peer) = if side == CLIENT {
            (client, server)
        } else {
            (server, client)
        };
        if !remote && peer.rejects() {
            // The peer answers with a reset.
            self.flow_reset(id, 1 - side);
            self.flow_reset(id, side);
            return Ok(n);
        }
        let queue = if remote {
            &mut me.wire.out
        } else {
            &mut peer.inbox
        };
        let mut left = n;
        for part in parts {
            left -= queue.push(&part[..part.len().min(left)]);
        }
        self.progress();
        if remote {
            self.wire_push(id, side);
        } else {
            self.flow_notify(id, 1 - side, bits::IN);
        }
        if n < whole && n == short {
            // A short count although there was room: to the program the buffer was full and then had room again.
            self.flow_notify(id, side, bits::OUT);
        }
        Ok(n)
    }

    /// Receives what is there. `EAGAIN` while nothing is, 0 at the end of the stream.
    pub(crate) fn flow_receive(
        &mut self,
        id: FlowId,
        side: usize,
        parts: &mut [&mut [u8]],
        peek: bool,
    ) -> Result<usize> {
        let me = &mut self.flow(id)?.ends[side];
        if me.inbox.is_empty() {
            if me.peer_finished {
                return Ok(0);
            }
            if let Some(e) = me.error.take() {
                return Err(e);
            }
            return match me.phase {
                Phase::Dead => Ok(0),
                _ if me.deaf => Ok(0),
                _ => Err(Errno::EAGAIN),
            };
        }
        let room: usize = parts.iter().map(|p| p.len()).sum();
        let there = me.inbox.len().min(room);
        let remote = self.flow(id)?.remote;
        let n = if peek {
            there
        } else {
            self.split_read(there, remote)
        };
        let flow = self.flow(id)?;
        let (capacity, before) = flow.way_out(1 - side);
        let inbox = &mut flow.ends[side].inbox;
        let mut copied = 0;
        for part in parts {
            let now = part.len().min(n - copied);
            if peek {
                inbox.copy_at(copied, &mut part[..now]);
            } else {
                inbox.pop(&mut part[..now]);
            }
            copied += now;
        }
        if peek {
            return Ok(n);
        }
        let remote = flow.remote;
        self.progress();
        if remote {
            self.wire_taken(id, side);
        } else if before < capacity / 3 && before + n >= capacity / 3 {
            self.flow_notify(id, 1 - side, bits::OUT);
        }
        if n < there {
            // A short count although more was there: to the program the rest arrived just after.
            self.flow_notify(id, side, bits::IN);
        }
        Ok(n)
    }

    /// The end dies of a reset that its peer sent.
    pub(crate) fn flow_reset(&mut self, id: FlowId, side: usize) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        if me.closed() {
            return;
        }
        let error = match me.phase {
            Phase::SynSent => Errno::ECONNREFUSED,
            _ if me.peer_finished => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        };
        self.flow_die(id, side, error);
    }

    /// The end dies of `error`: a reset, a timeout.
    pub(crate) fn flow_die(&mut self, id: FlowId, side: usize, error: Errno) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        me.error = Some(error);
        if me.phase == Phase::SynReceived {
            // No listener has heard of it yet.
            me.owner = Owner::Nobody;
        }
        me.phase = Phase::Dead;
        me.wire.stop();
        self.flow_notify(
            id,
            side,
            bits::IN | bits::OUT | bits::ERR | bits::HUP | bits::RDHUP,
        );
        self.flow_collect(id);
    }

    /// shutdown(2) for writing: everything sent before still arrives.
    pub(crate) fn flow_finish(&mut self, id: FlowId, side: usize) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        if std::mem::replace(&mut f.ends[side].finished, true) || f.ends[side].phase == Phase::Dead
        {
            return;
        }
        if f.remote {
            self.wire_push(id, side);
        } else {
            self.flow_fin_arrives(id, 1 - side);
        }
        self.flow_notify(id, side, bits::OUT | bits::HUP);
    }

    /// The peer's FIN has arrived at `side`.
    pub(crate) fn flow_fin_arrives(&mut self, id: FlowId, side: usize) {
        if let Some(f) = self.net.flows.get_mut(id)
            && f.ends[side].phase != Phase::Dead
        {
            f.ends[side].peer_finished = true;
            self.progress();
            self.flow_notify(id, side, bits::IN | bits::RDHUP | bits::HUP);
        }
    }

    /// The program closed the end. With unread bytes, or when asked to `abort`, the peer gets a reset.
    pub(crate) fn flow_close(&mut self, id: FlowId, side: usize, abort: bool) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        me.owner = Owner::Nobody;
        let abort = abort || !me.inbox.is_empty();
        match me.phase {
            Phase::Dead => {}
            Phase::Open | Phase::SynReceived if !abort => self.flow_finish(id, side),
            Phase::Unborn | Phase::SynSent | Phase::SynReceived | Phase::Open => {
                let unheard = me.phase == Phase::SynSent;
                me.phase = Phase::Dead;
                me.wire.stop();
                if f.remote {
                    self.wire_reset(id, side);
                } else if !unheard {
                    self.flow_reset(id, 1 - side);
                }
            }
        }
        self.flow_collect(id);
    }
}
