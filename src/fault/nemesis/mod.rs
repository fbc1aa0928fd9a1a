//! The nemesis: it breaks hosts, links and dependencies while a test runs, by a plan or by the seed, within limits; and what heals
//! them all.
//!
//! `sim` hands it to tests. `kind`, `options` and `plan` are what tests say; `draw` turns the seed into faults, `script` is what a
//! fault does and how it is undone, `board` knows what is broken at present, `drive` is the thread that does it, `heal` ends it. Calls `kernel` alone.

mod board;
mod draw;
mod drive;
mod fault;
mod heal;
mod kind;
mod options;
mod parts;
mod plan;
mod script;

pub(crate) use board::Board;
pub use board::FaultWindow;
pub use fault::Fault;
pub(crate) use heal::{heal, heal_quorum};
pub use kind::{FaultKind, UnknownFault};
pub use options::{HostRanges, LinkRanges, NemesisOptions};
pub use plan::Plan;
pub use script::Breakable;

use super::names::{Hosts, numbers};
use crate::kernel;
use std::fmt;
use std::sync::Arc;

/// Breaks the world while a test runs: what [`Sim::nemesis`](crate::Sim::nemesis) starts.
///
/// Drawn from the seed within [`NemesisOptions`], or by a [`Plan`], or both. A fifth of the runs have no fault at all; each other
/// run has a random part of the kinds, in ranges of its own, and prints them when it fails. Docs: `docs/nemesis.md`.
///
/// ```no_run
/// # fn example(sim: squall::Sim) {
/// use squall::{FaultKind, Nemesis};
/// sim.nemesis(Nemesis::all());
/// sim.nemesis(Nemesis::all().between("orders", "inventory").crashing("inventory"));
/// sim.nemesis(Nemesis::all().only([FaultKind::Partition, FaultKind::Pause]).keeping_quorum(["a", "b", "c"]));
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a nemesis does nothing until Sim::nemesis starts it"]
pub struct Nemesis {
    kinds: Vec<FaultKind>,
    options: NemesisOptions,
    /// Faults of hosts hit these; `None` stands for every host but the test's own.
    crashing: Option<Vec<String>>,
    /// Faults of links hit these; empty for those between all hosts.
    scopes: Vec<(Vec<String>, Option<Vec<String>>)>,
    quorum: Vec<String>,
    breakables: Vec<Arc<dyn Breakable>>,
    /// Whether there is anything but the plan.
    draws: bool,
    plan: Plan,
}

impl Nemesis {
    /// Every kind of fault, against every host but the test's own and the links between them.
    pub fn all() -> Nemesis {
        Nemesis {
            kinds: FaultKind::ALL.to_vec(),
            options: NemesisOptions::default(),
            crashing: None,
            scopes: Vec::new(),
            quorum: Vec::new(),
            breakables: Vec::new(),
            draws: true,
            plan: Plan::new(),
        }
    }

    /// Every kind of fault that can be had on madsim's simulator too ([`FaultKind::PORTABLE`]): the same faults are drawn from a seed on both
    /// engines. See `docs/madsim.md`.
    pub fn portable() -> Nemesis {
        Nemesis::all().only(FaultKind::PORTABLE)
    }

    /// Only these kinds of faults.
    pub fn only(mut self, kinds: impl IntoIterator<Item = FaultKind>) -> Nemesis {
        let kinds: Vec<FaultKind> = kinds.into_iter().collect();
        self.kinds.retain(|kind| kinds.contains(kind));
        self
    }

    /// Not these kinds of faults.
    pub fn without(mut self, kinds: impl IntoIterator<Item = FaultKind>) -> Nemesis {
        let kinds: Vec<FaultKind> = kinds.into_iter().collect();
        self.kinds.retain(|kind| !kinds.contains(kind));
        self
    }

    /// Faults of links hit those between the two hosts, or two groups. Said several times, each of them. Default: links between
    /// all hosts but the test's own; if there is only one, its link with the test's.
    pub fn between(mut self, a: impl Hosts, b: impl Hosts) -> Nemesis {
        self.scopes.push((a.names(), Some(b.names())));
        self
    }

    /// Faults of links hit those between these hosts, and partitions divide them by Jepsen's shapes.
    pub fn among(mut self, hosts: impl Hosts) -> Nemesis {
        self.scopes.push((hosts.names(), None));
        self
    }

    /// Faults of hosts (crashes, pauses, stalls, clocks, descriptors) hit these. Default: every host but the test's own.
    pub fn crashing(mut self, hosts: impl Hosts) -> Nemesis {
        self.crashing
            .get_or_insert_with(Vec::new)
            .extend(hosts.names());
        self
    }

