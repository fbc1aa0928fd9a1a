//! timerfd_create(2): timers that are read.

use super::{Kind, ObjectId, bits};
use crate::kernel::events::Event;
use crate::kernel::{Errno, Kernel, Result};

/// A timerfd.
#[derive(Debug)]
pub(crate) struct TimerFd {
    realtime: bool,
    /// When it expires next, in virtual nanoseconds.
    next: Option<u64>,
    interval: u64,
    expirations: u64,
    generation: u32,
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
            generation: 0,
        }
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn readiness(&self) -> u32 {
        if self.expirations > 0 { bits::IN } else { 0 }
    }

    fn setting(&self, now: u64) -> TimerSetting {
        TimerSetting {
            // An armed timer never shows zero: that would read as disarmed.
            value: self.next.map_or(0, |at| at.saturating_sub(now).max(1)),
            interval: self.interval,
        }
    }
}

impl Kernel {
    /// Arms or disarms a timer; returns its previous setting. An absolute value is on the timer's own clock.
    pub(crate) fn timer_set(
        &mut self,
        id: ObjectId,
        absolute: bool,
        new: TimerSetting,
    ) -> Result<TimerSetting> {
        let now = self.now;
        let realtime_zero = self.realtime() - now;
        let monotonic_zero = self.monotonic() - now;
        let Some(Kind::TimerFd(t)) = self.objects.get_mut(id) else {
            return Err(Errno::EINVAL);
        };
        let old = t.setting(now);
        let was_armed = t.next.is_some();
        t.generation = t.generation.wrapping_add(1);
        t.expirations = 0;
        t.interval = new.interval;
        t.next = match (new.value, absolute) {
            (0, _) => None,
            (v, false) => Some(now.saturating_add(v)),
            (v, true) => {
                let zero = if t.realtime {
                    realtime_zero
                } else {
                    monotonic_zero
                };
                Some(v.saturating_sub(zero).max(now))
            }
        };
        if let Some(at) = t.next {
            let generation = t.generation;
            self.events.push(
                at,
                Event::Timer {
                    object: id,
                    generation,
                },
            );
        }
        if was_armed {
            self.events.stale();
        }
        Ok(old)
    }

    /// A timer's setting now.
    pub(crate) fn timer_get(&mut self, id: ObjectId) -> Result<TimerSetting> {
        let now = self.now;
        match self.objects.get_mut(id) {
            Some(Kind::TimerFd(t)) => Ok(t.setting(now)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// How often the timer expired since it was last read or set. `EAGAIN` if never.
    pub(crate) fn timer_read(&mut self, id: ObjectId) -> Result<u64> {
        let Some(Kind::TimerFd(t)) = self.objects.get_mut(id) else {
            return Err(Errno::EINVAL);
        };
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
        match (t.next, t.interval) {
            (Some(at), interval) if interval > 0 => {
                t.next = Some(at + interval);
                self.events.push(
                    at + interval,
                    Event::Timer {
                        object: id,
                        generation,
                    },
                );
            }
            _ => t.next = None,
        }
        self.notify(id, bits::IN);
    }

    /// The last descriptor of a timer was closed.
    pub(super) fn timer_closed(&mut self, timer: &TimerFd) {
        if timer.next.is_some() {
            self.events.stale();
        }
    }
}
