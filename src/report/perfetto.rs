//! A recorded run in Chrome's trace event format, which Perfetto and `chrome://tracing` read: a process for each host, a thread
//! for each lane, flows for messages and wakes, counters for what was measured.
//!
//! Source: "Trace Event Format", the Chromium project. Times are microseconds.

use serde_json::{Value, json};

use super::lines::kind;
use super::timeline::{MESSAGE, POLL, SCOPE, Timeline};

/// Where the faults' own track lies; no host has so high a number.
const FAULTS: u32 = 1 << 20;

/// The file's text.
pub(crate) fn perfetto(line: &Timeline) -> String {
    let mut out = Vec::new();
    let mut at = Vec::with_capacity(line.events.lane.len());
    let mut now = 0;
    for later in &line.events.later {
        now += later;
        at.push(now);
    }
    names(line, &mut out);
    let text = |index: u32| line.texts.get(index as usize).map_or("", String::as_str);
    let track = |event: u32| {
        let lane = line.events.lane[event as usize];
        (line.lanes[lane as usize].host, lane)
    };
    for span in &line.spans {
        let (from, to) = (at[span.1 as usize], at[span.2 as usize]);
        let name = match span.3 {
            POLL => "poll".to_owned(),
            SCOPE => {
                let entered = text(line.events.text[span.1 as usize]);
                entered.trim_start_matches("enters ").to_owned()
            }
            _ => text(line.events.text[span.1 as usize]).to_owned(),
        };
        let host = line.lanes[span.0 as usize].host;
        let category = match span.3 {
            POLL => "poll",
            SCOPE => "span",
            _ => "wait",
        };
        out.push(json!({
            "ph": "X", "name": name, "cat": category,
            "pid": host, "tid": span.0, "ts": us(from), "dur": us(to - from),
        }));
    }
    for (i, &now) in at.iter().enumerate() {
        let (pid, tid) = track(i as u32);
        let mut event = json!({
            "ph": "i", "s": "t", "name": text(line.events.text[i]), "cat": kind(line.events.kind[i]),
            "pid": pid, "tid": tid, "ts": us(now),
        });
        let place = text(line.events.place[i]);
        if !place.is_empty() {
            event["args"] = json!({ "where": place });
        }
        out.push(event);
    }
    for (id, arrow) in line.arrows.iter().enumerate() {
        let name = if arrow.0 == MESSAGE {
            "message"
        } else {
            "wake"
        };
        for (ph, event) in [("s", arrow.1), ("f", arrow.2)] {
            let (pid, tid) = track(event);
            out.push(json!({
                "ph": ph, "bp": "e", "name": name, "cat": name, "id": id,
                "pid": pid, "tid": tid, "ts": us(at[event as usize]),
            }));
        }
    }
    for (id, window) in line.windows.iter().enumerate() {
        for (ph, now) in [("b", window.from), ("e", window.to)] {
            out.push(json!({
                "ph": ph, "name": window.what, "cat": "fault", "id": id, "pid": FAULTS, "tid": 0, "ts": us(now),
                "args": { "hosts": window.hosts },
            }));
        }
    }
    for series in &line.series {
        for (&now, value) in series.at.iter().zip(&series.value) {
            out.push(json!({
                "ph": "C", "name": series.name, "pid": FAULTS, "ts": us(now), "args": { "value": value },
            }));
        }
    }
    json!({ "displayTimeUnit": "ns", "traceEvents": out }).to_string()
}

fn names(line: &Timeline, out: &mut Vec<Value>) {
    let mut name = |what: &str, pid: u32, tid: u32, name: &str| {
        out.push(
            json!({ "ph": "M", "name": what, "pid": pid, "tid": tid, "args": { "name": name } }),
        );
    };
    for (number, host) in line.hosts.iter().enumerate() {
        name("process_name", number as u32, 0, host);
    }
    name("process_name", FAULTS, 0, "the world");
    for (number, lane) in line.lanes.iter().enumerate() {
        name(
            "thread_name",
            u32::from(lane.host),
            number as u32,
            &lane.name,
        );
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}
