//! What the rooms above the kernel noted during a recorded run: fault windows, samples, operations of clients, properties. A
//! note that cannot be read is left to the list of events, where it stands in its own words.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// While a fault was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Window {
    /// Virtual nanoseconds.
    pub(crate) from: u64,
    /// Virtual nanoseconds; the end of the run if it was never taken back.
    pub(crate) to: u64,
    /// In words.
    pub(crate) what: String,
    /// Whom it hit; none for the whole world.
    pub(crate) hosts: Vec<String>,
}

/// Something that was measured again and again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Virtual nanoseconds.
    pub(crate) at: Vec<u64>,
    pub(crate) value: Vec<f64>,
}

/// What a client asked for, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Operation {
    pub(crate) client: String,
    pub(crate) op: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Empty if it never came to an end.
    pub(crate) outcome: String,
}

/// A span of `tracing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Scope {
    /// With its fields, and the spans around it.
    pub(crate) span: String,
    pub(crate) target: String,
    pub(crate) from: u64,
    /// The end of the run if it was never closed.
    pub(crate) to: u64,
}

#[derive(Deserialize)]
struct SpanNote {
    phase: String,
    id: u64,
    #[serde(default)]
    span: String,
    #[serde(default)]
    target: String,
}

/// Everything that notes told of.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) windows: Vec<Window>,
    pub(crate) series: Vec<Series>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) scopes: Vec<Scope>,
}

#[derive(Deserialize)]
struct Fault {
    id: u64,
    #[serde(default)]
    what: String,
    #[serde(default)]
    hosts: Vec<String>,
}

#[derive(Deserialize)]
struct Sample {
    series: String,
    value: f64,
}

#[derive(Deserialize)]
struct Op {
    client: Word,
    op: String,
    #[serde(default)]
    phase: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    id: Option<u64>,
    /// Virtual nanoseconds at which it began, where the note of its end says so.
    #[serde(default)]
    from: Option<u64>,
}

/// A name, or a number that serves as one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(u64),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Word::Text(text) => f.write_str(text),
            Word::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Puts notes together that belong together.
#[derive(Default)]
pub(crate) struct Reader {
    open: BTreeMap<u64, Window>,
    windows: Vec<Window>,
    series: BTreeMap<String, Series>,
    begun: BTreeMap<(String, Option<u64>), Operation>,
    operations: Vec<Operation>,
    opened: BTreeMap<u64, Scope>,
    scopes: Vec<Scope>,
}

impl Reader {
    /// Reads a note. Of one about a span, returns what it says of it, and the span's number.
    pub(crate) fn note(&mut self, at: u64, kind: &str, data: &str) -> Option<(String, u64)> {
        match kind {
            "fault.begin" => {
                if let Ok(Fault { id, what, hosts }) = serde_json::from_str(data) {
                    let window = Window {
                        from: at,
                        to: at,
                        what,
                        hosts,
                    };
                    self.open.insert(id, window);
                }
            }
            "fault.end" => {
                let fault: Option<Fault> = serde_json::from_str(data).ok();
                if let Some(window) = fault.and_then(|fault| self.open.remove(&fault.id)) {
                    self.windows.push(Window { to: at, ..window });
                }
            }
            "sample" => {
                if let Ok(Sample { series, value }) = serde_json::from_str(data) {
                    let all = self.series.entry(series.clone()).or_insert_with(|| Series {
                        name: series,
                        at: Vec::new(),
                        value: Vec::new(),
                    });
                    all.at.push(at);
                    all.value.push(value);
                }
            }
            "span" => {
                let span: SpanNote = serde_json::from_str(data).ok()?;
                let (phase, id) = (span.phase.clone(), span.id);
                self.scope(at, span);
                return Some((phase, id));
            }
            "op" => {
                if let Ok(op) = serde_json::from_str(data) {
                    self.operation(at, op);
                }
            }
            _ => {}
        }
        None
    }

