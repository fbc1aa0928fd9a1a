//! One future that is dropped before it is done: at which of its awaits, and at which moment there.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::site::Relay;
use crate::kernel::{self, Domain, watched_waker};

/// Where a future was dropped before it was done.
///
/// ```
/// # fn main() {
/// let held = squall::Builder::new().seeds(20).run(|_| async {
///     let nap = tokio::time::sleep(std::time::Duration::from_secs(5));
///     match squall::cancel_at_some_await(nap).await {
///         Ok(()) => println!("it was left alone"),
///         Err(cancelled) => assert_eq!(cancelled.at(), 1), // a sleep waits once
///     }
/// });
/// assert!(held.is_ok());
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cancelled {
    at: u64,
    woken: bool,
}

impl Cancelled {
    /// Dropped where it waited for so many times, by a fault point.
    pub(super) fn at_point(at: u64) -> Cancelled {
        Cancelled { at, woken: false }
    }

    /// How many times the future had returned `Pending`, the last of them included; at least 1. An await that waits several
    /// times counts each time, and one that does not have to wait does not count.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether what it waited for had woken it, so that it was about to be polled: the wake is lost with it. Otherwise it was
    /// dropped as soon as it waited.
    pub fn woken(&self) -> bool {
        self.woken
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dropped at its await {}", self.at)?;
        f.write_str(if self.woken {
            ", after it was woken there"
        } else {
            ", as soon as it waited"
        })
    }
}

impl std::error::Error for Cancelled {}

/// A future that is dropped where a plan says, unless it is done before.
pub(crate) struct Cut<F: Future> {
    /// `None` once it was dropped.
    future: Option<Pin<Box<F>>>,
    plan: Cancelled,
    polls: u64,
    relay: Option<Arc<Relay>>,
    site: Option<String>,
}

impl<F: Future> Cut<F> {
    /// `future`, to be dropped at its await number `at`; whether at once or when it has been woken is drawn.
    pub(crate) fn new(future: F, at: u64) -> Self {
        let woken = kernel::draw(Domain::Faults, 2) == Some(1);
        Cut {
            future: Some(Box::pin(future)),
            plan: Cancelled { at, woken },
            polls: 0,
            relay: None,
            site: None,
        }
    }

    /// Where it waited when it was dropped; `None` unless the run is told.
    pub(super) fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    /// The same, to keep. It is none of the program's: see [`Relay::site`].
    pub(super) fn into_site(self) -> Option<String> {
        self.site
    }
}

impl<F: Future> Future for Cut<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let future = this
            .future
            .as_mut()
            .expect("a future was polled after it was done");
        let relay = this.relay.get_or_insert_with(|| Relay::new(cx.waker()));
        relay.serve(cx.waker());
        if this.polls < this.plan.at {
            this.polls += 1;
            relay.forget();
            let waker = watched_waker(relay.clone());
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = poll {
                this.future = None;
                return Poll::Ready(Ok(output));
            }
            // Even where it has been woken already, others have their turn before that wake is answered.
            if this.polls < this.plan.at || this.plan.woken {
                return Poll::Pending;
            }
        } else if !relay.woken() {
            return Poll::Pending;
        }
        this.site = relay.site();
        let Cut { plan, site, .. } = this;
        kernel::tell(|| match site {
            Some(site) => format!("fault: a future is {plan} ({site})"),
            None => format!("fault: a future is {plan}"),
        });
        this.future = None;
        Poll::Ready(Err(this.plan))
    }
}

/// Runs a future, and in most runs drops it at one of its awaits: at which one the seed draws.
///
/// The rest of the test is the check: it goes on when the future is done or gone, in the same world. Over many seeds every
/// await has its turn, each under another order of tasks; the number is log-uniform from 1 to 128, so a future of eight awaits
/// is left alone in about three runs of eight. At the chosen await the future is dropped either as soon as it waits or, in half
/// of the runs, once it has been woken there, which loses that wake.
///
/// Outside a simulation the future is never dropped.
///
/// ```
/// use std::cell::Cell;
/// # fn main() {
/// let held = squall::Builder::new().seeds(64).keep_failures(false).run(|_| async {
///     let (from, to) = (Cell::new(10), Cell::new(0));
///     let transfer = async {
///         from.set(from.get() - 3);
///         tokio::task::yield_now().await; // dropped here, three are gone
///         to.set(to.get() + 3);
///     };
///     let _ = squall::cancel_at_some_await(transfer).await;
///     assert_eq!(from.get() + to.get(), 10);
/// });
/// let failure = held.unwrap_err().to_string();
/// assert!(failure.contains("a future was dropped at its await 1"), "{failure}");
/// # }
/// ```
pub fn cancel_at_some_await<F: Future>(future: F) -> CancelAtSomeAwait<F> {
    CancelAtSomeAwait {
        state: State::New(Some(Box::pin(future))),
    }
}

/// What [`cancel_at_some_await`] returns: resolves to the future's output, or to where it was dropped.
#[must_use = "futures do nothing unless polled"]
pub struct CancelAtSomeAwait<F: Future> {
    state: State<F>,
}

enum State<F: Future> {
    /// Nothing has been drawn yet; the future is taken out when it is.
    New(Option<Pin<Box<F>>>),
    Cut(Cut<Pin<Box<F>>>),
}

/// The number of the await is below two to this power.
const POWERS: u64 = 8;

impl<F: Future> Future for CancelAtSomeAwait<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::New(future) = &mut self.state {
            let future = future
                .take()
                .expect("squall bug: a future was taken out and not cut");
            let at = match kernel::draw(Domain::Faults, POWERS) {
                None => u64::MAX,
                Some(power) => 1 + kernel::draw(Domain::Faults, 1 << power).unwrap_or(0),
            };
            self.state = State::Cut(Cut::new(future, at));
        }
        let State::Cut(cut) = &mut self.state else {
            unreachable!("squall bug: a future was not cut")
        };
        let poll = Pin::new(&mut *cut).poll(cx);
        if let Poll::Ready(Err(cancelled)) = &poll {
            kernel::remark(|| match cut.site() {
                Some(site) => format!("a future was {cancelled} ({site})"),
                None => format!("a future was {cancelled}"),
            });
        }
        poll
    }
}

impl<F: Future> fmt::Debug for CancelAtSomeAwait<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelAtSomeAwait").finish_non_exhaustive()
    }
}
