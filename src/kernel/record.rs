//! The record of a traced run: every event with who did it, when and where, for the story of a failure, for the comparison of
//! two runs, and for reports. `trace` fills it while the run goes on; `run` puts names to its stacks and `report` tells it.
//!
//! Nothing in an event may differ between equal runs: objects of memory are numbered in the order in which they come up.
//! Stacks are addresses of code and are not compared.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A text that is usually a constant of the program.
pub type Text = Cow<'static, str>;

/// One recorded event of a traced run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Virtual nanoseconds since the start of the run.
    pub at: u64,
    /// The host of the thread.
    pub host: u16,
    /// The simulated thread that it happened on.
    pub thread: u32,
    /// The task that the thread was polling, by its number as an entity, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u32>,
    /// What happened.
    pub what: What,
    /// Where: an index into [`Record::stacks`], if it was taken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<u32>,
    /// How many decisions the oracle had taken by then, this event's own among them; 0 if it does not count.
    pub decisions: u64,
    /// The digest after this event.
    pub digest: u64,
}

impl Event {
    /// Whether two runs agree in it.
    pub fn same(&self, other: &Event) -> bool {
        let facts = |e: &Event| (e.at, e.thread, e.digest);
        facts(self) == facts(other) && self.what == other.what
    }
}

/// What happened in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The thread started another one.
    ThreadBorn {
        /// The new thread.
        thread: u32,
    },
    /// The thread ended.
    ThreadDied,
    /// A call returned.
    Call {
        /// Its name.
        name: Text,
        /// The value.
        result: i64,
        /// The error's name, where it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Text>,
        /// What it was about.
        about: About,
        /// Which end of which TCP connection it was about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wire: Option<Wire>,
    },
    /// The thread waits from here on.
    Block {
        /// In this call.
        call: Text,
        /// For this.
        about: About,
        /// No longer than until this virtual time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
    },
    /// A blocked thread can go on.
    Wake {
        /// That thread.
        thread: u32,
        /// What it waited for.
        about: About,
        /// Why.
        cause: Cause,
    },
    /// Another thread goes on.
    Switch {
        /// That thread.
        to: u32,
        /// The one that ran could have gone on.
        preempted: bool,
    },
    /// Nobody could go on, and the clock moved to the next event.
    TimeJump {
        /// Where it stood before.
        from: u64,
    },
    /// Memory that others may see is accessed.
    Access {
        /// It may be changed.
        write: bool,
        /// Which word.
        about: About,
    },
    /// A task was spawned.
    TaskBorn {
        /// It.
        task: u32,
    },
    /// A poll of a task begins.
    PollBegins {
        /// It.
        task: u32,
    },
    /// A poll of a task ends.
    PollEnds {
        /// It.
        task: u32,
        /// The task is through; otherwise it waits for something.
        ready: bool,
    },
    /// Something that may have to be waited for is polled, by the task or by what drives the runtime.
    Awaits {
        /// What it is, where that is known.
        about: About,
    },
    /// The poll ends here because its budget is gone; the task could go on.
    CutShort,
    /// Something keeps the waker of what is being polled.
    Kept,
    /// A task is woken.
    WakesTask {
        /// It.
        task: u32,
    },
    /// A lock or permits are given back.
    Releases {
        /// Which.
        about: About,
    },
    /// A task has finished, panicked or been cancelled.
    TaskDied {
        /// It.
        task: u32,
    },
    /// A runtime picked a task.
    TaskPicked {
        /// Which, counted from 0 for the one that had waited longest.
        index: u32,
        /// Of so many.
        of: u32,
    },
    /// A poll begins with a budget other than tokio's own.
    Budget {
        /// In operations.
        of: u64,
    },
    /// The driver of a runtime has its turn after so many polls.
    Round {
        /// At most so many.
        polls: u64,
    },
    /// A fault was injected, or taken back.
    Fault {
        /// Which, in words.
        text: String,
    },
    /// The program wrote to descriptor 1 or 2.
    Output {
        /// 1 or 2.
        fd: i32,
        /// What it wrote.
        text: String,
    },
    /// Something that the library noted.
    Note {
        /// What it is about, `property` say.
        kind: Text,
        /// A JSON object.
        data: String,
    },
    /// Something panicked.
    Panic {
        /// File, line and column.
        site: String,
        /// The message.
        message: String,
    },
}