    fn scope(&mut self, at: u64, note: SpanNote) {
        let SpanNote {
            phase,
            id,
            span,
            target,
        } = note;
        let (from, to) = (at, at);
        let scope = Scope {
            span,
            target,
            from,
            to,
        };
        match phase.as_str() {
            "opens" => {
                // Numbers are used again; one whose end was not seen went with its program.
                let before = self.opened.insert(id, scope);
                self.scopes.extend(before);
            }
            "closes" => {
                let opened = self.opened.remove(&id);
                let from = opened.map_or(at, |opened| opened.from);
                // The fields of the end: some are recorded late.
                self.scopes.push(Scope { from, ..scope });
            }
            _ => {}
        }
    }

    fn operation(&mut self, at: u64, op: Op) {
        let client = op.client.to_string();
        let key = (client.clone(), op.id);
        let begun = self.begun.remove(&key);
        if op.phase == "invoke" {
            let operation = Operation {
                client,
                op: op.op,
                from: at,
                to: at,
                outcome: String::new(),
            };
            // The client forgot about the one before.
            self.operations.extend(begun);
            self.begun.insert(key, operation);
            return;
        }
        let from = begun.map(|begun| begun.from).or(op.from).unwrap_or(at);
        let outcome = match op.outcome.is_empty() {
            true => op.phase,
            false => op.outcome,
        };
        self.operations.push(Operation {
            client,
            op: op.op,
            from,
            to: at,
            outcome,
        });
    }

    /// Everything, with what is still open lasting until `end`.
    pub(crate) fn finish(mut self, end: u64) -> Tracks {
        let open = self.open.into_values();
        self.windows
            .extend(open.map(|window| Window { to: end, ..window }));
        self.windows.sort_by_key(|window| (window.from, window.to));
        let begun = self.begun.into_values();
        self.operations
            .extend(begun.map(|begun| Operation { to: end, ..begun }));
        self.operations.sort_by_key(|operation| operation.from);
        let opened = self.opened.into_values();
        self.scopes
            .extend(opened.map(|opened| Scope { to: end, ..opened }));
        self.scopes.sort_by_key(|scope| scope.from);
        Tracks {
            windows: self.windows,
            series: self.series.into_values().collect(),
            operations: self.operations,
            scopes: self.scopes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_put_together() {
        let mut reader = Reader::default();
        reader.note(
            5,
            "fault.begin",
            r#"{"id":1,"what":"shop is down","hosts":["shop"]}"#,
        );
        reader.note(6, "op", r#"{"client":3,"op":"buy","phase":"invoke"}"#);
        reader.note(7, "fault.begin", r#"{"id":2,"what":"clogged"}"#);
        reader.note(8, "sample", r#"{"series":"in flight","value":2}"#);
        reader.note(9, "fault.end", r#"{"id":1}"#);
        reader.note(9, "sample", "no JSON at all");
        reader.note(
            11,
            "op",
            r#"{"client":3,"op":"buy","phase":"ok","outcome":"sold"}"#,
        );
        reader.note(12, "span", r#"{"phase":"opens","id":1,"span":"request"}"#);
        reader.note(
            13,
            "span",
            r#"{"phase":"opens","id":2,"span":"request:db"}"#,
        );
        reader.note(
            15,
            "span",
            r#"{"phase":"closes","id":1,"span":"request{id=7}"}"#,
        );
        let Tracks {
            windows,
            series,
            operations,
            scopes,
        } = reader.finish(20);
        let spans: Vec<_> = scopes.iter().map(|s| (&*s.span, s.from, s.to)).collect();
        assert_eq!(spans, [("request{id=7}", 12, 15), ("request:db", 13, 20)]);
        let spans: Vec<(u64, u64)> = windows.iter().map(|w| (w.from, w.to)).collect();
        assert_eq!(spans, [(5, 9), (7, 20)]);
        assert_eq!((series.len(), series[0].value[0]), (1, 2.0));
        let op = &operations[0];
        assert_eq!((op.from, op.to, op.outcome.as_str()), (6, 11, "sold"));
    }
}
