//! A run told by where it departs from the plainest course, and following such a telling.
//!
//! The plainest answer to every question is fixed: an entity that can go on does, else whoever has waited longest; a
//! runtime polls the task that has waited longest; a number is 0. A [`Guide`] lists the other answers. A simple run has a
//! short list whatever its length, and taking one entry out leaves all others where they are: each is known by the entity
//! that ran when the question came, and by how many questions of that kind had come while it ran. That is what
//! `choice::shrink` edits. `Lens` tells a run so, or answers from a guide; [`super::Choices`] asks it.

use serde::{Deserialize, Serialize};

use super::{Course, Decision};
use crate::kernel::{Domain, Pick};

/// After so many questions in a row at which an entity went on, the plainest answer is that another does: it spins.
const PATIENCE: u32 = 1000;
/// The same for questions at which it offered to let others go first, where it stays at the others.
const OFFERS: u32 = 16;

/// From here on answers stand for places in a queue of tasks.
pub const PLACE: u64 = 1 << 32;

/// What was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Question {
    /// Which entity goes on; the answer is its number.
    Switch = 0,
    /// Which of a runtime's tasks is polled; the answer is its number, or [`PLACE`] and more for its place among those that
    /// are ready, where its number is not known.
    Task = 1,
    /// A number below a bound.
    Number = 2,
    /// The same, of a plan of faults: it is known by its label instead of by who ran.
    Planned = 3,
}

impl Question {
    /// Every kind of question, in the order of their numbers.
    pub const ALL: [Question; 4] = [
        Question::Switch,
        Question::Task,
        Question::Number,
        Question::Planned,
    ];
}

/// What the plainest answer is when an entity offers to let others go first. Bugs between yields are told with fewer departures
/// where it goes, all others where it stays, for a switch that nobody needs is one more to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Offer {
    /// Whoever has waited longest goes on.
    #[default]
    Taken,
    /// It goes on, unless it has offered often.
    Left,
}

/// An answer that is not the plainest one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Departure {
    /// The area of the question.
    pub domain: Domain,
    /// Its kind.
    pub question: Question,
    /// The entity that ran when it came, as far as the questions before tell; of a planned fault's question the label.
    pub who: u32,
    /// How many questions of this domain and kind had come before while that entity ran.
    pub nth: u32,
    /// How many answers there were.
    pub of: u64,
    /// The answer.
    pub answer: u64,
}

impl Departure {
    /// Which list of a plan it belongs to.
    fn list(&self) -> List {
        (self.domain, self.question, self.who)
    }
}

/// How long a run was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Decisions, all domains counted.
    pub decisions: u64,
    /// Those of them that let another entity go on than the one that ran.
    pub switches: u64,
}

/// A run told by its departures.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Guide {
    /// What departures depart from.
    pub offer: Offer,
    /// In the order in which they came.
    pub departures: Vec<Departure>,
    /// What the program asked, to notice when it asks otherwise.
    pub course: Course,
    /// The run that was shrunk.
    pub before: Size,
    /// What it was shrunk to.
    pub after: Size,
}

type List = (Domain, Question, u32);

/// The answers of one list that are to come.
#[derive(Debug, Default)]
struct Answers {
    /// `(nth, answer)`, the last one first.
    left: Vec<(u32, u64)>,
    /// Questions so far.
    asked: u32,
}

/// Sees a run as a list of departures, and answers from such a list where there is one.
#[derive(Debug)]
pub(super) struct Lens {
    /// Sorted by what they belong to.
    lists: Vec<(List, Answers)>,
    /// The list that was asked last of each domain, since the next question is likely to be for the same.
    recent: [usize; Domain::ALL.len()],
    /// Whether there is a guide to answer from.
    follows: bool,
    /// How often an entity stays in spite of its offer.
    offers: u32,
    /// The entity that runs, as far as the questions tell.
    running: u32,
    /// Questions in a row at which it went on.
    stayed: u32,
    /// And of those, at which it offered to let others go first.
    yielded: u32,
    /// The plainest answer to the present question, an index where entities are picked.
    plain: u64,
    /// Where the present question stands.
    at: (List, u32),
}

