//! A future under stress: polled when nothing woke it, and with another waker each time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::quarter;
use crate::kernel;

/// Kinds of faults that can hit a future while it runs. Combine them with `|`.
///
/// ```
/// use squall::Faults;
/// let both = Faults::SPURIOUS_POLLS | Faults::ROTATE_WAKERS;
/// assert!(both.contains(Faults::ROTATE_WAKERS) && both == Faults::ALL);
/// assert!(!Faults::NONE.contains(Faults::SPURIOUS_POLLS));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Faults(u8);

impl Faults {
    /// No fault.
    pub const NONE: Faults = Faults(0);
    /// A future that waits is polled again although nothing has woken it.
    pub const SPURIOUS_POLLS: Faults = Faults(1);
    /// Each poll comes with a waker of its own, and only that of the latest poll counts: what an older one wakes is lost.
    pub const ROTATE_WAKERS: Faults = Faults(2);
    /// Every kind.
    pub const ALL: Faults = Faults(3);

    /// Every kind by the name that attributes use.
    pub(crate) const NAMES: [(&'static str, Faults); 2] = [
        ("spurious_polls", Faults::SPURIOUS_POLLS),
        ("rotate_wakers", Faults::ROTATE_WAKERS),
    ];

    /// Whether all of `kinds` are among these.
    pub const fn contains(self, kinds: Faults) -> bool {
        self.0 & kinds.0 == kinds.0
    }
}

impl std::ops::BitOr for Faults {
    type Output = Faults;

    fn bitor(self, other: Faults) -> Faults {
        Faults(self.0 | other.0)
    }
}

impl fmt::Display for Faults {
    /// The names, with commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (name, kind) in Faults::NAMES {
            if self.contains(kind) {
                if !std::mem::take(&mut first) {
                    f.write_str(",")?;
                }
                f.write_str(name)?;
            }
        }
        Ok(())
    }
}

/// Puts a future under every kind of [`Faults`]: each is active in a quarter of the runs, and an active one fires at a quarter
/// of the polls (a rotation of wakers, at every poll).
///
/// Any future will do, and any runtime: `tokio::spawn(squall::stress(worker()))`. The seed decides; outside a simulation the
/// future is left alone. Where the body of a whole test should be under stress, the attribute's `faults` says so.
///
/// ```
/// # fn main() {
/// let held = squall::Builder::new().seeds(20).run(|_| async {
///     let nap = tokio::time::sleep(std::time::Duration::from_secs(5));
///     tokio::spawn(squall::stress(nap)).await
/// });
/// assert!(held.is_ok()); // tokio's own futures take it well
/// # }
/// ```
pub fn stress<F: Future>(future: F) -> Stress<F> {
    stress_with(Faults::ALL, future)
}

/// As [`stress`], with these kinds of faults.
pub fn stress_with<F: Future>(faults: Faults, future: F) -> Stress<F> {
    Stress {
        future: Box::pin(future),
        faults,
        plan: None,
        rotation: None,
    }
}

/// What [`stress`] returns: resolves to the future's output.
#[must_use = "futures do nothing unless polled"]
pub struct Stress<F: Future> {
    future: Pin<Box<F>>,
    faults: Faults,
    /// What is active in this run; drawn at the first poll.
    plan: Option<Faults>,
    rotation: Option<Arc<Rotation>>,
}

fn plan(faults: Faults) -> Faults {
    let mut active = Faults::NONE;
    for (name, kind) in Faults::NAMES {
        if faults.contains(kind) && quarter() {
            kernel::remark(|| format!("a future under {name}"));
            active = active | kind;
        }
    }
    active
}

impl<F: Future> Future for Stress<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let faults = this.faults;
        let active = *this.plan.get_or_insert_with(|| plan(faults));
        if active == Faults::NONE {
            return this.future.as_mut().poll(cx);
        }
        let poll = if active.contains(Faults::ROTATE_WAKERS) {
            let rotation = this
                .rotation
                .get_or_insert_with(|| Rotation::new(cx.waker()));
            let waker = rotation.turn(cx.waker());
            this.future.as_mut().poll(&mut Context::from_waker(&waker))
        } else {
            this.future.as_mut().poll(cx)
        };
        if poll.is_pending() && active.contains(Faults::SPURIOUS_POLLS) && quarter() {
            kernel::tell(|| "fault: a future is to be polled although nothing wakes it".to_owned());
            cx.waker().wake_by_ref();
        }
        poll
    }
}

impl<F: Future> fmt::Debug for Stress<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stress")
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// The wakers of one future, of which the newest counts.
struct Rotation {
    newest: AtomicU64,
    task: Mutex<Waker>,
}

impl Rotation {
    fn new(task: &Waker) -> Arc<Rotation> {
        Arc::new(Rotation {
            newest: AtomicU64::new(0),
            task: Mutex::new(task.clone()),
        })
    }

    /// A new waker, which makes every older one worthless.
    fn turn(self: &Arc<Rotation>, task: &Waker) -> Waker {
        // Nothing in here can panic halfway.
        self.task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(task);
        let number = 1 + self.newest.fetch_add(1, Ordering::SeqCst);
        Waker::from(Arc::new(Ticket {
            number,
            rotation: self.clone(),
        }))
    }
}

/// One waker.
struct Ticket {
    number: u64,
    rotation: Arc<Rotation>,
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let newest = self.rotation.newest.load(Ordering::SeqCst);
        if self.number == newest {
            let task = self.rotation.task.lock();
            let task = task.unwrap_or_else(PoisonError::into_inner).clone();
            task.wake();
        } else {
            let number = self.number;
            kernel::tell(|| {
                format!("fault: the waker of poll {number} is worthless since poll {newest}")
            });
        }
    }
}