/// An end of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    /// Which of all connections of the run, counted from 1 in the order in which they came up.
    pub number: u32,
    /// It is the end that connected.
    pub client: bool,
}

/// Why a blocked thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The running thread did something.
    Call,
    /// A timer expired or a packet arrived.
    Event,
    /// Its deadline passed.
    Deadline,
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// Nothing, or it is not known.
    Nothing,
    /// A descriptor's object, in words.
    Object(String),
    /// A word of memory.
    Word {
        /// What lives there.
        kind: Text,
        /// Which of all words of the run, counted from 1 in the order in which they came up.
        number: u32,
    },
    /// The clock.
    Clock,
    /// Another thread's end.
    Join(u32),
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            About::Nothing => f.write_str("something"),
            About::Object(text) => f.write_str(text),
            About::Word { kind, number } => write!(f, "{kind} #{number}"),
            About::Clock => f.write_str("the clock"),
            About::Join(thread) => write!(f, "the end of thread {thread}"),
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            What::ThreadBorn { thread } => write!(f, "starts thread {thread}"),
            What::ThreadDied => f.write_str("ends"),
            What::Call {
                name,
                error: Some(error),
                ..
            } => write!(f, "{name} = {error}"),
            What::Call { name, result, .. } => write!(f, "{name} = {result}"),
            What::Block { call, about, .. } => write!(f, "{call} waits for {about}"),
            What::Wake {
                thread,
                cause: Cause::Call,
                ..
            } => write!(f, "wakes thread {thread}"),
            What::Wake { thread, .. } => write!(f, "the wait of thread {thread} is over"),
            What::Switch { to, .. } => write!(f, "switch to thread {to}"),
            What::TimeJump { from } => write!(f, "the clock goes on from {from} ns"),
            What::Access { write: true, about } => write!(f, "writes {about}"),
            What::Access { about, .. } => write!(f, "reads {about}"),
            What::TaskBorn { task } => write!(f, "spawns task {task}"),
            What::PollBegins { task } => write!(f, "polls task {task}"),
            What::PollEnds { task, ready: true } => write!(f, "task {task} is ready"),
            What::PollEnds { task, .. } => write!(f, "task {task} has to wait"),
            What::Awaits { about } => write!(f, "awaits {about}"),
            What::CutShort => f.write_str("the poll ends for want of budget"),
            What::Kept => f.write_str("its waker is kept"),
            What::WakesTask { task } => write!(f, "wakes task {task}"),
            What::Releases { about } => write!(f, "gives back {about}"),
            What::TaskDied { task } => write!(f, "task {task} is over"),
            What::TaskPicked { index, of } => {
                write!(f, "poll task {} of {of} that are ready", index + 1)
            }
            What::Budget { of } => write!(f, "a poll with a budget of {of}"),
            What::Round { polls } => write!(f, "the driver's turn after at most {polls} polls"),
            What::Fault { text } => f.write_str(text),
            What::Output { fd, text } => write!(f, "writes to {fd}: {}", text.trim_end()),
            What::Note { kind, data } => write!(f, "{kind}: {data}"),
            What::Panic { site, message } => write!(f, "panics at {site}: {message}"),
        }
    }
}

/// A thread of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadFacts {
    /// Its name, empty if it has none.
    pub name: String,
    /// Its host.
    pub host: u16,
}

/// Everything that was taken down.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// In the order in which they happened.
    pub events: Vec<Event>,
    /// Return addresses, innermost first, each list once.
    pub stacks: Vec<Vec<usize>>,
    /// Hosts' names by their numbers.
    pub hosts: Vec<String>,
    /// Threads by their numbers.
    pub threads: Vec<ThreadFacts>,
}
