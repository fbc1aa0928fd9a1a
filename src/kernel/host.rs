//! Simulated hosts: a name, addresses, a wall clock of their own, a number of processors, a limit on descriptors.

use super::Kernel;
use super::clock::Clocks;
use super::net::NetEvent;
use super::storage::Storage;
use super::{Errno, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The wall clock of a host starts here: 2024-01-01T00:00:00Z, in seconds since the epoch.
pub(crate) const EPOCH_SECONDS: u64 = 1_704_067_200;

/// What the monotonic clock shows when a run begins, in nanoseconds: not zero, because programs subtract from it.
pub(crate) const BOOT_NS: u64 = 3_600_000_000_000;

/// One simulated host.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
    pub(crate) pid: i32,
    pub(crate) cpus: u32,
    pub(crate) clocks: Clocks,
    /// How many times longer than usual its calls take.
    pub(crate) slowness: u32,
    /// The most simulated descriptors that may be open at once.
    pub(crate) descriptor_limit: u32,
    pub(crate) descriptors: u32,
    /// The most files that may be open on the whole machine.
    pub(crate) file_limit: u32,
    /// How many ports the system hands out on its own.
    pub(crate) port_limit: u16,
    /// The most bytes that the buffer of a socket takes in each direction; without any no socket can be made.
    pub(crate) buffer_limit: u32,
    /// A program runs on it.
    pub(crate) program: bool,
    /// How often one was started.
    pub(crate) starts: u32,
    /// The machine crashed, and is not back.
    pub(crate) down: bool,
    /// Nothing on it runs, its network stack included.
    pub(crate) paused: bool,
    /// Until then no thread of it runs (virtual nanoseconds); 0 if they do.
    pub(crate) stalled: u64,
    /// What arrived while it was paused.
    pub(crate) mail: Vec<NetEvent>,
    /// Signal handlers that its program installed.
    pub(crate) handlers: Vec<(i32, libc::sigaction)>,
    /// What outlives its program.
    pub(crate) storage: Storage,
}

/// The number of the first process of a host's program.
pub(crate) fn first_pid(index: u16) -> i32 {
    1000 + i32::from(index) * 1000
}

impl Host {
    /// Host number `index`: 10.0.x.y and fd00::x:y, counted from 10.0.0.1.
    pub(crate) fn new(index: u16, name: &str, cpus: u32, descriptor_limit: u32) -> Host {
        let n = u32::from(index) + 1;
        Host {
            name: name.to_owned(),
            v4: Ipv4Addr::from(0x0a00_0000 | n),
            v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, (n >> 16) as u16, n as u16),
            pid: first_pid(index),
            cpus,
            clocks: Clocks::new(),
            slowness: 1,
            descriptor_limit,
            descriptors: 0,
            file_limit: u32::MAX,
            port_limit: u16::MAX,
            buffer_limit: u32::MAX,
            program: index == 0,
            starts: u32::from(index == 0),
            down: false,
            paused: false,
            stalled: 0,
            mail: Vec::new(),
            handlers: Vec::new(),
            storage: Storage::default(),
        }
    }

    /// Whether one more descriptor may be open, of a `new` file or of one that is open already.
    pub(crate) fn room_for_descriptor(&self, new: bool) -> Result<()> {
        if self.descriptors >= self.descriptor_limit {
            return Err(Errno::EMFILE);
        }
        if new && self.descriptors >= self.file_limit {
            return Err(Errno::ENFILE);
        }
        Ok(())
    }

    /// Whether packets to `ip` stay on this host.
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(a) => a.is_loopback() || a == self.v4 || a.is_unspecified(),
            IpAddr::V6(a) => match a.to_ipv4_mapped() {
                Some(a) => self.is_local(IpAddr::V4(a)),
                None => a.is_loopback() || a == self.v6 || a.is_unspecified(),
            },
        }
    }
}

impl Kernel {
    /// Adds a host; `None` if the name is taken or the limit of 65,535 hosts is reached.
    pub(crate) fn add_host(&mut self, name: &str) -> Option<u16> {
        let id = u16::try_from(self.hosts.len()).ok()?;
        if self.hosts.iter().any(|h| h.name == name) {
            return None;
        }
        let host = Host::new(id, name, self.cpus, self.descriptors);
        self.hosts.push(host);
        Some(id)
    }

    /// The host of this name, added if need be, for a program to be started on it; `None` if it has one, or at the limit.
    pub(crate) fn claim_host(&mut self, name: &str) -> Option<u16> {
        let known = self.hosts.iter().position(|h| h.name == name);
        let id = match known {
            Some(id) => id as u16,
            None => self.add_host(name)?,
        };
        (self.hosts[usize::from(id)].starts == 0).then(|| {
            self.host_starts(id);
            id
        })
    }
}
