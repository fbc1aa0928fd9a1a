//! The clocks of a host: they begin with the virtual clock of the run, jump, run fast or slow, and stand still while the
//! machine is suspended. Waits are kept as what a clock of their host shows at their end, so that they follow it.
//!
//! Called by `abi` for each reading and each timeout, and by `power.rs`, which sets clocks.

use super::Kernel;
use super::descriptor::Kind;
use super::events::Event;
use super::host::{BOOT_NS, EPOCH_SECONDS};
use super::sched::State;

const MILLION: i128 = 1_000_000;

/// A clock that shows `shows` at virtual time `since`, and goes on from there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    since: u64,
    shows: u64,
    /// What it gains in a million, -1,000,000 if it stands still.
    ppm: i32,
}

impl Clock {
    const fn new(shows: u64) -> Clock {
        Clock {
            since: 0,
            shows,
            ppm: 0,
        }
    }

    /// What it shows at virtual time `now`, in nanoseconds.
    #[inline]
    pub(crate) fn read(&self, now: u64) -> u64 {
        let passed = now - self.since;
        if self.ppm == 0 {
            return self.shows.saturating_add(passed);
        }
        let gained = i128::from(passed) * (MILLION + i128::from(self.ppm)) / MILLION;
        self.shows
            .saturating_add(u64::try_from(gained).unwrap_or(u64::MAX))
    }

    /// The first virtual time from `since` on at which it shows at least `shows`; `u64::MAX` if it never does.
    #[inline]
    pub(crate) fn when(&self, shows: u64) -> u64 {
        let left = shows.saturating_sub(self.shows);
        if self.ppm == 0 || left == 0 {
            return self.since.saturating_add(left);
        }
        let rate = MILLION + i128::from(self.ppm);
        if rate == 0 {
            return u64::MAX;
        }
        let takes = (i128::from(left) * MILLION + rate - 1) / rate;
        self.since
            .saturating_add(u64::try_from(takes).unwrap_or(u64::MAX))
    }

    /// It goes on at another rate.
    fn set_rate(&mut self, now: u64, ppm: i32) {
        self.shows = self.read(now);
        self.since = now;
        self.ppm = ppm;
    }

    fn jump(&mut self, now: u64, by: i64) {
        self.shows = self.read(now).saturating_add_signed(by);
        self.since = now;
    }
}

/// All clocks of one host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) monotonic: Clock,
    pub(crate) wall: Clock,
    /// What the wall clock alone gains, and what both do, in a million.
    drift: i32,
    slew: i32,
    /// Since when the machine is suspended, and for how long it has been before, in virtual nanoseconds.
    suspended_since: Option<u64>,
    pub(crate) suspended: u64,
}

impl Clocks {
    pub(crate) const fn new() -> Clocks {
        Clocks {
            monotonic: Clock::new(BOOT_NS),
            wall: Clock::new(EPOCH_SECONDS * 1_000_000_000),
            drift: 0,
            slew: 0,
            suspended_since: None,
            suspended: 0,
        }
    }

    fn set_rates(&mut self, now: u64) {
        let monotonic = match self.suspended_since {
            Some(_) => -(MILLION as i32),
            None => self.slew,
        };
        self.monotonic.set_rate(now, monotonic);
        self.wall.set_rate(now, self.drift + self.slew);
    }
}

/// The end of a wait: when a clock of the host that waits shows so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Until {
    pub(crate) wall: bool,
    pub(crate) shows: u64,
}

/// How a clock is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The wall clock jumps by so many nanoseconds.
    Jump(i64),
    /// The wall clock gains so many parts in a million.
    Drift(i32),
    /// Both clocks gain so many parts in a million.
    Slew(i32),
    /// The monotonic clock stands still.
    Suspend,
    /// It goes on.
    Wake,
}

impl Kernel {
    /// The monotonic clock of the running thread's host, in nanoseconds.
    pub(crate) fn monotonic(&self) -> u64 {
        self.host().clocks.monotonic.read(self.now)
    }

