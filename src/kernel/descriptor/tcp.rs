//! Tcp sockets.
use super::ObjectId;
use crate::kernel::Kernel;

pub(crate) struct Tcp;
impl Tcp {
    pub(super) fn text(&self) -> String { String::new() }
    pub(super) fn readiness(&self) -> u32 { 0 }
}
impl Kernel {
    pub(super) fn tcp_closed(&mut self, _: ObjectId, _: Tcp) {}
    pub(super) fn tcp_readiness(&self, s: &Tcp) -> u32 { s.readiness() }
}
pub(crate) struct Listener;
impl Listener {
    pub(super) fn text(&self) -> String { String::new() }
    pub(super) fn readiness(&self) -> u32 { 0 }
}
impl Kernel {
    pub(super) fn listener_closed(&mut self, _: ObjectId, _: Listener) {}
}

impl Kernel {
    pub(crate) fn socket_recv(&mut self, _: ObjectId, _: &mut [u8], _: bool) -> crate::kernel::Result<usize> { Err(crate::kernel::Errno::ENOTSOCK) }
    pub(crate) fn socket_send(&mut self, _: ObjectId, _: &[u8]) -> crate::kernel::Result<usize> { Err(crate::kernel::Errno::ENOTSOCK) }
    pub(crate) fn socket_waiting(&self, _: ObjectId) -> crate::kernel::Result<usize> { Err(crate::kernel::Errno::ENOTSOCK) }
    pub(crate) fn socket_timeouts(&self, _: ObjectId) -> (Option<u64>, Option<u64>) { (None, None) }
}
