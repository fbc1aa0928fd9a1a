//! Multicast groups and broadcasts: one datagram for many sockets, on every host.

use super::NetEvent;
use crate::kernel::descriptor::ObjectId;
use crate::kernel::descriptor::udp::Datagram;
use crate::kernel::{Errno, Kernel, Result};
use std::net::IpAddr;

impl Kernel {
    /// A copy for every socket on every host that wants it: a joined group, or the broadcast address.
    pub(crate) fn udp_send_everyone(&mut self, host: u16, d: Datagram) {
        let multicast = d.to.ip().is_multicast();
        for there in 0..self.hosts.len() as u16 {
            for id in self.net.udp.all(there, d.to) {
                let Ok(u) = self.udp(id) else {
                    continue;
                };
                if multicast && !u.groups.contains(&d.to.ip()) {
                    continue;
                }
                let copy = Datagram {
                    data: d.data.clone(),
                    ..d
                };
                if there == host {
                    self.udp_deliver(id, copy);
                } else {
                    let size = copy.data.len();
                    let event = NetEvent::Copy {
                        to: id,
                        datagram: Box::new(copy),
                    };
                    self.send_alone(host, there, size, event);
                }
            }
        }
    }

    /// Joins a multicast group or leaves it.
    pub(crate) fn udp_group(&mut self, id: ObjectId, group: IpAddr, join: bool) -> Result<()> {
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        let groups = &mut self.udp(id)?.groups;
        match (groups.iter().position(|g| *g == group), join) {
            (Some(_), true) => Err(Errno::EADDRINUSE),
            (None, true) => {
                groups.push(group);
                Ok(())
            }
            (Some(at), false) => {
                groups.remove(at);
                Ok(())
            }
            (None, false) => Err(Errno::EADDRNOTAVAIL),
        }
    }
}
