//! Futures that wait for the permits of tokio's semaphores, and what of it is a futurelock. `identity` brings the facts, `rest` asks when
//! nobody can go on.

use super::super::outcome::Violation;
use super::super::{Detector, End, Kernel};
use std::fmt::Write as _;

/// A future that waits for permits of one of tokio's semaphores, of which its locks are made.
#[derive(Clone)]
pub(super) struct Waiter {
    /// Its address, and that of the semaphore.
    node: usize,
    semaphore: usize,
    pub(super) host: u16,
    /// Who polled it last, and where; as far as that is known.
    who: String,
}

/// What happens to a future that waits for permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// It is polled.
    Polled,
    /// It has got what it waits for.
    Granted,
    /// It is dropped.
    Dropped,
}

impl Kernel {
    /// Something happens to a future that waits for permits.
    pub(crate) fn permit(&mut self, what: Permit, node: usize, semaphore: usize) {
        let detect = &mut self.detect;
        match what {
            Permit::Granted => {
                let known = detect.waiters.iter().find(|waiter| waiter.node == node);
                let waiter = known.cloned().unwrap_or(Waiter {
                    node,
                    semaphore,
                    host: 0,
                    who: String::new(),
                });
                detect.granted.push(Waiter {
                    host: self.sched.me().host,
                    ..waiter
                });
            }
            Permit::Polled | Permit::Dropped => {
                detect.granted.retain(|waiter| waiter.node != node);
                detect.waiters.retain(|waiter| waiter.node != node);
                if what == Permit::Polled && self.trace.recording() {
                    let who = match self.current_task(self.sched.current) {
                        Some(task) => format!("the task spawned at {}", task.spawned_at),
                        None => self.thread_label(self.sched.current),
                    };
                    let at = self.place_here();
                    let at = at.map(|place| format!(", last polled at {place}"));
                    let waiter = Waiter {
                        node,
                        semaphore,
                        host: self.host_id(),
                        who: who + &at.unwrap_or_default(),
                    };
                    self.detect.waiters.push(waiter);
                }
            }
        }
    }

    /// Nobody can ever go on: whether that is because somebody who is not polled holds what the others wait for.
    #[cold]
    pub(crate) fn futurelock(&mut self) -> Option<End> {
        let detect = &self.detect;
        // A thread that is blocked in a poll keeps its other tasks from being polled.
        let held_up = !detect.blocked.is_empty() || self.sched.threads.iter().any(|t| t.frozen);
        if held_up || !detect.wants(Detector::Futurelock) {
            return None;
        }
        let holder = detect.granted.first()?;
        let mut detail = "a lock or permit was handed to a future that is no longer polled, and is kept by it for ever".to_owned();
        if !holder.who.is_empty() {
            let _ = write!(detail, "\nthe future is of {}", holder.who);
        }
        let same = |w: &&Waiter| w.semaphore == holder.semaphore && w.node != holder.node;
        for waiter in detect.waiters.iter().filter(same).take(8) {
            let _ = write!(detail, "\nwaits for it: {}", waiter.who);
        }
        if detect.allows(Detector::Futurelock, &detail) {
            return None;
        }
        Some(End::Violated(Box::new(Violation {
            property: Detector::Futurelock.headline().to_owned(),
            detail,
            at: self.now,
            backtrace: Some(String::new()),
            ..Violation::default()
        })))
    }
}
