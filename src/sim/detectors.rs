//! What a test allows of that which squall looks for in every run.

use super::Sim;
use crate::check::Allowed;
use crate::kernel::{self, Detector};

impl Sim {
    /// What a detector finds is allowed until the handle is dropped. The attribute's `allow` does it for a whole test.
    ///
    /// ```
    /// # fn main() {
    /// use std::time::Duration;
    /// let held = squall::Builder::new().seeds(20).run(|sim: squall::Sim| async move {
    ///     let _allowed = sim.allow(squall::Detector::BlockingCall);
    ///     std::thread::sleep(Duration::from_millis(5)); // nothing else runs yet
    /// });
    /// assert!(held.is_ok());
    /// # }
    /// ```
    pub fn allow(&self, detector: Detector) -> Allowed {
        Allowed::new(detector)
    }

    /// What a detector finds is allowed for the rest of the run where its text holds `site`: that is the backtrace of a poll that
    /// blocks, the place that spawned a task, the place of a panic, or what a descriptor is.
    ///
    /// ```no_run
    /// # fn example(sim: squall::Sim) {
    /// sim.allow_at(squall::Detector::BlockingCall, "shop::config::load");
    /// # }
    /// ```
    pub fn allow_at(&self, detector: Detector, site: &str) {
        kernel::allow_at(detector, site);
    }
}
