//! Links as madsim has them: a direction is cut or not; how long messages travel, and how many are lost, is one setting for all.

use super::engine::{Run, run};
use super::refuse;
use crate::kernel::{Delay, LinkChange, MILLION};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is cut at present.
#[derive(Default)]
pub(super) struct Links {
    cut: BTreeSet<(u16, u16)>,
    /// Hosts that are yet to come are cut off from each of the others.
    all: bool,
}

impl Run {
    /// A host has come.
    pub(super) fn new_links(&self, host: u16) {
        if self.links.borrow().all {
            for other in 0..host {
                self.set_cut(host, other, true);
                self.set_cut(other, host, true);
            }
        }
    }

    fn set_cut(&self, from: u16, to: u16, cut: bool) {
        let (a, b) = (self.node(from), self.node(to));
        let mut links = self.links.borrow_mut();
        match cut {
            true if links.cut.insert((from, to)) => self.net.clog_link(a, b),
            false if links.cut.remove(&(from, to)) => self.net.unclog_link(a, b),
            _ => {}
        }
    }
}

/// Changes a direction of a link; `None` stands for every host.
///
/// # Panics
/// Outside a simulation, and to end the run where madsim cannot do it.
pub fn change_link(from: Option<u16>, to: Option<u16>, change: &LinkChange) {
    let Some(run) = run() else {
        panic!("links exist only inside a simulation");
    };
    let everywhere = from.is_none() && to.is_none();
    let cut = |cut: bool| {
        if everywhere {
            run.links.borrow_mut().all = cut;
        }
        let hosts = run.hosts.borrow().len() as u16;
        for a in (0..hosts).filter(|a| from.is_none_or(|from| from == *a)) {
            for b in (0..hosts).filter(|b| to.is_none_or(|to| to == *b)) {
                if a != b {
                    run.set_cut(a, b, cut);
                }
            }
        }
    };
    match change {
        LinkChange::Down(down) => cut(*down),
        LinkChange::Default => {
            cut(false);
            if everywhere {
                run.net.update_config(|config| *config = Default::default());
            }
        }
        LinkChange::Delay(Delay::Uniform(least, most)) if everywhere => {
            let time = Duration::from_nanos;
            run.net.update_config(|config| {
                config.send_latency = time(*least)..time(most.saturating_add(1));
            });
        }
        LinkChange::Loss(lost) if everywhere => {
            let share = f64::from(*lost) / MILLION as f64;
            run.net
                .update_config(|config| config.packet_loss_rate = share);
        }
        LinkChange::Delay(Delay::Uniform(..)) => refuse(
            "the latency of a single link",
            "madsim has one for all links: Sim::network().latency(..)",
        ),
        LinkChange::Delay(_) => refuse(
            "a latency other than a range",
            "madsim draws it uniformly from a range: Sim::network().latency(from..=to)",
        ),
        LinkChange::Loss(_) => refuse(
            "loss on a single link",
            "madsim has one rate for all links: Sim::network().loss(..)",
        ),
        LinkChange::Jitter(_)
        | LinkChange::Bandwidth(_)
        | LinkChange::Queue(_)
        | LinkChange::Duplication(_)
        | LinkChange::Reordering(..)
        | LinkChange::Corruption(_)
        | LinkChange::Segment(_)
        | LinkChange::SlowClose(_)
        | LinkChange::Hold(_)
        | LinkChange::Reset => refuse(
            &format!("a link with {}", change),
            "madsim's links are cut or not, and have a latency and a loss for all together",
        ),
    }
}

/// How a direction of a link is at present, in the respect that a change is about.
///
/// # Panics
/// Outside a simulation, and to end the run where madsim cannot do it.
pub fn link_setting(from: u16, to: u16, like: &LinkChange) -> LinkChange {
    let Some(run) = run() else {
        panic!("links exist only inside a simulation");
    };
    match like {
        LinkChange::Down(_) => LinkChange::Down(run.links.borrow().cut.contains(&(from, to))),
        other => refuse(
            &format!("a single link with {other}"),
            "madsim's links are cut or not; leave the kinds for links but partition out: Nemesis::portable()",
        ),
    }
}
