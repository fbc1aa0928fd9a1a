//! How long an end of a TCP connection bears silence: keep-alive probes (`SO_KEEPALIVE` and its kin), `TCP_USER_TIMEOUT`,
//! `TCP_SYNCNT`. Between hosts only: inside one host nothing is ever lost.

use super::NetEvent;
use super::flow::{End, FlowId, Phase};
use super::wire::Packet;
use crate::kernel::{Errno, Kernel};

/// What the options of the socket say. Times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// `None` unless `SO_KEEPALIVE` is set.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// How long data may stay unacknowledged; `None` leaves it to the number of retransmissions.
    pub(crate) user_timeout: Option<u64>,
    /// How often a SYN is repeated.
    pub(crate) syn_retries: u32,
}

/// When to ask a silent peer whether it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    /// The silence before the first probe.
    pub(crate) idle: u64,
    /// The time between probes.
    pub(crate) interval: u64,
    /// After so many unanswered probes the connection is given up.
    pub(crate) probes: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            keep_alive: None,
            user_timeout: None,
            syn_retries: 6,
        }
    }
}

/// What an end knows of its peer's life.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pulse {
    /// When the last packet arrived.
    heard: u64,
    unanswered: u32,
    /// The timer that counts; an earlier one does nothing.
    timer: u32,
}

impl Pulse {
    /// A packet arrived.
    pub(super) fn beat(&mut self, now: u64) {
        self.heard = now;
        self.unanswered = 0;
    }
}

/// What is due when the keep-alive timer fires.
enum Next {
    Nothing,
    /// Look again then.
    Later(u64),
    /// Probe, and look again then.
    Probe(u64),
    GiveUp,
}

fn next(me: &mut End, now: u64) -> Next {
    let Some(k) = me.patience.keep_alive else {
        return Next::Nothing;
    };
    if me.phase != Phase::Open || me.closed() {
        return Next::Nothing;
    }
    if me.wire.busy() {
        // The retransmission timer watches.
        return Next::Later(now + k.idle);
    }
    let silence = now - me.pulse.heard;
    if silence < k.idle {
        return Next::Later(me.pulse.heard + k.idle);
    }
    let over = match me.patience.user_timeout {
        Some(limit) => silence >= limit && me.pulse.unanswered > 0,
        None => me.pulse.unanswered >= k.probes,
    };
    if over {
        return Next::GiveUp;
    }
    me.pulse.unanswered += 1;
    Next::Probe(now + k.interval)
}

impl Kernel {
    /// Keep-alive may have been switched on for the end, or set otherwise: starts its timer.
    pub(crate) fn keep_alive_start(&mut self, id: FlowId, side: usize) {
        let now = self.now;
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let remote = f.remote;
        let me = &mut f.ends[side];
        let Some(k) = me
            .patience
            .keep_alive
            .filter(|_| remote && me.phase == Phase::Open)
        else {
            return;
        };
        me.pulse.timer = me.pulse.timer.wrapping_add(1);
        me.pulse.heard = me.pulse.heard.max(now);
        let timer = me.pulse.timer;
        self.keep_alive_at(now + k.idle, id, side, timer);
    }

    fn keep_alive_at(&mut self, at: u64, flow: FlowId, side: usize, timer: u32) {
        self.net_at(at, NetEvent::KeepAlive { flow, side, timer });
    }

    /// The keep-alive timer of an end fires.
    pub(super) fn keep_alive_fires(&mut self, id: FlowId, side: usize, timer: u32) {
        let now = self.now;
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let me = &mut f.ends[side];
        if me.pulse.timer != timer {
            return;
        }
        match next(me, now) {
            Next::Nothing => {}
            Next::Later(at) => self.keep_alive_at(at, id, side, timer),
            Next::Probe(at) => {
                let probe = f.ends[side].wire.probe();
                self.wire_send(id, side, probe);
                self.keep_alive_at(at, id, side, timer);
            }
            Next::GiveUp => {
                self.wire_send(id, side, Packet::Reset);
                self.flow_die(id, side, Errno::ETIMEDOUT);
                self.flow_orphan_dies(id, side);
            }
        }
    }
}
