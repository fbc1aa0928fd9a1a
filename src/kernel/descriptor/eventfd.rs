//! eventfd(2): a counter that can be waited for.

use super::{Kind, ObjectId, bits};
use crate::kernel::{Errno, Kernel, Result};

/// The counter's largest value.
const MAX: u64 = u64::MAX - 1;

/// An eventfd.
#[derive(Debug)]
pub(crate) struct EventFd {
    count: u64,
    semaphore: bool,
}

impl EventFd {
    pub(crate) fn new(count: u64, semaphore: bool) -> EventFd {
        EventFd { count, semaphore }
    }

    pub(super) fn readiness(&self) -> u32 {
        let mut r = 0;
        if self.count > 0 {
            r |= bits::IN;
        }
        if self.count < MAX {
            r |= bits::OUT;
        }
        r
    }
}

impl Kernel {
    /// Reads the counter: all of it, or one in semaphore mode. `EAGAIN` while it is zero.
    pub(crate) fn eventfd_read(&mut self, id: ObjectId) -> Result<u64> {
        let Some(Kind::EventFd(e)) = self.objects.get_mut(id) else {
            return Err(Errno::EINVAL);
        };
        if e.count == 0 {
            return Err(Errno::EAGAIN);
        }
        let got = if e.semaphore { 1 } else { e.count };
        e.count -= got;
        self.progress();
        self.notify(id, bits::OUT);
        Ok(got)
    }

    /// Adds to the counter. `EAGAIN` while that would overflow it, `EINVAL` for 2^64 - 1.
    pub(crate) fn eventfd_write(&mut self, id: ObjectId, add: u64) -> Result<()> {
        let Some(Kind::EventFd(e)) = self.objects.get_mut(id) else {
            return Err(Errno::EINVAL);
        };
        if add == u64::MAX {
            return Err(Errno::EINVAL);
        }
        if add > MAX - e.count {
            return Err(Errno::EAGAIN);
        }
        e.count += add;
        // As Linux, an edge even if nothing was added.
        self.notify(id, bits::IN);
        Ok(())
    }
}
