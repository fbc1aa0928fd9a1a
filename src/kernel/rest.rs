//! Whether the world has come to rest: what still happens in it by itself, the harness's own threads left out. Asked through the
//! doors by `fault` (before it disturbs a program that cannot go on) and by `sim` (to settle).

use super::Kernel;
use super::events::Event;
use super::net::NetEvent;
use super::sched::State;

/// Something that still happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrest {
    /// This thread can go on.
    Runs(u32),
    /// A packet is on its way to arrive then (virtual nanoseconds).
    Packet(u64),
    /// A timer expires then: a deadline of a thread, a timerfd, a repetition of TCP's, the end of a stall.
    Timer(u64, Option<u32>),
}

impl Unrest {
    /// When it happens, if the clock must come to it.
    pub fn at(&self) -> Option<u64> {
        match *self {
            Unrest::Runs(_) => None,
            Unrest::Packet(at) | Unrest::Timer(at, _) => Some(at),
        }
    }
}

impl Kernel {
    /// What keeps the world from being at rest: a thread of the program that can go on, a packet on its way, or else the first timer that
    /// is due within so many nanoseconds. The caller's own thread and what the harness waits for do not count; nor do threads of paused hosts, packets
    /// that are held, and what waits for a paused host.
    pub(crate) fn unrest(&self, horizon: u64) -> Option<Unrest> {
        let threads = &self.sched.threads;
        let runs = |(id, t): (usize, &super::sched::Thread)| {
            let can = matches!(t.state, State::Runnable) && !t.frozen && !t.background;
            (can && id as u32 != self.sched.current).then_some(id as u32)
        };
        if let Some(id) = threads.iter().enumerate().find_map(runs) {
            return Some(Unrest::Runs(id));
        }
        let until = self.now.saturating_add(horizon);
        let mut first: Option<Unrest> = None;
        for (at, event) in self.pending() {
            let unrest = match event {
                Event::Net(NetEvent::FlowTimer { .. } | NetEvent::KeepAlive { .. }) => {
                    Unrest::Timer(at, None)
                }
                Event::Net(_) => Unrest::Packet(at),
                Event::Deadline { thread, .. } => {
                    let t = &threads[*thread as usize];
                    if t.background || *thread == self.sched.current {
                        continue;
                    }
                    Unrest::Timer(at, Some(*thread))
                }
                Event::Timer { .. } | Event::StallEnds { .. } | Event::ThreadStallEnds { .. } => {
                    Unrest::Timer(at, None)
                }
            };
            if matches!(unrest, Unrest::Timer(..)) && at > until {
                continue;
            }
            let key = |u: &Unrest| (matches!(u, Unrest::Timer(..)), u.at());
            if first.is_none_or(|known| key(&unrest) < key(&known)) {
                first = Some(unrest);
            }
        }
        first
    }

    /// Whether nothing more happens by itself, ever, or threads only spin: a deadlock or a livelock, but for what the harness may still do.
    pub(crate) fn stuck(&self) -> bool {
        self.spins() || self.unrest(u64::MAX).is_none()
    }

    /// What somebody who waits for rest is told.
    pub(crate) fn unrest_text(&self, unrest: Unrest) -> String {
        let seconds = |at: u64| format!("{:.6} s", at as f64 / 1e9);
        let host = |id: u32| {
            let t = &self.sched.threads[id as usize];
            &self.hosts[usize::from(t.host)].name
        };
        match unrest {
            Unrest::Runs(id) => format!("thread {} on {} runs", self.thread_label(id), host(id)),
            Unrest::Packet(at) => format!("a packet is on its way, to arrive at {}", seconds(at)),
            Unrest::Timer(at, Some(id)) => format!(
                "thread {} on {} has a timer at {}",
                self.thread_label(id),
                host(id),
                seconds(at)
            ),
            Unrest::Timer(at, None) => format!("a timer expires at {}", seconds(at)),
        }
    }
}
