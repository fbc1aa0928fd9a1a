//! Descriptors and the objects behind them.
//!
//! A descriptor is a number that names an open *object* (Linux: an open file description); after `dup` two numbers name
//! one object, and status flags such as `O_NONBLOCK` belong to the object. Simulated descriptors begin at [`FIRST`], so
//! they never collide with real files, which pass through; and they end below `FD_SETSIZE` under the default limit, so
//! `select` works on them. Numbers are handed out lowest first, over all hosts; each host is charged for its own.
//!
//! An object is *watched* by blocked threads and by epoll instances. Whatever changes an object calls
//! [`Kernel::notify`]; each kind says in [`Kernel::readiness`] what it is ready for.

pub(crate) mod buffer;
pub(crate) mod epoll;
pub(crate) mod eventfd;
pub(crate) mod listener;
pub(crate) mod pipe;
mod table;
pub(crate) mod tcp;
mod tcp_facts;
pub(crate) mod timerfd;
pub(crate) mod udp;
pub(crate) mod unix;

use super::clock::Until;
use super::sched::{Resume, Wait};
use super::{Errno, Kernel, Result, Step};
use epoll::Epoll;
use eventfd::EventFd;
use listener::Listener;
use pipe::{PipeReader, PipeWriter};
use std::collections::VecDeque;
use tcp::Tcp;
use timerfd::TimerFd;
use udp::Udp;
use unix::Unix;

/// The first simulated descriptor.
pub(crate) const FIRST: i32 = 512;

/// Readiness bits, those of epoll(7); poll(2) uses the same values.
pub(crate) mod bits {
    pub(crate) const IN: u32 = libc::EPOLLIN as u32;
    pub(crate) const PRI: u32 = libc::EPOLLPRI as u32;
    pub(crate) const OUT: u32 = libc::EPOLLOUT as u32;
    pub(crate) const ERR: u32 = libc::EPOLLERR as u32;
    pub(crate) const HUP: u32 = libc::EPOLLHUP as u32;
    pub(crate) const RDHUP: u32 = libc::EPOLLRDHUP as u32;
}

/// Names an object; outlives it safely, because the generation of a reused place differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectId {
    index: u32,
    generation: u32,
}

impl ObjectId {
    /// A number that no other object has while this one exists.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.index)
    }
}

/// What an object is.
pub(crate) enum Kind {
    EventFd(EventFd),
    TimerFd(TimerFd),
    PipeReader(PipeReader),
    PipeWriter(PipeWriter),
    Epoll(Box<Epoll>),
    /// `/dev/urandom`.
    Random,
    Tcp(Box<Tcp>),
    Listener(Box<Listener>),
    Udp(Box<Udp>),
    Unix(Box<Unix>),
}

impl Kind {
    /// Connections that wait to be accepted.
    pub(crate) fn waiting_connections(&self) -> u64 {
        match self {
            Kind::Listener(listener) => listener.waiting() as u64,
            Kind::Unix(unix) => unix.waiting().0 as u64,
            _ => 0,
        }
    }

    /// Bytes that wait to be read; those of TCP lie with their connections.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        match self {
            Kind::Udp(udp) => udp.queued() as u64,
            Kind::Unix(unix) => unix.waiting().1 as u64,
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Watcher {
    /// A blocked thread; it tries its call again.
    Thread(u32),
    /// An item of an epoll instance.
    Epoll {
        epoll: ObjectId,
        item: u32,
        exclusive: bool,
    },
}

struct Slot {
    generation: u32,
    /// Descriptors that name it, and references from inside the kernel (a backlog, a message in flight).
    references: u32,
    host: u16,
    nonblocking: bool,
    watchers: Vec<Watcher>,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug)]
struct Descriptor {
    object: ObjectId,
    close_on_exec: bool,
    host: u16,
}

/// All descriptors and objects of a run.
#[derive(Default)]
pub(crate) struct Objects {
    slots: Vec<Slot>,
    free: Vec<u32>,
    descriptors: Vec<Option<Descriptor>>,
    lowest: usize,
    /// Numbers that crashed hosts left behind, oldest first.
    graves: VecDeque<u32>,
}

