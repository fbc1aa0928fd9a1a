//! What happened: the digest over all events, and, when wanted, their text.
//!
//! The digest is what makes two runs comparable: each scheduling decision, each call's result and each payload is folded
//! into 64 bits. The texts are recorded only when a run is explained or audited.

use super::outcome::Event;

/// The running digest and the optional record.
pub(crate) struct Trace {
    digest: u64,
    record: Option<Vec<Event>>,
    wanted: Option<u64>,
    backtrace: Option<String>,
    remarks: Vec<String>,
}

const START: u64 = 0x9e37_79b9_7f4a_7c15;
const FOLD: u64 = 0xa076_1d64_78bd_642f;

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace {
            digest: START,
            record: None,
            wanted: None,
            backtrace: None,
            remarks: Vec::new(),
        }
    }

    /// Starts a run: `record` keeps texts, `wanted` is the index of the event whose backtrace is asked for.
    pub(crate) fn reset(&mut self, record: bool, wanted: Option<u64>) {
        self.digest = START;
        self.record = (record || wanted.is_some()).then(Vec::new);
        self.wanted = wanted;
        self.backtrace = None;
        self.remarks.clear();
    }

    /// Folds a number into the digest.
    #[inline]
    pub(crate) fn fold(&mut self, x: u64) {
        let wide = u128::from(self.digest ^ x) * u128::from(FOLD);
        self.digest = (wide as u64) ^ ((wide >> 64) as u64).rotate_left(23) ^ START;
    }

    /// Folds bytes (a payload) into the digest.
    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for w in words {
            self.fold(u64::from_le_bytes(*w));
        }
        let mut last = [0u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.fold(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    /// Whether texts are wanted; callers then build one and [`push`](Trace::push) it.
    #[inline]
    pub(crate) fn recording(&self) -> bool {
        self.record.is_some()
    }

    /// Records an event. The text must not contain anything that differs between equal runs, addresses above all.
    #[cold]
    pub(crate) fn push(&mut self, at: u64, thread: u32, what: String) {
        let digest = self.digest;
        if let Some(record) = &mut self.record {
            if self.wanted == Some(record.len() as u64) {
                self.backtrace = Some(std::backtrace::Backtrace::force_capture().to_string());
            }
            record.push(Event {
                at,
                thread,
                what,
                digest,
            });
        }
    }

    /// Keeps what a report should say about the run as a whole, once. Does nothing unless texts are wanted.
    pub(crate) fn remark(&mut self, text: &str) {
        if self.recording() && !self.remarks.iter().any(|known| known == text) {
            self.remarks.push(text.to_owned());
        }
    }

    /// What was remarked on.
    pub(crate) fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// The digest of everything so far.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The record and the backtrace that was asked for.
    pub(crate) fn take(&mut self) -> (Option<Vec<Event>>, Option<String>) {
        (self.record.take(), self.backtrace.take())
    }
}
