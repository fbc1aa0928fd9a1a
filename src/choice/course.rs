//! What a program asked in a run, in a few hundred marks: how a replay notices that the program has changed.
//!
//! A guide answers every question, whether or not it is the one that was asked when the guide was taken. So the guide
//! carries marks of what was asked: one for each question of a short run, one for every so many of a longer one.

use std::fmt::Write;

use super::Decision;
use crate::kernel::Domain;

/// The most marks; a run of up to so many decisions has one for each.
const MARKS: u64 = 256;

/// Marks of what was asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Course {
    /// How many decisions the run took, those behind the last mark too.
    pub(super) total: u64,
    /// How many decisions lie between two marks; 0 where there are none.
    pub(super) every: u64,
    pub(super) marks: Vec<u16>,
}

impl Course {
    /// The course of a run with these decisions, in order; `omitted` more followed.
    pub fn of(decisions: &[(Domain, Decision)], omitted: u64) -> Self {
        let every = (decisions.len() as u64).div_ceil(MARKS).max(1);
        let mut follower = Follower::default();
        let mut marks = Vec::new();
        for (i, (domain, decision)) in decisions.iter().enumerate() {
            follower.add(*domain, *decision);
            if (i as u64 + 1).is_multiple_of(every) {
                marks.push(follower.mark());
            }
        }
        Course {
            total: decisions.len() as u64 + omitted,
            every,
            marks,
        }
    }

    pub(super) fn text(&self, width: usize) -> String {
        let mut out = String::new();
        for line in self.marks.chunks(width / 5) {
            let words: Vec<String> = line.iter().map(|mark| format!("{mark:04x}")).collect();
            let _ = writeln!(out, "{}", words.join(" "));
        }
        out
    }
}

/// Follows a run along a course.
#[derive(Debug, Default)]
pub(super) struct Follower {
    hash: u64,
    asked: u64,
    /// Between which decisions the program left the course, the first of them being the last on which they agree, and
    /// what it asked there.
    left: Option<(u64, u64, String)>,
}

impl Follower {
    fn add(&mut self, domain: Domain, decision: Decision) {
        let (kind, of) = match decision {
            Decision::Pick { of, .. } => (0, u64::from(of)),
            Decision::Below { n, .. } => (1, n),
            Decision::Fill { len } => (2, len),
        };
        let word = of ^ (domain as u64) << 56 ^ kind << 60;
        self.hash = (self.hash ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
        self.asked += 1;
    }

    fn mark(&self) -> u16 {
        (self.hash ^ self.hash >> 32) as u16 ^ (self.hash >> 16) as u16
    }

    /// One decision more.
    pub(super) fn follow(&mut self, course: &Course, domain: Domain, decision: Decision) {
        self.add(domain, decision);
        if course.every == 0 || self.left.is_some() || !self.asked.is_multiple_of(course.every) {
            return;
        }
        let at = self.asked / course.every - 1;
        let same = match course.marks.get(at as usize) {
            Some(mark) => *mark == self.mark(),
            // Behind the marks only the number of decisions tells.
            None => self.asked <= course.total,
        };
        if !same {
            let asked = match decision {
                Decision::Pick { of, .. } => format!("one of {of} threads"),
                Decision::Below { n, .. } => format!("a number below {n}"),
                Decision::Fill { len } => format!("{len} bytes"),
            };
            self.left = Some((at * course.every, self.asked, asked));
        }
    }

    /// Where the run, which is over, left the course: between which decisions, and what it asked there.
    pub(super) fn left(&self, course: &Course) -> Option<(u64, u64, String)> {
        let early = || {
            let short = course.every > 0 && self.asked < course.total;
            short.then(|| (self.asked, self.asked + 1, "nothing more".to_owned()))
        };
        self.left.clone().or_else(early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(count: u64, edit: u64) -> Vec<(Domain, Decision)> {
        let bound = |i| 2 + i % 7 + u64::from(i == edit);
        let below = |i| Decision::Below {
            n: bound(i),
            value: 0,
        };
        (0..count).map(|i| (Domain::Time, below(i))).collect()
    }

    fn follow(course: &Course, run: &[(Domain, Decision)]) -> Option<(u64, u64, String)> {
        let mut follower = Follower::default();
        for (domain, decision) in run {
            follower.follow(course, *domain, *decision);
        }
        follower.left(course)
    }

    #[test]
    fn the_same_course_is_not_left() {
        for count in [0, 1, 255, 256, 257, 5000] {
            let run = decisions(count, u64::MAX);
            assert_eq!(follow(&Course::of(&run, 0), &run), None, "{count}");
        }
    }

    #[test]
    fn a_short_run_says_exactly_where_it_left_and_a_long_one_nearly() {
        let course = Course::of(&decisions(100, u64::MAX), 0);
        let left = follow(&course, &decisions(100, 41)).unwrap();
        assert_eq!((left.0, left.1), (41, 42));
        assert_eq!(left.2, "a number below 9");
        let course = Course::of(&decisions(2560, u64::MAX), 0);
        let left = follow(&course, &decisions(2560, 41)).unwrap();
        assert_eq!((left.0, left.1), (40, 50));
    }

    #[test]
    fn a_run_that_ends_early_or_goes_on_has_left() {
        let course = Course::of(&decisions(100, u64::MAX), 0);
        let left = follow(&course, &decisions(60, u64::MAX)).unwrap();
        assert_eq!((left.0, left.1, &*left.2), (60, 61, "nothing more"));
        let left = follow(&course, &decisions(110, u64::MAX)).unwrap();
        assert_eq!((left.0, left.1), (100, 101));
    }
}
