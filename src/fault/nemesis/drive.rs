//! The thread of a nemesis: it sleeps until something is due, begins and ends faults, and sleeps again. It belongs to the harness
//! (`kernel::background`): it ends with the run, keeps nothing alive, and its turns count for nothing.
//!
//! While the program could not go on by itself (a deadlock, a livelock), nothing new is begun, and once what is in force has
//! ended, neither is the nemesis: then the kernel sees the deadlock.

use super::Nemesis;
use super::board::{Board, Limits};
use super::draw::{Active, Strike, Swarm, label};
use super::fault::{Fault, ns};
use super::plan::Plan;
use super::script::{Act, Lasting, Pattern, Script};
use crate::kernel;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

enum Todo {
    /// The beginning of a period.
    Period(u64),
    Strike(Strike),
    Planned(Box<Fault>, Option<Duration>, u64),
    Step(u64, Act),
    End(u64),
}

/// A nemesis at work.
pub(super) struct Driver {
    nemesis: Nemesis,
    board: Arc<Board>,
    me: u32,
    swarm: Option<Swarm>,
    /// When it began (virtual nanoseconds).
    start: u64,
    /// By time, and by the order in which things came up.
    agenda: BTreeMap<(u64, u64), Todo>,
    count: u64,
}

impl Driver {
    /// Starts a nemesis.
    pub(super) fn start(nemesis: Nemesis, board: Arc<Board>) {
        let me = board.enlist();
        let work = async move {
            let dismiss = board.clone();
            let work = async { Driver::new(nemesis, board, me).run().await };
            if let Err(payload) = kernel::caught(work).await {
                let text = payload.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
                kernel::fail_host(format!(
                    "the nemesis panicked: {}",
                    text.unwrap_or("with a payload that is not text")
                ));
            }
            dismiss.dismiss();
        };
        kernel::background("nemesis", work);
    }

    fn new(nemesis: Nemesis, board: Arc<Board>, me: u32) -> Driver {
        let start = kernel::now().unwrap_or(0);
        let mut driver = Driver {
            swarm: None,
            nemesis,
            board,
            me,
            start,
            agenda: BTreeMap::new(),
            count: 0,
        };
        let Plan { entries } = std::mem::take(&mut driver.nemesis.plan);
        for (i, (at, fault, lasting)) in entries.into_iter().enumerate() {
            let todo = Todo::Planned(Box::new(fault), lasting, i as u64 + 1);
            driver.add(start.saturating_add(ns(at)), todo);
        }
        if driver.nemesis.draws {
            let options = &driver.nemesis.options;
            driver.swarm = Swarm::draw(me, options, &driver.nemesis.possible());
            match &driver.swarm {
                Some(swarm) => kernel::remark(|| swarm.text(options)),
                None => kernel::remark(|| "nemesis without faults".to_owned()),
            }
            if driver.swarm.is_some() {
                let at = start.saturating_add(ns(driver.nemesis.options.after));
                driver.add(at, Todo::Period(1));
            }
        }
        driver
    }

    fn add(&mut self, at: u64, todo: Todo) {
        self.count += 1;
        self.agenda.insert((at, self.count), todo);
    }

    async fn run(mut self) {
        while let Some((&(at, number), _)) = self.agenda.first_key_value() {
            if !self.board.sleep_until(at).await {
                return;
            }
            let Some(todo) = self.agenda.remove(&(at, number)) else {
                return;
            };
            match todo {
                Todo::Period(number) => self.period(at, number),
                Todo::Strike(strike) => self.strike(&strike),
                Todo::Planned(fault, lasting, number) => self.planned(&fault, lasting, number),
                Todo::Step(id, act) => self.board.step(id, &act),
                Todo::End(id) => self.board.end(id),
            }
        }
    }

    fn period(&mut self, at: u64, number: u64) {
        let Some(swarm) = &self.swarm else {
            return;
        };
        let options = &self.nemesis.options;
        let begins = self.start.saturating_add(ns(options.after));
        let over = options
            .lasting
            .is_some_and(|lasting| at >= begins.saturating_add(ns(lasting)));
        let stuck = kernel::stuck();
        if over || (stuck && self.board.count(self.me) == 0) {
            return;
        }
        let (period, firing) = (swarm.period, options.firing);
        let mut strikes = Vec::new();
        if !stuck {
            let strike = |active: &Active| active.strikes(self.me, number, firing, period);
            strikes.extend(swarm.active.iter().filter_map(strike));
        }
        for (when, strike) in strikes {
            self.add(at + when, Todo::Strike(strike));
        }
        self.add(at.saturating_add(period), Todo::Period(number + 1));
    }

    fn strike(&mut self, strike: &Strike) {
        let Some(swarm) = &self.swarm else {
            return;
        };
        let options = &self.nemesis.options;
        let elapsed = kernel::now().unwrap_or(0).saturating_sub(self.start);
        let (first, most) = (*options.combined.start(), *options.combined.end());
        let more = elapsed / swarm.escalation.max(1);
        let together = u64::from(first).saturating_add(more).min(u64::from(most));
        if self.board.count(self.me) as u64 >= together || kernel::stuck() {
            return;
        }
        let Some(script) = strike.script(&self.nemesis) else {
            return;
        };
        let limits = self.nemesis.limits();
        self.open(script, Some(&limits));
    }

    fn planned(&mut self, fault: &Fault, lasting: Option<Duration>, number: u64) {
        let label = label(self.me, fault.kind().number(), number);
        let pattern = kernel::draw_planned(label, Pattern::COUNT).unwrap_or(0);
        let script = fault.script(Plan::length(fault, lasting), pattern);
        self.open(script, None);
    }

    fn open(&mut self, mut script: Script, limits: Option<&Limits>) {
        let now = kernel::now().unwrap_or(0);
        let Some(id) = self.board.begin(self.me, &script, limits) else {
            return;
        };
        for (after, act) in script.later.drain(..) {
            self.add(now.saturating_add(after), Todo::Step(id, act));
        }
        if let Lasting::For(time) = script.lasting {
            self.add(now.saturating_add(time), Todo::End(id));
        }
    }
}
