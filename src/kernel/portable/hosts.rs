//! Hosts as nodes of madsim's: names, addresses, programs, and what can be done to them.

use super::engine::{Run, run};
use super::refuse;
use crate::kernel::storage::Storage;
use crate::kernel::{HostChange, HostInfo, HostState};
use madsim::task::NodeId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// The program of a host: called at each start, for the future that it is.
pub type Program = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// A host.
pub(super) struct Machine {
    pub(super) info: HostInfo,
    pub(super) node: NodeId,
    state: HostState,
    program: Option<Arc<Mutex<Program>>>,
    /// Until when none of its tasks runs, in virtual nanoseconds.
    stalled: u64,
    starts: u32,
    storage: Storage,
}

/// The signals that have a meaning here.
const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;

fn the_run(what: &str) -> Rc<Run> {
    match run() {
        Some(run) => run,
        None => panic!("{what} only inside a simulation"),
    }
}

impl Run {
    /// The test's own host, which everything begins on.
    pub(super) fn begin(self: &Rc<Self>, node: NodeId) {
        self.add("test", node);
    }

    fn add(&self, name: &str, node: NodeId) -> HostInfo {
        let mut hosts = self.hosts.borrow_mut();
        let id = hosts.len() as u16;
        let n = u32::from(id) + 1;
        let info = HostInfo {
            id,
            name: name.to_owned(),
            v4: Ipv4Addr::from(0x0a00_0000 | n),
            v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, (n >> 16) as u16, n as u16),
        };
        self.net.set_ip(node, IpAddr::V4(info.v4));
        self.net.add_dns_record(name, IpAddr::V4(info.v4));
        hosts.push(Machine {
            info: info.clone(),
            node,
            state: match id {
                0 => HostState::Running,
                _ => HostState::Stopped,
            },
            program: None,
            stalled: 0,
            starts: 0,
            storage: Storage::default(),
        });
        info
    }

    fn new_host(&self, name: &str) -> HostInfo {
        let node = self.runtime.create_node().name(name).build().id();
        let info = self.add(name, node);
        self.new_links(info.id);
        info
    }

    fn known(&self, name: &str) -> Option<u16> {
        let hosts = self.hosts.borrow();
        let found = hosts.iter().find(|host| host.info.name == name);
        found.map(|host| host.info.id)
    }

    pub(super) fn node(&self, host: u16) -> NodeId {
        self.hosts.borrow()[usize::from(host)].node
    }

    fn host<R>(&self, host: u16, change: impl FnOnce(&mut Machine) -> R) -> R {
        change(&mut self.hosts.borrow_mut()[usize::from(host)])
    }

    /// Every host but the test's own is gone.
    pub(super) fn all_die(&self) {
        let nodes: Vec<NodeId> = self.hosts.borrow()[1..]
            .iter()
            .map(|host| host.node)
            .collect();
        for node in nodes {
            self.runtime.handle().kill(node);
        }
    }
}

/// The number of the caller's host.
pub(super) fn here(run: &Run) -> u16 {
    // Outside of every task there is the test alone.
    if !run.in_task() {
        return 0;
    }
    let node = madsim::plugin::node();
    let hosts = run.hosts.borrow();
    let found = hosts.iter().find(|host| host.node == node);
    found.map_or(0, |host| host.info.id)
}

/// Adds a host to the running world. `None` if the name is taken.
///
/// # Panics
/// Outside a simulation.
pub fn add_host(name: &str) -> Option<HostInfo> {
    let run = the_run("hosts can be added");
    match run.known(name) {
        Some(_) => None,
        None => Some(run.new_host(name)),
    }
}

/// The host of this name, added if need be, for a program to be started on it. `None` if it has one.
///
/// # Panics
/// Outside a simulation.
pub fn claim_host(name: &str) -> Option<HostInfo> {
    let run = the_run("programs can be started on hosts");
    let Some(host) = run.known(name) else {
        return Some(run.new_host(name));
    };
    let hosts = run.hosts.borrow();
    let known = &hosts[usize::from(host)];
    (host != 0 && known.program.is_none()).then(|| known.info.clone())
}

