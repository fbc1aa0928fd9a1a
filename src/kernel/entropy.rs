//! Random bytes for the program: `getrandom`, `getentropy`, `arc4random`, `/dev/urandom` all end here.

use super::{Domain, Kernel};

impl Kernel {
    /// Fills `bytes` from the entropy stream.
    pub(crate) fn entropy(&mut self, bytes: &mut [u8]) {
        self.oracle.fill(Domain::Entropy, bytes);
        self.trace.fold_bytes(bytes);
    }
}
