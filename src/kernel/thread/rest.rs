//! The doors through which the harness has threads of its own in the world, and learns how the world is: `fault` and `sim` come in here.

use super::power::spawn_on;
use super::{simulated, with_kernel};
use crate::kernel::Domain;
use crate::kernel::path::LinkChange;
use crate::kernel::rest::Unrest;

/// Starts a thread of the harness's own on the test's host. It ends with the run at the latest, keeps nothing alive, is not
/// reported, and its turns are no progress. A panic fails the run.
///
/// # Panics
/// Outside a simulation.
pub fn spawn_background(name: &str, body: Box<dyn FnOnce() + Send>) {
    assert!(
        simulated(),
        "faults and waits exist only inside a simulation"
    );
    let id = spawn_on(0, name, body);
    with_kernel(|k| k.sched.threads[id as usize].background = true);
}

/// What still happens in the world, timers within so many nanoseconds counted; see [`Unrest`]. `None` if nothing does, and outside a simulation.
pub fn unrest(horizon: u64) -> Option<Unrest> {
    simulated().then(|| with_kernel(|k| k.unrest(horizon)))?
}

/// The same in words.
pub fn unrest_text(unrest: Unrest) -> String {
    let text = with_kernel(|k| k.unrest_text(unrest));
    // Made inside the kernel, and handed to the program.
    text.as_str().to_owned()
}

/// Whether the program cannot go on by itself: nothing is pending, or its threads spin.
pub fn stuck() -> bool {
    simulated() && with_kernel(|k| k.stuck())
}

/// A number in `0..n` for what a plan of faults leaves open, known by its label; `None` outside a simulation.
pub fn draw_planned(label: u32, n: u64) -> Option<u64> {
    draw_labelled(Domain::Faults, label, n)
}

/// A number in `0..n` that is known by a label; `None` outside a simulation.
pub fn draw_labelled(domain: Domain, label: u32, n: u64) -> Option<u64> {
    simulated().then(|| {
        with_kernel(|k| {
            let v = k.oracle.planned(domain, label, n.max(1));
            k.trace.fold(v);
            v
        })
    })
}

/// How a direction of a link is at present, in the respect that a change is about.
///
/// # Panics
/// Outside a simulation.
pub fn link_setting(from: u16, to: u16, like: &LinkChange) -> LinkChange {
    assert!(simulated(), "links exist only inside a simulation");
    // What the kernel keeps may live on its own heap: a copy for the program.
    with_kernel(|k| k.link_setting(from, to, like)).owned()
}

/// How many descriptors a host has open, and how many it may have.
///
/// # Panics
/// Outside a simulation.
pub fn descriptors(host: u16) -> (u32, u32) {
    assert!(simulated(), "hosts exist only inside a simulation");
    with_kernel(|k| {
        let h = &k.hosts[usize::from(host)];
        (h.descriptors, h.descriptor_limit)
    })
}

/// Whether a host ever had a program.
///
/// # Panics
/// Outside a simulation.
pub fn had_program(host: u16) -> bool {
    assert!(simulated(), "hosts exist only inside a simulation");
    with_kernel(|k| k.hosts[usize::from(host)].starts > 0)
}

/// Until when no thread of a host runs (virtual nanoseconds); 0 if they do.
///
/// # Panics
/// Outside a simulation.
pub fn stalled_until(host: u16) -> u64 {
    assert!(simulated(), "hosts exist only inside a simulation");
    with_kernel(|k| k.hosts[usize::from(host)].stalled)
}
