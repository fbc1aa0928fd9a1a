//! The kinds of faults, by name.

use std::fmt;
use std::str::FromStr;

/// A kind of fault that a [`Nemesis`](super::Nemesis) knows.
///
/// ```
/// use squall::FaultKind;
/// assert_eq!("clock-jump".parse(), Ok(FaultKind::ClockJump));
/// assert_eq!(FaultKind::ClockJump.to_string(), "clock-jump");
/// assert!("quake".parse::<FaultKind>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// A machine is gone, as by a power failure, and comes back later: see [`Host::crash`](crate::Host::crash).
    Crash,
    /// A process is gone, as by `SIGKILL`, and is started again later.
    Kill,
    /// A machine crashes and starts again at once.
    Bounce,
    /// A machine freezes, as a virtual machine does, its network stack included.
    Pause,
    /// No thread of a process runs for a while; its network stack does.
    Stall,
    /// A wall clock jumps, forward or back, and is put right later.
    ClockJump,
    /// A wall clock is fast or slow, and right later but for what it has gained or lost.
    ClockDrift,
    /// A process may open only a few descriptors more.
    Descriptors,
    /// Some hosts cannot reach some others: Jepsen's shapes, both ways or one way.
    Partition,
    /// Packets are lost.
    Loss,
    /// Packets take long.
    Latency,
    /// Little bandwidth.
    Bandwidth,
    /// Datagrams arrive twice.
    Duplication,
    /// Datagrams overtake each other.
    Reordering,
    /// Datagrams arrive with a byte changed.
    Corruption,
    /// The end of a TCP stream travels long.
    SlowClose,
    /// TCP connections are reset.
    Reset,
    /// Packets wait at a link, and travel later (a clog).
    Hold,
    /// Hosts are clogged one by one, and let go in another order (FoundationDB's swizzle-clog).
    Swizzle,
    /// A dependency misbehaves: see [`Breakable`](super::Breakable).
    Dependency,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 20] = [
        FaultKind::Crash,
        FaultKind::Kill,
        FaultKind::Bounce,
        FaultKind::Pause,
        FaultKind::Stall,
        FaultKind::ClockJump,
        FaultKind::ClockDrift,
        FaultKind::Descriptors,
        FaultKind::Partition,
        FaultKind::Loss,
        FaultKind::Latency,
        FaultKind::Bandwidth,
        FaultKind::Duplication,
        FaultKind::Reordering,
        FaultKind::Corruption,
        FaultKind::SlowClose,
        FaultKind::Reset,
        FaultKind::Hold,
        FaultKind::Swizzle,
        FaultKind::Dependency,
    ];

    /// The kinds that can be had on madsim's simulator too: hosts that go down, stand still or are cut off from others. A dependency can, too,
    /// as far as what breaks it can.
    pub const PORTABLE: [FaultKind; 7] = [
        FaultKind::Crash,
        FaultKind::Kill,
        FaultKind::Bounce,
        FaultKind::Pause,
        FaultKind::Stall,
        FaultKind::Partition,
        FaultKind::Dependency,
    ];

    /// Its name, as scenario files and reports use it.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::Crash => "crash",
            FaultKind::Kill => "kill",
            FaultKind::Bounce => "bounce",
            FaultKind::Pause => "pause",
            FaultKind::Stall => "stall",
            FaultKind::ClockJump => "clock-jump",
            FaultKind::ClockDrift => "clock-drift",
            FaultKind::Descriptors => "descriptors",
            FaultKind::Partition => "partition",
            FaultKind::Loss => "loss",
            FaultKind::Latency => "latency",
            FaultKind::Bandwidth => "bandwidth",
            FaultKind::Duplication => "duplication",
            FaultKind::Reordering => "reordering",
            FaultKind::Corruption => "corruption",
            FaultKind::SlowClose => "slow-close",
            FaultKind::Reset => "reset",
            FaultKind::Hold => "hold",
            FaultKind::Swizzle => "swizzle",
            FaultKind::Dependency => "dependency",
        }
    }

    /// Its number in labels, from 1 on.
    pub(super) fn number(self) -> u32 {
        self as u32 + 1
    }

    /// Whether it hits hosts, not links or dependencies.
    pub(super) fn hits_hosts(self) -> bool {
        self <= FaultKind::Descriptors
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no kind of fault's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no fault {name:?}; the kinds are {known}", known = FaultKind::ALL.map(FaultKind::name).join(", "))]
pub struct UnknownFault {
    name: String,
}

impl FromStr for FaultKind {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let known = FaultKind::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownFault {
            name: name.to_owned(),
        })
    }
}
