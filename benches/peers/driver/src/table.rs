//! Writes the tables, in Markdown.

use std::collections::BTreeMap;

use common::Workload;

use crate::{Peer, Said};

type All = BTreeMap<(&'static str, usize), Said>;

/// What the workloads cost: the median of each peer, its spread, and its ratio to the first peer.
pub fn costs(workloads: &[(&'static str, Workload)], peers: &[Peer], said: &All) -> String {
    let mut notes = Notes::default();
    let mut lines = Vec::new();
    for (workload, _) in workloads {
        let base = match said.get(&(*workload, 0)) {
            Some(Said::Seconds(all)) => Some(median(all)),
            _ => None,
        };
        let cell = |number| match said.get(&(*workload, number)) {
            Some(Said::Seconds(all)) => {
                let middle = median(all);
                let ratio = base.filter(|_| number > 0);
                let ratio = ratio.map_or(String::new(), |base| {
                    format!("**{}x** ", figure(middle / base))
                });
                let half = (most(all) - least(all)) / 2.0 / middle * 100.0;
                format!("{ratio}{} ±{half:.0} %", time(middle))
            }
            Some(Said::Cannot(reason)) => notes.mark(reason),
            _ => "?".to_owned(),
        };
        lines.push((*workload, (0..peers.len()).map(cell).collect()));
    }
    table("workload", peers, &lines) + &notes.text()
}

/// Schedules to the first bug: the mean, how many trials found it, and the time per bug.
pub fn hunts(workloads: &[(&'static str, Workload)], peers: &[Peer], said: &All) -> String {
    let mut notes = Notes::default();
    let mut lines = Vec::new();
    for (workload, _) in workloads {
        let cell = |number| match said.get(&(*workload, number)) {
            Some(Said::Schedules { found, seconds }) => {
                let hits = found.iter().flatten().count();
                let sum: u64 = found.iter().map(|first| first.unwrap_or(common::CAP)).sum();
                let mean = sum as f64 / found.len() as f64;
                let each = time(median(seconds) / found.len() as f64);
                match hits {
                    0 => "never".to_owned(),
                    _ if hits < found.len() => {
                        format!("{} ({hits} of {}), {each}", figure(mean), found.len())
                    }
                    _ => format!("{}, {each}", figure(mean)),
                }
            }
            Some(Said::Cannot(reason)) => notes.mark(reason),
            _ => "?".to_owned(),
        };
        lines.push((*workload, (0..peers.len()).map(cell).collect()));
    }
    table("bug", peers, &lines) + &notes.text()
}

fn table(first: &str, peers: &[Peer], lines: &[(&str, Vec<String>)]) -> String {
    let names: Vec<&str> = peers.iter().map(|peer| peer.name).collect();
    let mut out = format!(
        "\n| {first} | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(peers.len())
    );
    for (name, cells) in lines {
        out += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    out
}

/// Reasons, each told once under the table.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn mark(&mut self, reason: &str) -> String {
        let known = self.0.iter().position(|known| known == reason);
        let number = known.unwrap_or_else(|| {
            self.0.push(reason.to_owned());
            self.0.len() - 1
        });
        format!("- ({})", number + 1)
    }

    fn text(&self) -> String {
        let lines = self.0.iter().enumerate();
        let lines: Vec<String> = lines
            .map(|(i, reason)| format!("({}) {reason}.", i + 1))
            .collect();
        format!("\n{}\n", lines.join(" "))
    }
}

fn median(all: &[f64]) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn least(all: &[f64]) -> f64 {
    all.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(all: &[f64]) -> f64 {
    all.iter().copied().fold(0.0, f64::max)
}

fn figure(v: f64) -> String {
    match v {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{} s", figure(s)),
        s if s >= 1e-3 => format!("{} ms", figure(s * 1e3)),
        s => format!("{} us", figure(s * 1e6)),
    }
}
