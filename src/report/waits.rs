//! Who waits for what at the end of a run that does not end by itself: each task and thread that is not through, and where
//! it waits, and a cycle among them if there is one. `story` adds it below the table.

use std::collections::HashMap;

use super::Recorded;
use super::phrases::{self, thread_name};
use super::steps::{Actor, Told, title};
use crate::kernel::{About, What};

/// Lines about those who wait; none if all are through.
pub(super) fn waits(all: &Recorded, told: &Told) -> Vec<String> {
    let mut lines = Vec::new();
    let mut edges: HashMap<Actor, Actor> = HashMap::new();
    let mut more = 0;
    for (actor, waiting) in &told.waiting {
        if lines.len() == MOST {
            more += 1;
            continue;
        }
        let mut line = format!(
            "{} {} at {}",
            title(all, *actor),
            phrases::awaits(&waiting.site, waiting.lock),
            at(&waiting.site.place)
        );
        if let Some(lock) = waiting.lock {
            let holders = told.holders.get(&lock).map_or(&[][..], Vec::as_slice);
            let names: Vec<String> = holders.iter().map(|holder| short(all, *holder)).collect();
            if !names.is_empty() {
                line.push_str(&format!(", which {} holds", names.join(" and ")));
            }
            if let [holder] = holders {
                edges.insert(*actor, *holder);
            }
        }
        lines.push(line);
    }
    let tasks = !lines.is_empty();
    for (thread, text, joins) in blocked(all) {
        if let Some(other) = joins {
            edges.insert(Actor::Thread(thread), Actor::Thread(other));
        }
        if !tasks {
            // Verdicts list threads themselves.
            continue;
        }
        if lines.len() >= MOST {
            more += 1;
            continue;
        }
        lines.push(format!("{} {text}", thread_name(all, thread)));
    }
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    if let Some(cycle) = cycle(&edges) {
        let names: Vec<String> = cycle.iter().map(|actor| short(all, *actor)).collect();
        lines.push(format!(
            "so {} waits for {}: none of them can ever go on",
            names[0],
            [&names[1..], &names[..1]]
                .concat()
                .join(", which waits for ")
        ));
    }
    lines
}

/// The most that are listed.
const MOST: usize = 16;

fn short(all: &Recorded, actor: Actor) -> String {
    match actor {
        Actor::Thread(thread) => thread_name(all, thread),
        Actor::Task(task) => phrases::task_name(all, task),
    }
}

fn at(place: &super::Place) -> String {
    match place.file.is_empty() {
        true => place.function.clone(),
        false => format!("{} ({})", place.short(), place.name()),
    }
}

/// Threads that are blocked in the end at a place of the program's own: what they wait for, and the thread whose end it is.
fn blocked(all: &Recorded) -> Vec<(u32, String, Option<u32>)> {
    let mut last: HashMap<u32, (String, Option<u32>)> = HashMap::new();
    for event in &all.events {
        match &event.what {
            What::Block { about, .. } => {
                last.remove(&event.thread);
                let Some(site) = super::steps::place(all, event) else {
                    continue;
                };
                let joins = match about {
                    About::Join(thread) => Some(*thread),
                    _ => None,
                };
                if let Some(text) = phrases::phrase(all, event, Some(site)) {
                    last.insert(
                        event.thread,
                        (format!("{text} at {}", at(&site.place)), joins),
                    );
                }
            }
            What::Wake { thread, .. } => {
                last.remove(thread);
            }
            _ => {}
        }
    }
    let mut out: Vec<_> = last
        .into_iter()
        .map(|(thread, (text, joins))| (thread, text, joins))
        .collect();
    out.sort_unstable();
    out
}

/// A cycle among those of whom each waits for one other.
fn cycle(edges: &HashMap<Actor, Actor>) -> Option<Vec<Actor>> {
    let mut starts: Vec<&Actor> = edges.keys().collect();
    starts.sort_unstable();
    for start in starts {
        let mut path = vec![*start];
        while let Some(next) = edges.get(&path[path.len() - 1]) {
            if next == start {
                return Some(path);
            }
            if path.contains(next) {
                break;
            }
            path.push(*next);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_told_from_a_chain() {
        let [a, b, c] = [1, 2, 3].map(Actor::Task);
        assert_eq!(cycle(&HashMap::from([(a, b), (b, c)])), None);
        assert_eq!(
            cycle(&HashMap::from([(a, b), (b, c), (c, b)])),
            Some(vec![b, c])
        );
    }
}
