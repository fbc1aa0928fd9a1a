//! The life of a host: its program starts and ends, the machine crashes, freezes, stalls, goes on. Called through the doors by
//! `sim`, which a test holds. What becomes of threads on their stacks is `thread/abandon.rs`' part.
//!
//! A crash is that of a machine: nothing of it runs any more, no destructor either, and its peers see silence until it is
//! back; from then on it answers what belongs to a connection that it does not know with a reset. When only the process
//! dies, the machine closes its descriptors for it, and peers see the end of the stream, or a reset where something was unread.

use super::Kernel;
use super::clock::Change;
use super::events::Event;
use super::net::NetEvent;
use super::net::flow::{CLIENT, Owner, Phase, SERVER};
use super::oracle::Touch;
use super::outcome::HostState;
use super::sched::{On, State, ThreadName, Wait, name_text};

/// What can be done to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The machine is gone, without a word to anybody.
    Crash,
    /// Its process is gone; the machine stays.
    Exit,
}

impl Kernel {
    /// What a host is doing.
    pub(crate) fn host_state(&self, host: u16) -> HostState {
        let h = &self.hosts[usize::from(host)];
        match (h.down, h.paused, h.program) {
            (true, ..) => HostState::Crashed,
            (_, true, _) => HostState::Paused,
            (_, _, true) => HostState::Running,
            _ => HostState::Stopped,
        }
    }

    /// Everything that runs on a host stops for good, and what it held is given back. The caller sees to the threads' slots.
    pub(crate) fn host_dies(&mut self, host: u16, death: Death) {
        self.world_changes(|k| {
            let name = &k.hosts[usize::from(host)].name;
            match death {
                Death::Crash => format!("{name} crashes"),
                Death::Exit => format!("the process of {name} is over"),
            }
        });
        self.abandon_threads(host);
        self.tasks_end(host);
        let h = &mut self.hosts[usize::from(host)];
        h.program = false;
        h.handlers.clear();
        h.stalled = 0;
        if death == Death::Crash {
            h.down = true;
            h.paused = false;
            h.mail.clear();
            h.storage.lose();
            self.clock_changes(host, Change::Wake);
            self.connections_fall_silent(host);
        }
        self.close_all(host);
        if death == Death::Crash {
            self.net.tcp.forget_host(host);
            self.net.udp.forget_host(host);
            self.net.unix.retain(|(at, _), _| *at != host);
        }
        self.count_sleepers();
        self.sweep_events();
        self.progress();
    }

    /// The machine is up again, if it was down, and its program about to start.
    pub(crate) fn host_starts(&mut self, host: u16) {
        self.world_changes(|k| format!("{} starts", k.hosts[usize::from(host)].name));
        let h = &mut self.hosts[usize::from(host)];
        h.down = false;
        h.program = true;
        h.starts += 1;
        // A new process has a new number; those of hosts lie a thousand apart.
        h.pid = super::host::first_pid(host) + (h.starts as i32 - 1) % 900;
        self.count_sleepers();
    }

    /// Nothing on the host runs any more, its network stack included, until it is resumed. Clocks go on.
    pub(crate) fn host_pauses(&mut self, host: u16) {
        self.world_changes(|k| format!("{} is paused", k.hosts[usize::from(host)].name));
        self.hosts[usize::from(host)].paused = true;
        self.count_sleepers();
        self.freeze(host);
    }

    /// As a pause, in which the monotonic clock stands still: the machine is suspended to memory.
    pub(crate) fn host_is_suspended(&mut self, host: u16) {
        self.host_pauses(host);
        self.clock_changes(host, Change::Suspend);
    }

    /// Ends a pause: what was due in the meantime happens now, packets in the order of their arrival.
    pub(crate) fn host_resumes(&mut self, host: u16) {
        let h = &mut self.hosts[usize::from(host)];
        if !std::mem::replace(&mut h.paused, false) {
            return;
        }
        let mail = std::mem::take(&mut h.mail);
        let thaws = h.stalled == 0;
        self.world_changes(|k| format!("{} is resumed", k.hosts[usize::from(host)].name));
        self.clock_changes(host, Change::Wake);
        self.count_sleepers();
        if thaws {
            self.thaw(host);
        }
        for event in mail {
            self.net_event(event);
        }
        self.progress();
    }

