//! A recorded run as lines of JSON, for other programs: one for the run, then one for each event.

use serde_json::json;

use super::html::Document;
use super::timeline::Kind;

/// The file's text.
pub(crate) fn lines(document: &Document) -> String {
    let line = &document.timeline;
    let facts = document.facts.iter();
    let facts: serde_json::Map<_, _> = facts
        .map(|(name, value, _)| (name.clone(), json!(value)))
        .collect();
    let mut out = json!({
        "test": document.test,
        "held": document.held,
        "headline": document.headline,
        "message": document.message,
        "facts": facts,
        "windows": line.windows,
        "operations": line.operations,
        "spans": line.scopes,
    })
    .to_string();
    out.push('\n');
    let text = |index: u32| line.texts.get(index as usize).map_or("", String::as_str);
    let (mut at, mut decisions) = (0, 0);
    let events = &line.events;
    for i in 0..events.lane.len() {
        at += events.later[i];
        decisions += events.decisions[i];
        let lane = &line.lanes[events.lane[i] as usize];
        let event = json!({
            "at": at,
            "host": line.hosts.get(usize::from(lane.host)),
            "who": lane.name,
            "kind": kind(events.kind[i]),
            "did": text(events.text[i]),
            "where": text(events.place[i]),
            "decisions": decisions,
        });
        out.push_str(&event.to_string());
        out.push('\n');
    }
    out
}

/// A kind's name.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Call => "call",
        Kind::Wait => "wait",
        Kind::Wake => "wake",
        Kind::Task => "task",
        Kind::Memory => "memory",
        Kind::Scheduler => "scheduler",
        Kind::World => "world",
        Kind::Output => "output",
        Kind::Log => "log",
        Kind::Panic => "panic",
    }
}
