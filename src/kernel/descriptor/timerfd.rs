//! timerfd_create(2): timers that are read.

use super::{Kind, ObjectId, bits};
use crate::kernel::clock::{Clocks, Until};
use crate::kernel::events::Event;
use crate::kernel::{Errno, Kernel, Result};

/// A timerfd.
#[derive(Debug)]
pub(crate) struct TimerFd {
    realtime: bool,
    /// When it expires next. One that was set to a moment of the wall clock follows that.
    next: Option<Until>,
    interval: u64,
    expirations: u64,
    /// `TFD_TIMER_CANCEL_ON_SET`: a read fails once after the wall clock was set.
    cancellable: bool,
    cancelled: bool,
    generation: u32,
}

/// What comes with a setting, as in timerfd_settime(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerFlags {
    /// The value is a moment of the timer's own clock.
    pub(crate) absolute: bool,
    /// Setting the wall clock cancels it.
    pub(crate) cancel_on_set: bool,
}

/// A timer's setting, in nanoseconds: the time until the next expiry (0: disarmed) and the period (0: once).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct TimerSetting {
    pub(crate) value: u64,
    pub(crate) interval: u64,
}

impl TimerFd {
    pub(crate) fn new(realtime: bool) -> TimerFd {
        TimerFd {
            realtime,
            next: None,
            interval: 0,
            expirations: 0,
            cancellable: false,
            cancelled: false,
            generation: 0,
        }
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn readiness(&self) -> u32 {
        if self.expirations > 0 || self.cancelled {
            bits::IN
        } else {
            0
        }
    }

    fn setting(&self, clocks: &Clocks, now: u64) -> TimerSetting {
        let left = |until: Until| {
            let clock = match until.wall {
                true => &clocks.wall,
                false => &clocks.monotonic,
            };
            // An armed timer never shows zero: that would read as disarmed.
            until.shows.saturating_sub(clock.read(now)).max(1)
        };
        TimerSetting {
            value: self.next.map_or(0, left),
            interval: self.interval,
        }
    }
}

impl Kernel {
    /// Arms or disarms a timer; returns its previous setting.
    pub(crate) fn timer_set(
        &mut self,
        id: ObjectId,
        flags: TimerFlags,
        new: TimerSetting,
    ) -> Result<TimerSetting> {
        let (now, clocks) = (self.now, self.host().clocks);
        let after = self.after(new.value);
        let Some(Kind::TimerFd(t)) = self.objects.get_mut(id) else {
            return Err(Errno::EINVAL);
        };
        let old = t.setting(&clocks, now);
        let was_armed = t.next.is_some();
        t.expirations = 0;
        t.interval = new.interval;
        t.cancelled = false;
        t.cancellable = t.realtime && flags.absolute && flags.cancel_on_set;
        t.next = match (new.value, flags.absolute) {
            (0, _) => None,
            (_, false) => Some(after),
            (shows, true) => Some(Until {
                wall: t.realtime,
                shows,
            }),
        };
        self.timer_arm(id);
        if was_armed {
            self.events.stale();
        }
        Ok(old)
    }

    /// The next expiry of a timer becomes an event; an earlier one is outdated.
    fn timer_arm(&mut self, id: ObjectId) {
        let host = self.objects.host(id).unwrap_or(0);
        let Some(Kind::TimerFd(t)) = self.objects.get_mut(id) else {
            return;
        };
        t.generation = t.generation.wrapping_add(1);
        let generation = t.generation;
        let Some(next) = t.next else {
            return;
        };
        let at = self.due(host, next);
        if at < u64::MAX {
            let event = Event::Timer {
                object: id,
                generation,
            };
            self.events.push(at.max(self.now), event);
        }
    }

    /// The clocks of the timer's host changed; the wall clock was `set`, perhaps.
    pub(crate) fn timer_follows(&mut self, id: ObjectId, set: bool) {
        self.timer_arm(id);
        if let Some(Kind::TimerFd(t)) = self.objects.get_mut(id)
            && set
            && t.cancellable
        {
            t.cancelled = true;
            self.notify(id, bits::IN);
        }
    }

    /// A timer's setting now.
    pub(crate) fn timer_get(&mut self, id: ObjectId) -> Result<TimerSetting> {
        match self.objects.get(id) {
            Some(Kind::TimerFd(t)) => Ok(t.setting(&self.host().clocks, self.now)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// How often the timer expired since it was last read or set. `EAGAIN` if never, `ECANCELED` if the wall clock was set.
    pub(crate) fn timer_read(&mut self, id: ObjectId) -> Result<u64> {
        let Some(Kind::TimerFd(t)) = self.objects.get_mut(id) else {
            return Err(Errno::EINVAL);
        };
        if std::mem::take(&mut t.cancelled) {
            t.expirations = 0;
            return Err(Errno::ECANCELED);
        }
        match std::mem::take(&mut t.expirations) {
            0 => Err(Errno::EAGAIN),
            n => Ok(n),
        }
    }

    /// A timer event fired.
    pub(crate) fn timer_expired(&mut self, id: ObjectId, generation: u32) {
        let Some(Kind::TimerFd(t)) = self.objects.get_mut(id) else {
            return self.events.popped_stale();
        };
        if t.generation != generation {
            return self.events.popped_stale();
        }
        t.expirations += 1;
        t.next = t.next.filter(|_| t.interval > 0).map(|last| Until {
            shows: last.shows + t.interval,
            ..last
        });
        self.timer_arm(id);
        self.notify(id, bits::IN);
    }

    /// The last descriptor of a timer was closed.
    pub(super) fn timer_closed(&mut self, timer: &TimerFd) {
        if timer.next.is_some() {
            self.events.stale();
        }
    }
}
