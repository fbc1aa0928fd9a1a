//! The black box: what a child process leaves behind however it ends.
//!
//! A child maps it and writes; its coordinator maps it and reads, also while the child runs and after it was killed. All of
//! it is atomics, so writing costs no system call and needs no lock. One child writes at a time.

use crate::kernel::Output;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::atomic::{Ordering::Acquire, Ordering::Release};

use super::memory::{self, Shared};
use crate::choice::log::MAX_DECISIONS;

/// How much of the beginning and of the end of a seed's output is kept, each, in bytes.
pub(crate) const OUTPUT: usize = 64 * 1024;
/// The most frames of a crash's backtrace.
pub(crate) const FRAMES: usize = 128;

/// How far the handler of a fatal signal came.
pub(crate) mod crash_state {
    /// There was no such signal.
    pub(crate) const NONE: u32 = 0;
    /// It began, and did not finish.
    pub(crate) const BEGUN: u32 = 1;
    /// The record is whole.
    pub(crate) const WHOLE: u32 = 2;
}

/// Where a signal interrupted a child.
#[repr(C)]
pub(crate) struct Crash {
    pub(super) state: AtomicU32,
    pub(super) signal: AtomicU32,
    pub(super) address: AtomicU64,
    pub(super) instruction: AtomicU64,
    pub(super) overflow: AtomicU32,
    pub(super) depth: AtomicU32,
    pub(super) frames: [AtomicU64; FRAMES],
}

/// The black box itself.
#[repr(C)]
pub(crate) struct BlackBox {
    /// The child that runs; 0 while none does, or it has ended.
    pub(crate) pid: AtomicU32,
    /// The most simulated threads that were alive at once, over all runs.
    pub(crate) contexts: AtomicU32,
    /// How many runs have begun, over all children.
    pub(crate) runs: AtomicU64,
    /// The seed of the present run.
    pub(crate) seed: AtomicU64,
    /// How many seeds of the present job have passed.
    pub(crate) passed: AtomicU64,
    /// Virtual nanoseconds of those, in all.
    pub(crate) simulated: AtomicU64,
    /// Kernel entries of the present run.
    pub(crate) progress: AtomicU64,
    /// The digest of the last seed that passed, on its first run.
    pub(crate) digest: AtomicU64,
    /// Bytes in the report file that are whole.
    pub(crate) reported: AtomicU64,
    /// Decisions of the present run, where they are counted and not kept.
    pub(crate) asked: AtomicU64,
    /// Those of them that let another entity go on.
    pub(crate) switched: AtomicU64,
    /// 1 once the child is about to end by itself.
    pub(crate) done: AtomicU32,
    /// 1 while the child writes its report: the run is over, and a long one takes its time.
    pub(crate) telling: AtomicU32,
    /// The fatal or the watchdog's signal.
    pub(crate) crash: Crash,
    written: AtomicU64,
    head: [AtomicU8; OUTPUT],
    tail: [AtomicU8; OUTPUT],
    decisions: AtomicU64,
    tape: [[AtomicU64; 3]; MAX_DECISIONS],
}

// SAFETY: the structures consist of atomics alone.
unsafe impl Shared for BlackBox {}

/// What the handler of a fatal signal took down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CrashRecord {
    /// The signal.
    pub(crate) signal: i32,
    /// The address that could not be used, for a memory fault.
    pub(crate) address: u64,
    /// Where the program was.
    pub(crate) instruction: u64,
    /// Whether the fault was at the end of the stack.
    pub(crate) overflow: bool,
    /// Return addresses, innermost first, those of the handler included; empty if the handler did not come so far.
    pub(crate) frames: Vec<u64>,
}

