//! What the kernel's own unit tests share: a run with the simplest of oracles. Two tests never simulate at once.

use super::{Config, Domain, Oracle, Outcome, Pick, simulate};
use std::sync::{Mutex, PoisonError};

/// Always the first answer.
struct First;

impl Oracle for First {
    fn pick(&mut self, _: Pick<'_>) -> usize {
        0
    }

    fn below(&mut self, _: Domain, _: u64) -> u64 {
        0
    }

    fn fill(&mut self, _: Domain, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

/// Simulates `body`; a panic in it is the caller's.
pub(crate) fn run(config: Config, body: impl FnOnce() + Send + 'static) -> Outcome {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (tell, told) = std::sync::mpsc::channel();
    let guarded = move || {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        if let Err(panic) = caught {
            // Nobody receives for as long as the run lasts: the channel only carries it out.
            let _ = tell.send(panic);
        }
    };
    let outcome = simulate(config, Box::new(First), Box::new(guarded)).0;
    if let Ok(panic) = told.try_recv() {
        std::panic::resume_unwind(panic);
    }
    outcome
}