    /// The wall clock of the running thread's host, in nanoseconds since the epoch.
    pub(crate) fn realtime(&self) -> u64 {
        self.host().clocks.wall.read(self.now)
    }

    /// The moment so many nanoseconds from now, as the running thread's host counts them.
    #[inline]
    pub(crate) fn after(&self, ns: u64) -> Until {
        Until {
            wall: false,
            shows: self.monotonic().saturating_add(ns),
        }
    }

    /// Whether a moment of the running thread's host has come.
    #[inline]
    pub(crate) fn reached(&self, until: Until) -> bool {
        self.due(self.host_id(), until) <= self.now
    }

    /// The virtual time of a moment of a host.
    #[inline]
    pub(crate) fn due(&self, host: u16, until: Until) -> u64 {
        let clocks = &self.hosts[usize::from(host)].clocks;
        match until.wall {
            true => clocks.wall.when(until.shows),
            false => clocks.monotonic.when(until.shows),
        }
    }

    /// A clock of a host changes, and whatever waits for it does, too.
    pub(crate) fn clock_changes(&mut self, host: u16, change: Change) {
        let now = self.now;
        let clocks = &mut self.hosts[usize::from(host)].clocks;
        match change {
            Change::Jump(by) => clocks.wall.jump(now, by),
            Change::Drift(ppm) => clocks.drift = ppm,
            Change::Slew(ppm) => clocks.slew = ppm,
            Change::Suspend => {
                clocks.suspended_since.get_or_insert(now);
            }
            Change::Wake => match clocks.suspended_since.take() {
                Some(since) => clocks.suspended += now - since,
                None => return,
            },
        }
        clocks.set_rates(now);
        self.retime_threads(host);
        self.retime_timers(host, matches!(change, Change::Jump(_)));
        self.sweep_events();
    }

    /// The deadlines of a host's blocked threads are where its clocks say now.
    fn retime_threads(&mut self, host: u16) {
        for id in 0..self.sched.threads.len() {
            let t = &self.sched.threads[id];
            let State::Blocked { wait, .. } = &t.state else {
                continue;
            };
            let Some(until) = wait.until.filter(|_| t.host == host) else {
                continue;
            };
            let at = self.due(host, until);
            let t = &mut self.sched.threads[id];
            t.generation = t.generation.wrapping_add(1);
            let generation = t.generation;
            self.push_deadline(at, id as u32, generation);
        }
    }

    /// The end of a thread's wait, unless it never comes.
    #[inline]
    pub(crate) fn push_deadline(&mut self, at: u64, thread: u32, generation: u32) {
        if at < u64::MAX {
            let event = Event::Deadline { thread, generation };
            self.events.push(at.max(self.now), event);
        }
    }

    /// As for threads, for the timers that programs read. A clock that is `set` cancels those that asked for it.
    fn retime_timers(&mut self, host: u16, set: bool) {
        for id in self.objects_of(host) {
            if let Some(Kind::TimerFd(_)) = self.objects.get(id) {
                self.timer_follows(id, set);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_never_shows_too_little_when_a_wait_ends() {
        for ppm in [-999_999, -500, -1, 0, 1, 499, 1_000_000] {
            let mut clock = Clock::new(1_000);
            clock.set_rate(77, ppm);
            for wait in [0, 1, 2, 999, 1_000_000, 3_600_000_000_123] {
                let target = clock.read(500) + wait;
                let at = clock.when(target);
                assert!(clock.read(at) >= target, "{ppm} {wait}");
                assert!(at == 77 || clock.read(at - 1) < target, "{ppm} {wait}");
            }
        }
    }

    #[test]
    fn a_clock_that_stands_still_never_gets_there() {
        let mut clock = Clock::new(10);
        clock.set_rate(5, -1_000_000);
        assert_eq!(clock.read(1_000_000), 15);
        assert_eq!(clock.when(16), u64::MAX);
        clock.set_rate(1_000_000, 0);
        assert_eq!(clock.when(16), 1_000_001);
    }
}
