//! What happened: the digest over all events, and, when wanted, the record of them.
//!
//! The digest is what makes two runs comparable: each scheduling decision, each call's result and each payload is folded
//! into 64 bits. Events are recorded only when a run is explained or audited; [`Kernel::tell`] is the one door.

use super::descriptor::{Kind, ObjectId};
use super::net::flow::{CLIENT, FlowId};
use super::record::{About, Cause, Event, Record, ThreadFacts, What, Wire};
use super::sched::{self, CARRIER, Space, Word};
use super::{Config, Kernel};
use std::cell::Cell;
use std::collections::HashMap;

/// What the present call is about, as far as it has come.
#[derive(Clone, Copy, Default)]
enum Subject {
    #[default]
    Nothing,
    Object(ObjectId),
    Word(Word),
}

/// The running digest and the optional record.
pub(crate) struct Trace {
    digest: u64,
    /// Set by lookups, which only read the kernel.
    subject: Cell<Subject>,
    /// What has become due is happening.
    firing: bool,
    recording: Option<Box<Recording>>,
    remarks: Vec<String>,
}

/// A record in the making.
#[derive(Default)]
struct Recording {
    record: Record,
    /// The kernel entry from which on the places of calls are taken down.
    stacks_from: u64,
    known: HashMap<Vec<usize>, u32>,
    words: HashMap<Word, u32>,
    flows: HashMap<FlowId, u32>,
    /// The index of the event whose backtrace is asked for.
    wanted: Option<u64>,
    backtrace: Option<String>,
}

