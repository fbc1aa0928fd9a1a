//! One request from its planned arrival to its end: attempts, pauses between them, patience; and what all requests of a traffic
//! share. Called by `plan`, which says when.

use super::cx::{Cx, Request};
use super::record::{GAVE_UP, PANICKED, TIMEOUT, Tally, UNFINISHED};
use super::retry::Retry;
use super::signs::Sample;
use crate::kernel::{self, Delay, Domain};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What became of a request: the kind of its error, if any.
pub(super) type Ended = Result<(), Arc<str>>;
/// An attempt under way.
type Attempt = Pin<Box<dyn Future<Output = Ended> + Send>>;
/// The code of a request.
pub(super) type Body = dyn Fn(Cx) -> Attempt + Send + Sync;

/// What all requests of a traffic share.
pub(super) struct Shared {
    pub(super) body: Box<Body>,
    pub(super) retry: Retry,
    pub(super) timeout: Option<Duration>,
    pub(super) patience: Option<Duration>,
    /// Requests under way at once; more are dropped.
    pub(super) limit: Option<u64>,
    /// When the traffic began, in virtual nanoseconds.
    pub(super) start: u64,
    /// Nanoseconds from there that do not count.
    pub(super) warm_up: u64,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) total: Tally,
    pub(super) operations: Vec<Tally>,
    pub(super) samples: Vec<Sample>,
    /// The tasks of requests and users, by their numbers.
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    /// Nothing arrives any more.
    pub(super) planned: bool,
    /// Nothing counts any more.
    pub(super) over: bool,
    /// Why planning came to an early end.
    pub(super) panic: Option<Box<dyn Any + Send>>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Task {
    handle: Option<JoinHandle<()>>,
    /// What it is doing: the operation, and when that was planned.
    request: Option<(usize, u64)>,
}

impl State {
    pub(super) fn new(total: Tally, operations: Vec<Tally>) -> State {
        State {
            total,
            operations,
            samples: Vec::new(),
            tasks: BTreeMap::new(),
            next_task: 0,
            planned: false,
            over: false,
            panic: None,
            waker: None,
        }
    }

    /// The number of an operation, which is new if it has not come yet.
    pub(super) fn operation(&mut self, name: &Arc<str>, resolution: u64) -> usize {
        let mut known = self.operations.iter();
        known
            .position(|tally| tally.name == *name)
            .unwrap_or_else(|| {
                self.operations.push(Tally::new(name.clone(), resolution));
                self.operations.len() - 1
            })
    }

    pub(super) fn done(&self) -> bool {
        self.over || self.panic.is_some() || (self.planned && self.tasks.is_empty())
    }