impl Objects {
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
        self.descriptors.clear();
        self.graves.clear();
        self.lowest = 0;
    }

    fn slot(&self, id: ObjectId) -> Option<&Slot> {
        self.slots
            .get(id.index as usize)
            .filter(|s| s.generation == id.generation)
    }

    fn slot_mut(&mut self, id: ObjectId) -> Option<&mut Slot> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|s| s.generation == id.generation)
    }

    /// The object, if it still exists.
    #[inline]
    pub(crate) fn get(&self, id: ObjectId) -> Option<&Kind> {
        self.slot(id).and_then(|s| s.kind.as_ref())
    }

    /// The object, to change, if it still exists.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: ObjectId) -> Option<&mut Kind> {
        self.slot_mut(id).and_then(|s| s.kind.as_mut())
    }

    /// Whether calls on the object return `EAGAIN` rather than block.
    pub(crate) fn nonblocking(&self, id: ObjectId) -> bool {
        self.slot(id).is_some_and(|s| s.nonblocking)
    }

    /// Sets `O_NONBLOCK`.
    pub(crate) fn set_nonblocking(&mut self, id: ObjectId, on: bool) {
        if let Some(s) = self.slot_mut(id) {
            s.nonblocking = on;
        }
    }

    /// Everything that is open, and the host of each.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u16, &Kind)> {
        let slots = self.slots.iter();
        slots.filter_map(|slot| slot.kind.as_ref().map(|kind| (slot.host, kind)))
    }

    /// The host that an object lives on.
    pub(crate) fn host(&self, id: ObjectId) -> Option<u16> {
        self.slot(id).map(|s| s.host)
    }

    /// Whether a timer event still counts.
    pub(crate) fn timer_is_live(&self, id: ObjectId, generation: u32) -> bool {
        matches!(self.get(id), Some(Kind::TimerFd(t)) if t.generation() == generation)
    }

    /// Replaces what an object is (a TCP socket becomes a listener).
    pub(crate) fn replace(&mut self, id: ObjectId, kind: Kind) {
        if let Some(s) = self.slot_mut(id) {
            s.kind = Some(kind);
        }
    }
}

#[cfg(test)]
impl Objects {
    /// Two names that differ, for tests of what only compares names.
    pub(crate) fn names() -> [ObjectId; 2] {
        [0, 1].map(|index| ObjectId {
            index,
            generation: 0,
        })
    }
}

impl Kernel {
    /// A new object on the running thread's host, named by no descriptor yet; it has one reference, the caller's.
    pub(crate) fn new_object(&mut self, kind: Kind, nonblocking: bool) -> ObjectId {
        self.new_object_on(self.host_id(), kind, nonblocking)
    }

    /// A new object on a given host.
    pub(crate) fn new_object_on(&mut self, host: u16, kind: Kind, nonblocking: bool) -> ObjectId {
        let objects = &mut self.objects;
        if let Some(index) = objects.free.pop() {
            let slot = &mut objects.slots[index as usize];
            slot.references = 1;
            slot.host = host;
            slot.nonblocking = nonblocking;
            slot.kind = Some(kind);
            return ObjectId {
                index,
                generation: slot.generation,
            };
        }
        objects.slots.push(Slot {
            generation: 0,
            references: 1,
            host,
            nonblocking,
            watchers: Vec::new(),
            kind: Some(kind),
        });
        ObjectId {
            index: objects.slots.len() as u32 - 1,
            generation: 0,
        }
    }

    /// The objects of a host, in the order of their places.
    pub(crate) fn objects_of(&self, host: u16) -> Vec<ObjectId> {
        let slots = self.objects.slots.iter().enumerate();
        let mine = slots.filter(|(_, s)| s.host == host && s.kind.is_some());
        mine.map(|(index, s)| ObjectId {
            index: index as u32,
            generation: s.generation,
        })
        .collect()
    }

    /// One more reference to an object.
    pub(crate) fn retain(&mut self, id: ObjectId) {
        if let Some(s) = self.objects.slot_mut(id) {
            s.references += 1;
        }
    }

    /// One reference less; the last one destroys the object.
    pub(crate) fn release(&mut self, id: ObjectId) {
        let Some(slot) = self.objects.slot_mut(id) else {
            return;
        };
        slot.references -= 1;
        if slot.references > 0 {
            return;
        }
        let watchers = std::mem::take(&mut slot.watchers);
        let host = slot.host;
        let kind = slot.kind.take();
        slot.generation = slot.generation.wrapping_add(1);
        self.objects.free.push(id.index);
        for w in watchers {
            match w {
                Watcher::Epoll { epoll, item, .. } => self.epoll_forget(epoll, item),
                Watcher::Thread(t) => self.wake(t, Resume::Woken),
            }
        }
        match kind {
            None | Some(Kind::EventFd(_) | Kind::Random) => {}
            Some(Kind::TimerFd(t)) => self.timer_closed(&t),
            Some(Kind::PipeReader(p)) => self.pipe_reader_closed(p),
            Some(Kind::PipeWriter(p)) => self.pipe_writer_closed(p),
            Some(Kind::Epoll(e)) => self.epoll_closed(id, *e),
            Some(Kind::Tcp(t)) => self.tcp_closed(id, host, *t),
            Some(Kind::Listener(l)) => self.listener_closed(id, host, *l),
            Some(Kind::Udp(u)) => self.udp_closed(id, host, *u),
            Some(Kind::Unix(u)) => self.unix_closed(id, host, *u),
        }
    }

    /// A blocked thread wants to hear of changes.
    pub(crate) fn watch(&mut self, id: ObjectId, thread: u32) {
        if let Some(s) = self.objects.slot_mut(id) {
            s.watchers.push(Watcher::Thread(thread));
        }
    }

    /// The thread no longer waits for the object.
    pub(crate) fn unwatch(&mut self, id: ObjectId, thread: u32) {
        if let Some(s) = self.objects.slot_mut(id) {
            s.watchers.retain(|w| *w != Watcher::Thread(thread));
        }
    }