/// Every host of the running world, in the order of their numbers; none outside a simulation.
pub fn hosts() -> Vec<HostInfo> {
    let Some(run) = run() else {
        return Vec::new();
    };
    let hosts = run.hosts.borrow();
    hosts.iter().map(|host| host.info.clone()).collect()
}

/// The number of the caller's host.
///
/// # Panics
/// Outside a simulation.
pub fn my_host() -> u16 {
    here(&the_run("hosts exist"))
}

/// What a host is doing.
///
/// # Panics
/// Outside a simulation.
pub fn host_state(host: u16) -> HostState {
    the_run("hosts exist").host(host, |host| host.state)
}

/// Whether a host ever had a program.
///
/// # Panics
/// Outside a simulation.
pub fn had_program(host: u16) -> bool {
    the_run("hosts exist").host(host, |host| host.starts > 0)
}

/// Until when no task of a host runs (virtual nanoseconds); 0 if they do.
///
/// # Panics
/// Outside a simulation.
pub fn stalled_until(host: u16) -> u64 {
    the_run("hosts exist").host(host, |host| host.stalled)
}

/// Starts the program that a host had.
///
/// # Panics
/// Outside a simulation, and if it never had one. A plain `main` is refused.
pub fn start_program(host: u16, program: Option<Box<dyn Fn() + Send>>) {
    if program.is_some() {
        refuse(
            "a host with a plain main (Sim::host_main)",
            "it would block the thread that everything runs on; give the host an asynchronous program, with Sim::host",
        );
    }
    start(&the_run("hosts exist"), host);
}

/// Gives a host its program and starts it.
///
/// # Panics
/// Outside a simulation.
pub fn begin_program(host: u16, program: Program) {
    let run = the_run("hosts exist");
    run.host(host, |host| {
        host.program = Some(Arc::new(Mutex::new(program)))
    });
    start(&run, host);
}

fn start(run: &Rc<Run>, host: u16) {
    let (name, node, program, again) = run.host(host, |host| {
        let again = host.starts > 0;
        host.starts += 1;
        host.stalled = 0;
        host.state = HostState::Running;
        (
            host.info.name.clone(),
            host.node,
            host.program.clone(),
            again,
        )
    });
    let Some(program) = program else {
        panic!("the host {name:?} never had a program that could be started again");
    };
    let handle = run.runtime.handle();
    if again {
        super::tell(|| format!("world: {name} starts again"));
        handle.restart(node);
    }
    let bug = "squall bug: a host without a node";
    // A future that is not `Send` can be spawned only by a task of its own node.
    drop(handle.get_node(node).expect(bug).spawn(async move {
        let future = (program.lock().unwrap_or_else(PoisonError::into_inner))();
        drop(madsim::task::spawn_local(future));
    }));
}

/// The program of the caller's host has come to its end: its process is over.
pub fn program_ends() {
    let run = the_run("hosts exist");
    dies(&run, here(&run), HostState::Stopped);
}

/// # Panics
/// Always: the code after an end goes on until its next await, here.
pub fn host_exits() -> ! {
    refuse("a host that ends itself", "let its program return")
}

fn dies(run: &Rc<Run>, host: u16, state: HostState) {
    let node = run.host(host, |host| {
        host.state = state;
        host.stalled = 0;
        if state == HostState::Crashed {
            host.storage.lose();
        }
        host.node
    });
    run.runtime.handle().kill(node);
}

