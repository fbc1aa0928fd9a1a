//! The story of a run: a column for each task or thread that did something, a row for each step, in the order in which they
//! happened. `run::render` puts it on the page of a failure.

use super::layout::{self, Row};
use super::steps::{self, Actor, Step};
use super::{Recorded, waits};
use crate::kernel::{Event, What};
use crate::run::show_nanoseconds;

/// How large a story may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Characters in a line.
    pub(crate) width: usize,
    /// Steps that are shown; more lines, as steps can take several.
    pub(crate) steps: usize,
}

impl Default for Size {
    fn default() -> Size {
        Size {
            width: 100,
            steps: 32,
        }
    }
}

/// How a run failed, as far as its story is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending<'a> {
    /// With the panic at this place: what comes after it is of no interest.
    Panic(&'a str),
    /// It did not end by itself: who waits, and for what, is.
    Waiting,
    /// In any other way.
    Other,
}

/// A story, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// The table; empty if no step is worth telling.
    pub(crate) table: Vec<String>,
    /// Who waits for what in the end; empty unless the run did not end by itself.
    pub(crate) waits: Vec<String>,
}

/// The story of a run.
pub(crate) fn story(all: &Recorded, ending: Ending<'_>, size: Size) -> Story {
    let failure = match ending {
        Ending::Panic(site) => Some(site),
        Ending::Waiting | Ending::Other => None,
    };
    let failed = |event: &Event| matches!(&event.what, What::Panic { site, .. } if Some(site.as_str()) == failure);
    let end = all
        .events
        .iter()
        .rposition(failed)
        .map_or(all.events.len(), |at| at + 1);
    let told = steps::tell(all, end);
    let waits = match ending {
        Ending::Waiting => waits::waits(all, &told),
        Ending::Panic(_) | Ending::Other => Vec::new(),
    };
    Story {
        table: table(all, &told.steps, size),
        waits,
    }
}

fn table(all: &Recorded, steps: &[Step], size: Size) -> Vec<String> {
    if steps.is_empty() {
        return Vec::new();
    }
    let shown = choose(steps, size.steps);
    let mut actors: Vec<Actor> = Vec::new();
    for (_, step) in shown.iter().flatten() {
        if !actors.contains(&step.actor) {
            actors.push(step.actor);
        }
    }
    actors.sort_unstable();
    let hosts = shown
        .iter()
        .flatten()
        .any(|(_, step)| step.host != shown_host(&shown));
    let titles: Vec<String> = actors
        .iter()
        .map(|actor| {
            let title = steps::title(all, *actor);
            let host = steps
                .iter()
                .find(|step| step.actor == *actor)
                .map_or(0, |step| step.host);
            match all.hosts.get(usize::from(host)) {
                Some(host) if hosts => format!("{host}: {title}"),
                _ => title,
            }
        })
        .collect();
    let mut rows = Vec::new();
    let mut time = String::new();
    for part in &shown {
        match part {
            None => {}
            Some((_, step)) => {
                let now = show_nanoseconds(step.at);
                let margin = if now == time {
                    String::new()
                } else {
                    now.clone()
                };
                time = now;
                rows.push(Row::Cell {
                    margin,
                    column: actors
                        .iter()
                        .position(|actor| *actor == step.actor)
                        .unwrap_or(0),
                    text: text(step),
                });
            }
        }
    }
    let mut folded = folds(steps, &shown);
    for (at, line) in folded.drain(..).rev() {
        rows.insert(at, Row::Rule(line));
    }
    let fits = actors.len() <= layout::fitting(size.width);
    let mut lines = match fits {
        true => layout::table(&titles, &rows, size.width),
        false => layout::list(&titles, &rows, size.width),
    };
    if shown.iter().flatten().any(|(_, step)| step.preempted) {
        lines.push("(--> made to give way here; it could have gone on)".to_owned());
    }
    lines
}

type Shown<'a> = Vec<Option<(usize, &'a Step)>>;

fn shown_host(shown: &Shown<'_>) -> u16 {
    shown
        .iter()
        .flatten()
        .next()
        .map_or(0, |(_, step)| step.host)
}

fn text(step: &Step) -> String {
    let mut out = step.did.join(", ");
    if !step.place.is_empty() {
        if !out.is_empty() {
            out.push_str("  ");
        }
        out.push_str(&step.place);
    }
    if step.preempted {
        out.push_str(" -->");
    }
    out
}

/// Whether another actor comes after this step, or came before it.
fn at_switch(steps: &[Step], i: usize) -> bool {
    let other = |j: usize| {
        steps
            .get(j)
            .is_some_and(|step| step.actor != steps[i].actor)
    };
    other(i + 1) || i.checked_sub(1).is_some_and(other)
}

/// At most `most` steps: all, or the end and those at the switches before it.
fn choose(steps: &[Step], most: usize) -> Shown<'_> {
    let mut keep = vec![false; steps.len()];
    let mut left = most;
    let mut take = |i: usize, keep: &mut Vec<bool>| {
        if left > 0 && !keep[i] {
            keep[i] = true;
            left -= 1;
        }
    };
    let end = steps.len().saturating_sub((most / 3).max(1));
    (end..steps.len()).for_each(|i| take(i, &mut keep));
    (0..steps.len().min(2)).for_each(|i| take(i, &mut keep));
    for i in (0..steps.len()).rev() {
        if steps[i].preempted || at_switch(steps, i) {
            take(i, &mut keep);
        }
    }
    (0..steps.len()).rev().for_each(|i| take(i, &mut keep));
    let chosen = steps.iter().enumerate().filter(|(i, _)| keep[*i]);
    chosen.map(Some).collect()
}

/// Where steps are missing, before which of the rows, and what to say about them.
fn folds(steps: &[Step], shown: &Shown<'_>) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut next = 0;
    for (row, (i, _)) in shown.iter().flatten().enumerate() {
        if *i > next {
            let between = &steps[next..*i];
            let switches = between
                .windows(2)
                .filter(|two| two[0].actor != two[1].actor)
                .count();
            let switches = match switches {
                0 => String::new(),
                1 => " with 1 switch".to_owned(),
                n => format!(" with {n} switches"),
            };
            let n = between.len();
            let s = if n == 1 { "" } else { "s" };
            out.push((row, format!(": {n} step{s}{switches}")));
        }
        next = i + 1;
    }
    out
}
