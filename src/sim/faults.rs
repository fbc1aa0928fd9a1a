//! What a test asks of the nemesis: to begin, to end, and to wait until the world has come to rest.

use super::errand::Errand;
use super::link::ns;
use super::{Host, Sim, scope};
use crate::fault::names::{Hosts, numbers};
use crate::fault::nemesis::{self, Board, FaultWindow, Nemesis};
use crate::kernel;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

fn board() -> Arc<Board> {
    scope::of_run::<Board>()
}

impl Sim {
    /// Has the world broken from now on, by the seed within ranges, or by a plan: see [`Nemesis`] and [`Plan`](crate::Plan). Start the hosts that it
    /// names first. It goes on until [`heal`](Sim::heal) or the end of the run, which it never delays. Several can be at work.
    ///
    /// ```no_run
    /// # async fn example(sim: squall::Sim) -> squall::Result {
    /// use squall::Nemesis;
    /// sim.nemesis(Nemesis::all().between("orders", "inventory").crashing("inventory"));
    /// // .. the traffic ..
    /// sim.heal().await;
    /// sim.settle().await?;
    /// // .. what must hold now ..
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If there is no host of one of the names, or an option is out of its range; outside a simulation.
    pub fn nemesis(&self, nemesis: impl Into<Nemesis>) {
        nemesis.into().start(board());
    }

    /// The faults in force, in the order of their beginnings. Those that the test makes itself, by [`Sim::crash`] say, are not among them.
    pub fn faults(&self) -> Vec<FaultWindow> {
        board().windows()
    }

    /// Ends all faults. Every nemesis ends; what it broke is undone; links are as at the start of the run, machines that are down are
    /// started, those that are paused go on: also those that the test broke itself. The program's `buggify!()` fires no more
    /// ([`Sim::buggify`] lets it). Returns when stalls are over, which end by themselves.
    ///
    /// A program that was killed is started again if a nemesis killed it, and one that came to its end by itself is not. Clocks that the test
    /// itself changed, limits of descriptors, and what the test said of its fault points, stay.
    pub async fn heal(&self) {
        self.buggify(false);
        Errand::new("heal", async { nemesis::heal(&board()).await }).await;
    }

    /// Ends every nemesis, but heals only a majority of these hosts, which the seed chooses, and freezes the rest in its faults (after TigerBeetle's VOPR): a system
    /// that has a quorum must make progress. Links among the majority, and between it and hosts that are not named, are healed of what
    /// the nemesis did. Returns the majority.
    ///
    /// # Panics
    /// If there is no host of one of the names, or none is named.
    pub async fn heal_quorum(&self, hosts: impl Hosts) -> Vec<Host> {
        let hosts = numbers(hosts.names());
        assert!(!hosts.is_empty(), "heal_quorum needs at least one host");
        let heal = async { nemesis::heal_quorum(&board(), hosts).await };
        let healed = Errand::new("heal", heal).await;
        let all = self.hosts();
        let healed = healed.into_iter().map(|id| all[usize::from(id)].clone());
        healed.collect()
    }

    /// Waits until nothing but idle timers remains. That is so at a moment at which
    ///
    /// - no thread of the program can run, on any host, the test's own included;
    /// - no packet, datagram or news of one is on its way (those that a link holds do not count, nor what waits for a paused host);
    /// - no timer is due within a second ([`Settle::idle_for`]): deadlines of blocked threads (tokio's timers among them), timerfds,
    ///   TCP's repetitions, the ends of stalls. Timers later than that are idle.
    ///
    /// The harness's own threads, a nemesis say, do not count. A program that does something every 100 ms never settles: say a shorter `idle_for`.
    ///
    /// ```no_run
    /// # async fn example(sim: squall::Sim) -> squall::Result {
    /// use std::time::Duration;
    /// sim.settle().await?;
    /// sim.settle().idle_for(Duration::from_millis(50)).at_most(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn settle(&self) -> Settle {
        Settle {
            idle_for: Duration::from_secs(1),
            at_most: Duration::from_secs(60),
        }
    }
}

/// What [`Sim::settle`] returns: await it.
#[derive(Clone, Copy, Debug)]
#[must_use = "await it to wait"]
pub struct Settle {
    idle_for: Duration,
    at_most: Duration,
}

impl Settle {
    /// Timers due later than that count as idle. Default 1 s.
    pub fn idle_for(mut self, time: Duration) -> Settle {
        self.idle_for = time;
        self
    }

    /// How long to wait, in virtual time. Default 60 s.
    pub fn at_most(mut self, time: Duration) -> Settle {
        self.at_most = time;
        self
    }
}

impl IntoFuture for Settle {
    type Output = Result<(), Unsettled>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Errand::new("settle", wait(self)))
    }
}

/// The world did not come to rest in time.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the world did not settle in {waited:?}: {still}")]
pub struct Unsettled {
    /// How long it was waited for.
    pub waited: Duration,
    /// What still happened then.
    pub still: String,
}

/// Looks at the world whenever something has happened in it.
async fn wait(settle: Settle) -> Result<(), Unsettled> {
    /// After an event, so long until what it sets off is looked at.
    const AFTER: u64 = 20_000;
    let horizon = ns(settle.idle_for);
    let now = || kernel::now().unwrap_or(0);
    let end = now().saturating_add(ns(settle.at_most));
    // Whoever waits is still on the way to blocking.
    let mut next = now() + AFTER;
    loop {
        if now() < next {
            kernel::rest(next - now()).await;
        }
        let Some(unrest) = kernel::unrest(horizon) else {
            return Ok(());
        };
        if now() >= end {
            return Err(Unsettled {
                waited: settle.at_most,
                still: kernel::unrest_text(unrest),
            });
        }
        next = unrest.at().unwrap_or(0).max(now()) + AFTER;
    }
}
