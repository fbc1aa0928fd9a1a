//! The cancellation sweep: a future is made anew for each of its awaits and dropped there, and then a check of the test's own
//! says whether what is left behind is whole.

use std::fmt;

use super::cut::{Cancelled, Cut};
use crate::kernel;
use crate::run::Returned;

/// The most awaits that a sweep goes through, unless [`CancelEachAwait::limit`] says otherwise.
const LIMIT: u64 = 10_000;

/// Drops a future at every place where it can be cancelled, and runs a check after each.
///
/// `operation` makes the future. It is made anew for k = 1, 2, 3, ..., polled until it has returned `Pending` for the k-th time,
/// and dropped; the world goes on around it. The sweep ends when the future is done before its k-th `Pending`. Whether it
/// is dropped as soon as it waits, or only once it has been woken there (so that the wake is lost), is drawn for each k.
///
/// The values that the closures capture see all of the cancellations, one after the other; where each should find the
/// same start, see [`cancel_at_every_await_of`]. What the future returns in the end is dropped: look at it inside.
///
/// ```
/// use std::cell::Cell;
/// # fn main() {
/// let held = squall::Builder::new().seeds(4).run(|_| async {
///     let (from, to) = (Cell::new(10), Cell::new(0));
///     let swept = squall::cancel_at_every_await(|| async {
///         tokio::task::yield_now().await;
///         from.set(from.get() - 1);
///         to.set(to.get() + 1);
///         tokio::task::yield_now().await;
///     })
///     .check(|_| async { assert_eq!(from.get() + to.get(), 10) })
///     .await?;
///     assert_eq!(swept.awaits(), 2);
///     squall::Result::<()>::Ok(())
/// });
/// assert!(held.is_ok());
/// # }
/// ```
pub fn cancel_at_every_await<T, O>(operation: O) -> CancelEachAwait<O>
where
    O: AsyncFnMut() -> T,
{
    CancelEachAwait {
        operation,
        limit: LIMIT,
    }
}

/// As [`cancel_at_every_await`], with a value that is made anew for each cancellation: `setup` makes it, the operation and the
/// check borrow it.
///
/// ```
/// # use std::cell::Cell;
/// # fn main() {
/// let held = squall::Builder::new().seeds(4).run(|_| async {
///     squall::cancel_at_every_await_of(
///         || [Cell::new(10), Cell::new(0)],
///         async |accounts| {
///             accounts[0].set(7);
///             accounts[1].set(3);
///             tokio::task::yield_now().await;
///         },
///     )
///     .check(async |accounts, cancelled| {
///         let total = accounts[0].get() + accounts[1].get();
///         if total != 10 {
///             return Err(format!("{total} in all, {cancelled:?}"));
///         }
///         Ok(())
///     })
///     .await
/// });
/// assert!(held.is_ok());
/// # }
/// ```
pub fn cancel_at_every_await_of<W, S, T, O>(setup: S, operation: O) -> CancelEachAwaitOf<S, O>
where
    S: FnMut() -> W,
    O: AsyncFnMut(&W) -> T,
{
    CancelEachAwaitOf {
        setup,
        operation,
        limit: LIMIT,
    }
}

/// A sweep that has yet to be given its check; see [`cancel_at_every_await`].
#[must_use = "a sweep does nothing before its `check` is awaited"]
pub struct CancelEachAwait<O> {
    operation: O,
    limit: u64,
}

/// A sweep that has yet to be given its check; see [`cancel_at_every_await_of`].
#[must_use = "a sweep does nothing before its `check` is awaited"]
pub struct CancelEachAwaitOf<S, O> {
    setup: S,
    operation: O,
    limit: u64,
}

impl<O> CancelEachAwait<O> {
    /// How many awaits a future may have before the sweep gives up with an error. Default 10,000.
    pub fn limit(mut self, awaits: u64) -> Self {
        self.limit = awaits;
        self
    }

    /// Runs the sweep, and `check` after each cancellation: it is told where the future was dropped, and `None` when it was
    /// done at last. Resolves to what the sweep came to, with which the body of a test may end.
    ///
    /// # Errors
    /// The check returned an error, or the future had more awaits than the limit allows. A panic of the check goes
    /// on. Either way the report of the run says at which await it was.
    pub async fn check<T, C, R>(self, mut check: C) -> Result<Swept, SweepError>
    where
        O: AsyncFnMut() -> T,
        C: AsyncFnMut(Option<Cancelled>) -> R,
        R: Returned,
    {
        let CancelEachAwait {
            mut operation,
            limit,
        } = self;
        for at in 1..=limit {
            let (cancelled, site) = drop_at(operation(), at).await;
            judge(check(cancelled), cancelled, site).await?;
            if cancelled.is_none() {
                return Ok(Swept { awaits: at - 1 });
            }
        }
        Err(SweepError::TooMany(limit))
    }
}

