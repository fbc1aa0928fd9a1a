//! What the detectors can find on madsim: what the harness itself tells of, such as queues that grow. Threads, polls and tasks are madsim's, which tells
//! nothing of them; `run` refuses tests that ask for more by name.

use super::engine::run;
use crate::kernel::{Detector, Detectors, Violation};

/// What the detectors of a run know.
#[derive(Default)]
pub(super) struct Detect {
    on: Detectors,
    /// What is allowed at present, once for each handle.
    allowed: Vec<Detector>,
    /// What is allowed for the rest of the run where its text holds this.
    allowed_at: Vec<(Detector, String)>,
    found: Vec<Violation>,
}

impl Detect {
    pub(super) fn new(on: Detectors) -> Detect {
        Detect {
            on,
            ..Detect::default()
        }
    }
}

/// Nobody can tell whether a poll blocks.
#[derive(Debug)]
pub struct RootPoll;

impl RootPoll {
    /// Does nothing.
    #[must_use]
    pub fn begin() -> RootPoll {
        RootPoll
    }
}

// It ends where it is dropped, as the kernel's does.
impl Drop for RootPoll {
    fn drop(&mut self) {}
}

/// Does nothing: what tasks there are is madsim's affair.
pub fn body_done() {}

/// Something that a detector is to judge when the body has returned. Does nothing outside a simulation.
pub fn found(detector: Detector, detail: String) {
    let Some(run) = run() else {
        return;
    };
    let at = run.now();
    let mut detect = run.detect.borrow_mut();
    let here = |(of, site): &(Detector, String)| *of == detector && detail.contains(site);
    let allowed = detect.allowed.contains(&detector) || detect.allowed_at.iter().any(here);
    if detect.on.contains(detector) && !allowed {
        detect.found.push(Violation {
            property: detector.headline().to_owned(),
            detail,
            at,
            // Where it is judged says nothing.
            backtrace: Some(String::new()),
            ..Violation::default()
        });
    }
}

/// The first of what was found; `None` outside a simulation.
pub fn judge() -> Option<Violation> {
    let run = run()?;
    let mut detect = run.detect.borrow_mut();
    (!detect.found.is_empty()).then(|| detect.found.remove(0))
}

/// The findings of a detector are allowed from now on, or no longer. Does nothing outside a simulation.
pub fn allow(detector: Detector, on: bool) {
    let Some(run) = run() else {
        return;
    };
    let mut detect = run.detect.borrow_mut();
    match detect.allowed.iter().position(|known| *known == detector) {
        _ if on => detect.allowed.push(detector),
        Some(at) => _ = detect.allowed.swap_remove(at),
        None => {}
    }
}

/// Findings that name this are allowed for the rest of the run. Does nothing outside a simulation.
pub fn allow_at(detector: Detector, site: &str) {
    if let Some(run) = run() {
        let allowed = (detector, site.to_owned());
        run.detect.borrow_mut().allowed_at.push(allowed);
    }
}