const START: u64 = 0x9e37_79b9_7f4a_7c15;
const FOLD: u64 = 0xa076_1d64_78bd_642f;

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace {
            digest: START,
            subject: Cell::default(),
            firing: false,
            recording: None,
            remarks: Vec::new(),
        }
    }

    /// Starts a run.
    pub(crate) fn reset(&mut self, config: &Config) {
        self.digest = START;
        self.subject.set(Subject::Nothing);
        self.recording = (config.trace || config.backtrace_at.is_some()).then(|| {
            Box::new(Recording {
                stacks_from: config.stacks_from,
                wanted: config.backtrace_at,
                ..Recording::default()
            })
        });
        self.remarks.clear();
    }

    /// Folds a number into the digest.
    #[inline]
    pub(crate) fn fold(&mut self, x: u64) {
        let wide = u128::from(self.digest ^ x) * u128::from(FOLD);
        self.digest = (wide as u64) ^ ((wide >> 64) as u64).rotate_left(23) ^ START;
    }

    /// Folds bytes (a payload) into the digest.
    pub(crate) fn fold_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for w in words {
            self.fold(u64::from_le_bytes(*w));
        }
        let mut last = [0u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.fold(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    /// Whether events are wanted; callers then build one and [`tell`](Kernel::tell) it.
    #[inline]
    pub(crate) fn recording(&self) -> bool {
        self.recording.is_some()
    }

    /// A call begins: nothing is known of it yet.
    #[inline]
    pub(crate) fn no_subject(&self) {
        self.subject.set(Subject::Nothing);
    }

    /// The present call is about this object.
    #[inline]
    pub(crate) fn about_object(&self, object: ObjectId) {
        self.subject.set(Subject::Object(object));
    }

    /// The present call is about this word of memory.
    #[inline]
    pub(crate) fn about_word(&self, word: Word) {
        self.subject.set(Subject::Word(word));
    }

    /// What happens from here on is, or no longer is, what has become due.
    #[inline]
    pub(crate) fn fires(&mut self, firing: bool) {
        self.firing = firing;
    }

    /// Keeps what a report should say about the run as a whole, once. Does nothing unless texts are wanted.
    pub(crate) fn remark(&mut self, text: &str) {
        if self.recording() && !self.remarks.iter().any(|known| known == text) {
            self.remarks.push(text.to_owned());
        }
    }

    /// What was remarked on.
    pub(crate) fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// The digest of everything so far.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }
}

impl Recording {
    /// The caller's stack, kept once.
    fn stack(&mut self) -> u32 {
        let mut addresses = Vec::with_capacity(64);
        backtrace::trace(|frame| {
            addresses.push(frame.ip() as usize);
            true
        });
        if let Some(known) = self.known.get(&addresses) {
            return *known;
        }
        let number = self.record.stacks.len() as u32;
        self.record.stacks.push(addresses.clone());
        self.known.insert(addresses, number);
        number
    }
}

impl Kernel {
    /// Records an event of the running thread, with the place that it is at if `place` is set. Does nothing unless the run is
    /// recorded.
    #[cold]
    pub(crate) fn tell(&mut self, what: What, place: bool) {
        let thread = self.sched.current;
        let task = self.current_task(thread).map(|task| task.entity);
        let host = self
            .sched
            .threads
            .get(thread as usize)
            .map_or(0, |t| t.host);
        let (at, steps, digest) = (self.now, self.steps, self.trace.digest);
        let decisions = self.oracle.decisions();
        let Some(recording) = &mut self.trace.recording else {
            return;
        };
        if recording.wanted == Some(recording.record.events.len() as u64) {
            recording.backtrace = Some(std::backtrace::Backtrace::force_capture().to_string());
        }
        let born = matches!(what, What::ThreadBorn { .. });
        let place = place && thread != CARRIER && (born || steps >= recording.stacks_from);
        let stack = place.then(|| recording.stack());
        recording.record.events.push(Event {
            at,
            host,
            thread,
            task,
            what,
            stack,
            decisions,
            digest,
        });
    }

    /// Where a descriptor was opened, as file and line of the program's; of a run that is recorded with the places of its calls.
    pub(crate) fn birth_of(&self, fd: i32) -> Option<String> {
        let record = &self.trace.recording.as_ref()?.record;
        let opens = |e: &&Event| {
            matches!(&e.what, What::Call { name, result, .. }
                if *result == i64::from(fd) && OPENS.contains(&name.as_ref()))
        };
        let stack = record.events.iter().rev().find(opens)?.stack?;
        own_place(record.stacks[stack as usize].iter().copied())
    }

    /// Where the present poll of a task, or its last one, came to wait, likewise.
    pub(crate) fn last_wait(&self, task: u32) -> Option<String> {
        let record = &self.trace.recording.as_ref()?.record;
        let begins = |e: &&Event| matches!(e.what, What::PollBegins { task: it } if it == task);
        let poll = record.events.iter().rev().find(begins)?;
        let waits =
            |e: &&Event| e.task == Some(task) && matches!(e.what, What::Awaits { .. } | What::Kept);
        let since = record.events.iter().rev();
        let mut since = since.take_while(|e| !std::ptr::eq(*e, poll));
        let stack = since.find(waits)?.stack?;
        own_place(record.stacks[stack as usize].iter().copied())
    }

    /// Where the program is, likewise.
    pub(crate) fn place_here(&self) -> Option<String> {
        self.trace.recording.as_ref()?;
        let mut addresses = Vec::with_capacity(64);
        backtrace::trace(|frame| {
            addresses.push(frame.ip() as usize);
            true
        });
        own_place(addresses.into_iter())
    }

    /// Records that a thread goes on which waited for `on`.
    #[cold]
    pub(crate) fn tell_wake(&mut self, thread: u32, on: &sched::On, timed_out: bool) {
        let about = self.about_wait(on);
        let cause = match self.trace.firing {
            _ if timed_out => Cause::Deadline,
            true => Cause::Event,
            false => Cause::Call,
        };
        let what = What::Wake {
            thread,
            about,
            cause,
        };
        // Which call woke somebody is of interest for locks and their kin; what goes to descriptors is told as such.
        let place = cause == Cause::Call && matches!(on, sched::On::Word(_));
        self.tell(what, place);
    }

    /// Which end of a connection the present call is about, for its event; asked before [`Kernel::about_call`].
    #[cold]
    pub(crate) fn wire_of_call(&mut self) -> Option<Wire> {
        let Subject::Object(object) = self.trace.subject.get() else {
            return None;
        };
        let (flow, side) = match self.objects.get(object)? {
            Kind::Tcp(tcp) => tcp.end()?,
            _ => return None,
        };
        let recording = self.trace.recording.as_mut()?;
        let next = recording.flows.len() as u32 + 1;
        Some(Wire {
            number: *recording.flows.entry(flow).or_insert(next),
            client: side == CLIENT,
        })
    }

    /// What the present call is about, for its event.
    #[cold]
    pub(crate) fn about_call(&mut self) -> About {
        match self.trace.subject.take() {
            Subject::Nothing => About::Nothing,
            Subject::Object(object) => About::Object(self.object_words(object)),
            Subject::Word(word) => self.about(word),
        }
    }

    /// What a wait is for.
    #[cold]
    pub(crate) fn about_wait(&mut self, on: &sched::On) -> About {
        match on {
            sched::On::Clock => About::Clock,
            sched::On::Object(object) => About::Object(self.object_words(*object)),
            sched::On::Objects(objects) => {
                let mut all = Vec::new();
                for object in objects {
                    all.push(self.object_words(*object));
                }
                About::Object(format!("any of {}", all.join(", ")))
            }
            sched::On::Word(word) => self.about(*word),
            sched::On::Join(thread) => About::Join(*thread),
        }
    }

    fn about(&mut self, word: Word) -> About {
        let Some(recording) = &mut self.trace.recording else {
            return About::Nothing;
        };
        let next = recording.words.len() as u32 + 1;
        let number = *recording.words.entry(word).or_insert(next);
        let kind = match word.space {
            Space::Futex => "word",
            Space::Mutex => "mutex",
            Space::Condvar => "condition variable",
            Space::RwLock => "read-write lock",
            Space::Semaphore => "semaphore",
            Space::Once => "once",
            Space::Barrier => "barrier",
            Space::Memory => "memory",
        };
        About::Word {
            kind: kind.into(),
            number,
        }
    }

    /// The record, and the backtrace that was asked for.
    pub(crate) fn take_record(&mut self) -> (Option<Record>, Option<String>) {
        let Some(recording) = self.trace.recording.take() else {
            return (None, None);
        };
        let Recording {
            mut record,
            backtrace,
            ..
        } = *recording;
        record.hosts = self.hosts.iter().map(|host| host.name.clone()).collect();
        let facts = |t: &sched::Thread| ThreadFacts {
            name: sched::name_text(&t.name),
            host: t.host,
        };
        record.threads = self.sched.threads.iter().map(facts).collect();
        (Some(record), backtrace)
    }
}

/// Calls that return a new descriptor.
const OPENS: [&str; 9] = [
    "socket",
    "accept",
    "accept4",
    "epoll_create1",
    "eventfd",
    "timerfd_create",
    "dup",
    "fcntl",
    "open",
];

/// The innermost place of these that is in the program's own source: neither in std, nor in a crate from a registry, nor in the kernel.
fn own_place(addresses: impl Iterator<Item = usize>) -> Option<String> {
    let kernel = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
    for address in addresses {
        let mut found = None;
        // A return address lies behind the call.
        backtrace::resolve(std::ptr::without_provenance_mut(address - 1), |symbol| {
            let Some(file) = symbol.filename().and_then(|file| file.to_str()) else {
                return;
            };
            let other = ["/rustc/", "/registry/src/", "/squall/tokio", kernel];
            let own = !other.iter().any(|part| file.contains(part));
            if found.is_none() && own {
                found = Some(format!("{file}:{}", symbol.lineno().unwrap_or(0)));
            }
        });
        if found.is_some() {
            return found;
        }
    }
    None
}
