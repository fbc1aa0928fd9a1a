//! Every nondeterministic decision of a run: seeded streams, the log of what was decided, and replay.
//!
//! [`Choices`] is the kernel's [`Oracle`](crate::kernel::Oracle). `run` owns one per child process and sets it to seed after seed. On the first
//! pass nothing is kept, since the seed regenerates every decision; a failing seed is run again with a [`Tape`] that keeps
//! them, and `log` turns that into the file that is saved.

mod course;
pub mod explain;
pub mod guide;
pub mod log;
mod oracle;
mod replay;
pub mod shrink;
mod streams;
mod text;
mod text_decisions;
mod text_guide;

use std::sync::Arc;

use crate::explore::{self, Mutation, Portfolio, Profile, Profiler, Selection};
use crate::kernel::Domain;

pub use course::Course;
pub use guide::{Departure, Guide, Offer, Question, Size};
pub use log::{Header, Log, LogError};
pub use replay::Divergence;
pub use streams::{Stream, Streams};

use course::Follower;
use guide::Lens;
use replay::Replay;

/// One decision, as the log keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Which thread went on.
    Pick {
        /// How many could.
        of: u32,
        /// Which of them did.
        index: u32,
        /// The number of that thread.
        thread: u32,
    },
    /// A number below a bound.
    Below {
        /// The bound, at least 1.
        n: u64,
        /// The answer, less than `n`.
        value: u64,
    },
    /// Bytes from the stream; they are regenerated, so only their count is kept.
    Fill {
        /// How many bytes.
        len: u64,
    },
}

/// Takes down the decisions of a run, in order.
pub trait Tape: Send {
    /// One decision more.
    fn push(&mut self, domain: Domain, decision: Decision);
    /// The decision to come is a departure from the plainest course; said only where that was asked for.
    fn depart(&mut self, departure: Departure) {
        let _ = departure;
    }
}

/// The answers to everything that the kernel leaves open.
pub struct Choices {
    streams: Streams,
    portfolio: Portfolio,
    strategy: explore::Name,
    /// What strategies may know of the test.
    profile: Arc<Profile>,
    /// Takes one from this run.
    profiler: Option<Box<Profiler>>,
    /// Whether the strategy has seen the start of this run.
    begun: bool,
    /// Scheduling points with something to choose, so far.
    points: u64,
    /// The run leaves the one that it begins as after so many of them, for another seed and another strategy.
    turn: Option<(u64, u64, explore::Name)>,
    decisions: u64,
    /// Neither a tape nor a replay: the fast path.
    plain: bool,
    tape: Option<Box<dyn Tape>>,
    replay: Option<Replay>,
    /// Sees the run as departures, and answers from a guide if it has one.
    lens: Option<Lens>,
    /// The seed of a run whose beginning is another's, and the streams that its bytes come from.
    beginning: Option<Streams>,
    /// The course that a guide's run took, and how this run follows it.
    course: Option<(Course, Follower)>,
}

impl Choices {
    /// Answers that follow from seed 0 until [`Choices::set_seed`] says otherwise.
    pub fn new(selection: Selection) -> Self {
        let portfolio = Portfolio::new(selection);
        Choices {
            streams: Streams::new(0),
            strategy: portfolio.name(0),
            portfolio,
            profile: Arc::default(),
            profiler: None,
            begun: false,
            points: 0,
            turn: None,
            decisions: 0,
            plain: true,
            tape: None,
            replay: None,
            lens: None,
            beginning: None,
            course: None,
        }
    }

    /// Starts over under `seed`, without a tape or a replay.
    pub fn set_seed(&mut self, seed: u64) {
        self.set_run(seed, self.portfolio.name(seed));
    }

    fn set_run(&mut self, seed: u64, strategy: explore::Name) {
        // Exhaustive runs differ in their schedules and in nothing else.
        let exhaustive = strategy == explore::Name::Exhaustive;
        self.streams.reseed(if exhaustive {
            0
        } else {
            Mutation::base_of(seed)
        });
        self.strategy = strategy;
        self.begun = false;
        self.points = 0;
        self.turn = Mutation::of(seed)
            .filter(|_| !exhaustive)
            .map(|mutation| (mutation.follows, seed, self.portfolio.name(mutation.turn)));
        self.profiler = None;
        self.decisions = 0;
        self.plain = true;
        self.tape = None;
        self.replay = None;
        self.lens = None;
        self.beginning = None;
        self.course = None;
    }

    /// What strategies may know of the test from the next run on. It must be the profile of the test's program as it is: the
    /// order of threads depends on it.
    pub fn set_profile(&mut self, profile: Arc<Profile>) {
        self.profile = profile;
    }

    /// What strategies may know of the test at present.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// How far a search has come that ends by itself.
    pub fn progress(&mut self) -> Option<explore::Progress> {
        // A run in which there was nothing to choose is a schedule, too.
        (self.strategy == explore::Name::Exhaustive)
            .then(|| self.strategist().0.progress())
            .flatten()
    }

