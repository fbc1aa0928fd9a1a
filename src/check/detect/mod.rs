//! The detectors as tests see them: what they may allow, and the last look when the body has returned. The facts are in
//! `kernel/detect/`, where they arise.
//!
//! `run` comes here for the futures of bodies, `sim` for those of hosts and for what a test allows.

use crate::kernel::{self, Detector, RootPoll};

/// The findings of a detector are allowed while it lives: see [`Sim::allow`](crate::Sim::allow).
#[must_use = "what is allowed is allowed until this is dropped"]
#[derive(Debug)]
pub struct Allowed(Detector);

impl Allowed {
    pub(crate) fn new(detector: Detector) -> Allowed {
        kernel::allow(detector, true);
        Allowed(detector)
    }
}

impl Drop for Allowed {
    fn drop(&mut self) {
        kernel::allow(self.0, false);
    }
}

/// A future that must not block its thread. In a box, for what is moved about leaves unused halves of futures behind, whose old
/// content a collection of the heap takes for references.
#[cfg_attr(
    squall_madsim,
    allow(dead_code, reason = "madsim's hosts are polled by madsim")
)]
pub(crate) fn unblocking<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| {
        let _polls = RootPoll::begin();
        future.as_mut().poll(cx)
    })
}

/// The body of a test.
pub(crate) fn body<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| {
        let polls = RootPoll::begin();
        let polled = future.as_mut().poll(cx);
        drop(polls);
        if polled.is_ready() {
            kernel::body_done();
        }
        polled
    })
}

/// The body has returned without an error, and its runtime is gone: ends the run if the detectors have found something.
pub(crate) fn finish() {
    if let Some(violation) = kernel::judge() {
        kernel::violate(violation);
    }
}
