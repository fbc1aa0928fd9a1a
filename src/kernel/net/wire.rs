//! TCP between hosts: segments, acknowledgements, the window, retransmission, and giving up. How a connection begins is in
//! [`handshake`](super::handshake).
//!
//! Packets of one end never overtake each other, so a gap at the receiver means a loss, and the sender goes back to it at the
//! third acknowledgement that brings nothing new (RFC 5681), or when its timer expires. Payload is not copied into packets: a segment names a range of the sender's buffer, which keeps it
//! until it is acknowledged.

use super::NetEvent;
use super::flow::{CLIENT, End, FlowId, Owner, Phase};
use super::link::TCP_HEADER;
use crate::kernel::descriptor::bits;
use crate::kernel::descriptor::buffer::Buffer;
use crate::kernel::{Domain, Errno, Kernel};

const MS: u64 = 1_000_000;
const RTO_MIN: u64 = 200 * MS;
const RTO_MAX: u64 = 120_000 * MS;
/// Data is repeated so often: then about a quarter of an hour has passed.
const DATA_RETRIES: u32 = 15;
/// So many acknowledgements that bring nothing new say that a segment was lost.
const DUPLICATES: u32 = 3;
/// One segment in so many is cut at a random place.
const CUT: u64 = 4;

/// What travels between the two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packet {
    Syn,
    /// With the first window: the offset up to which may be sent.
    SynAck {
        limit: u64,
    },
    /// Everything before offset `ack` arrived; up to `limit` may be sent.
    Ack {
        ack: u64,
        limit: u64,
    },
    /// Bytes from offset `seq` on; `fin` says that they are the last.
    Data {
        seq: u64,
        len: u32,
        fin: bool,
    },
    Reset,
}

/// What an end keeps for the wire. Offsets count the bytes of a direction from its start.
pub(crate) struct Wire {
    /// The bytes from `unacknowledged` on, sent or not.
    pub(crate) out: Buffer,
    unacknowledged: u64,
    /// The offset of the next byte to send.
    next: u64,
    /// The highest offset ever sent.
    highest: u64,
    /// The peer takes bytes up to here.
    pub(super) limit: u64,
    fin_sent: bool,
    fin_acknowledged: bool,
    /// The offset of the next byte to receive, and the limit that the peer was told.
    expected: u64,
    pub(super) advertised: u64,
    /// When the last packet of this end arrives at its peer.
    pub(super) last_arrival: u64,
    /// When something is repeated; 0 if nothing is waited for.
    retransmit_at: u64,
    timer_pending: bool,
    /// Acknowledgements in a row that brought nothing new.
    duplicates: u32,
    /// Until more than this is acknowledged they tell of what is being repeated already (RFC 6582).
    recover: Option<u64>,
    /// Since when the oldest unacknowledged byte waits.
    waits_since: u64,
    pub(super) retries: u32,
    /// Smoothed round trip and its deviation in nanoseconds, 0 before the first sample.
    round_trip: u64,
    deviation: u64,
    /// The offset whose acknowledgement is the next sample, and when it was sent.
    sample: Option<(u64, u64)>,
}

impl Default for Wire {
    fn default() -> Wire {
        Wire {
            out: Buffer::new(usize::MAX),
            unacknowledged: 0,
            next: 0,
            highest: 0,
            limit: 0,
            fin_sent: false,
            fin_acknowledged: false,
            expected: 0,
            advertised: 0,
            last_arrival: 0,
            retransmit_at: 0,
            timer_pending: false,
            duplicates: 0,
            recover: None,
            waits_since: 0,
            retries: 0,
            round_trip: 0,
            deviation: 0,
            sample: None,
        }
    }
}

impl Wire {
    pub(crate) fn reset(&mut self) {
        let mut out = std::mem::replace(&mut self.out, Buffer::new(0));
        out.clear();
        *self = Wire {
            out,
            ..Wire::default()
        };
    }

    /// Nothing is repeated any more. What is under way still arrives.
    pub(crate) fn stop(&mut self) {
        self.retransmit_at = 0;
    }

