//! Where a future waits: its waker tells when a leaf keeps it, and the stack at that moment holds the line of every `await` on
//! the way there. Looked at only in runs that are told.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::kernel::{self, Watched, watched_waker};

/// Stands between a future and the task that polls it: passes wakes on, and remembers that there was one and where the future
/// waits.
pub(super) struct Relay {
    woken: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    task: Waker,
    /// The backtrace of the latest leaf that kept the waker.
    stack: Option<String>,
}

impl Relay {
    pub(super) fn new(task: &Waker) -> Arc<Relay> {
        Arc::new(Relay {
            woken: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                task: task.clone(),
                stack: None,
            }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can panic halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task to wake from now on.
    pub(super) fn serve(&self, task: &Waker) {
        self.inner().task.clone_from(task);
    }

    /// Whether there was a wake since the last call of [`Relay::forget`].
    pub(super) fn woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// A poll begins: what woke the future has been answered.
    pub(super) fn forget(&self) {
        self.woken.store(false, Ordering::SeqCst);
    }

    /// Where the future waits, as `FILE:LINE in FUNCTION`; `None` unless the run is told. The text does not lie in the program's heap,
    /// which must be the same whether the run is told or not: no copy of it is made there either.
    pub(super) fn site(&self) -> Option<String> {
        let inner = self.inner();
        let stack = inner.stack.as_deref()?;
        kernel::unseen(|| await_site(stack))
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        // Not under the lock: the task's waker is the program's code.
        let task = self.inner().task.clone();
        task.wake();
    }
}

impl Watched for Relay {
    fn kept(&self) {
        if let Some(stack) = kernel::stack() {
            self.inner().stack = Some(stack);
        }
    }
}

/// Keeps the stack of the leaf that kept its waker last, whether or not the run is told, and passes wakes on.
struct Spot {
    task: Waker,
    stack: Mutex<Option<String>>,
}

impl Wake for Spot {
    fn wake(self: Arc<Self>) {
        self.task.wake_by_ref();
    }
}

impl Watched for Spot {
    fn kept(&self) {
        let stack = kernel::stack_at_once();
        *self.stack.lock().unwrap_or_else(PoisonError::into_inner) = stack;
    }
}

/// Polls a future and looks where it waits then: `FILE:LINE in FUNCTION`. Takes milliseconds, in every run, so that it is the same in
/// one that is told.
pub(crate) fn poll_and_look<F: Future + ?Sized>(
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> (Poll<F::Output>, Option<String>) {
    let spot = Arc::new(Spot {
        task: cx.waker().clone(),
        stack: Mutex::new(None),
    });
    let waker = watched_waker(spot.clone());
    let poll = future.poll(&mut Context::from_waker(&waker));
    let mut stack = spot.stack.lock().unwrap_or_else(PoisonError::into_inner);
    let site = stack.take().and_then(|stack| await_site(&stack));
    (poll, site)
}

/// The innermost line of the program's own in a backtrace as std prints it.
fn await_site(backtrace: &str) -> Option<String> {
    let mut name = "";
    for line in backtrace.lines().map(str::trim) {
        if let Some(at) = line.strip_prefix("at ") {
            let name = name.trim_end_matches("::{{closure}}");
            if is_own(name, at) {
                return Some(format!("{} in {name}", at.strip_prefix("./").unwrap_or(at)));
            }
        } else if let Some((_, rest)) = line.split_once(": ") {
            name = rest;
        }
    }
    None
}

/// Whether a frame is neither std's, nor a dependency's, nor this crate's.
fn is_own(name: &str, at: &str) -> bool {
    let dependency = [
        "/rustc/",
        "/.cargo/registry/",
        "/.cargo/git/",
        "/target/squall/",
        "/library/",
    ];
    let name = name.trim_start_matches('<');
    let foreign = ["squall::", "std::", "core::", "alloc::", "tokio::"];
    !dependency.iter().any(|part| at.contains(part))
        && !foreign.iter().any(|krate| name.starts_with(krate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_own_line_is_the_site() {
        let backtrace = "   0: squall::fault::site::kept\n             at /src/squall/src/fault/site.rs:1:2\n   \
                         1: tokio::time::sleep::poll\n             at /root/.cargo/registry/src/x/tokio-1.54.0/src/time/sleep.rs:3:4\n   \
                         2: shop::transfer::{{closure}}\n             at ./src/shop.rs:12:9\n   \
                         3: shop::test::{{closure}}\n             at ./src/shop.rs:40:5\n";
        assert_eq!(
            await_site(backtrace).as_deref(),
            Some("src/shop.rs:12:9 in shop::transfer")
        );
        assert_eq!(await_site("   0: std::rt::lang_start\n"), None);
    }
}
