//! Vital signs of the world, sampled while traffic runs.

use super::gauge::{Gauges, Reading};
use crate::kernel;
use crate::sim::{points, scope};
use std::sync::Arc;
use std::time::Duration;

/// The state of the world at an instant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// When, since the start of the traffic.
    pub at: Duration,
    /// Requests of this traffic under way.
    pub in_flight: u64,
    /// Connections that wait to be accepted, on all hosts. On madsim this is not known, and 0; so with the next.
    pub backlog: u64,
    /// Bytes that arrived in sockets and were not read yet, on all hosts.
    pub unread: u64,
    /// Tasks that live; `None` where the program's tokio does not tell (under plain `cargo test`).
    pub tasks: Option<u64>,
    /// The gauges of the test, and `backlog:HOST` and `unread:HOST` of each host that had something waiting.
    pub gauges: Vec<(Arc<str>, Reading)>,
}

/// Names of what the kernel itself knows.
pub(super) const BACKLOG: &str = "backlog";
pub(super) const UNREAD: &str = "unread";
pub(super) const TASKS: &str = "tasks";

/// The names of readings that need no test to ask for them: the kernel's, and those of the program's gauges.
pub(super) fn known_names() -> Vec<String> {
    let mut names = Vec::new();
    // madsim does not tell what waits in its sockets.
    if !cfg!(squall_madsim) {
        names.extend([BACKLOG, UNREAD, TASKS].map(str::to_owned));
        for host in kernel::hosts() {
            names.push(format!("{BACKLOG}:{}", host.name));
            names.push(format!("{UNREAD}:{}", host.name));
        }
    }
    for site in squall_points::catalogue() {
        if site.kind == squall_points::Kind::Gauge {
            names.push(site.name.to_owned());
        }
    }
    names
}

impl Sample {
    /// Takes one.
    pub(super) fn take(traffic: &str, at: u64, in_flight: u64) -> Sample {
        let mut gauges: Vec<(Arc<str>, Reading)> = Vec::new();
        for (name, read) in scope::of_run::<Gauges>().all() {
            gauges.push((name, read()));
        }
        for (name, value) in points::gauges() {
            if gauges.iter().all(|(known, _)| **known != *name) {
                gauges.push((name.into(), value.into()));
            }
        }
        let vitals = kernel::vitals();
        let waiting = [(BACKLOG, &vitals.backlog), (UNREAD, &vitals.unread)];
        for (name, by_host) in waiting {
            for (host, value) in by_host {
                gauges.push((format!("{name}:{host}").into(), (*value).into()));
            }
        }
        let sum = |by_host: &[(String, u64)]| by_host.iter().map(|(_, value)| value).sum();
        let sample = Sample {
            at: Duration::from_nanos(at),
            in_flight,
            backlog: sum(&vitals.backlog),
            unread: sum(&vitals.unread),
            tasks: vitals.tasks,
            gauges,
        };
        sample.note(traffic);
        sample
    }

    /// What stands under a name: a gauge, or one of the kernel's.
    pub(super) fn reading(&self, name: &str) -> Option<Reading> {
        match name {
            BACKLOG => Some(self.backlog.into()),
            UNREAD => Some(self.unread.into()),
            TASKS => self.tasks.map(Reading::from),
            _ => {
                let mut gauges = self.gauges.iter();
                gauges.find(|(known, _)| **known == *name).map(|(_, r)| *r)
            }
        }
    }

    /// For whoever tells of the run.
    fn note(&self, traffic: &str) {
        let say = |series: &str, value: f64| {
            kernel::note("sample", || {
                serde_json::json!({"series": series, "value": value}).to_string()
            });
        };
        say(&format!("{traffic}: in flight"), self.in_flight as f64);
        if !cfg!(squall_madsim) {
            say(BACKLOG, self.backlog as f64);
            say(UNREAD, self.unread as f64);
        }
        if let Some(tasks) = self.tasks {
            say(TASKS, tasks as f64);
        }
        for (name, reading) in &self.gauges {
            say(name, reading.value());
        }
    }
}
