//! Numbers of a range, one of several, by weight or by chance: what tests draw in `draw` and requests in `traffic`, each made of numbers below a bound, which
//! the caller draws. The lowest answer is the plainest outcome, since shrinking makes answers smaller.

use crate::kernel::MILLION;
use std::ops::{Bound, RangeBounds};

/// A number of a range, each as likely as any other; the lowest is the plainest.
///
/// # Panics
/// If the range is empty.
pub(crate) fn number(range: impl RangeBounds<u64>, mut below: impl FnMut(u64) -> u64) -> u64 {
    let least = match range.start_bound() {
        Bound::Included(least) => Some(*least),
        Bound::Excluded(below) => below.checked_add(1),
        Bound::Unbounded => Some(0),
    };
    let most = match range.end_bound() {
        Bound::Included(most) => Some(*most),
        Bound::Excluded(above) => above.checked_sub(1),
        Bound::Unbounded => Some(u64::MAX),
    };
    match (least, most) {
        (Some(least), Some(most)) if least <= most => match (most - least).checked_add(1) {
            Some(n) => least + below(n),
            // All numbers there are.
            None => below(1 << 32) << 32 | below(1 << 32),
        },
        _ => panic!("a number is drawn from a range that holds one"),
    }
}

/// One of several, each as likely as any other; the first is the plainest.
///
/// # Panics
/// If there is none.
pub(crate) fn choose<T>(of: &[T], below: impl FnOnce(u64) -> u64) -> &T {
    assert!(!of.is_empty(), "a choice needs something to choose from");
    &of[below(of.len() as u64) as usize]
}

/// One of several, in proportion to their weights; the first is the plainest.
///
/// # Panics
/// If all weights are 0.
pub(crate) fn weighted<T>(of: &[(u32, T)], below: impl FnOnce(u64) -> u64) -> &T {
    let weights = of.iter().map(|(weight, _)| *weight);
    &of[by_weight(weights, below).expect("at least one weight is more than 0")].1
}

/// The place of one of several, in proportion to their weights; `None` if all weights are 0.
pub(crate) fn by_weight(
    weights: impl Iterator<Item = u32> + Clone,
    below: impl FnOnce(u64) -> u64,
) -> Option<usize> {
    let total: u64 = weights.clone().map(u64::from).sum();
    if total == 0 {
        return None;
    }
    let mut at = below(total);
    for (index, weight) in weights.enumerate() {
        match at.checked_sub(u64::from(weight)) {
            None => return Some(index),
            Some(rest) => at = rest,
        }
    }
    None
}

/// Whether something happens that does with this chance, 0 to 1, counted to a millionth. Plainest is that it does not.
///
/// # Panics
/// If the chance lies outside.
pub(crate) fn chance(chance: f64, below: impl FnOnce(u64) -> u64) -> bool {
    assert!(
        (0.0..=1.0).contains(&chance),
        "a chance is a number from 0 to 1, not {chance}"
    );
    let share = (chance * MILLION as f64).round() as u64;
    below(MILLION) >= MILLION - share
}
