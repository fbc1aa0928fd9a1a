//! How a TCP connection begins: SYN, SYN-ACK, the listener's queue. Inside one host the first SYN takes the same path, without
//! a wire.

use super::flow::{CLIENT, FlowId, Owner, Phase, SERVER};
use super::wire::Packet;
use crate::kernel::descriptor::{Kind, bits};
use crate::kernel::{Domain, Kernel};

/// The first retransmission of a SYN comes after so many nanoseconds; the next waits twice as long.
const SYN_TIMEOUT: u64 = 1_000_000_000;

impl Kernel {
    /// The client's end sends its SYN, at first and again.
    pub(crate) fn wire_connect(&mut self, id: FlowId) {
        let Some(f) = self.net.flows.get(id) else {
            return;
        };
        if f.remote {
            let retries = f.ends[CLIENT].wire.retries;
            self.wire_send(id, CLIENT, Packet::Syn);
            self.wire_timer(id, CLIENT, SYN_TIMEOUT << retries);
        } else {
            self.syn_arrives(id);
            if let Some(f) = self.net.flows.get(id)
                && f.ends[CLIENT].phase == Phase::SynSent
            {
                let retries = f.ends[CLIENT].wire.retries;
                self.wire_timer(id, CLIENT, SYN_TIMEOUT << retries);
            }
        }
    }

    pub(super) fn syn_arrives(&mut self, id: FlowId) {
        let Some(f) = self.net.flows.get(id) else {
            return;
        };
        let (client, server) = (&f.ends[CLIENT], &f.ends[SERVER]);
        let remote = f.remote;
        match server.phase {
            Phase::SynReceived => return self.wire_syn_ack(id),
            Phase::Open => return self.wire_ack(id, SERVER),
            Phase::Dead => return self.wire_reset(id, SERVER),
            Phase::Unborn | Phase::SynSent => {}
        }
        let oracle = &mut self.oracle;
        let listener = self
            .net
            .tcp
            .find(server.host, server.address, client.address, true, |n| {
                oracle.below(Domain::Network, n)
            });
        let Some((listener, l)) = listener.and_then(|id| match self.objects.get(id) {
            Some(Kind::Listener(l)) => Some((id, l)),
            _ => None,
        }) else {
            if remote {
                return self.wire_reset(id, SERVER);
            }
            return self.flow_reset(id, CLIENT);
        };
        if l.full() {
            // Linux drops the SYN; the client repeats it.
            return;
        }
        let (receive, send) = l.capacities();
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        f.ends[SERVER].receive_capacity = receive;
        f.ends[SERVER].send_capacity = send;
        f.ends[SERVER].owner = Owner::Listener(listener);
        if remote {
            f.ends[SERVER].phase = Phase::SynReceived;
            self.wire_syn_ack(id);
        } else {
            f.ends[SERVER].phase = Phase::Open;
            f.ends[CLIENT].phase = Phase::Open;
            f.ends[CLIENT].wire.stop();
            self.progress();
            self.listener_arrival(listener, id);
            self.flow_notify(id, CLIENT, bits::OUT);
        }
    }

    pub(super) fn wire_syn_ack(&mut self, id: FlowId) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let server = &mut f.ends[SERVER];
        let limit = server.receive_capacity as u64;
        server.wire.advertised = limit;
        let retries = server.wire.retries;
        self.wire_send(id, SERVER, Packet::SynAck { limit });
        self.wire_timer(id, SERVER, SYN_TIMEOUT << retries);
    }

    /// The handshake's last packet has arrived: the connection waits to be accepted. False if nobody listens any more.
    pub(super) fn wire_established(&mut self, id: FlowId) -> bool {
        let Some(f) = self.net.flows.get_mut(id) else {
            return false;
        };
        let server = &mut f.ends[SERVER];
        server.wire.stop();
        server.wire.retries = 0;
        if let Owner::Listener(listener) = server.owner {
            server.phase = Phase::Open;
            if self.listener_arrival(listener, id) {
                return true;
            }
        }
        if let Some(f) = self.net.flows.get_mut(id) {
            f.ends[SERVER].owner = Owner::Nobody;
            f.ends[SERVER].phase = Phase::Dead;
        }
        self.wire_reset(id, SERVER);
        false
    }

    pub(super) fn syn_ack_arrives(&mut self, id: FlowId, limit: u64) {
        let Some(f) = self.net.flows.get_mut(id) else {
            return;
        };
        let client = &mut f.ends[CLIENT];
        match client.phase {
            Phase::SynSent => {
                client.phase = Phase::Open;
                client.wire.limit = limit;
                client.wire.retries = 0;
                client.wire.stop();
                self.progress();
                self.keep_alive_start(id, CLIENT);
                self.wire_ack(id, CLIENT);
                self.flow_notify(id, CLIENT, bits::OUT);
                self.wire_push(id, CLIENT);
            }
            Phase::Open => self.wire_ack(id, CLIENT),
            Phase::Dead | Phase::Unborn | Phase::SynReceived => self.wire_reset(id, CLIENT),
        }
    }
}