impl<S, O> CancelEachAwaitOf<S, O> {
    /// How many awaits a future may have before the sweep gives up with an error. Default 10,000.
    pub fn limit(mut self, awaits: u64) -> Self {
        self.limit = awaits;
        self
    }

    /// As [`CancelEachAwait::check`]; the check borrows the value that the operation was given.
    ///
    /// # Errors
    /// As [`CancelEachAwait::check`].
    pub async fn check<W, T, C, R>(self, mut check: C) -> Result<Swept, SweepError>
    where
        S: FnMut() -> W,
        O: AsyncFnMut(&W) -> T,
        C: AsyncFnMut(&W, Option<Cancelled>) -> R,
        R: Returned,
    {
        let CancelEachAwaitOf {
            mut setup,
            mut operation,
            limit,
        } = self;
        for at in 1..=limit {
            let world = setup();
            let (cancelled, site) = drop_at(operation(&world), at).await;
            judge(check(&world, cancelled), cancelled, site).await?;
            if cancelled.is_none() {
                return Ok(Swept { awaits: at - 1 });
            }
        }
        Err(SweepError::TooMany(limit))
    }
}

/// Runs a future up to its await number `at`. Where it was dropped, if it was.
async fn drop_at<F: Future>(future: F, at: u64) -> (Option<Cancelled>, Option<String>) {
    let mut cut = Cut::new(future, at);
    let cancelled = (&mut cut).await.err();
    (cancelled, cut.into_site())
}

/// Runs the check, and has the report say which cancellation it failed after.
async fn judge<R: Returned>(
    check: impl Future<Output = R>,
    cancelled: Option<Cancelled>,
    site: Option<String>,
) -> Result<(), SweepError> {
    let blame = Blame { cancelled, site };
    match check.await.outcome() {
        Ok(()) => {
            std::mem::forget(blame);
            Ok(())
        }
        // Dropping the blame tells.
        Err(message) => Err(SweepError::Check { cancelled, message }),
    }
}

/// Dropped when a check fails, however it does.
struct Blame {
    cancelled: Option<Cancelled>,
    site: Option<String>,
}

impl Drop for Blame {
    fn drop(&mut self) {
        let Blame { cancelled, site } = self;
        kernel::remark(|| match (cancelled, site) {
            (None, _) => "the check failed after the future was done".to_owned(),
            (Some(at), None) => format!("the check failed after the future was {at}"),
            (Some(at), Some(site)) => {
                format!("the check failed after the future was {at} ({site})")
            }
        });
    }
}

/// A sweep whose checks all held. The body of a test may end with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    awaits: u64,
}

impl Swept {
    /// At how many awaits the future was dropped, which is how often it returned `Pending` where it was not.
    pub fn awaits(self) -> u64 {
        self.awaits
    }
}

impl Returned for Swept {
    fn outcome(self) -> Result<(), String> {
        Ok(())
    }
}

/// How a sweep failed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// The check returned an error.
    #[error("the check failed after the future was {place}: {message}", place = Place(*cancelled))]
    Check {
        /// Where the future had been dropped; `None` if it was done.
        cancelled: Option<Cancelled>,
        /// The check's error.
        message: String,
    },
    /// The future had more awaits than the limit allows.
    #[error(
        "the future was not done after {0} awaits; raise the sweep's `limit`, or sweep a part that ends"
    )]
    TooMany(u64),
}

impl fmt::Debug for SweepError {
    /// As the message: this is what a failing test shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Place(Option<Cancelled>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("done"),
            Some(cancelled) => cancelled.fmt(f),
        }
    }
}

macro_rules! opaque {
    ($($name:ident<$($parameter:ident),*>)*) => { $(
        impl<$($parameter),*> fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("limit", &self.limit)
                    .finish_non_exhaustive()
            }
        }
    )* };
}
opaque!(CancelEachAwait<O> CancelEachAwaitOf<S, O>);
