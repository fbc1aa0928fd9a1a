//! What can be made to fail in a given way: dependencies, and real servers by what surrounds them. A nemesis breaks dependencies, too,
//! in a way that it draws.

use super::super::{Host, HostState, Link};
use super::mode::FailureMode;
use super::stub::Stub;
use super::typed::Dependency;
use crate::fault::Breakable;
use crate::kernel;

/// Something that can be made to fail in a given way, as an audit does that goes through all of them. A nemesis, which draws the way,
/// takes a [`Breakable`].
pub trait FailureTarget {
    /// Its name.
    fn name(&self) -> &str;

    /// The ways in which it can be broken, with the numbers that an audit starts from.
    fn modes(&self) -> Vec<FailureMode>;

    /// It fails so until it is healed.
    ///
    /// # Panics
    /// If it cannot fail so, or the numbers of the mode cannot be.
    fn break_with(&self, mode: FailureMode);

    /// Ends what [`break_with`](FailureTarget::break_with) began; does nothing if there is nothing to end.
    fn heal(&self);
}

impl FailureTarget for Stub {
    fn name(&self) -> &str {
        Stub::name(self)
    }

    fn modes(&self) -> Vec<FailureMode> {
        FailureMode::ALL.to_vec()
    }

    fn break_with(&self, mode: FailureMode) {
        Stub::break_with(self, mode);
    }

    fn heal(&self) {
        Stub::heal(self);
    }
}

/// A nemesis breaks it in one of the ways of [`FailureMode::ALL`]: `Nemesis::all().breaking(stub)`.
impl Breakable for Stub {
    fn name(&self) -> String {
        Stub::name(self).to_owned()
    }

    fn break_down(&self, draw: &mut dyn FnMut(u64) -> u64) -> String {
        let mode = FailureMode::ALL[draw(FailureMode::ALL.len() as u64) as usize];
        // The nemesis tells of the window.
        self.broken_as(Some((mode, 1.0)));
        mode.to_string()
    }

    fn heal(&self) {
        self.broken_as(None);
    }
}

/// As its [`Stub`].
impl<Req: 'static, Resp: 'static> Breakable for Dependency<Req, Resp> {
    fn name(&self) -> String {
        Breakable::name(self.stub())
    }

    fn break_down(&self, draw: &mut dyn FnMut(u64) -> u64) -> String {
        self.stub().break_down(draw)
    }

    fn heal(&self) {
        Breakable::heal(self.stub());
    }
}

/// A real server on a host of its own fails by its links and its process:
///
/// | mode | what happens |
/// |---|---|
/// | `timeout` | its links are partitioned: silence |
/// | `reset` | the connections that it has are reset, once; new ones work |
/// | `slow` | what it sends travels so much longer |
/// | `drip` | what it sends travels in segments of so many bytes, one in each interval |
/// | `refused` | its process is killed; healing starts it again |
///
/// What depends on its protocol (`status`, `malformed`, `empty`) it cannot be made to do. Healing sets its links to what they were at
/// the start of the run.
impl FailureTarget for Host {
    fn name(&self) -> &str {
        Host::name(self)
    }

    fn modes(&self) -> Vec<FailureMode> {
        let mut modes = FailureMode::ALL.to_vec();
        modes.retain(|mode| {
            !matches!(
                mode,
                FailureMode::Status(_) | FailureMode::Malformed | FailureMode::Empty
            )
        });
        modes
    }

    fn break_with(&self, mode: FailureMode) {
        if let Some(problem) = mode.problem() {
            panic!(
                "the host {:?} cannot be broken with `{mode}`: {problem}",
                self.name()
            );
        }
        match mode {
            FailureMode::Timeout => _ = links(self).partition(),
            FailureMode::Reset => _ = links(self).reset_connections(),
            FailureMode::Slow(by) => _ = outward(self).latency(by),
            FailureMode::Drip { bytes, every } => {
                let each = u128::from(bytes) + TCP_HEADER;
                let rate = each * 1_000_000_000 / every.as_nanos().max(1);
                let rate = u64::try_from(rate.max(1)).unwrap_or(u64::MAX);
                outward(self).segment(bytes).bandwidth(rate);
            }
            FailureMode::Refused => self.kill(),
            FailureMode::Status(_) | FailureMode::Malformed | FailureMode::Empty => panic!(
                "the host {:?} runs a program of its own and cannot be made to fail with `{mode}`, which its protocol decides; \
                 FailureTarget::modes lists what it can, and a dependency (Sim::line_dependency and its kin) can all of it",
                self.name()
            ),
        }
    }

    fn heal(&self) {
        links(self).heal();
        if self.state() == HostState::Stopped {
            self.restart();
        }
    }
}

/// What a segment weighs beyond its payload, as bandwidths count.
const TCP_HEADER: u128 = 52;

fn others(host: &Host) -> impl Iterator<Item = u16> {
    let me = host.id();
    let hosts = kernel::hosts();
    hosts.into_iter().map(|h| h.id).filter(move |h| *h != me)
}

/// What the host sends to any other.
fn outward(host: &Host) -> Link {
    Link::of(others(host).map(|other| (host.id(), other)))
}

/// Both directions between the host and every other.
fn links(host: &Host) -> Link {
    let me = host.id();
    Link::of(others(host).flat_map(|other| [(me, other), (other, me)]))
}
