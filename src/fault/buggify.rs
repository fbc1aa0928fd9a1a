//! The answers to `buggify!()`: which places are enabled in this run, and whether one fires now.

#![cfg_attr(
    not(squall_kernel),
    allow(dead_code, reason = "where there is no kernel, no macro asks")
)]

use super::quarter;
use crate::kernel::{self, Domain};
use crate::sim::scope;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The resolution of a rate.
const PARTS: u64 = 1_000_000;

/// The places that a run has come to.
#[derive(Default)]
struct Places {
    /// Whether each is enabled, by its address.
    enabled: BTreeMap<usize, bool>,
    /// None of them fires any more.
    off: bool,
}

#[derive(Default)]
struct Buggify(Mutex<Places>);

fn with<R>(f: impl FnOnce(&mut Places) -> R) -> R {
    let buggify = scope::of_run::<Buggify>();
    kernel::keep_turn(|| f(&mut buggify.0.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Whether the place fires now, with the chance `rate` of one visit in a run that has it enabled.
pub(crate) fn fires(site: &'static squall_points::Site, rate: Option<f64>) -> bool {
    if let Some(rate) = rate {
        assert!(
            (0.0..=1.0).contains(&rate),
            "buggify!({rate}) at {site}: the rate is a share of visits, 0 to 1"
        );
    }
    let place = std::ptr::from_ref(site).addr();
    // The questions are put with the list open, so that the answers belong to the place; they are no scheduling points.
    let fires = with(|places| {
        if places.off || !*places.enabled.entry(place).or_insert_with(quarter) {
            return false;
        }
        match rate {
            None => quarter(),
            // 0, the plainest answer, is "no" whatever the rate.
            Some(rate) => {
                let share = (rate * PARTS as f64) as u64;
                kernel::draw(Domain::Faults, PARTS).is_some_and(|drawn| drawn >= PARTS - share)
            }
        }
    });
    if fires {
        kernel::tell(|| format!("buggify fires at {site}"));
    }
    fires
}

/// Whether places may fire from now on.
pub(crate) fn allow(allowed: bool) {
    with(|places| places.off = !allowed);
}