impl BlackBox {
    /// Maps the black box in a file, for good.
    pub(crate) fn map(file: &impl AsFd) -> io::Result<&'static Self> {
        memory::map(file)
    }

    /// Before a child is forked for a job.
    pub(crate) fn begin_job(&self) {
        self.passed.store(0, Relaxed);
        self.simulated.store(0, Relaxed);
        self.reported.store(0, Relaxed);
        self.begin_child();
    }

    /// Before a child is forked.
    pub(crate) fn begin_child(&self) {
        self.progress.store(0, Relaxed);
        self.written.store(0, Relaxed);
        self.decisions.store(0, Relaxed);
        self.crash.state.store(crash_state::NONE, Relaxed);
        self.telling.store(0, Relaxed);
        self.done.store(0, Release);
    }

    /// Before a run.
    pub(crate) fn begin_run(&self, seed: u64) {
        self.seed.store(seed, Relaxed);
        self.written.store(0, Relaxed);
        self.runs.fetch_add(1, Release);
    }

    /// Takes down output.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let before = self.written.load(Relaxed);
        self.written.store(before + bytes.len() as u64, Relaxed);
        let before = before as usize;
        let to_head = bytes.len().min(OUTPUT.saturating_sub(before));
        for (slot, byte) in self.head.iter().skip(before).zip(&bytes[..to_head]) {
            slot.store(*byte, Relaxed);
        }
        let rest = &bytes[to_head..];
        // Of more than the ring holds, only the last bytes would stay.
        let skipped = rest.len().saturating_sub(OUTPUT);
        let start = before + to_head + skipped;
        for (i, byte) in rest[skipped..].iter().enumerate() {
            self.tail[(start + i) % OUTPUT].store(*byte, Relaxed);
        }
    }

    /// The output of the present run so far.
    pub(crate) fn output(&self) -> Output {
        let written = self.written.load(Acquire) as usize;
        let read = |slot: &AtomicU8| slot.load(Relaxed);
        let head = self.head[..written.min(OUTPUT)].iter().map(read).collect();
        let rest = written.saturating_sub(OUTPUT);
        let kept = rest.min(OUTPUT);
        let tail = (written - kept..written)
            .map(|i| read(&self.tail[i % OUTPUT]))
            .collect();
        Output {
            head,
            missing: (rest - kept) as u64,
            tail,
        }
    }

    /// Takes down a decision, in the words of whoever reads it back.
    pub(crate) fn decide(&self, words: [u64; 3]) {
        let at = self.decisions.load(Relaxed);
        if let Some(slot) = self.tape.get(at as usize) {
            for (slot, word) in slot.iter().zip(words) {
                slot.store(word, Relaxed);
            }
        }
        self.decisions.store(at + 1, Release);
    }

    /// Forgets the decisions.
    pub(crate) fn rewind(&self) {
        self.decisions.store(0, Relaxed);
        self.asked.store(0, Relaxed);
        self.switched.store(0, Relaxed);
    }

    /// The decisions that were kept, and how many there were in all.
    pub(crate) fn decisions(&self) -> (impl Iterator<Item = [u64; 3]>, u64) {
        let count = self.decisions.load(Acquire);
        let kept = &self.tape[..(count as usize).min(MAX_DECISIONS)];
        (
            kept.iter()
                .map(|words| words.each_ref().map(|word| word.load(Relaxed))),
            count,
        )
    }

    /// What the handler of a fatal signal left, if one came.
    pub(crate) fn crash(&self) -> Option<CrashRecord> {
        let crash = &self.crash;
        let state = crash.state.load(Acquire);
        if state == crash_state::NONE {
            return None;
        }
        let whole = state == crash_state::WHOLE;
        let depth = if whole {
            crash.depth.load(Relaxed) as usize
        } else {
            0
        };
        Some(CrashRecord {
            signal: crash.signal.load(Relaxed) as i32,
            address: crash.address.load(Relaxed),
            instruction: crash.instruction.load(Relaxed),
            overflow: crash.overflow.load(Relaxed) != 0,
            frames: crash.frames[..depth.min(FRAMES)]
                .iter()
                .map(|frame| frame.load(Relaxed))
                .collect(),
        })
    }

    /// Whether the handler has finished its record.
    pub(crate) fn crash_is_whole(&self) -> bool {
        self.crash.state.load(Acquire) == crash_state::WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> &'static BlackBox {
        BlackBox::map(&memory::file(c"squall-test").unwrap()).unwrap()
    }

    #[test]
    fn output_keeps_its_beginning_and_its_end() {
        let black_box = fresh();
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i / 7) as u8).collect();
        // Chunks around the sizes at which the pieces meet.
        for chunk in [1000, OUTPUT - 1, OUTPUT, OUTPUT + 1, 200_000, 300_000] {
            black_box.begin_run(1);
            for piece in bytes.chunks(chunk) {
                black_box.write(piece);
            }
            let output = black_box.output();
            assert_eq!(output.head, bytes[..OUTPUT]);
            assert_eq!(output.tail, bytes[bytes.len() - OUTPUT..]);
            assert_eq!(output.missing as usize, bytes.len() - 2 * OUTPUT);
        }
        black_box.begin_run(2);
        black_box.write(b"short");
        let output = black_box.output();
        assert_eq!(
            (output.head.as_slice(), output.missing, output.tail.len()),
            (&b"short"[..], 0, 0)
        );
    }

    #[test]
    fn decisions_beyond_the_tape_are_counted() {
        let black_box = fresh();
        for i in 0..MAX_DECISIONS as u64 + 3 {
            black_box.decide([i, 1, 2]);
        }
        let (mut kept, count) = black_box.decisions();
        assert_eq!(kept.nth(5), Some([5, 1, 2]));
        assert_eq!(count, MAX_DECISIONS as u64 + 3);
    }
}
