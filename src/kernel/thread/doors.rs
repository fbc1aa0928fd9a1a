//! What the rest of the crate may ask of the running simulation: `sim`, `run` and `choice` come in here, `abi` does not but
//! for the sink. Every function says what it does outside a simulation.

use super::{
    INSIDE, Inside, ME, backtrace_here, end_run, machine, outside_kernel, simulated, with_kernel,
};
use crate::kernel::abi::{raw, sancov};
use crate::kernel::outcome::HostInfo;
use crate::kernel::record::What;
use crate::kernel::{Detector, Domain, End, LinkChange, Moment, Touch, Violation, Vitals, Watch};
use std::sync::atomic::Ordering;

/// Whether the caller runs inside a simulation.
pub fn in_simulation() -> bool {
    ME.get() != 0
}

/// Whether the kernel, or the harness on its behalf, is running: a panic now is a bug of squall's own.
pub fn in_kernel() -> bool {
    INSIDE.load(Ordering::Relaxed)
}

/// How many edges of control flow the program's instrumented code has; 0 if it has no such code.
pub fn edges() -> u32 {
    sancov::edges()
}

/// Whether the program has code in which accesses to memory are scheduling points.
pub fn instrumented() -> bool {
    sancov::edges() > 0
}

/// Says what the running task, or the thread where no task runs, will do first when its turn comes again. Does nothing
/// outside a simulation.
pub fn intend(touch: Touch) {
    if simulated() {
        with_kernel(|k| k.sched.about_to(touch));
    }
}

/// Virtual nanoseconds since the start of the run; `None` outside a simulation.
pub fn now() -> Option<u64> {
    simulated().then(|| with_kernel(|k| k.now))
}

/// Says to the watchdog that the caller computes and is no endless loop. Does nothing outside a simulation.
pub fn alive() {
    if simulated() {
        with_kernel(|k| k.alive());
    }
}

/// How much waits in the world just now; nothing outside a simulation.
pub fn vitals() -> Vitals {
    match simulated() {
        true => with_kernel(|k| k.vitals()),
        false => Vitals::default(),
    }
}

/// A number in `0..n` from the run's choices; `None` outside a simulation.
pub fn draw(domain: Domain, n: u64) -> Option<u64> {
    simulated().then(|| {
        with_kernel(|k| {
            let v = k.oracle.below(domain, n.max(1));
            k.trace.fold(v);
            v
        })
    })
}

/// An event of the harness's own, such as a fault, for the record of a run that is told. Its decision has been drawn, and is in
/// the digest by that.
pub fn tell(what: impl FnOnce() -> String) {
    if recording() {
        let what = outside_kernel(what);
        with_kernel(|k| k.tell(What::Fault { text: what }, true));
    }
}

/// Something that the report of a run should say about it as a whole; said once, however often it comes. Asked for only where the run is
/// told, and put together outside the program's heap, which must not differ there.
pub fn remark(text: impl FnOnce() -> String) {
    if recording() {
        let text = outside_kernel(text);
        with_kernel(|k| k.trace.remark(&text));
    }
}

/// Whether the run is told, so that [`tell`] and [`remark`] are worth their texts. `false` outside a simulation.
pub fn told() -> bool {
    recording()
}

/// The caller's backtrace, where the run is told; it costs milliseconds.
pub fn stack() -> Option<String> {
    recording().then(|| outside_kernel(backtrace_here))
}

pub(super) fn recording() -> bool {
    simulated() && with_kernel(|k| k.trace.recording())
}

/// The caller's backtrace, whether or not the run is told; `None` outside a simulation. For the few places where a run goes on to say
/// what it shows.
pub fn stack_at_once() -> Option<String> {
    simulated().then(|| outside_kernel(backtrace_here))
}

/// The caller, a thread of the harness, waits until it is to look at the world. Returns at once outside a simulation.
pub fn watch(watch: Watch) -> Moment {
    if !simulated() {
        return Moment::Due;
    }
    let from = super::me();
    let next = with_kernel(|k| k.watcher_waits(watch));
    if next != from {
        super::switch(from, next);
    }
    with_kernel(|k| k.watcher.moment)
}

/// Changes what the thread in [`watch()`] waits for; it sees to it when the world is next quiet. Does nothing outside a simulation.
pub fn rewatch(watch: Watch) {
    if simulated() {
        with_kernel(|k| k.rewatch(watch));
    }
}

/// Whether a panic's payload stands for the end of the run. It never does: a run ends where it is, and nothing unwinds.
pub fn is_end(_: &(dyn std::any::Any + Send)) -> bool {
    false
}

/// Adds a host to the running world. `None` if the name is taken.
///
/// # Panics
/// Outside a simulation.
pub fn add_host(name: &str) -> Option<HostInfo> {
    assert!(simulated(), "hosts can be added only inside a simulation");
    with_kernel(|k| k.add_host(name)).map(host_info)
}

