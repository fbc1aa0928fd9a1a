//! What a fault does to the world, step by step, and how each step is undone. The board carries scripts out; plans and draws make them.

use super::kind::FaultKind;
use super::parts::list;
use crate::kernel::{self, HostChange, HostState, LinkChange};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something that a nemesis can break and heal: a stub of a dependency, or whatever a test makes one of.
///
/// Both methods are called on a thread of the harness's own, on the test's host. A panic in them fails the run.
pub trait Breakable: Send + Sync {
    /// How the fault windows name it.
    fn name(&self) -> String;
    /// Breaks it. `draw(n)` gives a number in `0..n`, 0 for the mildest; what comes back says how it is broken.
    fn break_down(&self, draw: &mut dyn FnMut(u64) -> u64) -> String;
    /// As before it was broken.
    fn heal(&self);
}

/// How long a fault lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lasting {
    /// It happens at once.
    Moment,
    /// So many nanoseconds.
    For(u64),
    /// Until the world is healed.
    Healed,
}

/// One step of a fault. Times in nanoseconds.
#[derive(Clone)]
pub(super) enum Act {
    Crash(u16),
    Kill(u16),
    Bounce(u16),
    Pause(u16),
    Stall(u16, u64),
    Jump(u16, i64),
    /// Parts in a million.
    Drift(u16, i32),
    /// So many descriptors more than are open.
    Descriptors(u16, u32),
    Cut(u16, u16),
    Hold(u16, u16),
    /// Ends what a step before it has held.
    Release(u16, u16),
    Set(u16, u16, LinkChange),
    Reset(u16, u16),
    Break(Arc<dyn Breakable>, u64),
}

/// How a step is undone.
#[derive(Clone)]
pub(super) enum Undo {
    Restart(u16),
    Resume(u16),
    /// Nothing is to be done, the kernel ends it.
    Stalled(u16),
    Jump(u16, i64),
    NoDrift(u16),
    Descriptors(u16, u32),
    Mend(u16, u16),
    Release(u16, u16),
    Set(u16, u16, LinkChange),
    Heal(Arc<dyn Breakable>),
}

/// A fault, ready to begin.
pub(super) struct Script {
    pub(super) kind: FaultKind,
    /// What it does to whom, in words.
    pub(super) text: String,
    pub(super) hosts: Vec<u16>,
    pub(super) acts: Vec<Act>,
    /// Further steps, so many nanoseconds after the beginning.
    pub(super) later: Vec<(u64, Act)>,
    pub(super) lasting: Lasting,
}

impl Act {
    /// The host that is out of action because of it.
    pub(super) fn takes_down(&self) -> Option<u16> {
        match self {
            Act::Crash(host)
            | Act::Kill(host)
            | Act::Bounce(host)
            | Act::Pause(host)
            | Act::Stall(host, _) => Some(*host),
            _ => None,
        }
    }

    /// The direction that lets nothing through because of it.
    pub(super) fn cuts(&self) -> Option<(u16, u16)> {
        match self {
            Act::Cut(from, to) | Act::Hold(from, to) => Some((*from, *to)),
            _ => None,
        }
    }

    /// Does it, if it can be done in the world as it is. How it is undone, if it was done and can be; `mended` says whether another
    /// fault in force will mend this direction.
    pub(super) fn perform(&self, mended: impl Fn(&Undo) -> bool) -> Option<Undo> {
        let running = |host: u16| kernel::host_state(host) == HostState::Running;
        match self {
            Act::Crash(host) if running(*host) => {
                kernel::change_host(*host, HostChange::Crash);
                Some(Undo::Restart(*host))
            }
            Act::Kill(host) if running(*host) => {
                kernel::change_host(*host, HostChange::Kill);
                Some(Undo::Restart(*host))
            }
            Act::Bounce(host) if running(*host) => {
                kernel::change_host(*host, HostChange::Crash);
                kernel::start_program(*host, None);
                None
            }
            Act::Pause(host) if running(*host) => {
                kernel::change_host(*host, HostChange::Pause);
                Some(Undo::Resume(*host))
            }
            Act::Stall(host, ns) if running(*host) => {
                kernel::change_host(*host, HostChange::Stall(*ns));
                Some(Undo::Stalled(*host))
            }
            Act::Crash(_) | Act::Kill(_) | Act::Bounce(_) | Act::Pause(_) | Act::Stall(..) => None,
            Act::Jump(host, ns) => {
                kernel::change_host(*host, HostChange::Jump(*ns));
                Some(Undo::Jump(*host, -ns))
            }
            Act::Drift(host, ppm) => {
                kernel::change_host(*host, HostChange::Drift(*ppm));
                Some(Undo::NoDrift(*host))
            }
            Act::Descriptors(host, more) => {
                let (open, most) = kernel::descriptors(*host);
                let least = open.saturating_add(*more).min(most);
                kernel::change_host(*host, HostChange::Descriptors(least));
                Some(Undo::Descriptors(*host, most))
            }
            Act::Cut(from, to) => {
                let undo = Undo::Mend(*from, *to);
                link(*from, *to, &LinkChange::Down(true), undo, mended)
            }
            Act::Hold(from, to) => {
                let undo = Undo::Release(*from, *to);
                link(*from, *to, &LinkChange::Hold(true), undo, mended)
            }
            Act::Release(..) => None,
            Act::Set(from, to, change) => {
                let before = kernel::link_setting(*from, *to, change);
                kernel::change_link(Some(*from), Some(*to), change);
                Some(Undo::Set(*from, *to, before))
            }
            Act::Reset(from, to) => {
                kernel::change_link(Some(*from), Some(*to), &LinkChange::Reset);
                None
            }
            Act::Break(what, pattern) => {
                let mut pattern = Pattern(*pattern);
                let how = what.break_down(&mut |n| pattern.below(n));
                kernel::tell(|| format!("world: {} is broken: {how}", what.name()));
                Some(Undo::Heal(what.clone()))
            }
        }
    }
}

