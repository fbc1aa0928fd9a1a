//! How the harness's own code waits, and runs beside the program, on whichever engine: written once, as futures.
//!
//! Where there are threads, such a future has one of its own, and each wait blocks that thread within a poll, so that the first poll
//! is the last. On madsim's simulator it is a task on the test's node. `fault`, `check`, `traffic` and `sim` come in here.

use super::{Moment, Watch};
use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

pub use engine::*;

/// A panic's payload.
pub type Payload = Box<dyn Any + Send>;

/// Whoever looks at the world when nobody else would notice.
pub trait Watches: Send + Sync + 'static {
    /// What is kept from look to look.
    type Kept: Default + 'static;

    /// Looks.
    #[allow(async_fn_in_trait, reason = "both engines look where they are")]
    async fn look(&self, moment: Moment, kept: &mut Self::Kept);

    /// When to look next.
    fn next(&self) -> Watch;
}

/// What `work` comes to, or the payload of its panic. The end of the run is no panic of its own: it goes on to whoever runs that.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Payload> {
    let mut work = pin!(work);
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(payload) if super::is_end(&*payload) => resume_unwind(payload),
            Err(payload) => Poll::Ready(Err(payload)),
        },
    )
    .await
}

#[cfg(not(squall_madsim))]
mod engine {
    use super::Watches;
    use crate::kernel::{now, spawn_background, watch};
    use std::pin::pin;
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    /// What a future comes to that is done at its first poll.
    pub fn ready<T>(work: impl Future<Output = T>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(work).poll(&mut cx) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("squall bug: the harness's own code does not block its thread"),
        }
    }

    /// Carries out what the end of a run needs, on the thread of the test's body.
    pub fn carry_out(work: impl Future<Output = ()>) {
        ready(work);
    }

    /// Has somebody look at the world until the end of the run.
    pub fn watched_by<W: Watches>(name: &str, who: Arc<W>) {
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || {
            let mut kept = W::Kept::default();
            loop {
                let moment = watch(who.next());
                ready(who.look(moment, &mut kept));
            }
        });
        drop(thread.expect("squall bug: a simulated thread could not be started"));
    }

    /// Lets so many nanoseconds pass.
    pub async fn rest(ns: u64) {
        std::thread::sleep(Duration::from_nanos(ns));
    }

    /// Carries out the harness's own work beside the program: see [`spawn_background`].
    pub fn background(name: &str, work: impl Future<Output = ()> + Send + 'static) {
        spawn_background(name, Box::new(move || ready(work)));
    }

    /// Carries out a client's work beside the caller, on its host: it counts as the program's.
    pub fn beside(name: String, work: impl Future<Output = ()> + Send + 'static) {
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || ready(work));
        drop(thread.expect("a thread of the harness's own"));
    }

    /// Tells those who wait for a change of what a mutex guards.
    #[derive(Debug, Default)]
    pub struct Bell(Condvar);

    impl Bell {
        /// Something has changed.
        pub fn ring(&self) {
            self.0.notify_all();
        }

        /// Waits as long as `waits` says so of what `lock` guards, but not beyond `until` (virtual nanoseconds). Returns what `then` does, which
        /// nobody comes before.
        pub async fn wait<T, R>(
            &self,
            lock: &Mutex<T>,
            until: Option<u64>,
            mut waits: impl FnMut(&T) -> bool,
            then: impl FnOnce(&mut T) -> R,
        ) -> R {
            let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
            while waits(&state) {
                let Some(until) = until else {
                    state = self.0.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                let now = now().unwrap_or(u64::MAX);
                if now >= until {
                    break;
                }
                let time = Duration::from_nanos(until - now);
                let woken = self.0.wait_timeout(state, time);
                state = woken.map_or_else(|e| e.into_inner().0, |(state, _)| state);
            }
            then(&mut state)
        }

        /// The same, where the caller may block.
        pub fn wait_here<T>(
            &self,
            lock: &Mutex<T>,
            waits: impl FnMut(&T) -> bool,
            then: impl FnOnce(&mut T),
        ) {
            ready(self.wait(lock, None, waits, then));
        }
    }
}

#[cfg(squall_madsim)]
mod engine {
    pub use crate::kernel::portable::waits::*;
}
