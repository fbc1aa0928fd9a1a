//! The decisions of a run in the black box, where they outlive the process: the child takes them down, the coordinator reads them back.

use crate::choice::{Decision, Tape};
use crate::kernel::Domain;
use crate::kernel::abi::real::blackbox::BlackBox;

/// Takes decisions down in the black box, where they outlive the process.
pub(super) struct Recorder(pub(super) &'static BlackBox);

impl Tape for Recorder {
    fn push(&mut self, domain: Domain, decision: Decision) {
        let domain = domain as u64;
        self.0.decide(match decision {
            Decision::Below { n, value } => [domain, n, value],
            Decision::Pick { of, index, thread } => [
                domain | 1 << 8 | u64::from(thread) << 32,
                u64::from(of),
                u64::from(index),
            ],
            Decision::Fill { len } => [domain | 2 << 8, len, 0],
        });
    }
}

/// Reads back what [`Recorder`] took down, and how many more there were.
pub(crate) fn recorded(black_box: &BlackBox) -> (Vec<(Domain, Decision)>, u64) {
    let (words, count) = black_box.decisions();
    let decision = |[head, a, b]: [u64; 3]| {
        let domain = *Domain::ALL.get((head & 0xff) as usize)?;
        let decision = match head >> 8 & 0xff {
            0 => Decision::Below { n: a, value: b },
            1 => Decision::Pick {
                of: a as u32,
                index: b as u32,
                thread: (head >> 32) as u32,
            },
            _ => Decision::Fill { len: a },
        };
        Some((domain, decision))
    };
    let decisions: Vec<_> = words.filter_map(decision).collect();
    let more = count - decisions.len() as u64;
    (decisions, more)
}
