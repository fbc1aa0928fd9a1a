//! The network between hosts.

use super::Kernel;

/// Something that arrives over the network.
#[derive(Debug)]
pub(crate) enum NetEvent {}

/// The network's state.
#[derive(Default)]
pub(crate) struct Net {}

impl Net {
    pub(crate) fn clear(&mut self) {}
}

impl Kernel {
    /// A network event is due.
    pub(crate) fn net_event(&mut self, event: NetEvent) {
        match event {}
    }
}
