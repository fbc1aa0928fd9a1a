//! epoll(7): level and edge triggered, one-shot and exclusive.
//!
//! An instance keeps its items and a list of those that may be ready. A change of a watched object puts its item on the
//! list; `epoll_wait` looks at each listed item's readiness *now*, reports it, and keeps level-triggered items listed.

use super::{Kind, ObjectId, bits};
use crate::kernel::{Errno, Kernel, Result};
use std::collections::{BTreeMap, VecDeque};

const EDGE: u32 = libc::EPOLLET as u32;
const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;
const WAKEUP: u32 = libc::EPOLLWAKEUP as u32;
const PRIVATE: u32 = EDGE | ONESHOT | EXCLUSIVE | WAKEUP;

#[derive(Debug)]
struct Item {
    fd: i32,
    object: ObjectId,
    mask: u32,
    data: u64,
    listed: bool,
}

/// An epoll instance.
#[derive(Debug, Default)]
pub(crate) struct Epoll {
    items: Vec<Option<Item>>,
    free: Vec<u32>,
    index: BTreeMap<(i32, ObjectId), u32>,
    ready: VecDeque<u32>,
}

impl Epoll {
    /// How many descriptors it watches.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    fn list(&mut self, item: u32) {
        if let Some(Some(i)) = self.items.get_mut(item as usize)
            && !i.listed
        {
            i.listed = true;
            self.ready.push_back(item);
        }
    }

    fn remove(&mut self, item: u32) -> Option<Item> {
        let gone = self.items.get_mut(item as usize)?.take()?;
        self.index.remove(&(gone.fd, gone.object));
        self.ready.retain(|i| *i != item);
        self.free.push(item);
        Some(gone)
    }
}

/// What epoll_ctl(2) is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Add,
    Modify,
    Delete,
}

impl Kernel {
    fn epoll_mut(&mut self, id: ObjectId) -> Result<&mut Epoll> {
        match self.objects.get_mut(id) {
            Some(Kind::Epoll(e)) => Ok(e),
            Some(_) => Err(Errno::EINVAL),
            None => Err(Errno::EBADF),
        }
    }

    /// epoll_ctl(2).
    pub(crate) fn epoll_control(
        &mut self,
        id: ObjectId,
        op: Control,
        fd: i32,
        mask: u32,
        data: u64,
    ) -> Result<()> {
        let object = self.object(fd)?;
        if object == id {
            return Err(Errno::EINVAL);
        }
        let nested = matches!(self.objects.get(object), Some(Kind::Epoll(_)));
        let epoll = self.epoll_mut(id)?;
        let known = epoll.index.get(&(fd, object)).copied();
        match (op, known) {
            (Control::Add, Some(_)) => return Err(Errno::EEXIST),
            (Control::Modify | Control::Delete, None) => return Err(Errno::ENOENT),
            (Control::Add, None) => {
                if mask & EXCLUSIVE != 0
                    && (nested
                        || mask & !(bits::IN | bits::OUT | bits::ERR | bits::HUP | PRIVATE) != 0
                        || mask & ONESHOT != 0)
                {
                    return Err(Errno::EINVAL);
                }
                let item = Item {
                    fd,
                    object,
                    mask,
                    data,
                    listed: false,
                };
                let at = match epoll.free.pop() {
                    Some(at) => {
                        epoll.items[at as usize] = Some(item);
                        at
                    }
                    None => {
                        epoll.items.push(Some(item));
                        epoll.items.len() as u32 - 1
                    }
                };
                epoll.index.insert((fd, object), at);
                self.watch_epoll(object, id, at, mask & EXCLUSIVE != 0);
                self.epoll_edge(id, at, u32::MAX);
            }
            (Control::Modify, Some(at)) => {
                if let Some(Some(item)) = epoll.items.get_mut(at as usize) {
                    if (mask | item.mask) & EXCLUSIVE != 0 {
                        return Err(Errno::EINVAL);
                    }
                    item.mask = mask;
                    item.data = data;
                }
                self.epoll_edge(id, at, u32::MAX);
            }
            (Control::Delete, Some(at)) => {
                epoll.remove(at);
                self.unwatch_epoll(object, id, at);
            }
        }
        Ok(())
    }

    /// A watched object changed. Returns whether the item wanted to hear of it.
    pub(super) fn epoll_edge(&mut self, id: ObjectId, item: u32, changed: u32) -> bool {
        let Ok(epoll) = self.epoll_mut(id) else {
            return false;
        };
        let Some(Some(i)) = epoll.items.get(item as usize) else {
            return false;
        };
        // A disarmed one-shot item has no event bits left.
        let wanted = i.mask & !PRIVATE;
        if wanted == 0 || changed & (wanted | bits::ERR | bits::HUP) == 0 {
            return false;
        }
        let (object, mask) = (i.object, i.mask);
        if self.readiness(object) & ((mask & !PRIVATE) | bits::ERR | bits::HUP) == 0 {
            return false;
        }
        if let Ok(epoll) = self.epoll_mut(id) {
            epoll.list(item);
        }
        self.notify(id, bits::IN);
        true
    }

    /// Reports at most `max` ready items to `out` as (events, data); returns how many.
    pub(crate) fn epoll_collect(
        &mut self,
        id: ObjectId,
        max: usize,
        mut out: impl FnMut(u32, u64),
    ) -> Result<usize> {
        let mut left = self.epoll_mut(id)?.ready.len();
        let mut n = 0;
        while n < max && left > 0 {
            left -= 1;
            let epoll = self.epoll_mut(id)?;
            let Some(at) = epoll.ready.pop_front() else {
                break;
            };
            let Some(Some(item)) = epoll.items.get_mut(at as usize) else {
                continue;
            };
            item.listed = false;
            let (object, mask, data) = (item.object, item.mask, item.data);
            let ready = self.readiness(object) & ((mask & !PRIVATE) | bits::ERR | bits::HUP);
            if ready == 0 || mask & !PRIVATE == 0 {
                continue;
            }
            out(ready, data);
            n += 1;
            let epoll = self.epoll_mut(id)?;
            if mask & ONESHOT != 0 {
                if let Some(Some(item)) = epoll.items.get_mut(at as usize) {
                    item.mask &= PRIVATE;
                }
            } else if mask & EDGE == 0 {
                epoll.list(at);
            }
        }
        // Somebody else may serve what is left, as when a second thread waits on the same instance.
        if n > 0 && !self.epoll_mut(id)?.ready.is_empty() {
            self.notify(id, bits::IN);
        }
        Ok(n)
    }

    pub(super) fn epoll_readiness(&self, epoll: &Epoll) -> u32 {
        let ready = epoll.ready.iter().any(|at| {
            matches!(epoll.items.get(*at as usize), Some(Some(i))
                if self.readiness(i.object) & ((i.mask & !PRIVATE) | bits::ERR | bits::HUP) != 0)
        });
        if ready { bits::IN } else { 0 }
    }

    /// A watched object is gone.
    pub(super) fn epoll_forget(&mut self, id: ObjectId, item: u32) {
        if let Ok(epoll) = self.epoll_mut(id) {
            epoll.remove(item);
        }
    }

    pub(super) fn epoll_closed(&mut self, id: ObjectId, epoll: Epoll) {
        for (at, item) in epoll.items.iter().enumerate() {
            if let Some(item) = item {
                self.unwatch_epoll(item.object, id, at as u32);
            }
        }
    }
}