    /// Has a profile taken from this run.
    pub fn take_profile(&mut self) {
        self.profiler = Some(Box::default());
        self.plain = false;
    }

    /// Whether one is to be taken.
    pub fn takes_profile(&self) -> bool {
        self.profiler.is_some()
    }

    /// The profile of this run, which is over, if one was to be taken.
    pub fn profiled(&mut self) -> Option<Profile> {
        self.profiler.take().map(|profiler| profiler.finish())
    }

    /// Has every decision of this run taken down.
    pub fn record(&mut self, tape: Box<dyn Tape>) {
        self.tape = Some(tape);
        self.plain = false;
    }

    /// Has this run told as departures from the plainest course, to the tape.
    pub fn tell_departures(&mut self, offer: Offer) {
        if self.lens.is_none() {
            self.lens = Some(Lens::telling(offer));
        }
        self.plain = false;
    }

    /// Answers from a log. One that lists every decision answers as long as the program asks what it answers, and its seed
    /// does after that. One that lists departures answers to the end, and its seed only gives bytes.
    pub fn replay(&mut self, log: Log) {
        self.set_run(log.header.seed, log.header.strategy);
        self.plain = false;
        self.profile = Arc::new(log.header.profile.clone());
        match log.guide {
            Some(guide) => {
                self.lens = Some(Lens::following(guide.offer, &guide.departures));
                self.course = Some((guide.course, Follower::default()));
            }
            None => self.replay = Some(Replay::new(log)),
        }
    }

    /// Answers from a list of departures under `seed`; whether the program still asks what it did is not looked at.
    pub fn follow(
        &mut self,
        seed: u64,
        strategy: explore::Name,
        offer: Offer,
        departures: &[Departure],
    ) {
        self.set_run(seed, strategy);
        self.lens = Some(Lens::following(offer, departures));
        self.plain = false;
    }

    /// Answers from a log that lists every decision as long as it is among the first `keep`, and draws the rest under `seed`.
    /// Bytes, and what the program is told of its seed, stay those of the log.
    pub fn branch(&mut self, log: Log, keep: u64, seed: u64) {
        let mut strategy = self.portfolio.name(seed);
        if strategy == explore::Name::Exhaustive {
            strategy = explore::Name::Random;
        }
        self.set_run(seed, strategy);
        let exhaustive = log.header.strategy == explore::Name::Exhaustive;
        self.beginning = Some(Streams::new(if exhaustive {
            0
        } else {
            Mutation::base_of(log.header.seed)
        }));
        self.profile = Arc::new(log.header.profile.clone());
        self.replay = Some(Replay::of_beginning(log, keep));
        self.plain = false;
    }

    /// Where the program left the log that was replayed, if it did: asked otherwise, asked for more, or ended before it.
    pub fn divergence(&self) -> Option<Divergence> {
        if let Some((course, follower)) = &self.course {
            let (since, decision, asked) = follower.left(course)?;
            let detail = format!("the program asked for {asked}");
            return Some(Divergence {
                since,
                decision,
                detail,
            });
        }
        self.replay.as_ref()?.divergence(self.decisions)
    }

    /// The seed of this run.
    pub fn seed(&self) -> u64 {
        self.beginning.as_ref().unwrap_or(&self.streams).seed()
    }

    /// The strategy that orders the threads of this run.
    pub fn strategy(&self) -> explore::Name {
        self.strategy
    }

    /// How many times the strategy was asked who goes on.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// The strategy of this run, which has seen its start, and the stream that it draws from.
    #[inline]
    fn strategist(&mut self) -> (&mut dyn explore::Strategy, &mut Stream) {
        let stream = self.streams.of(Domain::Schedule);
        let strategy = self.portfolio.strategy(self.strategy);
        if !self.begun {
            self.begun = true;
            strategy.begin(&self.profile, stream);
        }
        (strategy, stream)
    }
}