    /// A dependency, or anything else, that may be broken too. Said several times, each of them.
    pub fn breaking(mut self, what: impl Breakable + 'static) -> Nemesis {
        self.breakables.push(Arc::new(what));
        self
    }

    /// At most so many hosts are down, paused or stalled at once. Default: a minority of those that can be, but one at least.
    pub fn at_most_down(mut self, hosts: u32) -> Nemesis {
        self.options.most_down = Some(hosts);
        self
    }

    /// Of these hosts, at most sixteen, a majority always runs, and its members see each other. Default: partitions are not limited.
    ///
    /// # Panics
    /// If more than sixteen are named.
    pub fn keeping_quorum(mut self, hosts: impl Hosts) -> Nemesis {
        self.quorum = hosts.names();
        assert!(
            self.quorum.len() <= 16,
            "keeping_quorum looks after sixteen hosts at most, not {}",
            self.quorum.len()
        );
        self
    }

    /// Other ranges. What [`at_most_down`](Nemesis::at_most_down) said before is overwritten.
    pub fn options(mut self, options: NemesisOptions) -> Nemesis {
        self.options = options;
        self
    }

    /// And these, on a timeline.
    pub fn and(mut self, plan: Plan) -> Nemesis {
        self.plan.entries.extend(plan.entries);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If there is no host of one of the names, or an option is out of its range; outside a simulation.
    pub(crate) fn start(self, board: Arc<Board>) {
        self.options.check();
        self.plan.check();
        #[cfg(squall_madsim)]
        self.refuse_what_cannot_be_had();
        self.candidates();
        self.scopes();
        numbers(&self.quorum);
        drive::Driver::start(self, board);
    }

    /// Ends the run if it has a kind that madsim cannot do.
    #[cfg(squall_madsim)]
    fn refuse_what_cannot_be_had(&self) {
        let drawn = self.possible().into_iter().filter(|_| self.draws);
        let planned = self.plan.entries.iter().map(|(_, fault, _)| fault.kind());
        let all = drawn.chain(planned);
        let mut kinds: Vec<FaultKind> = all
            .filter(|kind| !FaultKind::PORTABLE.contains(kind))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            return;
        }
        let names: Vec<&str> = kinds.into_iter().map(FaultKind::name).collect();
        kernel::refuse(
            &format!("the faults {}", names.join(", ")),
            "a nemesis that draws has the kinds of both engines with Nemesis::portable(); leave the others out of plans",
        );
    }

    /// The kinds that can happen here.
    fn possible(&self) -> Vec<FaultKind> {
        let mut kinds = self.kinds.clone();
        if self.breakables.is_empty() {
            kinds.retain(|kind| *kind != FaultKind::Dependency);
        }
        kinds
    }

    /// The hosts that faults of hosts may hit.
    fn candidates(&self) -> Vec<u16> {
        match &self.crashing {
            Some(names) => numbers(names),
            None => others(),
        }
    }

    /// The links that faults of links may hit: those between two groups, or those within one.
    fn scopes(&self) -> Vec<(Vec<u16>, Option<Vec<u16>>)> {
        if self.scopes.is_empty() {
            let mut hosts = others();
            if hosts.len() < 2 {
                hosts.push(0);
            }
            return match hosts.len() {
                0 | 1 => Vec::new(),
                _ => vec![(hosts, None)],
            };
        }
        let known = |(a, b): &(Vec<String>, Option<Vec<String>>)| {
            let b = b.as_ref().map(numbers);
            (numbers(a), b)
        };
        let all = self.scopes.iter().map(known);
        // One host has no link with itself.
        all.filter(|(a, b)| b.is_some() || a.len() > 1).collect()
    }

    fn limits(&self) -> board::Limits {
        let candidates = self.candidates();
        let minority = (candidates.len().saturating_sub(1) / 2).max(1) as u32;
        board::Limits {
            most_down: self.options.most_down.unwrap_or(minority),
            candidates,
            quorum: numbers(&self.quorum),
        }
    }
}

/// Every host but the test's own.
fn others() -> Vec<u16> {
    let hosts = kernel::hosts().into_iter().map(|host| host.id);
    hosts.filter(|id| *id != 0).collect()
}

/// A nemesis that does what the plan says, and nothing else.
impl From<Plan> for Nemesis {
    fn from(plan: Plan) -> Nemesis {
        Nemesis {
            draws: false,
            plan,
            ..Nemesis::all()
        }
    }
}

impl fmt::Debug for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nemesis")
            .field("kinds", &self.kinds)
            .field("options", &self.options)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
