//! Gauges: what a test wants to see sampled while traffic runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a gauge shows: a number (a queue's length), or a time (how old the oldest unprocessed message is).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// A number.
    Number(f64),
    /// A time.
    Time(Duration),
}

impl Reading {
    /// As a number; a time in nanoseconds.
    pub(super) fn value(self) -> f64 {
        match self {
            Reading::Number(number) => number,
            Reading::Time(time) => time.as_nanos() as f64,
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Number(number) => f.write_str(&super::table::figure(*number)),
            Reading::Time(time) => f.write_str(&super::table::time(time.as_nanos() as f64)),
        }
    }
}

macro_rules! numbers {
    ($($t:ty),*) => { $(impl From<$t> for Reading {
        fn from(number: $t) -> Reading {
            Reading::Number(number as f64)
        }
    })* };
}
numbers!(usize, u64, u32, u16, u8, isize, i64, i32, f64, f32);

impl From<Duration> for Reading {
    fn from(time: Duration) -> Reading {
        Reading::Time(time)
    }
}

pub(super) type Gauge = (Arc<str>, Arc<dyn Fn() -> Reading + Send + Sync>);

/// The gauges of the run.
#[derive(Default)]
pub(super) struct Gauges(Mutex<Vec<Gauge>>);

impl Gauges {
    /// Another gauge, in place of one of the same name.
    pub(super) fn set(&self, name: &str, read: Arc<dyn Fn() -> Reading + Send + Sync>) {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match gauges.iter_mut().find(|(known, _)| **known == *name) {
            Some(gauge) => gauge.1 = read,
            None => gauges.push((name.into(), read)),
        }
    }

    pub(super) fn all(&self) -> Vec<Gauge> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