impl Lens {
    /// Tells a run that takes its answers from elsewhere.
    pub(super) fn telling(offer: Offer) -> Self {
        Lens {
            offers: match offer {
                Offer::Taken => 0,
                Offer::Left => OFFERS,
            },
            lists: Vec::new(),
            recent: [0; Domain::ALL.len()],
            follows: false,
            running: 0,
            stayed: 0,
            yielded: 0,
            plain: 0,
            at: ((Domain::Schedule, Question::Switch, 0), 0),
        }
    }

    /// Answers from these departures.
    pub(super) fn following(offer: Offer, departures: &[Departure]) -> Self {
        let mut lens = Lens {
            follows: true,
            ..Lens::telling(offer)
        };
        for departure in departures.iter().rev() {
            let answers = lens.answers(departure.list());
            answers.left.push((departure.nth, departure.answer));
        }
        for (_, answers) in &mut lens.lists {
            // A list that a person edited may be out of order.
            answers.left.sort_by_key(|&(nth, _)| std::cmp::Reverse(nth));
        }
        lens
    }

    /// Whether it answers.
    pub(super) fn follows(&self) -> bool {
        self.follows
    }

    fn answers(&mut self, list: List) -> &mut Answers {
        let recent = self.recent[list.0 as usize];
        let at = match self.lists.get(recent) {
            Some((known, _)) if *known == list => recent,
            _ => match self.lists.binary_search_by_key(&list, |(known, _)| *known) {
                Ok(at) => at,
                Err(at) => {
                    self.lists.insert(at, (list, Answers::default()));
                    at
                }
            },
        };
        self.recent[list.0 as usize] = at;
        &mut self.lists[at].1
    }

    /// One question more; the answer that the guide has for it.
    fn next(&mut self, domain: Domain, question: Question) -> Option<u64> {
        self.next_of((domain, question, self.running))
    }

    fn next_of(&mut self, list: List) -> Option<u64> {
        let answers = self.answers(list);
        let nth = answers.asked;
        answers.asked += 1;
        // Those that were passed over stood for questions that did not come.
        while answers.left.last().is_some_and(|&(at, _)| at < nth) {
            answers.left.pop();
        }
        let due = answers.left.pop_if(|&mut (at, _)| at == nth);
        self.at = (list, nth);
        due.map(|(_, answer)| answer)
    }

    /// The entity that is to go on, as an index.
    pub(super) fn pick(&mut self, pick: Pick<'_>) -> usize {
        if let Some(at) = pick.current {
            self.ran(pick.runnable[at]);
        }
        self.yielded += u32::from(pick.yielded);
        let plain = self.usual(pick);
        self.plain = plain as u64;
        let due = self.next(Domain::Schedule, Question::Switch);
        let wanted = due.and_then(|entity| {
            let found = |&one: &u32| u64::from(one) == entity;
            pick.runnable.iter().position(found)
        });
        wanted.unwrap_or(plain)
    }

    fn usual(&self, pick: Pick<'_>) -> usize {
        match pick.current {
            // Whoever offered has gone to the end of the line.
            Some(_) if pick.yielded && self.yielded > self.offers => 0,
            Some(at) if self.stayed < PATIENCE => at,
            Some(at) => {
                // By turns, so that several that spin do not keep the rest from going on.
                let me = pick.runnable[at];
                let others = || (0..pick.runnable.len()).filter(|&other| other != at);
                let number = |&other: &usize| pick.runnable[other];
                let after = others()
                    .filter(|&other| pick.runnable[other] > me)
                    .min_by_key(number);
                after.or_else(|| others().min_by_key(number)).unwrap_or(at)
            }
            None => 0,
        }
    }

    fn ran(&mut self, entity: u32) {
        if self.running != entity {
            self.running = entity;
            self.stayed = 0;
            self.yielded = 0;
        }
    }

    /// Which of `tasks` is polled, as a place among them; `who` are the first and the last of them.
    pub(super) fn task(&mut self, tasks: u32, who: Option<Pick<'_>>) -> u32 {
        self.plain = 0;
        let Some(answer) = self.next(Domain::Schedule, Question::Task) else {
            return 0;
        };
        let place = match answer.checked_sub(PLACE) {
            Some(place) => place as u32,
            None => {
                let shown = who.map_or(&[][..], |who| who.runnable);
                let at = shown.iter().position(|&task| u64::from(task) == answer);
                // One that is not ready cannot be polled.
                at.map_or(0, |at| place_of(at as u32, tasks, shown.len() as u32))
            }
        };
        place.min(tasks - 1)
    }

