//! Dependencies that fail like real ones: services that a test stands up in place of those that its program calls, with a
//! [`Behaviour`] as data.
//!
//! | made by | speaks | failures show as |
//! |---|---|---|
//! | [`Sim::http_dependency`](crate::Sim) (feature `http`) | HTTP/1.1, on a host of its own | statuses, resets, garbage, silence |
//! | [`Sim::line_dependency`](crate::Sim::line_dependency) | lines over TCP | error lines, resets, garbage, silence |
//! | [`Sim::framed_dependency`](crate::Sim::framed_dependency) | frames with their length before them, over TCP | the same, in frames |
//! | [`Sim::dependency`](crate::Sim::dependency) | nothing: a typed function | [`CallError`], or no return |
//!
//! Called by tests; what a stub does with a call is decided in `admit.rs` by the run's choices, 0 always being the plainest:
//! latencies from the `Network` stream, failures from the `Faults` stream. The servers are stock tokio and hyper on simulated hosts.

mod admit;
mod behaviour;
mod breakable;
mod calls;
#[cfg(feature = "http")]
mod http;
mod mode;
mod race;
mod schedule;
mod server;
mod slots;
mod stream;
mod stub;
mod text;
mod typed;

pub use behaviour::{Behaviour, BehaviourError, BrownOut, Since, Window};
pub use breakable::FailureTarget;
pub use calls::{Call, Outcome};
#[cfg(feature = "http")]
pub use http::{HttpFn, http_fn};
pub use mode::{FailureMode, UnknownMode};
pub use stub::Stub;
pub use typed::{CallError, Dependency};

use std::sync::{Arc, Mutex, PoisonError};

use super::{Sim, scope};
use crate::kernel;
use stream::{Frames, Lines, Protocol};

/// The dependencies of a run.
#[derive(Default)]
struct Known(Mutex<Vec<Stub>>);

/// Remembers a dependency.
///
/// # Panics
/// If there is one of its name.
#[track_caller]
fn register(stub: &Stub) {
    let known = scope::of_run::<Known>();
    let taken = kernel::keep_turn(|| {
        let mut known = known.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = known.iter().any(|k| k.name() == stub.name());
        if !taken {
            known.push(stub.clone());
        }
        taken
    });
    assert!(
        !taken,
        "there is a dependency {:?} already: their names must differ",
        stub.name()
    );
}

impl Sim {
    /// A typed double of a service: `handler` is what it does when it works.
    ///
    /// ```
    /// # fn main() {
    /// use squall::dependency::CallError;
    /// use squall::{Behaviour, FailureMode};
    ///
    /// let held = squall::Builder::new().seeds(20).run(|sim: squall::Sim| async move {
    ///     let rates = sim.dependency("rates", Behaviour::healthy(), |currency: String| async move {
    ///         if currency == "EUR" { 100 } else { 117 }
    ///     });
    ///     assert_eq!(rates.call("EUR".to_owned()).await, Ok(100));
    ///     rates.break_with(FailureMode::Status(503));
    ///     assert_eq!(rates.call("EUR".to_owned()).await, Err(CallError::Status(503)));
    ///     rates.heal();
    ///     assert_eq!(rates.call("USD".to_owned()).await, Ok(117));
    ///     assert_eq!(rates.calls().len(), 3);
    /// });
    /// assert!(held.is_ok());
    /// # }
    /// ```
    ///
    /// # Panics
    /// If there is a dependency of this name, if the behaviour cannot be, and outside a simulation.
    #[track_caller]
    pub fn dependency<Req, Resp, F, Fut>(
        &self,
        name: &str,
        behaviour: Behaviour,
        handler: F,
    ) -> Dependency<Req, Resp>
    where
        F: Fn(Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Resp> + Send + 'static,
    {
        let dependency = Dependency::new(name, behaviour, handler);
        register(&dependency);
        dependency
    }

    /// A service on a host of its own that speaks lines over TCP: each line of UTF-8, ended by LF or CR LF and of 64 KiB at most, is
    /// answered with the line that `handler` makes of it; neither has its end in it. It refuses with a line, see [`Stub::refuse_with`].
    ///
    /// ```no_run
    /// # fn example(sim: squall::Sim) {
    /// use squall::{Behaviour, FailureMode};
    /// let queue = sim.line_dependency("queue", 5555, Behaviour::healthy(), |line: String| async move {
    ///     format!("QUEUED {line}")
    /// });
    /// queue.break_with(FailureMode::Reset);
    /// # }
    /// ```
    ///
    /// # Panics
    /// If there is a dependency of this name or a host of this name has a program, if the behaviour cannot be, and outside a
    /// simulation.
    #[track_caller]
    pub fn line_dependency<F, Fut>(
        &self,
        name: &str,
        port: u16,
        behaviour: Behaviour,
        handler: F,
    ) -> Stub
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = String> + Send + 'static,
    {
        self.stream::<Lines, F, Fut>(name, port, behaviour, handler)
    }

    /// As [`Sim::line_dependency`], for frames: four bytes of length, the highest first, and as many bytes, 8 MiB at most (what
    /// tokio-util's `LengthDelimitedCodec` does unless told otherwise).
    ///
    /// # Panics
    /// As [`Sim::line_dependency`].
    #[track_caller]
    pub fn framed_dependency<F, Fut>(
        &self,
        name: &str,
        port: u16,
        behaviour: Behaviour,
        handler: F,
    ) -> Stub
    where
        F: Fn(Vec<u8>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<u8>> + Send + 'static,
    {
        self.stream::<Frames, F, Fut>(name, port, behaviour, handler)
    }

    #[track_caller]
    fn stream<P, F, Fut>(&self, name: &str, port: u16, behaviour: Behaviour, handler: F) -> Stub
    where
        P: Protocol,
        F: Fn(P::Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = P::Reply> + Send + 'static,
    {
        let stub = Stub::new(name, true, behaviour);
        register(&stub);
        let (served, handler) = (stub.clone(), Arc::new(handler));
        self.host(name, move || {
            let handler = handler.clone();
            server::serve(served.clone(), port, move |stub, wire, client| {
                stream::connection::<P, F, Fut>(stub, wire, client, handler.clone())
            })
        });
        stub
    }

    /// Every dependency of the run, in the order in which they were made.
    ///
    /// # Panics
    /// Outside a simulation.
    pub fn dependencies(&self) -> Vec<Stub> {
        let known = scope::of_run::<Known>();
        kernel::keep_turn(|| {
            let known = known.0.lock();
            known.unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}

/// The outages and brown-outs of the run's dependencies, in virtual nanoseconds: whose and what, from when, until when.
pub(crate) fn windows() -> Vec<(String, u64, u64)> {
    let Some(known) = scope::if_any::<Known>() else {
        return Vec::new();
    };
    let known = kernel::keep_turn(|| {
        let known = known.0.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    });
    known.iter().flat_map(Stub::windows).collect()
}
