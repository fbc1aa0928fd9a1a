//! What a run has to tell: the record of its events with names for its places, and what is made of it: the story, and the time line
//! as HTML, for Perfetto, and as lines of JSON.
//!
//! `run` fills a [`Recorded`] in the child process, shows its story on the failure's page, and writes the rest to files. Nothing here touches the
//! kernel or the system; all of it is data in and text out.

mod faults;
mod html;
mod layout;
mod lines;
mod notes;
mod perfetto;
mod phrases;
mod steps;
mod story;
mod timeline;
mod tracks;
mod waits;

pub(crate) use faults::faults;
pub(crate) use html::{Document, html};
pub(crate) use lines::lines;
pub(crate) use perfetto::perfetto;
pub(crate) use story::{Ending, Size, Story, story};
pub(crate) use timeline::timeline;

use serde::{Deserialize, Serialize};

use crate::kernel::{Event, Record, TaskReport, ThreadFacts};

/// The record of a run as reports use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// In the order in which they happened.
    pub(crate) events: Vec<Event>,
    /// Where events happened; an event's `stack` is an index into it. `None` where nothing of the program's own was there.
    pub(crate) sites: Vec<Option<Site>>,
    /// Hosts' names by their numbers.
    pub(crate) hosts: Vec<String>,
    /// Threads by their numbers.
    pub(crate) threads: Vec<ThreadFacts>,
    /// Tasks in the order of their births; none on a tokio that says nothing of them.
    pub(crate) tasks: Vec<TaskReport>,
}

/// A place in the program's own code, and what it called there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Site {
    /// The innermost place that is the program's own.
    pub(crate) place: Place,
    /// What was called or awaited there, `Mutex::lock` say; empty if that is not known.
    pub(crate) via: String,
    /// Who called that place, innermost first; the program's own only.
    pub(crate) callers: Vec<Place>,
}

/// A function, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Its path without the parameters of types.
    pub(crate) function: String,
    /// As the compiler knows it; empty without debug information.
    pub(crate) file: String,
    /// 0 if it is not known.
    pub(crate) line: u32,
}

impl Recorded {
    /// Puts names to a record's stacks; `site` does so for one.
    pub(crate) fn new(
        record: Record,
        tasks: Vec<TaskReport>,
        mut site: impl FnMut(&[usize]) -> Option<Site>,
    ) -> Recorded {
        let Record {
            events,
            stacks,
            hosts,
            threads,
        } = record;
        Recorded {
            events,
            sites: stacks.iter().map(|stack| site(stack)).collect(),
            hosts,
            threads,
            tasks,
        }
    }

    /// Where an event happened.
    pub(crate) fn site(&self, event: &Event) -> Option<&Site> {
        self.sites.get(event.stack? as usize)?.as_ref()
    }
}

impl Place {
    /// The file's name and the line; the function where those are not known.
    pub(crate) fn short(&self) -> String {
        match self.file.rsplit('/').next() {
            Some(file) if !file.is_empty() => format!("{file}:{}", self.line),
            _ => self.name().to_owned(),
        }
    }

    /// The last part of the function's path that is not a closure.
    pub(crate) fn name(&self) -> &str {
        let parts = self.function.rsplit("::");
        let mut named = parts.filter(|part| !part.starts_with('{'));
        named.next().unwrap_or(&self.function)
    }
}
