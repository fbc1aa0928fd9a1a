//! The doors through which a test starts, stops and disturbs hosts: what `sim` may ask of the running simulation about them.
//! `kernel/power.rs` books what comes of it, `abandon.rs` deals with the threads.

use super::abandon::host_dies;
use super::{Inside, machine, simulated, slot, spawn, switch, with_kernel};
use crate::kernel::abi;
use crate::kernel::outcome::{HostChange, HostState};
use crate::kernel::power::Death;
use crate::kernel::sched::thread_name;
use std::ffi::c_void;

/// What a host runs, again and again. It lives on the program's heap and is given up with it.
#[derive(Clone, Copy)]
pub(super) struct Program(&'static (dyn Fn() + Send));

// SAFETY: a host starts its program on a new thread only when the one before is over or will never go on, so one thread
// at a time uses the closure, as if it were moved from one to the next; and it is `Send`.
unsafe impl Send for Program {}

impl Program {
    fn run(self) {
        (self.0)();
    }
}

/// Starts a detached thread on a host.
pub(super) fn spawn_on(host: u16, name: &str, body: Box<dyn FnOnce() + Send>) -> u32 {
    extern "C" fn start(body: *mut c_void) -> *mut c_void {
        // SAFETY: the pointer is the one that was leaked for this thread below, and it is used once.
        let body = unsafe { Box::from_raw(body.cast::<Box<dyn FnOnce() + Send>>()) };
        body();
        std::ptr::null_mut()
    }
    let arg = Box::into_raw(Box::new(body)).cast();
    let name = thread_name(name);
    let (id, _) = spawn(Some(host), name, slot::STACK, start, arg);
    with_kernel(|k| k.sched.threads[id as usize].detached = true);
    id
}

/// The program of a host, after `new` became it if there is one.
fn known_program(host: u16, new: Option<Program>) -> Option<Program> {
    // The list outlives the run, so it must not come from the program's heap.
    let _inside = Inside::enter();
    let m = machine();
    m.statics.begin();
    let programs = &mut m.programs;
    let at = usize::from(host);
    if programs.len() <= at {
        programs.resize(at + 1, None);
    }
    if new.is_some() {
        programs[at] = new;
    }
    programs[at]
}

/// Starts a host's program: `program` if given, otherwise the one that it had.
///
/// # Panics
/// Outside a simulation, and if it never had one.
pub fn start_program(host: u16, program: Option<Box<dyn Fn() + Send>>) {
    assert!(simulated(), "hosts exist only inside a simulation");
    super::roots::collect_if_due();
    let again = program.is_none();
    let program = known_program(host, program.map(|p| Program(Box::leak(p))));
    let name = with_kernel(|k| {
        if again && program.is_some() {
            k.host_starts(host);
        }
        k.hosts[usize::from(host)].name.clone()
    });
    let Some(program) = program else {
        panic!("the host {name:?} never had a program that could be started again");
    };
    let _ = spawn_on(host, &name, Box::new(move || program.run()));
}

/// What a host is doing.
///
/// # Panics
/// Outside a simulation.
pub fn host_state(host: u16) -> HostState {
    assert!(simulated(), "hosts exist only inside a simulation");
    with_kernel(|k| k.host_state(host))
}

/// Does something to a host. Does not return if that ends the caller; returns later if it stops the caller for a while.
///
/// # Panics
/// Outside a simulation.
pub fn change_host(host: u16, change: HostChange) {
    assert!(simulated(), "hosts exist only inside a simulation");
    match change {
        HostChange::Crash => host_dies(host, Death::Crash),
        HostChange::Kill => host_dies(host, Death::Exit),
        HostChange::Pause => with_kernel(|k| k.host_pauses(host)),
        HostChange::Resume => with_kernel(|k| k.host_resumes(host)),
        HostChange::Stall(ns) => with_kernel(|k| k.host_stalls(host, ns)),
        HostChange::Suspend => with_kernel(|k| k.host_is_suspended(host)),
        HostChange::Jump(ns) => with_kernel(|k| k.clock_jumps(host, ns)),
        HostChange::Drift(ppm) => with_kernel(|k| k.clock_drifts(host, ppm, false)),
        HostChange::Slew(ppm) => with_kernel(|k| k.clock_drifts(host, ppm, true)),
        HostChange::Slow(times) => with_kernel(|k| k.host_is_slow(host, times)),
        HostChange::Files(most) => with_kernel(|k| k.files_are_limited(host, most)),
        HostChange::Ports(most) => with_kernel(|k| k.ports_are_limited(host, most)),
        HostChange::Buffers(most) => with_kernel(|k| k.buffers_are_limited(host, most)),
        HostChange::Descriptors(most) => with_kernel(|k| k.descriptors_are_limited(host, most)),
        HostChange::Signal(signal) => {
            assert!(
                super::statics::found(),
                "signals cannot be sent to hosts: this executable was stripped of its symbol table, by which the statics \
                 are found that each host needs for itself; build it with `strip = \"none\"` or `strip = \"debuginfo\"`"
            );
            let _ = spawn_on(
                host,
                "signal",
                Box::new(move || {
                    // The number is one that the caller chose, so it is delivered or says itself why not.
                    let _ = abi::deliver(signal);
                }),
            );
        }
    }
    others_may_go_on();
}

/// The threads of this name on a host get no turn for so many nanoseconds; returns how many there are. Returns later if the caller
/// is one of them.
///
/// # Panics
/// Outside a simulation.
pub fn stall_threads(host: u16, name: &str, ns: u64) -> usize {
    assert!(simulated(), "hosts exist only inside a simulation");
    let found = with_kernel(|k| k.threads_stall(host, thread_name(name), ns));
    others_may_go_on();
    found
}

fn others_may_go_on() {
    let me = super::me();
    let next = with_kernel(|k| k.reschedule());
    if next != me {
        switch(me, next);
    }
}

/// The running thread's host has come to the end of its program: its process is over. Does not return.
pub fn host_exits() -> ! {
    let host = with_kernel(|k| k.host_id());
    host_dies(host, Death::Exit);
    unreachable!("squall bug: a thread outlived its host")
}

/// The number of the running thread's host.
///
/// # Panics
/// Outside a simulation.
pub fn my_host() -> u16 {
    assert!(simulated(), "hosts exist only inside a simulation");
    with_kernel(|k| k.host_id())
}

/// A value of a host's storage.
pub fn storage_get(host: u16, name: &str) -> Option<Vec<u8>> {
    with_kernel(|k| {
        k.hosts[usize::from(host)]
            .storage
            .get(name)
            .map(<[u8]>::to_vec)
    })
}

/// Writes a value to a host's storage, or removes one.
pub fn storage_set(host: u16, name: &str, value: Option<&[u8]>) {
    with_kernel(|k| k.hosts[usize::from(host)].storage.set(name, value));
}

/// Makes what was written outlive a crash.
pub fn storage_sync(host: u16) {
    with_kernel(|k| k.hosts[usize::from(host)].storage.sync());
}

/// The names of a host's values.
pub fn storage_names(host: u16) -> Vec<String> {
    with_kernel(|k| k.hosts[usize::from(host)].storage.names())
}
