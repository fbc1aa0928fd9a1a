//! Operations as text: a column for each client, a row for each moment.

use super::record::{Moment, Outcome, Record};
use std::time::Duration;

/// An operation in words.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Who.
    pub client: String,
    /// What.
    pub call: String,
    /// What came of it.
    pub result: String,
    pub invoked: Moment,
    pub ended: Option<Moment>,
}

impl Entry {
    pub(super) fn of<Op, Ret>(
        record: &Record<Op, Ret>,
        call: String,
        show: impl FnOnce(&Ret) -> String,
    ) -> Self {
        Entry {
            client: record.client.to_string(),
            call,
            result: match &record.outcome {
                Outcome::Ok(ret) => show(ret),
                Outcome::Failed => "failed".to_owned(),
                Outcome::Unknown => "unknown".to_owned(),
            },
            invoked: record.invoked,
            ended: record.ended,
        }
    }

    /// All of it in a line.
    pub(super) fn line(&self) -> String {
        format!("{}: {} -> {}", self.client, self.call, self.result)
    }
}

/// A time as people read it.
pub(super) fn time(at: Duration) -> String {
    let ns = at.as_nanos();
    let (unit, name) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (1e3, "us"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let text = format!("{:.3}", ns as f64 / unit);
    format!(
        "{} {name}",
        text.trim_end_matches('0').trim_end_matches('.')
    )
}

const WIDEST: usize = 40;

/// The table. An operation during which nothing else begins or ends takes one row, another two: its invocation, and `-> ` its end.
pub(super) fn draw(entries: &[Entry]) -> String {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|i| entries[*i].invoked);
    let mut clients: Vec<&str> = Vec::new();
    for i in &order {
        if !clients.contains(&entries[*i].client.as_str()) {
            clients.push(&entries[*i].client);
        }
    }
    // By moment; at the same one, beginnings go before ends.
    let mut events: Vec<(Moment, bool, usize)> = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        events.push((entry.invoked, false, i));
        events.extend(entry.ended.map(|ended| (ended, true, i)));
    }
    events.sort();
    let mut rows: Vec<(String, usize, String)> = Vec::new();
    let mut at = 0;
    while let Some((moment, end, i)) = events.get(at) {
        let entry = &entries[*i];
        let column = clients.iter().position(|c| *c == entry.client).unwrap_or(0);
        let alone = !end && matches!(events.get(at + 1), Some((_, true, next)) if next == i);
        let (what, when) = match (end, alone) {
            (true, _) => (format!("-> {}", entry.result), *moment),
            (false, true) => (format!("{} -> {}", entry.call, entry.result), *moment),
            (false, false) => (entry.call.clone(), *moment),
        };
        rows.push((time(when.at), column, what));
        at += if alone { 2 } else { 1 };
    }
    for entry in entries.iter().filter(|e| e.ended.is_none()) {
        let column = clients.iter().position(|c| *c == entry.client).unwrap_or(0);
        rows.push((String::new(), column, format!("-> {}", entry.result)));
    }
    let cell = |column: usize| {
        rows.iter()
            .filter(move |r| r.1 == column)
            .map(|r| r.2.chars().count())
    };
    let widths: Vec<usize> = clients
        .iter()
        .enumerate()
        .map(|(i, c)| {
            cell(i)
                .chain([c.chars().count()])
                .max()
                .unwrap_or(0)
                .min(WIDEST)
        })
        .collect();
    let mut text = String::new();
    let mut line = |when: &str, of: &dyn Fn(usize) -> String| {
        let mut row = format!("{when:>12}");
        for (i, width) in widths.iter().enumerate() {
            row += &format!(" | {:<1$}", of(i), width);
        }
        text += row.trim_end();
        text.push('\n');
    };
    line("", &|i| clients[i].to_owned());
    line("", &|i| "-".repeat(widths[i]));
    for (when, column, what) in &rows {
        line(when, &|i| {
            if i == *column {
                what.clone()
            } else {
                String::new()
            }
        });
    }
    text
}
