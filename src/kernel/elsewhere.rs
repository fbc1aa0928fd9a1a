//! The kernel's functions where there is no kernel: nothing is ever simulated, and `run` says so before it comes to these.

use super::{Detector, Domain, HostChange, HostInfo, HostState, LinkChange, Touch, Violation};

/// Always false.
pub fn in_simulation() -> bool {
    false
}

/// Always false.
pub fn instrumented() -> bool {
    false
}

/// Does nothing.
pub fn touch(_: Touch) {}

/// Does nothing.
pub fn intend(_: Touch) {}

/// Does nothing.
pub fn alive() {}

/// Always `None`.
pub fn now() -> Option<u64> {
    None
}

/// Always `None`.
pub fn draw(_: Domain, _: u64) -> Option<u64> {
    None
}

/// Always empty.
pub fn vitals() -> super::Vitals {
    super::Vitals::default()
}

/// Does nothing.
pub fn tell(_: impl FnOnce() -> String) {}

/// Does nothing.
pub fn remark(_: impl FnOnce() -> String) {}

/// `false`: there is no simulation.
pub fn told() -> bool {
    false
}

/// Always `None`.
pub fn stack() -> Option<String> {
    None
}

/// `None`: there is no simulation.
pub fn stack_at_once() -> Option<String> {
    None
}

/// `false`: no run ends by unwinding.
pub fn is_end(_: &(dyn std::any::Any + Send)) -> bool {
    false
}

/// What a waker wakes, and would tell where there is a kernel.
pub trait Watched: std::task::Wake + Send + Sync + 'static {
    /// Never called.
    fn kept(&self);
}

/// The waker of `owner`.
pub fn watched_waker<W: Watched>(owner: std::sync::Arc<W>) -> std::task::Waker {
    owner.into()
}

/// Always empty.
pub fn hosts() -> Vec<HostInfo> {
    Vec::new()
}

/// # Panics
/// Always.
pub fn add_host(_: &str) -> Option<HostInfo> {
    panic!("hosts can be added only inside a simulation")
}

/// # Panics
/// Always.
pub fn fail_host(_: String) -> ! {
    panic!("a host can fail only inside a simulation")
}

/// # Panics
/// Always.
pub fn change_link(_: Option<u16>, _: Option<u16>, _: &LinkChange) {
    panic!("links exist only inside a simulation")
}

/// What the harness does is the program's business here.
pub fn unseen<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Does nothing: there is no story to tell.
pub fn tell_panic(_: &str, _: &str) {}

/// # Panics
/// Always.
pub fn claim_host(_: &str) -> Option<HostInfo> {
    panic!("programs can be started on hosts only inside a simulation")
}

/// # Panics
/// Always.
pub fn start_program(_: u16, _: Option<Box<dyn Fn() + Send>>) {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn host_state(_: u16) -> HostState {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn change_host(_: u16, _: HostChange) {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn stall_threads(_: u16, _: &str, _: u64) -> usize {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn host_exits() -> ! {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn my_host() -> u16 {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn storage_get(_: u16, _: &str) -> Option<Vec<u8>> {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn storage_set(_: u16, _: &str, _: Option<&[u8]>) {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn storage_sync(_: u16) {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn storage_names(_: u16) -> Vec<String> {
    panic!("hosts exist only inside a simulation")
}

/// A value that lives as long as the run.
pub type RunValue = std::sync::Arc<dyn std::any::Any + Send + Sync>;

/// # Panics
/// Always.
pub fn run_value(_: std::any::TypeId, _: fn() -> RunValue) -> RunValue {
    panic!("this belongs to a run, and there is none: it works only inside a simulation")
}

/// Always `None`.
pub fn known_run_value(_: std::any::TypeId) -> Option<RunValue> {
    None
}

/// Does nothing.
pub fn note(_: &'static str, _: impl FnOnce() -> String) {}

/// Does nothing.
pub fn tally(_: &'static str, _: &str, _: &str, _: u64) {}

/// # Panics
/// Always, with what the violation says.
pub fn violate(violation: Violation) -> ! {
    panic!("{violation}")
}

/// Calls `f`.
pub fn keep_turn<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Something that still happens. Never, here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrest {}

impl Unrest {
    /// When it happens.
    pub fn at(&self) -> Option<u64> {
        match *self {}
    }
}

/// # Panics
/// Always.
pub fn spawn_background(_: &str, _: Box<dyn FnOnce() + Send>) {
    panic!("faults and waits exist only inside a simulation")
}

/// Always `None`.
pub fn unrest(_: u64) -> Option<Unrest> {
    None
}

/// Never called.
pub fn unrest_text(unrest: Unrest) -> String {
    match unrest {}
}

/// Always false.
pub fn stuck() -> bool {
    false
}

/// Always `None`.
pub fn draw_labelled(_: Domain, _: u32, _: u64) -> Option<u64> {
    None
}

/// `None`: there is no simulation.
pub fn draw_planned(_: u32, _: u64) -> Option<u64> {
    None
}

/// # Panics
/// Always.
pub fn link_setting(_: u16, _: u16, _: &LinkChange) -> LinkChange {
    panic!("links exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn descriptors(_: u16) -> (u32, u32) {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn had_program(_: u16) -> bool {
    panic!("hosts exist only inside a simulation")
}

/// # Panics
/// Always.
pub fn stalled_until(_: u16) -> u64 {
    panic!("hosts exist only inside a simulation")
}

/// What the watcher would wait for where there is a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// A quiet moment.
    pub quiet: bool,
    /// Each scheduling point.
    pub each_step: bool,
    /// A virtual time.
    pub at: Option<u64>,
    /// When the last look is settled, and when the next is due.
    pub look: Option<(u64, u64)>,
}

/// Returns at once.
pub fn watch(_: Watch) -> Moment {
    Moment::Due
}

/// What the watcher would be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A scheduling point.
    Step,
    /// The world is quiet.
    Quiet,
    /// The world is quiet, and it is time.
    Due,
}

/// Does nothing.
pub fn rewatch(_: Watch) {}

/// Nobody looks.
#[derive(Debug)]
pub struct RootPoll;

impl RootPoll {
    /// Does nothing.
    #[must_use]
    pub fn begin() -> RootPoll {
        RootPoll
    }
}

/// Does nothing.
pub fn body_done() {}

/// Always `None`.
pub fn judge() -> Option<Violation> {
    None
}

/// Does nothing.
pub fn found(_: Detector, _: String) {}

/// Does nothing.
pub fn allow(_: Detector, _: bool) {}

/// Does nothing.
pub fn allow_at(_: Detector, _: &str) {}
