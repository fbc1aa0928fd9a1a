//! Load as production sees it, in virtual time: when requests arrive, what they ask for, what became of them, and whether that
//! was good enough.
//!
//! Tests come in through [`Sim::traffic`](crate::Sim::traffic). `load` and `pieces` say when requests arrive, `trace` takes that from a file,
//! `keys` and `cx` say what a request is about, `retry` what a client does about an error, `drive`, `plan` and
//! `send` send them, `record` counts, `signs` samples, `recovery`, `growth` and `report` sum up, `threshold` judges. Every decision is drawn from the run's choices.
//! Calls `sim` and `kernel`; arithmetic that decides something uses only operations that IEEE 754 fixes to the last bit.

mod cx;
mod drive;
mod gauge;
mod growth;
mod keys;
mod load;
mod pieces;
mod plan;
mod rate;
mod record;
mod recovery;
mod report;
mod retry;
mod send;
mod signs;
mod table;
mod threshold;
mod told;
mod trace;

pub use cx::Cx;
pub use drive::Traffic;
pub use gauge::Reading;
pub use keys::Keys;
pub use load::{Load, Spike, Users};
pub use rate::{Rate, millis, per_minute, rps, secs};
pub use record::{Answer, Point};
pub use recovery::Recovery;
pub use report::{Operation, Report};
pub use retry::Retry;
pub use signs::Sample;
pub use threshold::{
    Broken, Comparison, ExpressionError, Limit, Metric, Threshold, Thresholds, Wanted,
};
pub use trace::{Trace, TraceError};

#[cfg(doctest)]
#[doc = include_str!("../../docs/traffic.md")]
struct Chapter;
