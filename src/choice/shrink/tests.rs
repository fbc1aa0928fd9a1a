//! Planted programs, and what shrinking leaves of their runs.

use super::super::guide::Size;
use super::*;

fn number(domain: Domain, nth: u32, answer: u64) -> Departure {
    Departure {
        domain,
        question: Question::Number,
        who: 0,
        nth,
        of: 1 << 20,
        answer,
    }
}

/// A program that fails if its departures say so.
struct Synthetic<F> {
    fails: F,
    ran: u64,
    may_run: u64,
}

impl<F: Fn(&[Departure]) -> bool> Tries for Synthetic<F> {
    type Error = ();

    fn first(
        &mut self,
        base: &[Departure],
        edits: &[Edit],
        limit: u64,
    ) -> Result<Option<(usize, Run)>, ()> {
        for (at, edit) in edits.iter().enumerate() {
            if self.over() {
                return Ok(None);
            }
            self.ran += 1;
            let departures = edit.apply(base);
            if (self.fails)(&departures) && cost(&departures, 0) <= limit {
                let size = Size::default();
                return Ok(Some((at, Run { departures, size })));
            }
        }
        Ok(None)
    }

    fn over(&self) -> bool {
        self.ran >= self.may_run
    }
}

fn run_of(departures: Vec<Departure>) -> Run {
    Run {
        departures,
        size: Size::default(),
    }
}

fn shrunk(
    start: Vec<Departure>,
    fails: impl Fn(&[Departure]) -> bool,
) -> (Vec<Departure>, u64, u64) {
    assert!(fails(&start));
    let mut tries = Synthetic {
        fails,
        ran: 0,
        may_run: 100_000,
    };
    let (run, accepted) = shrink(run_of(start), &mut tries).unwrap();
    (run.departures, accepted, tries.ran)
}

#[test]
fn kinds_of_planned_faults_go_before_occurrences() {
    let planned = |kind: u32, occurrence: u32, nth: u32| Departure {
        question: Question::Planned,
        who: kind << crate::kernel::OCCURRENCE_BITS | occurrence,
        ..number(Domain::Faults, nth, 9)
    };
    let all = (1..6).flat_map(|kind| {
        (0..8).flat_map(move |occurrence| (0..4).map(move |nth| planned(kind, occurrence, nth)))
    });
    // It needs the fifth occurrence of the third kind, whole, and the kind to be active.
    let needs = |departures: &[Departure]| {
        let has = |occurrence| (0..4).all(|nth| departures.contains(&planned(3, occurrence, nth)));
        has(0) && has(5)
    };
    let (left, _, ran) = shrunk(all.collect(), needs);
    assert_eq!(left.len(), 8);
    assert!(ran < 300, "{ran} runs");
}

fn noise(count: u32) -> Vec<Departure> {
    let of = |nth| {
        let domain = [Domain::Time, Domain::Schedule, Domain::Network][nth as usize % 3];
        number(domain, nth, 1000 + u64::from(nth))
    };
    (0..count).map(of).collect()
}

fn has(departures: &[Departure], nth: u32) -> bool {
    departures.iter().any(|departure| departure.nth == nth)
}

#[test]
fn what_is_not_needed_goes_and_what_is_needed_stays() {
    let needed = [7, 400, 401, 1333];
    let fails = |departures: &[Departure]| needed.iter().all(|&nth| has(departures, nth));
    let (left, _, ran) = shrunk(noise(2000), fails);
    let left: Vec<u32> = left.iter().map(|departure| departure.nth).collect();
    assert_eq!(left, needed);
    assert!(ran < 1000, "{ran} runs");
}

#[test]
fn a_bug_that_needs_nothing_shrinks_to_nothing_at_once() {
    let (left, accepted, ran) = shrunk(noise(2000), |_| true);
    assert_eq!((left.len(), accepted), (0, 1));
    assert!(ran < 5, "{ran} runs");
}

#[test]
fn two_that_need_each_other_go_together() {
    // Either both or neither, and one more that the bug is in.
    let fails =
        |departures: &[Departure]| has(departures, 13) && has(departures, 1) == has(departures, 10);
    let (left, ..) = shrunk(noise(20), fails);
    assert_eq!(left.len(), 1);
}

#[test]
fn numbers_get_as_small_as_the_bug_allows() {
    let fails =
        |departures: &[Departure]| departures.iter().any(|departure| departure.answer >= 77);
    let (left, ..) = shrunk(noise(50), fails);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].answer, 77);
    // The cheapest area keeps its departure.
    assert_eq!(left[0].domain, Domain::Time);
}

#[test]
fn a_run_that_nothing_simpler_shows_is_left_as_it_is() {
    let start = noise(30);
    let (left, accepted, _) = shrunk(start.clone(), |departures| departures == noise(30));
    assert_eq!((left, accepted), (start, 0));
}

#[test]
fn it_ends_with_its_time_and_keeps_what_it_has() {
    let mut tries = Synthetic {
        fails: |departures: &[Departure]| has(departures, 900),
        ran: 0,
        may_run: 20,
    };
    let (run, _) = shrink(run_of(noise(1000)), &mut tries).unwrap();
    assert!(has(&run.departures, 900) && run.departures.len() < 1000);
    assert_eq!(tries.ran, 20);
}

#[test]
fn a_simple_run_far_from_the_first_is_found() {
    // All of the first run, or two of its departures without any other.
    let start = noise(30);
    let fails = |departures: &[Departure]| {
        let two = departures.len() == 2 && has(departures, 4) && has(departures, 20);
        two || departures.len() == 30
    };
    let (left, accepted, _) = shrunk(start, fails);
    assert_eq!((left.len(), accepted > 0), (2, true));
    assert_eq!(combinations(&[1, 2, 3], 2), [[1, 2], [1, 3], [2, 3]]);
    assert!(combinations(&(0..100).collect::<Vec<_>>(), 2).is_empty());
}

#[test]
fn edits_leave_out_what_they_name() {
    let base = noise(6);
    let nths = |edit: Edit| edit.apply(&base).iter().map(|d| d.nth).collect::<Vec<_>>();
    assert_eq!(nths(Edit::without(&[0, 2, 3, 5])), [1, 4]);
    assert_eq!(nths(Edit::Without(vec![(4, 6)])), [0, 1, 2, 3]);
    assert_eq!(nths(Edit::Only(vec![1, 4])), [1, 4]);
    assert_eq!(Edit::Answer(2, 5).apply(&base)[2].answer, 5);
    // A base that is shorter than the edit thinks loses nothing else.
    assert_eq!(nths(Edit::Without(vec![(5, 9)])), [0, 1, 2, 3, 4]);
}