    /// An epoll instance wants to hear of changes.
    pub(crate) fn watch_epoll(
        &mut self,
        id: ObjectId,
        epoll: ObjectId,
        item: u32,
        exclusive: bool,
    ) {
        if let Some(s) = self.objects.slot_mut(id) {
            s.watchers.push(Watcher::Epoll {
                epoll,
                item,
                exclusive,
            });
        }
    }

    /// The epoll instance no longer watches the object.
    pub(crate) fn unwatch_epoll(&mut self, id: ObjectId, from: ObjectId, index: u32) {
        if let Some(s) = self.objects.slot_mut(id) {
            s.watchers
                .retain(|w| !matches!(w, Watcher::Epoll { epoll, item, .. } if *epoll == from && *item == index));
        }
    }

    /// The object changed: `changed` says in what respect. Threads that are blocked on it try again, epoll instances take
    /// note (an edge). An epoll object wakes one of its waiters, anything else wakes all.
    pub(crate) fn notify(&mut self, id: ObjectId, changed: u32) {
        let Some(slot) = self.objects.slot_mut(id) else {
            return;
        };
        if slot.watchers.is_empty() {
            return;
        }
        let wake_one = matches!(slot.kind, Some(Kind::Epoll(_)));
        let mut watchers = std::mem::take(&mut slot.watchers);
        let mut woken = false;
        let mut exclusive_served = false;
        watchers.retain(|w| match *w {
            Watcher::Thread(thread) => {
                if wake_one && woken {
                    return true;
                }
                woken = true;
                self.wake(thread, Resume::Woken);
                false
            }
            Watcher::Epoll {
                epoll,
                item,
                exclusive,
            } => {
                if !(exclusive && exclusive_served) {
                    let took = self.epoll_edge(epoll, item, changed);
                    exclusive_served |= exclusive && took;
                }
                true
            }
        });
        if let Some(slot) = self.objects.slot_mut(id) {
            slot.watchers = watchers;
        }
    }

    /// What an object is ready for now, as epoll bits.
    pub(crate) fn readiness(&self, id: ObjectId) -> u32 {
        match self.objects.get(id) {
            None => bits::HUP,
            Some(Kind::EventFd(e)) => e.readiness(),
            Some(Kind::TimerFd(t)) => t.readiness(),
            Some(Kind::PipeReader(p)) => p.readiness(),
            Some(Kind::PipeWriter(p)) => self.pipe_writer_readiness(p),
            Some(Kind::Epoll(e)) => self.epoll_readiness(e),
            Some(Kind::Random) => bits::IN | bits::OUT,
            Some(Kind::Tcp(t)) => self.tcp_readiness(t),
            Some(Kind::Listener(l)) => l.readiness(),
            Some(Kind::Udp(u)) => u.readiness(),
            Some(Kind::Unix(u)) => u.readiness(),
        }
    }

    /// An object as a verdict names it.
    pub(crate) fn object_text(&self, id: ObjectId) -> String {
        let what = match self.objects.get(id) {
            None => "a closed descriptor".to_owned(),
            Some(Kind::EventFd(_)) => "an eventfd".to_owned(),
            Some(Kind::TimerFd(_)) => "a timerfd".to_owned(),
            Some(Kind::PipeReader(_)) => "the read end of a pipe".to_owned(),
            Some(Kind::PipeWriter(_)) => "the write end of a pipe".to_owned(),
            Some(Kind::Epoll(e)) => format!("I/O or a timer (epoll over {} descriptors)", e.len()),
            Some(Kind::Random) => "/dev/urandom".to_owned(),
            Some(Kind::Tcp(t)) => t.text(),
            Some(Kind::Listener(l)) => l.text(),
            Some(Kind::Udp(u)) => u.text(),
            Some(Kind::Unix(u)) => u.text(),
        };
        match self
            .objects
            .descriptors
            .iter()
            .position(|d| d.is_some_and(|d| d.object == id))
        {
            Some(at) => format!("{what} (descriptor {})", at as i32 + FIRST),
            None => what,
        }
    }

    /// Turns "would block" into blocking on the object, unless it is non-blocking or `dont_wait` is set. A deadline that
    /// has passed turns into `EAGAIN`, as `SO_RCVTIMEO` does. Every attempt that would block is a scheduling point.
    pub(crate) fn or_block<T>(
        &mut self,
        id: ObjectId,
        dont_wait: bool,
        until: Option<Until>,
        attempt: Result<T>,
    ) -> Step<T> {
        self.sched.point = true;
        let waits = !dont_wait && !self.objects.nonblocking(id);
        let in_time =
            self.sched.me().resume != Resume::TimedOut || until.is_none_or(|at| !self.reached(at));
        match attempt {
            Err(Errno::EAGAIN) if waits && in_time => Step::Wait(Wait {
                on: super::sched::On::Object(id),
                until,
            }),
            other => Step::Done(other),
        }
    }
}