/// Cuts or holds a direction, unless the test itself has done so before: then it is not for a fault to undo it.
fn link(
    from: u16,
    to: u16,
    change: &LinkChange,
    undo: Undo,
    mended: impl Fn(&Undo) -> bool,
) -> Option<Undo> {
    if kernel::link_setting(from, to, change) == *change {
        return mended(&undo).then_some(undo);
    }
    kernel::change_link(Some(from), Some(to), change);
    Some(undo)
}

impl Undo {
    /// Whether this and `other` put the same thing right, so that only the later one's end does.
    pub(super) fn same_as(&self, other: &Undo) -> bool {
        match (self, other) {
            (Undo::Mend(a, b), Undo::Mend(c, d)) | (Undo::Release(a, b), Undo::Release(c, d)) => {
                (a, b) == (c, d)
            }
            (Undo::Set(a, b, one), Undo::Set(c, d, two)) => {
                (a, b) == (c, d) && std::mem::discriminant(one) == std::mem::discriminant(two)
            }
            (Undo::Descriptors(a, _), Undo::Descriptors(b, _))
            | (Undo::NoDrift(a), Undo::NoDrift(b)) => a == b,
            _ => false,
        }
    }

    /// The hosts that it is about.
    pub(super) fn hosts(&self) -> Vec<u16> {
        match self {
            Undo::Restart(host)
            | Undo::Resume(host)
            | Undo::Stalled(host)
            | Undo::Jump(host, _)
            | Undo::NoDrift(host)
            | Undo::Descriptors(host, _) => vec![*host],
            Undo::Mend(from, to) | Undo::Release(from, to) | Undo::Set(from, to, _) => {
                vec![*from, *to]
            }
            Undo::Heal(_) => Vec::new(),
        }
    }

    /// The host that is out of action until then.
    pub(super) fn down(&self) -> Option<u16> {
        match self {
            Undo::Restart(host) | Undo::Resume(host) | Undo::Stalled(host) => Some(*host),
            _ => None,
        }
    }

    /// The direction that lets nothing through until then.
    pub(super) fn cut(&self) -> Option<(u16, u16)> {
        match self {
            Undo::Mend(from, to) | Undo::Release(from, to) => Some((*from, *to)),
            _ => None,
        }
    }

    /// Does it.
    pub(super) fn perform(&self) {
        match self {
            Undo::Restart(host) => {
                // The test may have started it itself.
                let state = kernel::host_state(*host);
                if matches!(state, HostState::Crashed | HostState::Stopped) {
                    kernel::start_program(*host, None);
                }
            }
            Undo::Resume(host) => kernel::change_host(*host, HostChange::Resume),
            Undo::Stalled(_) => {}
            Undo::Jump(host, ns) => kernel::change_host(*host, HostChange::Jump(*ns)),
            Undo::NoDrift(host) => kernel::change_host(*host, HostChange::Drift(0)),
            Undo::Descriptors(host, most) => {
                kernel::change_host(*host, HostChange::Descriptors(*most));
            }
            Undo::Mend(from, to) => {
                kernel::change_link(Some(*from), Some(*to), &LinkChange::Down(false));
            }
            Undo::Release(from, to) => {
                kernel::change_link(Some(*from), Some(*to), &LinkChange::Hold(false));
            }
            Undo::Set(from, to, before) => kernel::change_link(Some(*from), Some(*to), before),
            Undo::Heal(what) => {
                what.heal();
                kernel::tell(|| format!("world: {} is healed", what.name()));
            }
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// One number that stands for many small choices, such as which hosts are on which side: 0 stands for the first answer to each.
pub(super) struct Pattern(pub(super) u64);

impl Pattern {
    /// How many there are.
    pub(super) const COUNT: u64 = 1 << 16;

    /// A number in `0..n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        if self.0 == 0 {
            return 0;
        }
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * u128::from(n.max(1))) >> 64) as u64
    }

    /// Whether something happens that has so many chances in a million.
    pub(super) fn happens(&mut self, millionths: u64) -> bool {
        self.below(kernel::MILLION) >= kernel::MILLION - millionths.min(kernel::MILLION - 1)
    }

    /// Another order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in 0..items.len().saturating_sub(1) {
            let with = self.below((items.len() - i) as u64) as usize;
            items.swap(i, i + with);
        }
    }
}

impl Script {
    pub(super) fn new(
        kind: FaultKind,
        text: &str,
        hosts: Vec<u16>,
        acts: Vec<Act>,
        later: Vec<(u64, Act)>,
        lasting: Lasting,
    ) -> Script {
        let mut all = kind.name().to_owned();
        if kind.hits_hosts() {
            all = format!("{all} {}", list(&hosts));
        }
        if !text.is_empty() {
            all = format!("{all} {text}");
        }
        if let Lasting::For(time) = lasting {
            all = format!("{all} for {:?}", Duration::from_nanos(time));
        }
        Script {
            kind,
            text: all,
            hosts,
            acts,
            later,
            lasting,
        }
    }
}