    /// No thread of the host runs for so many nanoseconds. Its network stack goes on, as that of a machine whose process
    /// collects garbage, or gets no processor, does.
    pub(crate) fn host_stalls(&mut self, host: u16, ns: u64) {
        self.world_changes(|k| {
            let time = std::time::Duration::from_nanos(ns);
            format!(
                "{} is stalled for {time:?}",
                k.hosts[usize::from(host)].name
            )
        });
        let until = self.now.saturating_add(ns.max(1));
        let h = &mut self.hosts[usize::from(host)];
        h.stalled = h.stalled.max(until);
        self.events.push(until, Event::StallEnds { host });
        self.freeze(host);
    }

    /// The end of a stall, if no later one was called for.
    pub(crate) fn stall_ends(&mut self, host: u16) {
        let now = self.now;
        let h = &mut self.hosts[usize::from(host)];
        if h.stalled == 0 || h.stalled > now {
            return;
        }
        h.stalled = 0;
        let thaws = !h.paused;
        self.world_changes(|k| format!("{} goes on", k.hosts[usize::from(host)].name));
        if thaws {
            self.thaw(host);
        }
    }

    /// The wall clock of a host jumps.
    pub(crate) fn clock_jumps(&mut self, host: u16, ns: i64) {
        self.world_changes(|k| {
            let time = std::time::Duration::from_nanos(ns.unsigned_abs());
            let way = if ns < 0 { "back" } else { "forward" };
            format!(
                "the wall clock of {} jumps {way} by {time:?}",
                k.hosts[usize::from(host)].name
            )
        });
        self.clock_changes(host, Change::Jump(ns));
    }

    /// The wall clock of a host, or all its clocks, run fast or slow.
    pub(crate) fn clock_drifts(&mut self, host: u16, ppm: i32, all: bool) {
        self.world_changes(|k| {
            let name = &k.hosts[usize::from(host)].name;
            let what = if all {
                "clocks gain"
            } else {
                "wall clock gains"
            };
            format!("{name}: its {what} {ppm} ppm")
        });
        self.clock_changes(
            host,
            if all {
                Change::Slew(ppm)
            } else {
                Change::Drift(ppm)
            },
        );
    }

    /// What the programs of a host do takes so many times longer than usual.
    pub(crate) fn host_is_slow(&mut self, host: u16, times: u32) {
        self.world_changes(|k| {
            let name = &k.hosts[usize::from(host)].name;
            format!("{name} is {times} times slower than usual")
        });
        self.hosts[usize::from(host)].slowness = times;
        self.some_slow = self.hosts.iter().any(|h| h.slowness != 1);
    }

    /// The threads of this name on a host get no turn for so many nanoseconds. Returns how many there are.
    pub(crate) fn threads_stall(&mut self, host: u16, name: ThreadName, ns: u64) -> usize {
        self.world_changes(|k| {
            let time = std::time::Duration::from_nanos(ns);
            let (host, name) = (&k.hosts[usize::from(host)].name, name_text(&name));
            format!("the threads {name:?} of {host} are stalled for {time:?}")
        });
        let until = self.now.saturating_add(ns.max(1));
        let mut found = 0;
        for id in 0..self.sched.threads.len() {
            let t = &mut self.sched.threads[id];
            if t.host == host && t.name == name && !matches!(t.state, State::Done) {
                found += 1;
                t.stalled = t.stalled.max(until);
                t.frozen = true;
                let thread = id as u32;
                self.events.push(until, Event::ThreadStallEnds { thread });
            }
        }
        if found > 0 {
            self.sched.set_aside();
            self.sched.point = true;
        }
        found
    }

    /// The end of a thread's stall, if no later one was called for.
    pub(crate) fn thread_stall_ends(&mut self, thread: u32) {
        let now = self.now;
        let t = &mut self.sched.threads[thread as usize];
        if t.stalled == 0 || t.stalled > now {
            return;
        }
        t.stalled = 0;
        let h = &self.hosts[usize::from(t.host)];
        t.frozen = h.paused || h.stalled > 0;
        self.sched.bring_back();
        self.progress();
    }

    /// The limit of open descriptors of a host changes. Those that are open stay.
    pub(crate) fn descriptors_are_limited(&mut self, host: u16, most: u32) {
        self.world_changes(|k| {
            format!(
                "{} may open {most} descriptors",
                k.hosts[usize::from(host)].name
            )
        });
        self.hosts[usize::from(host)].descriptor_limit = most;
    }

