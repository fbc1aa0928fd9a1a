//! An operation as the audits call it: when all is well, while something is broken, and until it works again.

use super::runner::{Finding, World};
use super::service::{Ended, Operation, limited};
use std::future::pending;
use std::time::Duration;

/// The pause between two calls that see whether it has recovered.
const PAUSE: Duration = Duration::from_millis(100);

impl World {
    pub(super) fn patience(&self, default: Duration) -> Duration {
        self.limits.patience.unwrap_or(default)
    }

    pub(super) fn since(&self, from: Duration) -> String {
        let passed = self.sim.elapsed().saturating_sub(from);
        // To the millisecond: finer is of no interest in a table.
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        crate::units::show_nanoseconds(millis.saturating_mul(1_000_000))
    }

    /// Calls the operation while nothing is wrong.
    pub(super) async fn calls<'a>(
        &'a self,
        operation: &'a Operation,
        patience: Duration,
    ) -> Result<Calls<'a>, Finding> {
        // Hosts have to come up.
        tokio::time::sleep(PAUSE).await;
        let what = match limited((operation.call)(), patience, pending()).await {
            Ended::Answer(healthy) => {
                return Ok(Calls {
                    world: self,
                    operation,
                    patience,
                    healthy,
                });
            }
            Ended::Error(error) => format!("fails although nothing is wrong: {error}"),
            Ended::Never(site) => format!("never returns although nothing is wrong: {site}"),
        };
        Err(Finding {
            rank: 5,
            columns: vec![what],
        })
    }
}

/// An operation that works.
pub(super) struct Calls<'a> {
    world: &'a World,
    pub(super) operation: &'a Operation,
    pub(super) patience: Duration,
    /// What it answers when all is well.
    healthy: String,
}

impl Calls<'_> {
    /// Calls it once more, while `meanwhile` goes on.
    pub(super) async fn once(&self, meanwhile: impl Future<Output = ()>) -> Ended {
        limited((self.operation.call)(), self.patience, meanwhile).await
    }

    pub(super) fn accepts(&self, answer: &str) -> bool {
        self.operation.accepts(answer, &self.healthy)
    }

    /// What there is to say of a call that was made at `from` while something was broken, and, once that is healed, of how long it takes until
    /// the operation works again. `never` says of a call that it has not returned.
    pub(super) async fn broken(
        &self,
        ended: Ended,
        from: Duration,
        never: &str,
        heal: impl FnOnce(),
    ) -> Finding {
        let (rank, what) = match ended {
            Ended::Answer(answer) if self.accepts(&answer) => (0, "ok".to_owned()),
            Ended::Answer(answer) => (2, format!("wrong answer {answer}")),
            Ended::Error(error) => (0, format!("error {error}")),
            Ended::Never(site) => (4, format!("{never} at {site}")),
        };
        let after = self.world.since(from);
        heal();
        let (worse, recovers) = self.recovered().await;
        Finding {
            rank: rank.max(worse),
            columns: vec![what, after, recovers],
        }
    }

    /// How long it takes, from now on, until the operation works again.
    async fn recovered(&self) -> (u8, String) {
        let passed = || self.world.sim.elapsed();
        let from = passed();
        let last = loop {
            let left = self.patience.saturating_sub(passed() - from);
            let last = match limited((self.operation.call)(), left, pending()).await {
                Ended::Answer(answer) if self.accepts(&answer) => {
                    return (0, self.world.since(from));
                }
                Ended::Answer(answer) => format!("never: answers {answer}"),
                Ended::Error(error) => format!("never: {error}"),
                Ended::Never(site) => format!("never: waits at {site}"),
            };
            if passed() - from >= self.patience {
                break last;
            }
            tokio::time::sleep(PAUSE).await;
        };
        (3, last)
    }
}