    /// Both directions are over as far as this end knows.
    pub(super) fn settled(&self, end: &End) -> bool {
        end.phase == Phase::Unborn || (self.fin_acknowledged && end.peer_finished)
    }

    fn end_of_stream(&self) -> u64 {
        self.unacknowledged + self.out.len() as u64
    }

    fn waiting_for_ack(&self) -> bool {
        self.next > self.unacknowledged || (self.fin_sent && !self.fin_acknowledged)
    }

    /// Something is on its way or waits to be sent.
    pub(super) fn busy(&self) -> bool {
        self.waiting_for_ack() || !self.out.is_empty()
    }

    /// A packet that carries nothing and asks for an acknowledgement.
    pub(super) fn probe(&self) -> Packet {
        Packet::Data {
            seq: self.unacknowledged,
            len: 0,
            fin: false,
        }
    }

    fn timeout(&self) -> u64 {
        let base = self.round_trip + (4 * self.deviation).max(RTO_MIN);
        (base << self.retries.min(20)).min(RTO_MAX)
    }

    /// What was sent and not acknowledged is sent again.
    fn go_back(&mut self, recover: u64) {
        self.recover = Some(recover);
        self.next = self.unacknowledged;
        self.fin_sent &= self.fin_acknowledged;
        self.sample = None;
    }

    fn sampled(&mut self, took: u64) {
        if self.round_trip == 0 {
            self.round_trip = took;
            self.deviation = took / 2;
        } else {
            self.deviation = (3 * self.deviation + self.round_trip.abs_diff(took)) / 4;
            self.round_trip = (7 * self.round_trip + took) / 8;
        }
    }
}

impl Kernel {
    /// Sends a packet from `side` to its peer.
    pub(super) fn wire_send(&mut self, id: FlowId, side: usize, packet: Packet) {
        let Some(f) = self.net.flows.get(id) else {
            return;
        };
        let (from, to) = (f.ends[side].host, f.ends[1 - side].host);
        let earliest = f.ends[side].wire.last_arrival;
        let (size, later) = match packet {
            Packet::Data { len, fin, .. } => {
                let slow = if fin {
                    self.net.links.get(from, to).slow_close
                } else {
                    0
                };
                (TCP_HEADER + u64::from(len), slow)
            }
            Packet::Syn | Packet::SynAck { .. } | Packet::Ack { .. } | Packet::Reset => {
                (TCP_HEADER, 0)
            }
        };
        let event = NetEvent::Packet {
            flow: id,
            to: 1 - side,
            packet,
        };
        if let Some(at) = self.send_in_order((from, to), size, earliest, later, event)
            && let Some(f) = self.net.flows.get_mut(id)
        {
            f.ends[side].wire.last_arrival = at;
        }
    }

    pub(super) fn wire_timer(&mut self, id: FlowId, side: usize, after: u64) {
        let now = self.now;
        let mut at = now + after;
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let patience = f.ends[side].patience;
        let wire = &mut f.ends[side].wire;
        if wire.retries == 0 {
            wire.waits_since = now;
        }
        if let Some(limit) = patience.user_timeout {
            at = at.min((wire.waits_since + limit).max(now + MS));
        }
        wire.retransmit_at = at;
        // One event at most is pending per end; an early one is put off when it fires.
        if !std::mem::replace(&mut wire.timer_pending, true) {
            self.net_at(at, NetEvent::FlowTimer { flow: id, side });
        }
    }