    fn tell_if_done(&mut self) {
        if self.done()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

impl Shared {
    #[allow(clippy::too_many_arguments, reason = "they are its fields")]
    pub(super) fn new(
        body: Box<Body>,
        retry: Retry,
        timeout: Option<Duration>,
        patience: Option<Duration>,
        limit: Option<u64>,
        start: u64,
        warm_up: u64,
        state: State,
    ) -> Shared {
        Shared {
            body,
            retry,
            timeout,
            patience,
            limit,
            start,
            warm_up,
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds since the start of the traffic.
    pub(super) fn now(&self) -> u64 {
        kernel::now().unwrap_or(0).saturating_sub(self.start)
    }

    fn counts(&self, planned: u64) -> bool {
        planned.saturating_sub(self.start) >= self.warm_up
    }

    /// A place for a task that will be there at once. `None` if everything is over.
    pub(super) fn enter(&self) -> Option<u64> {
        let mut state = self.lock();
        if state.over {
            return None;
        }
        let number = state.next_task;
        state.next_task += 1;
        state.tasks.insert(number, Task::default());
        Some(number)
    }

    /// The task that belongs to a place, unless it has left it already.
    pub(super) fn entered(&self, number: u64, handle: JoinHandle<()>) {
        if let Some(task) = self.lock().tasks.get_mut(&number) {
            task.handle = Some(handle);
        }
    }

    /// A task is through.
    pub(super) fn leave(&self, number: u64) {
        let mut state = self.lock();
        state.tasks.remove(&number);
        state.tell_if_done();
    }

    /// A request arrives. False if it is dropped.
    pub(super) fn arrives(&self, task: u64, request: &Request) -> bool {
        let (at, counts) = (self.now(), self.counts(request.planned));
        let mut state = self.lock();
        if state.over {
            return false;
        }
        let State {
            total,
            operations,
            tasks,
            ..
        } = &mut *state;
        let operation = &mut operations[request.number];
        if self.limit.is_some_and(|limit| total.in_flight >= limit) {
            total.drops(at, counts);
            operation.drops(at, counts);
            return false;
        }
        total.arrives(at, counts);
        operation.arrives(at, counts);
        if let Some(task) = tasks.get_mut(&task) {
            task.request = Some((request.number, request.planned));
        }
        true
    }

    /// A request ends.
    fn ends(&self, task: u64, ended: &Ended) {
        let at = self.now();
        let mut state = self.lock();
        let request = state.tasks.get_mut(&task).and_then(|t| t.request.take());
        if let Some((number, planned)) = request {
            self.count_end(&mut state, at, number, planned, ended);
        }
    }

    fn count_end(&self, state: &mut State, at: u64, number: usize, planned: u64, ended: &Ended) {
        let counts = self.counts(planned);
        let latency = (self.start + at).saturating_sub(planned);
        let failed = ended.as_ref().err();
        state.total.ends(at, latency, failed, counts);
        state.operations[number].ends(at, latency, failed, counts);
    }

    /// The traffic is over: what is still under way is dropped where it waits, and counted as unfinished.
    pub(super) fn cut_off(&self) {
        let at = self.now();
        let mut state = self.lock();
        let tasks = std::mem::take(&mut state.tasks);
        let ended = Err(UNFINISHED.into());
        for task in tasks.values() {
            if let Some((number, planned)) = task.request {
                self.count_end(&mut state, at, number, planned, &ended);
            }
        }
        state.over = true;
        state.tell_if_done();
        drop(state);
        for task in tasks.into_values() {
            if let Some(handle) = task.handle {
                handle.abort();
            }
        }
    }

    /// Nothing arrives any more.
    pub(super) fn all_planned(&self) {
        let mut state = self.lock();
        state.planned = true;
        state.tell_if_done();
    }

    /// Planning came to an early end.
    pub(super) fn panicked(&self, payload: Box<dyn Any + Send>) {
        let mut state = self.lock();
        state.panic = Some(payload);
        state.tell_if_done();
    }

    /// Resolves when nothing is under way and nothing arrives any more.
    pub(super) fn poll_done(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.done() {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// One request, which has arrived.
    pub(super) async fn serve(&self, task: u64, request: Arc<Request>) {
        let ended = match self.patience {
            None => self.attempts(&request).await,
            Some(patience) => {
                let late = kernel::now().unwrap_or(0).saturating_sub(request.planned);
                let left = patience.saturating_sub(Duration::from_nanos(late));
                let within = tokio::time::timeout(left, self.attempts(&request));
                within.await.unwrap_or_else(|_| Err(GAVE_UP.into()))
            }
        };
        self.ends(task, &ended);
    }

    async fn attempts(&self, request: &Arc<Request>) -> Ended {
        let mut attempt = 0;
        loop {
            request.rewind();
            let kind = match self.attempt(request, attempt).await {
                Ok(()) => return Ok(()),
                Err(kind) if *kind == *PANICKED => return Err(kind),
                Err(kind) => kind,
            };
            attempt += 1;
            if !self.again(request, attempt, &kind) {
                return Err(kind);
            }
            let pause = self.retry.pause(attempt, &mut draw);
            match pause.is_zero() {
                // Others have their turn, and a failure that takes no time ends nonetheless.
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(pause).await,
            }
        }
    }

    async fn attempt(&self, request: &Arc<Request>, attempt: u32) -> Ended {
        let cx = Cx {
            request: request.clone(),
            attempt,
        };
        let Ok(future) = catch_unwind(AssertUnwindSafe(|| (self.body)(cx))) else {
            return Err(PANICKED.into());
        };
        let caught = Caught(future);
        match self.timeout {
            None => caught.await,
            Some(timeout) => {
                let within = tokio::time::timeout(timeout, caught).await;
                within.unwrap_or_else(|_| Err(TIMEOUT.into()))
            }
        }
    }

    /// Whether the request is attempted again, which counts then.
    fn again(&self, request: &Request, attempts: u32, kind: &str) -> bool {
        let (at, counts) = (self.now(), self.counts(request.planned));
        let mut state = self.lock();
        if state.over {
            return false;
        }
        let (retries, requests) = (state.total.retries, state.total.arrived);
        let again = self.retry.allows(attempts, kind, retries, requests);
        if again {
            state.total.retries(at, counts);
            state.operations[request.number].retries(at, counts);
        }
        again
    }

    /// A user: requests one after the other until a time, in virtual nanoseconds.
    pub(super) async fn user(
        &self,
        task: u64,
        until: u64,
        think: Delay,
        mut next: impl FnMut() -> Request,
    ) {
        while kernel::now().unwrap_or(u64::MAX) < until {
            let request = Arc::new(next());
            let begin = request.planned;
            if self.arrives(task, &request) {
                self.serve(task, request).await;
            }
            let mut pause = think.sample(&mut draw);
            // A user who takes no time at all would stop the clock.
            if pause == 0 && kernel::now().unwrap_or(0).saturating_sub(begin) < INSTANT {
                pause = 1_000_000;
            }
            if pause > 0 {
                tokio::time::sleep(Duration::from_nanos(pause)).await;
            }
        }
    }
}

/// What takes less than so many nanoseconds takes no time.
const INSTANT: u64 = 100_000;

/// A number in `0..n` for the traffic.
pub(super) fn draw(n: u64) -> u64 {
    kernel::draw(Domain::Traffic, n).unwrap_or(0)
}

/// An attempt whose panic is an outcome.
struct Caught(Attempt);

impl Future for Caught {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let future = self.0.as_mut();
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Err(PANICKED.into())),
        }
    }
}
