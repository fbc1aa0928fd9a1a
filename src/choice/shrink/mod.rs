//! Making a failing run simpler: which departures from the plainest course it can do without.
//!
//! Pure logic: `run` hands in a run's departures and [`Tries`], which says whether a candidate still fails the same way.
//! Each accepted candidate is told anew by the run that it led to, so the list never holds what did not happen. The order
//! follows the issue's: as short a beginning as fails, whole areas off, then their departures one group after the other, then
//! smaller numbers.

mod edit;
#[cfg(test)]
mod tests;

use super::guide::{Departure, Question};
use crate::kernel::{Domain, SEEDS, WALK, label_kind};

pub use edit::{Edit, Run, cost, weight};

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
