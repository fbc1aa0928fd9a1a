//! Udp sockets.
use super::ObjectId;
use crate::kernel::Kernel;

#[derive(Debug)]
pub(crate) struct Udp;
impl Udp {
    pub(super) fn text(&self) -> String { String::new() }
    pub(super) fn readiness(&self) -> u32 { 0 }
}
impl Kernel {
    pub(super) fn udp_closed(&mut self, _: ObjectId, _: u16, _: Udp) {}
    pub(super) fn udp_readiness(&self, s: &Udp) -> u32 { s.readiness() }
}
