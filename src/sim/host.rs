//! Hosts of the simulated world, as a test starts and names them.

use crate::kernel;
use std::any::Any;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A simulated machine: a name, addresses, ports, a clock and processors of its own.
///
/// Made by [`Sim::host`](super::Sim::host). Cloning it gives another handle of the same host.
#[derive(Clone, Debug)]
pub struct Host {
    id: u16,
    name: String,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Host {
    /// The name that it was started under; `getaddrinfo` resolves it on every host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IPv4 address, in 10.0.0.0/8.
    pub fn ip(&self) -> IpAddr {
        IpAddr::V4(self.v4)
    }

    /// Its IPv6 address, in fd00::/8.
    pub fn ipv6(&self) -> IpAddr {
        IpAddr::V6(self.v6)
    }

    /// Its number: 0 is the host that runs the test itself.
    pub fn id(&self) -> u16 {
        self.id
    }
}

impl From<kernel::HostInfo> for Host {
    fn from(info: kernel::HostInfo) -> Host {
        Host {
            id: info.id,
            name: info.name,
            v4: info.v4,
            v6: info.v6,
        }
    }
}

/// What a host's program may return: nothing, or a result whose error fails the run.
pub trait HostOutcome {
    /// The failure, if it is one.
    fn failure(self) -> Option<String>;
}

impl HostOutcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

/// The type `!`, which can be named only as what a function returns: the outcome of a server that loops for ever.
type Never = <fn() -> ! as Returns>::Output;

/// Names what a function pointer returns.
pub trait Returns {
    /// That type.
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

impl HostOutcome for Never {
    fn failure(self) -> Option<String> {
        self
    }
}

impl<E: Debug> HostOutcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|e| format!("{e:?}"))
    }
}

/// A panic's message.
fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(s) = payload.downcast_ref::<&str>() {
        (*s).to_owned()
    } else if let Some(s) = payload.downcast_ref::<String>() {
        s.clone()
    } else {
        "a panic with a payload that is not text".to_owned()
    }
}

/// Starts a host and the thread that is its `main`: a current-thread tokio runtime that drives the future that `program`
/// makes. A panic or an error there fails the run.
pub(super) fn start<F, Fut>(name: &str, program: F) -> Host
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: HostOutcome,
{
    let Some(info) = kernel::claim_host(name) else {
        panic!(
            "the host {name:?} runs a program already: host names must differ, and \"test\" is the test's own"
        );
    };
    let host = Host::from(info);
    let main = move || {
        let run = || -> Option<String> {
            let runtime = match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                Ok(runtime) => runtime,
                Err(e) => return Some(format!("its tokio runtime could not be built: {e}")),
            };
            runtime.block_on(program()).failure()
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(None) => {}
            Ok(Some(failure)) => kernel::fail_host(failure),
            Err(payload) => kernel::fail_host(format!("panicked: {}", message(payload.as_ref()))),
        }
    };
    kernel::spawn_on(host.id, name, Box::new(main));
    host
}