/// Does something to a host.
///
/// # Panics
/// Outside a simulation, and to end the run where madsim cannot do it.
pub fn change_host(host: u16, change: HostChange) {
    let run = the_run("hosts exist");
    run.fold(u64::from(host) << 32 | run.now());
    let own = here(&run) == host && host != 0;
    match change {
        HostChange::Crash | HostChange::Kill if own => refuse(
            "a host that crashes or kills itself",
            "the code after that goes on until its next await; have the test do it",
        ),
        HostChange::Crash => dies(&run, host, HostState::Crashed),
        HostChange::Kill | HostChange::Signal(SIGKILL) => dies(&run, host, HostState::Stopped),
        HostChange::Pause => {
            run.host(host, |host| host.state = HostState::Paused);
            run.runtime.handle().pause(run.node(host));
        }
        HostChange::Resume => resume(&run, host),
        HostChange::Stall(ns) => stall(&run, host, ns),
        HostChange::Signal(SIGINT) => {
            let node = run.node(host);
            run.runtime.handle().send_ctrl_c(node);
            if run.runtime.handle().is_exit(node) {
                dies(&run, host, HostState::Stopped);
            }
        }
        HostChange::Signal(number) => refuse(
            &format!("signal {number}"),
            "madsim knows ctrl-c alone: Host::signal(2); Host::kill ends a program that handles none",
        ),
        HostChange::Suspend => refuse(
            "Host::suspend",
            "hosts share one clock; Host::pause stops a host whose clock goes on",
        ),
        HostChange::Jump(_) | HostChange::Drift(_) | HostChange::Slew(_) => refuse(
            "a clock that jumps, drifts or is slewed",
            "hosts share one clock; leave the kinds clock-jump and clock-drift out: Nemesis::portable()",
        ),
        HostChange::Slow(_) => refuse(
            "Host::slow_down",
            "calls take no time; Host::stall or Host::pause stop a host for a while",
        ),
        HostChange::Descriptors(_)
        | HostChange::Files(_)
        | HostChange::Ports(_)
        | HostChange::Buffers(_) => refuse(
            "a limit of descriptors, files, ports or buffers",
            "its sockets are no descriptors; leave the kind descriptors out: Nemesis::portable()",
        ),
    }
}

/// A paused host goes on, unless it is stalled.
fn resume(run: &Rc<Run>, host: u16) {
    let (goes_on, node) = run.host(host, |machine| {
        let paused = machine.state == HostState::Paused;
        if paused {
            machine.state = match machine.starts {
                0 => HostState::Stopped,
                _ => HostState::Running,
            };
        }
        (paused && machine.stalled == 0, machine.node)
    });
    if goes_on {
        run.runtime.handle().resume(node);
    }
}

/// No task of a host runs for so long: madsim's pause, which ends by itself.
fn stall(run: &Rc<Run>, host: u16, ns: u64) {
    let until = run.now().saturating_add(ns);
    let (node, starts) = run.host(host, |host| {
        host.stalled = host.stalled.max(until);
        (host.node, host.starts)
    });
    run.runtime.handle().pause(node);
    super::waits::background("stall", async move {
        super::waits::rest(ns).await;
        let Some(run) = super::engine::run() else {
            return;
        };
        let now = run.now();
        let goes_on = run.host(host, |host| {
            // Another stall may be longer, and a program that has been started since knows nothing of it.
            if host.starts != starts || host.stalled == 0 || host.stalled > now {
                return false;
            }
            host.stalled = 0;
            host.state == HostState::Running
        });
        if goes_on {
            run.runtime.handle().resume(node);
        }
    });
}

/// # Panics
/// To end the run: there are no threads.
pub fn stall_threads(_: u16, _: &str, _: u64) -> usize {
    refuse(
        "Host::stall_thread",
        "there are no threads; Host::stall stalls the host",
    )
}

/// # Panics
/// To end the run: there are no descriptors.
pub fn descriptors(_: u16) -> (u32, u32) {
    refuse(
        "the count of a host's descriptors",
        "its sockets are no descriptors; leave the kind descriptors out: Nemesis::portable()",
    )
}

/// A value of a host's storage.
pub fn storage_get(host: u16, name: &str) -> Option<Vec<u8>> {
    let run = the_run("hosts exist");
    run.host(host, |host| host.storage.get(name).map(<[u8]>::to_vec))
}

/// Writes a value to a host's storage, or removes one.
pub fn storage_set(host: u16, name: &str, value: Option<&[u8]>) {
    the_run("hosts exist").host(host, |host| host.storage.set(name, value));
}

/// Makes what was written outlive a crash.
pub fn storage_sync(host: u16) {
    the_run("hosts exist").host(host, |host| host.storage.sync());
}

/// The names of a host's values.
pub fn storage_names(host: u16) -> Vec<String> {
    the_run("hosts exist").host(host, |host| host.storage.names())
}
