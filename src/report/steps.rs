//! From events to steps: who did what where, with what is of no interest left out and what belongs together in one. `story`
//! chooses among them.

use super::phrases::{phrase, thread_name};
use super::{Recorded, Site};
use crate::kernel::{Event, What};
use std::collections::HashSet;

/// Whose column it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(super) enum Actor {
    Thread(u32),
}

/// Something that an actor did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: u64,
    pub(super) actor: Actor,
    pub(super) host: u16,
    /// What it did, or did one after the other.
    pub(super) did: Vec<String>,
    /// Where, in short; empty if that is not known.
    pub(super) place: String,
    /// It was made to give way here, and could have gone on.
    pub(super) preempted: bool,
    /// That is all that there is to say of it.
    only_gave_way: bool,
}

/// The steps of a run, told up to the event `end`.
pub(super) fn steps(all: &Recorded, end: usize) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    let told = with_steps(all, end);
    for event in all.events.iter().take(end) {
        if event.thread as usize >= all.threads.len() {
            continue;
        }
        let site = placed(all, event);
        if let What::Switch {
            preempted: true, ..
        } = event.what
        {
            preempted(&mut out, event, site);
            continue;
        }
        if let What::Wake { thread, .. } = event.what
            && !told.contains(&thread)
        {
            // The workers of a runtime come and go behind the program's back.
            continue;
        }
        let Some(text) = phrase(all, event, site) else {
            continue;
        };
        if event.what == What::ThreadDied {
            // Of interest only right after what it did.
            let at_once = out.last_mut().filter(|last| last.actor == actor(event));
            at_once
                .into_iter()
                .for_each(|last| last.did.push(text.clone()));
            continue;
        }
        add(&mut out, event, site, text);
    }
    passed_over(out)
}

/// The threads that do something at a place of the program's own.
fn with_steps(all: &Recorded, end: usize) -> HashSet<u32> {
    let placed = all
        .events
        .iter()
        .take(end)
        .filter(|event| placed(all, event).is_some());
    placed.map(|event| event.thread).collect()
}

/// Where an event happened, unless a runtime was between two polls: then it does nothing of the program's.
fn placed<'a>(all: &'a Recorded, event: &Event) -> Option<&'a Site> {
    all.site(event)
        .filter(|site| !site.via.ends_with("block_on"))
}

/// Only what gave way to somebody who then did something counts as such.
fn passed_over(steps: Vec<Step>) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for step in steps {
        if let Some(last) = out.last_mut()
            && last.actor == step.actor
            && last.preempted
        {
            last.preempted = false;
            if last.only_gave_way {
                out.pop();
            }
        }
        match out.last_mut() {
            Some(last) if last.actor == step.actor && last.place == step.place => {
                last.did.extend(step.did);
                last.preempted = step.preempted;
            }
            _ => out.push(step),
        }
    }
    out.iter_mut()
        .for_each(|step| step.did = together(std::mem::take(&mut step.did)));
    out
}

/// Repetitions in one, and of many things the first and the last.
fn together(did: Vec<String>) -> Vec<String> {
    let runs = did.chunk_by(|a, b| a == b);
    let mut out: Vec<String> = runs
        .map(|run| match run.len() {
            1 => run[0].clone(),
            n => format!("{} ({n} times)", run[0]),
        })
        .collect();
    if out.len() > 2 * ENDS + 1 {
        let more = out.len() - 2 * ENDS;
        out.splice(ENDS..ENDS + more, [format!("... {more} more ...")]);
    }
    out
}

/// Of many things done at one place so many are told from the beginning, and as many from the end.
const ENDS: usize = 2;

/// How a column is headed.
pub(super) fn title(all: &Recorded, actor: Actor) -> String {
    match actor {
        Actor::Thread(thread) => thread_name(all, thread),
    }
}

fn actor(event: &Event) -> Actor {
    Actor::Thread(event.thread)
}

fn add(out: &mut Vec<Step>, event: &Event, site: Option<&Site>, text: String) {
    let place = site.map(|site| site.place.short()).unwrap_or_default();
    let actor = actor(event);
    if let Some(last) = out.last_mut()
        && last.actor == actor
        && !last.preempted
        && (last.place == place || place.is_empty())
    {
        last.did.push(text);
        return;
    }
    out.push(Step {
        at: event.at,
        actor,
        host: event.host,
        did: vec![text],
        place,
        preempted: false,
        only_gave_way: false,
    });
}

fn preempted(out: &mut Vec<Step>, event: &Event, site: Option<&Site>) {
    let Some(site) = site else {
        return;
    };
    let place = site.place.short();
    let actor = actor(event);
    if let Some(last) = out.last_mut()
        && last.actor == actor
        && last.place == place
    {
        last.preempted = true;
        return;
    }
    let via = match site.via.as_str() {
        "" => String::new(),
        via => format!("in {via}"),
    };
    out.push(Step {
        at: event.at,
        actor,
        host: event.host,
        did: vec![via],
        place,
        preempted: true,
        only_gave_way: true,
    });
}
