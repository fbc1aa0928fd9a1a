//! The numbers under which processes have objects open: handing them out, lowest first, looking them up, doubling and closing them. `abi` calls it.

use super::{Descriptor, FIRST, Kind, ObjectId};
use crate::kernel::{Errno, Kernel, Result};

/// The host of a descriptor whose host has crashed.
const NOWHERE: u16 = u16::MAX;
/// So many numbers of crashed hosts stay unused.
const GRAVES: usize = 4096;

impl Kernel {
    /// Gives an object a descriptor on the running thread's host. The caller's reference becomes the descriptor's.
    /// `EMFILE` or `ENFILE` at the host's limits: the object is then released.
    pub(crate) fn install(&mut self, object: ObjectId, close_on_exec: bool) -> Result<i32> {
        self.install_from(object, close_on_exec, 0, true)
    }

    /// As [`install`](Kernel::install), with the lowest number not below `from` (`F_DUPFD`). A `new` one is a file of the
    /// machine's; another number for it is not.
    fn install_from(
        &mut self,
        object: ObjectId,
        close_on_exec: bool,
        from: i32,
        new: bool,
    ) -> Result<i32> {
        let host = self.host_id();
        let owner = &self.hosts[usize::from(host)];
        if let Err(e) = owner.room_for_descriptor(new) {
            self.release(object);
            return Err(e);
        }
        let owner = &mut self.hosts[usize::from(host)];
        owner.descriptors += 1;
        let table = &mut self.objects.descriptors;
        let from = (from - FIRST).max(0) as usize;
        let mut at = self.objects.lowest.max(from);
        while table.get(at).is_some_and(Option::is_some) {
            at += 1;
        }
        if at >= table.len() {
            table.resize(at + 1, None);
        }
        table[at] = Some(Descriptor {
            object,
            close_on_exec,
            host,
        });
        if from <= self.objects.lowest {
            self.objects.lowest = at + 1;
        }
        Ok(at as i32 + FIRST)
    }

    /// Whether another socket can be made on the running thread's host: `EMFILE`, `ENFILE`, `ENOBUFS`.
    pub(crate) fn room_for_socket(&self) -> Result<()> {
        let host = self.host();
        host.room_for_descriptor(true)?;
        match host.buffer_limit {
            0 => Err(Errno::ENOBUFS),
            _ => Ok(()),
        }
    }

    /// The open descriptors of a host, with what they name.
    pub(crate) fn open_on(&self, host: u16) -> Vec<(i32, ObjectId)> {
        let table = self.objects.descriptors.iter().enumerate();
        table
            .filter_map(|(at, d)| Some((at as i32 + FIRST, d.filter(|d| d.host == host)?.object)))
            .collect()
    }

    /// A new object with a descriptor.
    pub(crate) fn open(
        &mut self,
        kind: Kind,
        nonblocking: bool,
        close_on_exec: bool,
    ) -> Result<i32> {
        let object = self.new_object(kind, nonblocking);
        self.install(object, close_on_exec)
    }

    /// The object that a descriptor names; `EBADF` if it is not open.
    #[inline]
    pub(crate) fn object(&self, fd: i32) -> Result<ObjectId> {
        match self.objects.descriptors.get((fd - FIRST) as usize) {
            Some(Some(d)) => {
                self.trace.about_object(d.object);
                Ok(d.object)
            }
            _ => Err(Errno::EBADF),
        }
    }

    fn descriptor_mut(&mut self, fd: i32) -> Result<&mut Descriptor> {
        match self.objects.descriptors.get_mut((fd - FIRST) as usize) {
            Some(Some(d)) => Ok(d),
            _ => Err(Errno::EBADF),
        }
    }

    /// `FD_CLOEXEC` of a descriptor.
    pub(crate) fn close_on_exec(&mut self, fd: i32) -> Result<bool> {
        Ok(self.descriptor_mut(fd)?.close_on_exec)
    }

    /// Sets `FD_CLOEXEC`.
    pub(crate) fn set_close_on_exec(&mut self, fd: i32, on: bool) -> Result<()> {
        self.descriptor_mut(fd)?.close_on_exec = on;
        Ok(())
    }

    /// dup(2) and `F_DUPFD`: another number, not below `from`, for the same object.
    pub(crate) fn dup(&mut self, fd: i32, from: i32, close_on_exec: bool) -> Result<i32> {
        let object = self.object(fd)?;
        self.retain(object);
        self.install_from(object, close_on_exec, from, false)
    }

    /// dup3(2) onto a simulated number: closes what it named before.
    pub(crate) fn dup_onto(&mut self, fd: i32, to: i32, close_on_exec: bool) -> Result<i32> {
        let object = self.object(fd)?;
        let limit = self.host().descriptor_limit as i32;
        if to < FIRST || to - FIRST >= limit {
            return Err(Errno::EBADF);
        }
        if self.object(to).is_ok() {
            self.close(to)?;
        }
        self.retain(object);
        self.install_from(object, close_on_exec, to, false)
    }

    /// close(2).
    pub(crate) fn close(&mut self, fd: i32) -> Result<()> {
        let at = (fd - FIRST) as usize;
        let Some(place) = self.objects.descriptors.get_mut(at) else {
            return Err(Errno::EBADF);
        };
        let Some(d) = place.take() else {
            return Err(Errno::EBADF);
        };
        self.objects.lowest = self.objects.lowest.min(at);
        if let Some(owner) = self.hosts.get_mut(usize::from(d.host)) {
            owner.descriptors -= 1;
        }
        self.release(d.object);
        Ok(())
    }

    /// The process of a host is over: its descriptors are closed. Their numbers stay unused for long, because its memory
    /// outlives it where others refer to it: a waker that the test holds still writes to the eventfd of its runtime, and what
    /// is dropped late closes its descriptor. Eventfds therefore go on to take what is written.
    pub(crate) fn close_all(&mut self, host: u16) {
        for at in 0..self.objects.descriptors.len() {
            let Some(d) = self.objects.descriptors[at]
                .as_mut()
                .filter(|d| d.host == host)
            else {
                continue;
            };
            d.host = NOWHERE;
            let object = d.object;
            self.objects.graves.push_back(at as u32);
            if !matches!(self.objects.get(object), Some(Kind::EventFd(_))) {
                self.release(object);
            }
        }
        self.hosts[usize::from(host)].descriptors = 0;
        while self.objects.graves.len() > GRAVES {
            let Some(at) = self.objects.graves.pop_front() else {
                break;
            };
            let here = self.objects.descriptors.get(at as usize).copied().flatten();
            if let Some(d) = here
                && d.host == NOWHERE
            {
                self.objects.descriptors[at as usize] = None;
                self.objects.lowest = self.objects.lowest.min(at as usize);
                self.release(d.object);
            }
        }
    }
}
