//! Answering from a log. [`super::Choices`] asks here first when it replays.
//!
//! Each domain follows its own part of the log. The first question that the log does not answer ends the log's say in
//! that domain: what follows comes from the seed, whose stream has been kept in step.

use std::fmt;

use super::{Decision, Log};
use crate::kernel::{Domain, Pick};

/// Where a program left the log: it asked something else than it did when the log was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// The last decision up to which it is known to have followed, all domains counted, the first being 1; 0 for none.
    pub since: u64,
    /// The decision at which it is known to have left.
    pub decision: u64,
    /// What the log has there and what the program asked, in words.
    pub detail: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence {
            since,
            decision,
            detail,
        } = self;
        match since + 1 {
            first if first == *decision => {
                write!(f, "your code changed at decision {decision} ({detail})")
            }
            first => write!(
                f,
                "your code changed between decisions {first} and {decision} ({detail})"
            ),
        }
    }
}

/// What a log that lists every decision has, and what was asked.
fn detail(domain: Domain, within: u64, logged: Option<Decision>, asked: &str) -> String {
    let has = match logged {
        None => "ends".to_owned(),
        Some(Decision::Pick { of, thread, .. }) => {
            format!("lets thread {thread} go on, of {of} that could")
        }
        Some(Decision::Below { n, .. }) => format!("has a number below {n}"),
        Some(Decision::Fill { len }) => format!("has {len} bytes"),
    };
    format!("{domain:?} decision {within}: the log {has}, the program asked for {asked}")
}

/// A log on its way through a run.
#[derive(Debug)]
pub(super) struct Replay {
    log: Log,
    next: [usize; Domain::ALL.len()],
    /// Bit `d` is set once domain `d` has left the log.
    left: u8,
    /// Decisions behind this one are not the log's.
    keep: u64,
    divergence: Option<Divergence>,
}

impl Replay {
    pub(super) fn new(log: Log) -> Self {
        Replay {
            log,
            next: [0; Domain::ALL.len()],
            left: 0,
            keep: u64::MAX,
            divergence: None,
        }
    }

    /// Answers the first `keep` decisions alone.
    pub(super) fn of_beginning(log: Log, keep: u64) -> Self {
        Replay {
            keep,
            ..Replay::new(log)
        }
    }

    /// The divergence of a run that is over after so many decisions.
    pub(super) fn divergence(&self, decisions: u64) -> Option<Divergence> {
        let ended_early = || {
            let left = |&domain: &Domain| {
                let next = self.next[domain as usize];
                Some((
                    domain,
                    next as u64 + 1,
                    *self.log.decisions(domain).get(next)?,
                ))
            };
            let (domain, within, logged) = Domain::ALL.iter().find_map(left)?;
            Some(Divergence {
                since: decisions,
                decision: decisions + 1,
                detail: detail(domain, within, Some(logged), "nothing more"),
            })
        };
        self.divergence.clone().or_else(ended_early)
    }

    pub(super) fn pick(&mut self, before: u64, pick: Pick<'_>) -> Option<usize> {
        let fits = |decision| match decision {
            Decision::Pick { of, index, thread }
                if of as usize == pick.runnable.len()
                    && pick.runnable.get(index as usize) == Some(&thread) =>
            {
                Some(index as usize)
            }
            _ => None,
        };
        self.take(before, Domain::Schedule, fits, || {
            format!(
                "one of {} threads ({})",
                pick.runnable.len(),
                Numbers(pick.runnable)
            )
        })
    }

    pub(super) fn below(&mut self, before: u64, domain: Domain, n: u64) -> Option<u64> {
        let fits = |decision| match decision {
            Decision::Below { n: logged, value } if logged == n => Some(value),
            _ => None,
        };
        self.take(before, domain, fits, || format!("a number below {n}"))
    }

    pub(super) fn fill(&mut self, before: u64, domain: Domain, len: u64) {
        let fits = |decision| (decision == Decision::Fill { len }).then_some(());
        self.take(before, domain, fits, || format!("{len} bytes"));
    }

    fn take<T>(
        &mut self,
        before: u64,
        domain: Domain,
        fits: impl FnOnce(Decision) -> Option<T>,
        asked: impl FnOnce() -> String,
    ) -> Option<T> {
        let number = domain as usize;
        if before >= self.keep || self.left & (1 << number) != 0 {
            return None;
        }
        let next = self.next[number];
        let logged = self.log.decisions(domain).get(next).copied();
        if let Some(answer) = logged.and_then(fits) {
            self.next[number] += 1;
            return Some(answer);
        }
        self.left |= 1 << number;
        // A log that was cut short for its length simply has no more to say.
        let cut = logged.is_none() && self.log.omitted > 0;
        if !cut && self.divergence.is_none() {
            let within = next as u64 + 1;
            self.divergence = Some(Divergence {
                since: before,
                decision: before + 1,
                detail: detail(domain, within, logged, &asked()),
            });
        }
        None
    }
}

/// Thread numbers, at most eight of them.
struct Numbers<'a>(&'a [u32]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, number) in self.0.iter().take(8).enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{number}")?;
        }
        if self.0.len() > 8 {
            f.write_str(", ...")
        } else {
            Ok(())
        }
    }
}
