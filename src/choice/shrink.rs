//! Making a failing run simpler: which departures from the plainest course it can do without.
//!
//! Pure logic: `run` hands in a run's departures and [`Tries`], which says whether a candidate still fails the same way.
//! Each accepted candidate is told anew by the run that it led to, so the list never holds what did not happen. The order
//! follows the issue's: as short a beginning as fails, whole areas off, then their departures one group after the other, then
//! smaller numbers.

use serde::{Deserialize, Serialize};

use super::guide::{Departure, Question, Size};
use crate::kernel::{Domain, SEEDS, WALK, label_kind};

/// The most candidates that are accepted.
pub const ACCEPTED: u64 = 500;
/// Up to so many departures of an area, any two are tried together.
const PAIRED: usize = 24;
/// As many candidates with two, and with three departures of the first run are tried at most.
const FEW: usize = 2500;
/// How far a step of a drawn value's simplification is taken back at most, in halves.
const HALVES: u32 = 32;
/// A simpler value may cost so much more, for the switches that it leads to.
const SLACK: u64 = 8;
/// The most steps that one drawn value is simplified by at a time.
const STEPS: u64 = 1000;
/// Up to so many numbers are made smaller.
const LOWERED: usize = 64;

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
    fn without(places: &[u32]) -> Self {
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

/// Runs candidates.
pub trait Tries {
    /// Why candidates cannot be run.
    type Error;
    /// Runs the edits of `base` in order, until one fails the same way at a cost of at most `limit`: that one's place, and the
    /// run. `None` if none does, or the time is over.
    fn first(
        &mut self,
        base: &[Departure],
        edits: &[Edit],
        limit: u64,
    ) -> Result<Option<(usize, Run)>, Self::Error>;
    /// Whether there is no time left.
    fn over(&self) -> bool;
}

/// Areas, in the order in which they are made simpler.
const AREAS: [(Domain, Option<Question>); 10] = [
    (Domain::Faults, None),
    (Domain::Traffic, None),
    (Domain::Config, None),
    (Domain::Network, None),
    (Domain::Time, None),
    (Domain::Entropy, None),
    (Domain::Schedule, Some(Question::Number)),
    (Domain::Schedule, Some(Question::Task)),
    (Domain::Schedule, Some(Question::Switch)),
    (Domain::User, None),
];

/// Whether it says how a drawn value goes on that has a tree of simpler ones.
fn is_walk(departure: &Departure) -> bool {
    departure.question == Question::Planned && departure.of == WALK
}

/// The same, or which tree that is.
fn is_tree(departure: &Departure) -> bool {
    departure.question == Question::Planned && [WALK, SEEDS].contains(&departure.of)
}

fn belongs(departure: &Departure, area: (Domain, Option<Question>)) -> bool {
    departure.domain == area.0
        && area.1.is_none_or(|question| question == departure.question)
        && !is_walk(departure)
}

/// The simplest run that was found, and how many candidates were accepted on the way.
pub fn shrink<T: Tries>(run: Run, tries: &mut T) -> Result<(Run, u64), T::Error> {
    let mut work = Work {
        first: run.departures.clone(),
        best: run,
        tries,
        accepted: 0,
    };
    loop {
        let before = work.accepted;
        work.beginning()?;
        work.areas_off()?;
        work.planned(label_kind)?;
        work.planned(|label| label)?;
        for area in AREAS {
            work.groups(area)?;
        }
        for area in AREAS {
            work.pairs(area)?;
        }
        work.lower()?;
        work.walk()?;
        if work.accepted == before {
            work.few()?;
        }
        if work.accepted == before || work.over() {
            return Ok((work.best, work.accepted));
        }
    }
}

struct Work<'a, T> {
    /// The departures of the run that is made simpler.
    first: Vec<Departure>,
    best: Run,
    tries: &'a mut T,
    accepted: u64,
}

