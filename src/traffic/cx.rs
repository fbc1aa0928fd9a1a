//! What the code of a request knows of it: which operation, which key, and draws of its own.

use crate::drawn;
use crate::kernel::{self, Domain};
use std::fmt;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A request, as planned.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) operation: Arc<str>,
    /// Its number among the operations of the traffic.
    pub(super) number: usize,
    pub(super) key: Option<u64>,
    pub(super) user: Option<u32>,
    /// When it was planned, in virtual nanoseconds since the start of the run.
    pub(super) planned: u64,
    pub(super) draws: Mutex<Draws>,
}

/// What a request has drawn. A repeated attempt draws the same again: a client repeats what it asked for.
#[derive(Debug, Default)]
pub(super) struct Draws {
    drawn: Vec<(u64, u64)>,
    next: usize,
}

impl Request {
    /// The draws begin anew.
    pub(super) fn rewind(&self) {
        self.lock().next = 0;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Draws> {
        self.draws.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, n: u64) -> u64 {
        self.draw_from(n, |n| kernel::draw(Domain::User, n).unwrap_or(0))
    }

    fn draw_from(&self, n: u64, below: impl FnOnce(u64) -> u64) -> u64 {
        let mut draws = self.lock();
        let at = draws.next;
        draws.next += 1;
        match draws.drawn.get(at) {
            Some((of, value)) if *of == n => return *value,
            Some(_) => draws.drawn.truncate(at),
            None => {}
        }
        drop(draws);
        let value = below(n);
        self.lock().drawn.push((n, value));
        value
    }
}

/// A request as its code sees it: what [`Traffic::run`](super::Traffic::run) hands to it.
///
/// Draws are from the run's choices. A [retry](super::Retry) sees the same operation, the same key and the same draws.
#[derive(Clone)]
pub struct Cx {
    pub(super) request: Arc<Request>,
    pub(super) attempt: u32,
}

impl Cx {
    /// The number of the request in its traffic, from 0 on; the same for all of its attempts, so it serves as an idempotency key.
    pub fn id(&self) -> u64 {
        self.request.id
    }

    /// The operation: one of the traffic's mix, or the traffic's own name.
    pub fn operation(&self) -> &str {
        &self.request.operation
    }

    /// The key that the request is about, from the traffic's [`Keys`](super::Keys) or from its trace.
    ///
    /// # Panics
    /// If the traffic has no keys.
    pub fn key(&self) -> u64 {
        self.request.key.unwrap_or_else(|| {
            panic!("this traffic has no keys: give it some with .keys(Keys::zipf(1000, 1.0))")
        })
    }

    /// How often the request was attempted before: 0 the first time.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The user whose request it is, from 0 on, in a load of [users](super::Load::users); `None` for arrivals.
    pub fn user(&self) -> Option<u32> {
        self.request.user
    }

    /// When the request was planned, since the start of the run.
    pub fn planned(&self) -> Duration {
        Duration::from_nanos(self.request.planned)
    }

    /// A number of a range, each as likely as any other; the lowest is the plainest.
    ///
    /// ```no_run
    /// # fn example(cx: squall::traffic::Cx) {
    /// let pieces = cx.number(1..=5);
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the range is empty.
    pub fn number(&self, range: impl RangeBounds<u64>) -> u64 {
        drawn::number(range, |n| self.request.draw(n))
    }

    /// One of several, each as likely as any other; the first is the plainest.
    ///
    /// # Panics
    /// If there is none.
    pub fn choose<'a, T>(&self, of: &'a [T]) -> &'a T {
        drawn::choose(of, |n| self.request.draw(n))
    }

    /// One of several, in proportion to their weights.
    ///
    /// # Panics
    /// If all weights are 0.
    pub fn weighted<'a, T>(&self, of: &'a [(u32, T)]) -> &'a T {
        drawn::weighted(of, |n| self.request.draw(n))
    }

    /// Whether something happens that does with this chance, 0 to 1, counted to a millionth. Plainest is that it does not.
    ///
    /// # Panics
    /// If the chance lies outside.
    pub fn chance(&self, chance: f64) -> bool {
        drawn::chance(chance, |n| self.request.draw(n))
    }

    /// A value of a strategy of proptest's (feature `proptest`), as [`Sim::draw`](crate::Sim::draw) draws one. Which place in the code it is drawn at and which
    /// request it belongs to say which draw it is, so that the draws of one request do not disturb those of another.
    ///
    /// ```no_run
    /// # fn example(cx: squall::traffic::Cx) {
    /// let cart = cx.draw(proptest::collection::vec(1..100u32, 1..5));
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the strategy gives no value, as one does that filters too much away.
    #[cfg(feature = "proptest")]
    #[track_caller]
    pub fn draw<S: proptest::strategy::Strategy>(&self, strategy: S) -> S::Value {
        use crate::draw;
        let at = std::panic::Location::caller();
        let label = draw::label(at, self.request.id);
        let name = crate::check::site(at);
        let below = &mut |n| self.request.draw_from(n, |n| draw::labelled(label, n));
        let value = draw::value(&name, &strategy, None, below);
        draw::show(|| format!("drawn: {name} for request {} = {value:?}", self.request.id));
        value
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx")
            .field("id", &self.id())
            .field("operation", &self.operation())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