impl std::fmt::Debug for Choices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Choices")
            .field("seed", &self.seed())
            .field("strategy", &self.strategy)
            .field("recording", &self.tape.is_some())
            .field("replaying", &self.replay.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::choice::log::tests::header;
    use crate::kernel::{Oracle, Pick, Touch};

    const ENTITY: crate::kernel::Entity = crate::kernel::Entity {
        parent: crate::kernel::NOBODY,
        group: 0,
        touch: Touch::UNKNOWN,
    };

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<(Domain, Decision)>>>);

    impl Tape for Kept {
        fn push(&mut self, domain: Domain, decision: Decision) {
            self.0.lock().unwrap().push((domain, decision));
        }
    }

    /// A program that asks, with a different question from decision `edit` on.
    fn program(choices: &mut Choices, edit: u32) -> Vec<u64> {
        let mut answers = Vec::new();
        for i in 0..60 {
            let threads = if i < edit {
                &[1, 2, 3][..]
            } else {
                &[1, 2, 3, 4][..]
            };
            answers.push(choices.pick(Pick {
                runnable: threads,
                current: Some(0),
                yielded: false,
                entities: &[ENTITY; 5],
                now: 0,
            }) as u64);
            answers.push(choices.below(Domain::Time, 100));
            let mut bytes = [0; 8];
            choices.fill(Domain::Entropy, &mut bytes);
            answers.push(u64::from_le_bytes(bytes));
        }
        answers
    }

    fn recorded(seed: u64) -> (Vec<u64>, Log) {
        let mut choices = Choices::new(Selection::Portfolio);
        let tape = Kept::default();
        choices.set_seed(seed);
        choices.record(Box::new(tape.clone()));
        let answers = program(&mut choices, 100);
        let mut log = Log::new(header(seed, choices.strategy()));
        for (domain, decision) in tape.0.lock().unwrap().iter() {
            log.push(*domain, *decision);
        }
        (answers, log)
    }

    #[test]
    fn a_tape_does_not_change_what_is_decided() {
        let mut plain = Choices::new(Selection::Portfolio);
        plain.set_seed(5);
        assert_eq!(program(&mut plain, 100), recorded(5).0);
    }

    #[test]
    fn a_seed_may_begin_as_another_and_go_on_otherwise() {
        let mut choices = Choices::new(Selection::Only(explore::Name::Random));
        let mut answers = |seed| {
            choices.set_seed(seed);
            program(&mut choices, 100)
        };
        let base = answers(7);
        let mut left = 0;
        for index in 0..20 {
            let seed = Mutation::seed(7, 50, index).unwrap();
            let follows = Mutation::of(seed).unwrap().follows as usize;
            let mutated = answers(seed);
            assert_eq!(mutated, answers(seed));
            // A pick, a number and bytes each round; only the picks are another's, and only from the turn on.
            assert_eq!(mutated[..follows * 3], base[..follows * 3]);
            let others = |answers: &[u64]| {
                Vec::from_iter(answers.chunks(3).flat_map(|round| round[1..].to_vec()))
            };
            assert_eq!(others(&mutated), others(&base));
            left += usize::from(mutated != base);
        }
        assert_eq!(left, 20, "ten picks of three are hardly the same by chance");
    }

    #[test]
    fn a_log_replays_its_run_exactly() {
        for seed in 0..10 {
            let (answers, log) = recorded(seed);
            let mut choices = Choices::new(Selection::Portfolio);
            choices.replay(log);
            assert_eq!(program(&mut choices, 100), answers);
            assert!(choices.divergence().is_none());
        }
    }

    #[test]
    fn the_answers_come_from_the_log_and_not_from_the_seed() {
        let (mut answers, log) = recorded(5);
        let mut edited = Log::new(header(5, log.header.strategy));
        for domain in Domain::ALL {
            for decision in log.decisions(domain) {
                let decision = match *decision {
                    Decision::Below { n, .. } => Decision::Below { n, value: 77 },
                    other => other,
                };
                edited.push(domain, decision);
            }
        }
        let mut choices = Choices::new(Selection::Portfolio);
        choices.replay(edited);
        answers
            .iter_mut()
            .skip(1)
            .step_by(3)
            .for_each(|time| *time = 77);
        assert_eq!(program(&mut choices, 100), answers);
    }

    #[test]
    fn a_program_that_ends_before_its_log_has_left_it() {
        let (_, log) = recorded(5);
        let mut choices = Choices::new(Selection::Portfolio);
        choices.replay(log);
        choices.below(Domain::Time, 100);
        let divergence = choices.divergence().unwrap();
        assert_eq!((divergence.since, divergence.decision), (1, 2));
        assert!(divergence.detail.starts_with("Schedule decision 1"));
        assert!(
            divergence
                .to_string()
                .ends_with("the program asked for nothing more)"),
            "{divergence}"
        );
    }

    #[test]
    fn an_edited_program_leaves_the_log_where_the_edit_bites() {
        let (answers, log) = recorded(5);
        let mut choices = Choices::new(Selection::Portfolio);
        choices.replay(log);
        let edited = program(&mut choices, 20);
        assert_eq!(edited[..60], answers[..60]);
        let divergence = choices.divergence().unwrap();
        // Three decisions a round, twenty unedited rounds, and the edited question comes first.
        assert_eq!(divergence.decision, 61);
        assert!(divergence.detail.starts_with("Schedule "));
        // The other domains follow the log to its end.
        let time = |answers: &[u64]| {
            answers
                .iter()
                .skip(1)
                .step_by(3)
                .copied()
                .collect::<Vec<_>>()
        };
        assert_eq!(time(&edited), time(&answers));
    }
}
