//! Unix sockets.
use super::ObjectId;
use crate::kernel::Kernel;

#[derive(Debug)]
pub(crate) struct Unix;
impl Unix {
    pub(super) fn text(&self) -> String { String::new() }
    pub(super) fn readiness(&self) -> u32 { 0 }
}
impl Kernel {
    pub(super) fn unix_closed(&mut self, _: ObjectId, _: u16, _: Unix) {}
    pub(super) fn unix_readiness(&self, s: &Unix) -> u32 { s.readiness() }
}