    /// The limit of open files of a whole machine changes. Those that are open stay.
    pub(crate) fn files_are_limited(&mut self, host: u16, most: u32) {
        self.world_changes(|k| {
            let name = &k.hosts[usize::from(host)].name;
            format!("{name} may open {most} files")
        });
        self.hosts[usize::from(host)].file_limit = most;
    }

    /// So many ports are handed out on a host. Those that are taken stay.
    pub(crate) fn ports_are_limited(&mut self, host: u16, most: u16) {
        self.world_changes(|k| {
            let name = &k.hosts[usize::from(host)].name;
            format!("{name} hands out {most} ports")
        });
        self.hosts[usize::from(host)].port_limit = most;
    }

    /// The buffers of a host's sockets take so many bytes at most. What is in them stays.
    pub(crate) fn buffers_are_limited(&mut self, host: u16, most: u32) {
        self.world_changes(|k| {
            let name = &k.hosts[usize::from(host)].name;
            format!("{name}: a socket buffers {most} bytes at most")
        });
        self.hosts[usize::from(host)].buffer_limit = most;
        for id in self.objects_of(host) {
            self.buffers_follow(id);
        }
    }

    fn count_sleepers(&mut self) {
        self.net.sleepers = self.hosts.iter().any(|h| h.down || h.paused);
    }

    /// The threads of a host keep what state they have but get no turn.
    fn freeze(&mut self, host: u16) {
        for t in &mut self.sched.threads {
            t.frozen |= t.host == host;
        }
        self.sched.set_aside();
        self.sched.point = true;
    }

    fn thaw(&mut self, host: u16) {
        for t in &mut self.sched.threads {
            t.frozen &= t.host != host || t.stalled > 0;
        }
        self.sched.bring_back();
        self.progress();
    }

    /// Every thread of a host is over, wherever it was.
    fn abandon_threads(&mut self, host: u16) {
        for id in 0..self.sched.threads.len() {
            let t = &mut self.sched.threads[id];
            if t.host != host || matches!(t.state, State::Done) {
                continue;
            }
            let state = std::mem::replace(&mut t.state, State::Done);
            t.joiner = None;
            t.link = None;
            self.sched.alive -= 1;
            // What it would have touched next is nobody's concern, and must not look like a pointer to it.
            let entity = t.entity as usize;
            self.sched.entities[entity].touch = Touch::UNKNOWN;
            let id = id as u32;
            if let State::Blocked {
                wait: Wait { on, .. },
                ..
            } = state
            {
                match on {
                    On::Object(object) => self.unwatch(object, id),
                    On::Objects(objects) => objects.into_iter().for_each(|o| self.unwatch(o, id)),
                    On::Word(_) => self.futexes.forget(id),
                    On::Clock | On::Join(_) => {}
                }
            }
        }
        self.sched.drop_done();
    }

    /// The host's ends of its connections to other hosts are gone, and nobody is told.
    fn connections_fall_silent(&mut self, host: u16) {
        for id in self.net.flows.between(|a, b| a == host || b == host) {
            let Some(f) = self.net.flows.get_mut(id) else {
                continue;
            };
            let side = if f.ends[CLIENT].host == host {
                CLIENT
            } else {
                SERVER
            };
            let unheard = f.ends[CLIENT].phase == Phase::SynSent;
            let me = &mut f.ends[side];
            me.owner = Owner::Nobody;
            me.wire.stop();
            me.phase = match me.phase {
                // A client that still knocks may find somebody there after the restart.
                Phase::Unborn | Phase::SynReceived if unheard => {
                    me.wire.reset();
                    Phase::Unborn
                }
                _ => Phase::Dead,
            };
            self.flow_collect(id);
        }
    }

    /// A network event is due while some host does not listen. Returns it if it happens all the same.
    #[cold]
    pub(super) fn reaches(&mut self, event: NetEvent) -> Option<NetEvent> {
        let end = |flow, side: usize| self.net.flows.get(flow).map(|f| f.ends[side].host);
        let at = match &event {
            NetEvent::Packet { flow, to, .. } => end(*flow, *to),
            NetEvent::FlowTimer { flow, side } | NetEvent::KeepAlive { flow, side, .. } => {
                end(*flow, *side)
            }
            NetEvent::Datagram { host, .. } | NetEvent::Unreachable { host, .. } => Some(*host),
            NetEvent::Copy { to, .. } => self.objects.host(*to),
        };
        let h = &mut self.hosts[usize::from(at?)];
        if h.paused {
            h.mail.push(event);
            return None;
        }
        (!h.down).then_some(event)
    }
}