/// The host of this name, added if need be, for a program to be started on it. `None` if it has one.
///
/// # Panics
/// Outside a simulation.
pub fn claim_host(name: &str) -> Option<HostInfo> {
    assert!(
        simulated(),
        "programs can be started on hosts only inside a simulation"
    );
    with_kernel(|k| k.claim_host(name)).map(host_info)
}

/// Every host of the running world, in the order of their numbers; none outside a simulation.
pub fn hosts() -> Vec<HostInfo> {
    if !simulated() {
        return Vec::new();
    }
    let n = with_kernel(|k| k.hosts.len());
    (0..n as u16).map(host_info).collect()
}

fn host_info(id: u16) -> HostInfo {
    with_kernel(|k| {
        let h = &k.hosts[usize::from(id)];
        HostInfo {
            id,
            name: h.name.clone(),
            v4: h.v4,
            v6: h.v6,
        }
    })
}

/// Changes a direction of a link; `None` stands for every host. What is on its way still arrives.
///
/// # Panics
/// Outside a simulation.
pub fn change_link(from: Option<u16>, to: Option<u16>, change: &LinkChange) {
    assert!(simulated(), "links exist only inside a simulation");
    with_kernel(|k| k.change_link(from, to, change));
}

/// Runs what the harness does of its own accord on a simulated thread: its calls pass through, and what it allocates does not come
/// from the program's heap.
pub fn unseen<R>(f: impl FnOnce() -> R) -> R {
    match simulated() {
        true => outside_kernel(f),
        false => f(),
    }
}

/// Notes for the story, and for whoever asks how threads and tasks ended, that the running thread panicked. Outside a simulation, and inside the kernel, it does nothing.
pub fn tell_panic(site: &str, message: &str) {
    if !simulated() {
        return;
    }
    with_kernel(|k| {
        k.panics(site, message);
        if k.trace.recording() {
            // Copied inside the kernel: the record outlives the program's own heap.
            let (site, message) = (site.to_owned(), message.to_owned());
            k.tell(What::Panic { site, message }, true);
        }
    });
}

/// Ends the run because the running thread's host failed.
///
/// # Panics
/// Outside a simulation.
pub fn fail_host(message: String) -> ! {
    assert!(simulated(), "a host can fail only inside a simulation");
    let host = with_kernel(|k| k.host().name.clone());
    end_run(End::HostFailed { host, message })
}

/// Ends the run as `exit(code)` would.
///
/// # Panics
/// Outside a simulation.
pub fn exit(code: i32) -> ! {
    assert!(simulated(), "only a simulated program can end so");
    end_run(End::Exited(code))
}

/// Receives bytes that a simulated thread writes to descriptor 1 or 2; returns whether they were taken.
pub(crate) fn sink(fd: i32, bytes: &[u8]) -> bool {
    let _inside = Inside::enter();
    match &mut machine().sink {
        Some(sink) => {
            sink(fd, bytes);
            true
        }
        None => {
            raw::write_all(fd, bytes);
            true
        }
    }
}

/// Says that the running thread polls the future of the test's body or of a host, until dropped. Outside a simulation it does nothing.
#[derive(Debug)]
pub struct RootPoll(Option<bool>);

impl RootPoll {
    /// The poll begins.
    #[inline]
    #[must_use]
    pub fn begin() -> RootPoll {
        let set = || with_kernel(|k| std::mem::replace(&mut k.sched.me_mut().polls_root, true));
        RootPoll(simulated().then(set))
    }
}

impl Drop for RootPoll {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.0.filter(|_| simulated()) {
            with_kernel(|k| k.sched.me_mut().polls_root = before);
        }
    }
}

/// The future of the body is done, and its runtime still there. Does nothing outside a simulation.
pub fn body_done() {
    if simulated() {
        with_kernel(|k| k.body_done());
    }
}

/// The body has returned and its runtime is gone: what the detectors have found. `None` outside a simulation.
pub fn judge() -> Option<Violation> {
    simulated().then(|| with_kernel(|k| k.judge()))?
}

/// Something that a detector is to judge when the body has returned. Does nothing outside a simulation.
pub fn found(detector: Detector, detail: String) {
    if simulated() {
        with_kernel(|k| k.find(detector, detail));
    }
}

/// The findings of a detector are allowed from now on, or no longer. Does nothing outside a simulation.
pub fn allow(detector: Detector, on: bool) {
    if simulated() {
        with_kernel(|k| k.detect.allow(detector, on));
    }
}

/// The findings of a detector whose text holds `site` are allowed for the rest of the run. Does nothing outside a simulation.
pub fn allow_at(detector: Detector, site: &str) {
    if simulated() {
        with_kernel(|k| k.detect.allow_at(detector, site));
    }
}
