//! The child's part in shrinking and explaining: runs candidates and says which fail as they should. `child` comes here
//! instead of running seeds; `shrinking` reads back what is left in the black box.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::child::Child;
use super::protocol::{Candidate, Frame, Job, Trials};
use crate::choice::shrink::Run;
use crate::choice::{Decision, Departure, Log, Question, Size, Tape};
use crate::kernel::abi::real::blackbox::BlackBox;
use crate::kernel::{Domain, Outcome, image};

impl Child {
    /// Runs the candidates in order, up to the first that counts if that is all that is asked for.
    pub(super) fn try_all(&mut self, job: &Job, trials: &Trials) -> Result<(), String> {
        let base = Log::from_text(&trials.base).map_err(|error| error.to_string())?;
        let image = match trials.candidates.len() > 1 {
            true => Some(image::snapshot().map_err(|error| error.to_string())?),
            false => None,
        };
        let heap = size_of_val(self.with.body) == 0;
        let black_box = self.with.black_box;
        // The plainest course asks nothing of it, but memory points do.
        let profile = Arc::new(base.header.profile.clone());
        let since = Instant::now();
        for (i, candidate) in trials.candidates.iter().enumerate() {
            let (seed, strategy) = (base.header.seed, base.header.strategy);
            let outcome = self.course(seed, None, trials.max_steps, |choices| {
                choices.set_profile(profile.clone());
                match (candidate, &base.guide) {
                    (Candidate::Edit(edit), Some(guide)) => {
                        let departures = edit.apply(&guide.departures);
                        choices.follow(seed, strategy, guide.offer, &departures);
                    }
                    (Candidate::Edit(_), None) => choices.replay(base.clone()),
                    (Candidate::Branch(keep, seed), _) => {
                        choices.branch(base.clone(), *keep, *seed);
                    }
                    (Candidate::Seed(seed), _) => {
                        choices.set_seed(*seed);
                        choices.set_profile(job.profile.clone().map(Arc::new).unwrap_or_default());
                    }
                }
                if trials.cost.is_some() {
                    choices.tell_departures(trials.offer);
                    choices.record(Box::new(Teller {
                        black_box,
                        running: 0,
                    }));
                }
            });
            let counts = self.counts(seed, outcome, trials);
            if counts {
                self.report(&Frame::Hit(trials.first + i as u64));
                if trials.cost.is_some() {
                    return Ok(());
                }
            }
            black_box.passed.fetch_add(1, Relaxed);
            if since.elapsed() >= trials.slice {
                break;
            }
            if let Some(image) = &image {
                image.restore(heap);
            }
        }
        Ok(())
    }

    /// Whether a run is what is looked for.
    fn counts(&self, seed: u64, outcome: Outcome, trials: &Trials) -> bool {
        if self.held(&outcome) {
            return false;
        }
        let verdict = self.explained(seed, outcome, false).verdict;
        let cheap = |run: &Run| trials.cost.is_some_and(|cost| run.cost() <= cost);
        verdict.signature() == trials.signature
            && (trials.cost.is_none() || told(self.with.black_box).as_ref().is_some_and(cheap))
    }
}

/// Takes the departures of a run down in the black box, and counts the rest.
struct Teller {
    black_box: &'static BlackBox,
    running: u32,
}

impl Tape for Teller {
    fn push(&mut self, _: Domain, decision: Decision) {
        self.black_box.asked.fetch_add(1, Relaxed);
        if let Decision::Pick { thread, .. } = decision
            && thread != self.running
        {
            self.running = thread;
            self.black_box.switched.fetch_add(1, Relaxed);
        }
    }

    fn depart(&mut self, departure: Departure) {
        let Departure {
            domain,
            question,
            who,
            nth,
            of,
            answer,
        } = departure;
        let head =
            domain as u64 | (question as u64) << 4 | u64::from(who) << 8 | u64::from(nth) << 36;
        self.black_box.decide([head, of, answer]);
    }
}

/// Reads back what [`Teller`] took down; `None` if it was more than fits.
pub(super) fn told(black_box: &BlackBox) -> Option<Run> {
    const NUMBER: u64 = (1 << 28) - 1;
    let (words, count) = black_box.decisions();
    let departure = |[head, of, answer]: [u64; 3]| {
        Some(Departure {
            domain: *Domain::ALL.get((head & 0xf) as usize)?,
            question: *Question::ALL.get((head >> 4 & 0xf) as usize)?,
            who: (head >> 8 & NUMBER) as u32,
            nth: (head >> 36) as u32,
            of,
            answer,
        })
    };
    let departures: Vec<Departure> = words.map(departure).collect::<Option<_>>()?;
    let size = Size {
        decisions: black_box.asked.load(Relaxed),
        switches: black_box.switched.load(Relaxed),
    };
    (departures.len() as u64 == count).then_some(Run { departures, size })
}
