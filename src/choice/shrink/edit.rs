//! What shrinking tries: edits of a run's departures, and what a run costs.

use super::super::guide::{Departure, Size};
use super::is_walk;
use crate::kernel::Domain;
use serde::{Deserialize, Serialize};

/// What a candidate leaves out of a list of departures, or changes in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Edit {
    /// These places are left out, given as ranges without their ends, ascending.
    Without(Vec<(u32, u32)>),
    /// These places alone are kept, ascending.
    Only(Vec<u32>),
    /// The departure at a place gets another answer.
    Answer(u32, u64),
    /// The drawn value that stays as it is at a place becomes one step simpler, and so many halves of the step are taken back.
    Walk(u32, u32),
}

impl Edit {
    /// The list after the edit.
    pub fn apply(&self, departures: &[Departure]) -> Vec<Departure> {
        match self {
            Edit::Without(ranges) => {
                let mut left = Vec::with_capacity(departures.len());
                let mut from = 0;
                for &(start, end) in ranges {
                    left.extend_from_slice(
                        departures.get(from..start as usize).unwrap_or_default(),
                    );
                    from = end as usize;
                }
                left.extend_from_slice(departures.get(from..).unwrap_or_default());
                left
            }
            Edit::Only(places) => {
                let at = |&place: &u32| departures.get(place as usize).copied();
                places.iter().filter_map(at).collect()
            }
            Edit::Answer(at, answer) => {
                let mut changed = departures.to_vec();
                if let Some(departure) = changed.get_mut(*at as usize) {
                    departure.answer = *answer;
                }
                changed
            }
            Edit::Walk(at, halves) => {
                let mut changed = departures.to_vec();
                let at = *at as usize;
                if let Some(stays) = departures.get(at) {
                    let later = |by| Departure {
                        nth: stays.nth + by,
                        ..*stays
                    };
                    let back = (1..=*halves).map(|by| Departure {
                        answer: 1,
                        ..later(by)
                    });
                    changed.splice(at..=at, back.chain([later(halves + 1)]));
                }
                changed
            }
        }
    }

    /// Leaves these places out, which ascend.
    pub(super) fn without(places: &[u32]) -> Self {
        let runs = places.chunk_by(|a, b| a + 1 == *b);
        Edit::Without(runs.map(|run| (run[0], run[run.len() - 1] + 1)).collect())
    }
}

/// A run that failed the same way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Run {
    /// Where it departed from the plainest course.
    pub departures: Vec<Departure>,
    /// How long it was.
    pub size: Size,
}

impl Run {
    /// How far from simple it is: each departure counts, and each switch, which a reader has to follow. A run without a fault
    /// may take a few switches more.
    pub fn cost(&self) -> u64 {
        cost(&self.departures, self.size.switches)
    }
}

/// The cost of a run with these departures and so many switches.
pub fn cost(departures: &[Departure], switches: u64) -> u64 {
    switches + departures.iter().map(weight).sum::<u64>()
}

/// What a departure adds to the cost of its run.
pub fn weight(departure: &Departure) -> u64 {
    match departure.domain {
        // Part of the way to a simpler value.
        Domain::User if is_walk(departure) && departure.answer == 1 => 0,
        Domain::Faults | Domain::Config => 12,
        Domain::Traffic | Domain::User | Domain::Network => 6,
        Domain::Schedule => 2,
        Domain::Time | Domain::Entropy => 1,
    }
}