    /// The present question, about tasks, was answered so.
    pub(super) fn tasked(
        &mut self,
        tasks: u32,
        place: u32,
        who: Option<Pick<'_>>,
    ) -> Option<Departure> {
        let shown = who.map_or(&[][..], |who| who.runnable);
        let known = |at: &u32| place_of(*at, tasks, shown.len() as u32) == place;
        let task = (0..shown.len() as u32)
            .find(known)
            .map(|at| shown[at as usize]);
        let answer = task.map_or(PLACE + u64::from(place), u64::from);
        let departure = self.departure(u64::from(tasks), u64::from(place), answer);
        if let Some(task) = task {
            self.ran(task);
        }
        departure
    }

    /// A number below `of`; the label of a planned fault's question, if it is one.
    pub(super) fn number(&mut self, domain: Domain, label: Option<u32>, of: u64) -> u64 {
        self.plain = 0;
        let due = match label {
            Some(label) => self.next_of((domain, Question::Planned, label)),
            None => self.next(domain, Question::Number),
        };
        // The bound may have changed with the program.
        due.map_or(0, |answer| answer.min(of - 1))
    }

    /// The present question, about entities, was answered so. A departure, if that is one.
    pub(super) fn picked(&mut self, pick: Pick<'_>, index: usize) -> Option<Departure> {
        let entity = pick.runnable[index];
        let departure = self.departure(pick.runnable.len() as u64, index as u64, u64::from(entity));
        self.ran(entity);
        self.stayed = self.stayed.saturating_add(1);
        departure
    }

    /// The present question, about a number, was answered so.
    pub(super) fn counted(&self, of: u64, value: u64) -> Option<Departure> {
        self.departure(of, value, value)
    }

    fn departure(&self, of: u64, given: u64, answer: u64) -> Option<Departure> {
        let ((domain, question, who), nth) = self.at;
        (given != self.plain).then_some(Departure {
            domain,
            question,
            who,
            nth,
            of,
            answer,
        })
    }
}

/// The place in a queue of `tasks` of the one that is shown at `at`, of `shown` that are: the middle of a long queue is not.
pub(super) fn place_of(at: u32, tasks: u32, shown: u32) -> u32 {
    match at < shown / 2 {
        true => at,
        false => at + tasks.saturating_sub(shown),
    }
}