    pub(super) fn wire_ack(&mut self, id: FlowId, side: usize) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        let room = me.receive_capacity.saturating_sub(me.inbox.len()) as u64;
        let wire = &mut me.wire;
        wire.advertised = wire.advertised.max(wire.expected + room);
        let packet = Packet::Ack {
            ack: wire.expected + u64::from(me.peer_finished),
            limit: wire.advertised,
        };
        self.wire_send(id, side, packet);
    }

    /// Tells the peer that this end is gone.
    pub(super) fn wire_reset(&mut self, id: FlowId, side: usize) {
        self.wire_send(id, side, Packet::Reset);
    }

    /// Sends what the window allows.
    pub(super) fn wire_push(&mut self, id: FlowId, side: usize) {
        loop {
            let Some(f) = self.net.flows.get(id) else {
                return;
            };
            let me = &f.ends[side];
            if !matches!(me.phase, Phase::Open | Phase::SynReceived) {
                return;
            }
            let wire = &me.wire;
            let end = wire.end_of_stream();
            let link = self.net.links.get(me.host, f.ends[1 - side].host);
            let (most, slow_close) = (u64::from(link.segment), link.slow_close > 0);
            let mut len = end.min(wire.limit).saturating_sub(wire.next).min(most);
            let fin_due = me.finished && !wire.fin_sent && !wire.fin_acknowledged;
            if len == 0 && !(fin_due && wire.next == end) {
                if !wire.waiting_for_ack() && end > wire.next && wire.retransmit_at == 0 {
                    // The window is shut: ask from time to time whether it still is.
                    let after = wire.timeout();
                    self.wire_timer(id, side, after);
                }
                return;
            }
            if len > 1 && self.oracle.below(Domain::Network, CUT) == CUT - 1 {
                len -= self.oracle.below(Domain::Network, len);
            }
            let now = self.now;
            let Some(f) = self.net.flows.get_mut(id) else {
                return;
            };
            let wire = &mut f.ends[side].wire;
            let seq = wire.next;
            // Where the end of a stream travels slowly, what comes before it does not.
            let fin = fin_due && seq + len == end && (len == 0 || !slow_close);
            wire.next += len;
            wire.fin_sent |= fin;
            if wire.sample.is_none() && wire.next > wire.highest {
                wire.sample = Some((wire.next, now));
            }
            wire.highest = wire.highest.max(wire.next);
            let after = (wire.retransmit_at == 0).then(|| wire.timeout());
            self.wire_send(
                id,
                side,
                Packet::Data {
                    seq,
                    len: len as u32,
                    fin,
                },
            );
            if let Some(after) = after {
                self.wire_timer(id, side, after);
            }
        }
    }

    /// The program read from `side`: the peer may learn of the room.
    pub(super) fn wire_taken(&mut self, id: FlowId, side: usize) {
        let Some(f) = self.net.flows.get(id) else {
            return;
        };
        let me = &f.ends[side];
        let room = me.receive_capacity.saturating_sub(me.inbox.len()) as u64;
        let gained = (me.wire.expected + room).saturating_sub(me.wire.advertised);
        if me.phase == Phase::Open && !me.peer_finished && gained >= me.receive_capacity as u64 / 2
        {
            self.wire_ack(id, side);
        }
    }

    /// A packet arrives at `side`.
    pub(super) fn wire_arrival(&mut self, id: FlowId, side: usize, packet: Packet) {
        let now = self.now;
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        me.pulse.beat(now);
        if me.phase == Phase::SynReceived
            && matches!(packet, Packet::Ack { .. } | Packet::Data { .. })
            && !self.wire_established(id)
        {
            return;
        }
        match packet {
            Packet::Syn => self.syn_arrives(id),
            Packet::SynAck { limit } => self.syn_ack_arrives(id, limit),
            Packet::Ack { ack, limit } => self.ack_arrives(id, side, ack, limit),
            Packet::Data { seq, len, fin } => self.data_arrives(id, side, seq, u64::from(len), fin),
            Packet::Reset => {
                self.flow_reset(id, side);
                self.flow_orphan_dies(id, side);
            }
        }
    }

    /// A reset or a timeout ends an end that no socket holds.
    pub(super) fn flow_orphan_dies(&mut self, id: FlowId, side: usize) {
        if let Some(f) = self.net.flows.get_mut(id)
            && f.ends[side].owner == Owner::Nobody
        {
            f.ends[side].phase = Phase::Dead;
            f.ends[side].wire.stop();
            self.flow_collect(id);
        }
    }

    fn ack_arrives(&mut self, id: FlowId, side: usize, ack: u64, limit: u64) {
        let now = self.now;
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        if me.phase != Phase::Open {
            return;
        }
        let (capacity, wire) = (me.send_capacity, &mut me.wire);
        let room = capacity.saturating_sub(wire.out.len());
        let end = wire.end_of_stream();
        let gained = ack.min(end).saturating_sub(wire.unacknowledged);
        let blocked = !wire.waiting_for_ack();
        let repeats = gained == 0 && !blocked && ack == wire.unacknowledged && limit <= wire.limit;
        wire.out.consume(gained as usize);
        wire.unacknowledged += gained;
        wire.next = wire.next.max(wire.unacknowledged);
        wire.limit = wire.limit.max(limit);
        wire.fin_acknowledged |= me.finished && ack > end;
        if let Some((offset, sent)) = wire.sample
            && ack >= offset
        {
            wire.sample = None;
            wire.sampled(now - sent);
        }
        let advanced = gained > 0 || wire.fin_acknowledged;
        wire.duplicates = if repeats { wire.duplicates + 1 } else { 0 };
        if wire.duplicates == DUPLICATES && wire.recover.is_none_or(|recover| ack > recover) {
            // What was under way arrives before what is repeated, so later ones of a higher offset tell of another loss.
            wire.go_back(ack);
        }
        if advanced || blocked {
            wire.retries = 0;
        }
        let rearm = if !wire.waiting_for_ack() {
            wire.retransmit_at = 0;
            None
        } else if advanced {
            Some(wire.timeout())
        } else {
            None
        };
        if let Some(after) = rearm {
            self.wire_timer(id, side, after);
        }
        if room < capacity / 3 && room + gained as usize >= capacity / 3 {
            self.flow_notify(id, side, bits::OUT);
        }
        self.wire_push(id, side);
        self.flow_collect(id);
    }

    fn data_arrives(&mut self, id: FlowId, side: usize, seq: u64, len: u64, fin: bool) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let [client, server] = &mut f.ends;
        let (me, peer) = if side == CLIENT {
            (client, server)
        } else {
            (server, client)
        };
        let fresh = seq + len > me.wire.expected;
        if me.phase != Phase::Open || (me.rejects() && fresh) {
            self.wire_reset(id, side);
            self.flow_reset(id, side);
            return self.flow_orphan_dies(id, side);
        }
        let mut complete = false;
        if seq <= me.wire.expected {
            let end = (seq + len).min(me.wire.advertised);
            let n = end.saturating_sub(me.wire.expected);
            let from = me.wire.expected.saturating_sub(peer.wire.unacknowledged);
            me.inbox
                .append_from(&peer.wire.out, from as usize, n as usize);
            me.wire.expected += n;
            complete = fin && me.wire.expected == seq + len && !me.peer_finished;
            if n > 0 {
                self.progress();
                self.flow_notify(id, side, bits::IN);
            }
        }
        if complete {
            self.flow_fin_arrives(id, side);
        }
        self.wire_ack(id, side);
        self.flow_collect(id);
    }

    /// An end's timer fires.
    pub(super) fn wire_timer_fires(&mut self, id: FlowId, side: usize) {
        let now = self.now;
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        me.wire.timer_pending = false;
        if me.wire.retransmit_at == 0 {
            return;
        }
        if me.wire.retransmit_at > now {
            let after = me.wire.retransmit_at - now;
            return self.wire_timer(id, side, after);
        }
        me.wire.retransmit_at = 0;
        me.wire.retries += 1;
        me.wire.sample = None;
        let late = me
            .patience
            .user_timeout
            .is_some_and(|limit| now - me.wire.waits_since >= limit);
        let over = match me.phase {
            Phase::Open => late || me.wire.retries > DATA_RETRIES,
            _ => me.wire.retries > me.patience.syn_retries,
        };
        if over {
            self.flow_die(id, side, Errno::ETIMEDOUT);
            return self.flow_orphan_dies(id, side);
        }
        match me.phase {
            Phase::SynSent => self.wire_connect(id),
            Phase::SynReceived => self.wire_syn_ack(id),
            Phase::Open => {
                let wire = &mut me.wire;
                let probe = !wire.waiting_for_ack();
                wire.go_back(wire.highest);
                let packet = wire.probe();
                if probe {
                    self.wire_send(id, side, packet);
                }
                self.wire_push(id, side);
            }
            Phase::Unborn | Phase::Dead => {}
        }
    }
}
