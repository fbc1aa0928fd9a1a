//! The counterexample in words.

use super::super::Model;
use super::super::timeline::{Entry, draw};
use super::minimal::Minimal;
use super::problem::{Found, Item, Limits, NONE, Order, Steps, sorted};
use super::search::Search;
use super::space::Space;
use std::fmt::Write as _;

/// More operations than these are not drawn, but for the last ones.
const MOST: usize = 60;

/// Few operations that have no order, and what to say of them.
pub(super) fn counterexample<M: Model>(
    space: &mut Space<'_, M>,
    items: Vec<Item>,
    order: Order,
    limits: Limits,
) -> (Vec<usize>, String) {
    let of = items.len();
    let items = Minimal::new(space, order, limits).of(items);
    let items = sorted(items);
    let (found, _) = Search::new(&items, space, order, limits, true).run();
    let longest = match found {
        Found::Nothing { longest, .. } => Some(longest),
        // It had none a moment ago; to find out how far it gets took longer.
        Found::Order(_) | Found::GaveUp => None,
    };
    let mut operations: Vec<usize> = items.iter().map(|i| i.op as usize).collect();
    operations.sort_unstable();
    let entries: Vec<Entry> = operations.iter().map(|op| entry(space, *op)).collect();
    let mut text = match operations.len() {
        n if n == of => format!("these {n} operations cannot be put in order\n"),
        n => format!("{n} of {of} operations show it\n"),
    };
    let shown = entries.len().saturating_sub(MOST);
    if shown > 0 {
        let _ = writeln!(text, "({shown} more came before these)");
    }
    text += &draw(&entries[shown..]);
    match longest {
        Some(longest) => {
            prefix(space, &items, &longest, &mut text);
            stuck(space, &items, &longest, order, &mut text);
        }
        None => text.push_str("there are too many to say within the bound how far an order gets\n"),
    }
    (operations, text)
}

fn entry<M: Model>(space: &Space<'_, M>, op: usize) -> Entry {
    let record = &space.records[op];
    let call = space.model.show_op(&record.op);
    Entry::of(record, call, |ret| space.model.show_ret(ret))
}

/// The longest beginning of an order, with what it leads to.
fn prefix<M: Model>(space: &mut Space<'_, M>, items: &[Item], longest: &[u32], text: &mut String) {
    let init = space.init();
    let holds = space.model.show_state(space.state(init));
    if longest.is_empty() {
        let _ = writeln!(text, "nothing can come first; it holds {holds}:");
        return;
    }
    let _ = writeln!(
        text,
        "the longest order that the model allows, from {holds}:"
    );
    let mut states = vec![init];
    let hidden = longest.len().saturating_sub(MOST);
    for (n, place) in longest.iter().enumerate() {
        let op = items[*place as usize].op;
        states = after(space, &states, op);
        if n < hidden {
            continue;
        }
        let holds = match states.as_slice() {
            [state] => format!("  (holds {})", space.model.show_state(space.state(*state))),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "  {:>2}. {}{holds}",
            n + 1,
            entry(space, op as usize).line()
        );
    }
    text.push_str("then none of these can come:\n");
}

fn after<M: Model>(space: &mut Space<'_, M>, states: &[u32], op: u32) -> Vec<u32> {
    let mut next = Vec::new();
    for state in states {
        space.step(*state, op, &mut next);
    }
    next.sort_unstable();
    next.dedup();
    next
}

/// Why what is left cannot be next.
fn stuck<M: Model>(
    space: &mut Space<'_, M>,
    items: &[Item],
    longest: &[u32],
    order: Order,
    text: &mut String,
) {
    let mut states = vec![space.init()];
    for place in longest {
        states = after(space, &states, items[*place as usize].op);
    }
    let left: Vec<u32> = (0..items.len() as u32)
        .filter(|p| !longest.contains(p))
        .collect();
    for place in left.iter().take(MOST) {
        let item = &items[*place as usize];
        let op = item.op as usize;
        let first = left.iter().find(|other| {
            let other_item = &items[**other as usize];
            let by_time =
                order == Order::RealTime && !other_item.optional && other_item.end < item.start;
            by_time || order == Order::Program && item.before == **other && item.before != NONE
        });
        let why = match first {
            Some(first) => {
                let first = items[*first as usize].op as usize;
                let first = entry(space, first).line();
                format!("comes after `{first}`")
            }
            None => why(space, &states, op),
        };
        let _ = writeln!(text, "  {}: {why}", entry(space, op).line());
    }
}

fn why<M: Model>(space: &mut Space<'_, M>, states: &[u32], op: usize) -> String {
    let model = space.model;
    let record = &space.records[op];
    let [state] = states else {
        return "does not fit what it may hold".to_owned();
    };
    let holds = model.show_state(space.state(*state));
    if !after(space, states, op as u32).is_empty() {
        return match record.outcome.ok() {
            Some(_) => format!("it holds {holds}; this could be next, but what follows could not"),
            None => format!(
                "it holds {holds}; this could be next or never, and either way the others do not fit"
            ),
        };
    }
    match model.expected(space.state(*state), &record.op) {
        Some(ret) => format!(
            "it holds {holds}, so this would return {}",
            model.show_ret(&ret)
        ),
        None => format!("it holds {holds}, where it cannot return that"),
    }
}