/// The size of a run with these decisions, in order, and `omitted` more.
pub fn size<'a>(decisions: impl Iterator<Item = &'a Decision>, omitted: u64) -> Size {
    let mut size = Size {
        decisions: omitted,
        switches: 0,
    };
    let mut running = 0;
    for decision in decisions {
        size.decisions += 1;
        if let Decision::Pick { thread, .. } = *decision {
            size.switches += u64::from(thread != running);
            running = thread;
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(runnable: &[u32], current: Option<usize>, yielded: bool) -> Pick<'_> {
        Pick {
            runnable,
            current,
            yielded,
            entities: &[],
            now: 0,
        }
    }

    #[test]
    fn the_plainest_course_stays_and_departs_nowhere() {
        let mut lens = Lens::following(Offer::Left, &[]);
        for (question, usual) in [
            (pick(&[1, 0], Some(1), false), 1),
            (pick(&[1, 0], None, false), 0),
            (pick(&[2, 0, 1], Some(2), true), 2),
        ] {
            let index = lens.pick(question);
            assert_eq!(index, usual);
            assert_eq!(lens.picked(question, index), None);
        }
        assert_eq!(lens.number(Domain::Time, None, 9), 0);
        assert_eq!(lens.counted(9, 0), None);
    }

    #[test]
    fn those_that_spin_take_turns() {
        let left = Offer::Left;
        for (yields, offer, each) in [
            (false, left, PATIENCE),
            (true, left, OFFERS),
            (true, Offer::Taken, 1),
        ] {
            let mut lens = Lens::following(offer, &[]);
            let mut line = vec![0, 1, 2];
            let mut seen = [0; 3];
            for _ in 0..3 * (each + 1) {
                let question = pick(&line, Some(2), yields);
                let next = line[lens.pick(question)];
                lens.picked(question, lens.plain as usize);
                seen[next as usize] += 1;
                let at = line.iter().position(|one| *one == next).unwrap();
                line.remove(at);
                line.push(next);
            }
            assert!(seen.iter().all(|&turns| turns >= each), "{seen:?}");
        }
    }

    /// Two threads of `steps` questions each, then a number, with answers from `choose`; returns who ran.
    fn program(
        lens: &mut Lens,
        steps: u32,
        choose: impl Fn(usize) -> Option<usize>,
    ) -> (Vec<u32>, Vec<Departure>) {
        let (mut ran, mut departures) = (Vec::new(), Vec::new());
        let mut left = [steps, steps];
        let mut current = 0;
        while left[0] > 0 && left[1] > 0 {
            let question = pick(&[0, 1], Some(current), false);
            let guided = lens.pick(question);
            current = choose(ran.len()).unwrap_or(guided);
            departures.extend(lens.picked(question, current));
            ran.push(current as u32);
            left[current] -= 1;
        }
        (ran, departures)
    }

    #[test]
    fn a_run_follows_the_telling_of_itself() {
        let order = [0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0];
        let (ran, departures) = program(&mut Lens::telling(Offer::Taken), 6, |at| {
            order.get(at).copied()
        });
        assert!(!departures.is_empty());
        let mut lens = Lens::following(Offer::Taken, &departures);
        assert_eq!(program(&mut lens, 6, |_| None), (ran, departures));
    }

    #[test]
    fn taking_one_departure_out_leaves_the_others_in_place() {
        let departure = |who, nth, answer| Departure {
            domain: Domain::Schedule,
            question: Question::Switch,
            who,
            nth,
            of: 2,
            answer,
        };
        let all = [departure(0, 1, 1), departure(1, 2, 0), departure(0, 3, 1)];
        let (ran, _) = program(&mut Lens::following(Offer::Taken, &all), 9, |_| None);
        assert_eq!(ran[..7], [0, 1, 1, 1, 0, 0, 1]);
        // Thread 0 still leaves at its fourth question, although it comes to it without having left before.
        let (ran, kept) = program(&mut Lens::following(Offer::Taken, &all[2..]), 9, |_| None);
        assert_eq!(ran[..6], [0, 0, 0, 1, 1, 1]);
        assert_eq!(kept, all[2..]);
    }

    #[test]
    fn a_task_is_polled_by_its_number_wherever_it_stands() {
        let mut telling = Lens::telling(Offer::Taken);
        telling.task(3, Some(pick(&[4, 5, 6], None, false)));
        let departure = telling
            .tasked(3, 2, Some(pick(&[4, 5, 6], None, false)))
            .unwrap();
        assert_eq!((departure.question, departure.answer), (Question::Task, 6));
        let following = |ready: &[u32], tasks| {
            let mut lens = Lens::following(Offer::Taken, &[departure]);
            lens.task(tasks, Some(pick(ready, None, false)))
        };
        assert_eq!(following(&[6, 4, 5], 3), 0);
        assert_eq!(following(&[4, 6], 2), 1);
        assert_eq!(following(&[4, 5], 2), 0);
        // Of a hundred four are shown: the first two and the last two.
        assert_eq!(following(&[1, 2, 6, 4], 100), 98);
        let hidden = telling
            .tasked(100, 50, Some(pick(&[1, 2, 6, 4], None, false)))
            .unwrap();
        assert_eq!(hidden.answer, PLACE + 50);
    }

    #[test]
    fn sizes_count_changes_of_who_runs() {
        let of = |thread| Decision::Pick {
            of: 3,
            index: 0,
            thread,
        };
        let log = [of(0), Decision::Fill { len: 3 }, of(1), of(1), of(0)];
        let expected = Size {
            decisions: 7,
            switches: 2,
        };
        assert_eq!(size(log.iter(), 2), expected);
    }
}