impl<T: Tries> Work<'_, T> {
    fn over(&self) -> bool {
        self.accepted >= ACCEPTED || self.tries.over()
    }

    /// Tries edits of the best run so far until one is simpler, and takes that one; its place.
    fn take(&mut self, edits: &[Edit]) -> Result<Option<usize>, T::Error> {
        let mut from = 0;
        while from < edits.len() && !self.over() {
            let (cost, sum) = (self.best.cost(), sum(&self.best));
            // Equal cost is of use only where a number got smaller.
            let lowers = matches!(edits[from], Edit::Answer(..));
            let limit = if lowers { cost } else { cost.saturating_sub(1) };
            let base = &self.best.departures;
            let Some((at, run)) = self.tries.first(base, &edits[from..], limit)? else {
                return Ok(None);
            };
            if (run.cost(), self::sum(&run)) < (cost, sum) {
                self.best = run;
                self.accepted += 1;
                return Ok(Some(from + at));
            }
            from += at + 1;
        }
        Ok(None)
    }

    /// Tries runs with one, two or three departures of the first run: what was left out one by one is simpler than its
    /// neighbours, and may be far from the simplest.
    fn few(&mut self) -> Result<(), T::Error> {
        let all = self.first.iter().enumerate();
        let places: Vec<u32> = all
            .filter(|(_, departure)| departure.domain != Domain::Time)
            .map(|(at, _)| at as u32)
            .collect();
        if places.len() > FEW.isqrt() * 2 {
            return Ok(());
        }
        for count in 1..=3 {
            let sets = combinations(&places, count);
            // Each departure has its cost, and what leads to the failure again is no news.
            if self.over() || sets.is_empty() || 2 * count as u64 >= self.best.cost() {
                return Ok(());
            }
            let edits: Vec<Edit> = sets.into_iter().map(Edit::Only).collect();
            let limit = self.best.cost().saturating_sub(1);
            if let Some((_, run)) = self.tries.first(&self.first, &edits, limit)? {
                self.best = run;
                self.accepted += 1;
                return Ok(());
            }
        }
        Ok(())
    }

    fn places(&self, belongs: impl Fn(&Departure) -> bool) -> Vec<u32> {
        let all = self.best.departures.iter().enumerate();
        all.filter(|(_, departure)| belongs(departure))
            .map(|(at, _)| at as u32)
            .collect()
    }

    /// Leaves out everything behind a point as early as possible.
    fn beginning(&mut self) -> Result<(), T::Error> {
        // The longest beginning that is known not to be enough.
        let mut short = None;
        loop {
            let len = self.best.departures.len() as u32;
            let from = short.map_or(0, |short: u32| short + 1);
            let mut lengths: Vec<u32> = Vec::new();
            let mut step = 1;
            let mut next = from;
            while next < len {
                lengths.push(next);
                next = from + step;
                step *= 2;
            }
            let edits: Vec<Edit> = lengths
                .iter()
                .map(|&keep| Edit::Without(vec![(keep, len)]))
                .collect();
            match self.take(&edits)? {
                None => return Ok(()),
                Some(0) => return Ok(()),
                Some(at) => short = Some(lengths[at - 1]),
            }
        }
    }

    /// Leaves out all departures of an area.
    fn areas_off(&mut self) -> Result<(), T::Error> {
        for area in AREAS {
            let places = self.places(|departure| belongs(departure, area));
            if !places.is_empty() {
                self.take(&[Edit::without(&places)])?;
            }
        }
        Ok(())
    }

    /// Leaves out what a plan of faults holds, or what the test drew, all questions of a label together, as far as `of` tells labels apart: whole kinds
    /// of faults, or single occurrences. Halves first, those that came last first.
    fn planned(&mut self, of: impl Fn(u32) -> u32) -> Result<(), T::Error> {
        let is_planned = |departure: &&Departure| departure.question == Question::Planned;
        let unit = |departure: &Departure| (departure.domain, of(departure.who));
        let units = |departures: &[Departure]| {
            let mut units: Vec<(Domain, u32)> = Vec::new();
            for departure in departures.iter().filter(is_planned) {
                if !units.contains(&unit(departure)) {
                    units.push(unit(departure));
                }
            }
            units
        };
        let mut group = units(&self.best.departures).len().div_ceil(2);
        while group > 0 {
            let mut needed = 0;
            loop {
                let all = units(&self.best.departures);
                let open = &all[..all.len().saturating_sub(needed)];
                let without = |chunk: &[(Domain, u32)]| {
                    let belongs = |departure: &Departure| {
                        is_planned(&departure) && chunk.contains(&unit(departure))
                    };
                    Edit::without(&self.places(belongs))
                };
                let edits: Vec<Edit> = open.rchunks(group).map(without).collect();
                match self.take(&edits)? {
                    None => break,
                    Some(at) => needed += at * group,
                }
            }
            group /= 2;
        }
        Ok(())
    }

    /// Leaves out groups of an area's departures, ever smaller ones, those that came last first.
    fn groups(&mut self, area: (Domain, Option<Question>)) -> Result<(), T::Error> {
        let mut group = self
            .places(|departure| belongs(departure, area))
            .len()
            .div_ceil(2);
        while group > 0 {
            // So many of the last ones have been found necessary.
            let mut needed = 0;
            loop {
                let places = self.places(|departure| belongs(departure, area));
                let open = &places[..places.len().saturating_sub(needed)];
                let edits: Vec<Edit> = open.rchunks(group).map(Edit::without).collect();
                match self.take(&edits)? {
                    None => break,
                    Some(at) => needed += at * group,
                }
            }
            group /= 2;
        }
        Ok(())
    }

    /// Leaves out any two of an area's last few departures: often one makes sense only with the other.
    fn pairs(&mut self, area: (Domain, Option<Question>)) -> Result<(), T::Error> {
        loop {
            let places = self.places(|departure| belongs(departure, area));
            if places.len() > PAIRED {
                return Ok(());
            }
            let mut edits = Vec::new();
            for (i, &second) in places.iter().enumerate().rev() {
                for &first in places[..i].iter().rev() {
                    edits.push(Edit::without(&[first, second]));
                }
            }
            if self.take(&edits)?.is_none() {
                return Ok(());
            }
        }
    }

    /// Has values simplify that were drawn from a strategy with a tree of simpler ones, as proptest's own runner goes about it: a step
    /// that still fails is kept, one that does not is taken back by halves.
    fn walk(&mut self) -> Result<(), T::Error> {
        let stays = |departure: &Departure| is_walk(departure) && departure.answer > 1;
        let key = |departure: &Departure| (departure.domain, departure.who);
        let drawn = self.best.departures.iter().filter(|d| stays(d)).map(key);
        for draw in drawn.collect::<Vec<_>>() {
            let find = |run: &Run| {
                let mine = |d: &Departure| stays(d) && key(d) == draw;
                run.departures.iter().position(mine)
            };
            let of_draw = |d: &Departure| is_walk(d) && key(d) == draw;
            let all = self.places(of_draw);
            if self.take(&[Edit::without(&all)])?.is_some() {
                continue;
            }
            let limit = self.best.cost() + SLACK;
            let mut walked = false;
            for _ in 0..STEPS {
                let Some(at) = find(&self.best).filter(|_| !self.over()) else {
                    break;
                };
                let nth = self.best.departures[at].nth;
                let edits: Vec<Edit> = (0..=HALVES).map(|n| Edit::Walk(at as u32, n)).collect();
                let first = self.tries.first(&self.best.departures, &edits, limit)?;
                // Where nothing simpler is left the value is not asked about any further.
                let Some((halves, run)) = first else { break };
                let on =
                    find(&run).is_some_and(|at| run.departures[at].nth == nth + 1 + halves as u32);
                if !on {
                    break;
                }
                self.best = run;
                walked = true;
            }
            self.accepted += u64::from(walked);
        }
        Ok(())
    }

    /// Makes numbers smaller.
    fn lower(&mut self) -> Result<(), T::Error> {
        loop {
            let number = |departure: &Departure| {
                departure.question != Question::Switch && !is_tree(departure)
            };
            let places = self.places(number);
            if places.len() > LOWERED {
                return Ok(());
            }
            let mut edits = Vec::new();
            for &at in &places {
                let now = self.best.departures[at as usize].answer;
                // The plainest answer of some questions is not 0, which is then a departure.
                let less = now.saturating_sub(1);
                let mut lower = vec![1, now / 4, now / 2, now - now / 4, now - now / 16, less];
                lower.retain(|&answer| answer > 0 && answer < now);
                lower.dedup();
                edits.extend(lower.into_iter().map(|answer| Edit::Answer(at, answer)));
            }
            if self.take(&edits)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// Every choice of `count` places, unless there are too many.
fn combinations(places: &[u32], count: usize) -> Vec<Vec<u32>> {
    let mut sets: Vec<Vec<u32>> = vec![Vec::new()];
    for _ in 0..count {
        let longer = |set: &Vec<u32>| {
            let set = set.clone();
            let last = set.last().copied();
            let next = places
                .iter()
                .filter(move |&&place| last.is_none_or(|last| place > last));
            next.map(move |&place| [set.as_slice(), &[place]].concat())
        };
        sets = sets.iter().flat_map(longer).take(FEW + 1).collect();
        if sets.len() > FEW {
            return Vec::new();
        }
    }
    sets
}

/// Of two runs of one cost that with the smaller numbers is simpler.
fn sum(run: &Run) -> u128 {
    let numbers = run
        .departures
        .iter()
        .filter(|departure| departure.question != Question::Switch);
    numbers.map(|departure| u128::from(departure.answer)).sum()
}

#[cfg(test)]
mod tests {
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
            let has =
                |occurrence| (0..4).all(|nth| departures.contains(&planned(3, occurrence, nth)));
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
        let fails = |departures: &[Departure]| {
            has(departures, 13) && has(departures, 1) == has(departures, 10)
        };
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
}
