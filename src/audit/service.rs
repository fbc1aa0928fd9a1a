//! What an audit is told of a service: operations, checks, gauges.

use crate::fault::site::poll_and_look;
use crate::sim::dependency::FailureTarget;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A future of an operation: its answer in words, or its error.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

#[derive(Clone)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) varies: bool,
    pub(super) call: Arc<dyn Fn() -> Answer + Send + Sync>,
}

impl Operation {
    /// Whether this answer is no wrong one, where `healthy` is what it answered when all was well.
    pub(super) fn accepts(&self, answer: &str, healthy: &str) -> bool {
        self.varies || answer == healthy
    }
}

type Check = Box<dyn Fn() -> Answer>;

/// A service under audit: what can be asked of it, and what must be true of it.
#[derive(Default)]
#[must_use = "a service is what the function given to an audit returns"]
pub struct Service {
    pub(super) operations: Vec<Operation>,
    pub(super) checks: Vec<(String, Check)>,
    pub(super) gauges: Vec<(String, Box<dyn Fn() -> u64>)>,
    pub(super) targets: Vec<Box<dyn FailureTarget>>,
}

impl Service {
    /// One of which nothing is known yet.
    pub fn new() -> Self {
        Service::default()
    }

    /// Something that clients ask for. Its answer, in its `Debug` form, must be the same each time: another one is a wrong answer. Errors are told apart by
    /// their `Debug` form.
    pub fn operation<F, Fut, T, E>(self, name: &str, call: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Debug,
        E: Debug,
    {
        self.add(name, false, call)
    }

    /// The same, whose answers differ from call to call: none of them is wrong.
    pub fn varying_operation<F, Fut, T, E>(self, name: &str, call: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Debug,
        E: Debug,
    {
        self.add(name, true, call)
    }

    fn add<F, Fut, T, E>(mut self, name: &str, varies: bool, call: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Debug,
        E: Debug,
    {
        self.operations.push(Operation {
            name: name.to_owned(),
            varies,
            call: Arc::new(move || {
                let call = call();
                Box::pin(async move {
                    let answer = call.await;
                    answer
                        .map(|a| format!("{a:?}"))
                        .map_err(|e| format!("{e:?}"))
                })
            }),
        });
        self
    }

    /// What must hold after a cancelled operation: nothing half-happened.
    pub fn check<F, Fut, E>(mut self, name: &str, check: F) -> Self
    where
        F: Fn() -> Fut + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Debug,
    {
        let call: Check = Box::new(move || {
            let check = check();
            Box::pin(async move {
                check
                    .await
                    .map(|()| String::new())
                    .map_err(|e| format!("{e:?}"))
            })
        });
        self.checks.push((name.to_owned(), call));
        self
    }

    /// A number that must not grow with each cancelled operation: permits taken, entries of a map.
    pub fn gauge(mut self, name: &str, gauge: impl Fn() -> u64 + 'static) -> Self {
        self.gauges.push((name.to_owned(), Box::new(gauge)));
        self
    }

    /// Something else that can fail besides the dependencies that [`Sim`](crate::Sim) made: a real server on a [`Host`](crate::Host).
    pub fn dependency(mut self, target: impl FailureTarget + 'static) -> Self {
        self.targets.push(Box::new(target));
        self
    }

    pub(super) fn get(&self, name: &str) -> &Operation {
        let found = self
            .operations
            .iter()
            .find(|operation| operation.name == name);
        found.unwrap_or_else(|| {
            panic!(
                "the service has no operation {name:?} this time; it must be the same in each run"
            )
        })
    }
}

impl Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.operations.iter().map(|o| o.name.as_str()).collect();
        f.debug_struct("Service")
            .field("operations", &names)
            .finish_non_exhaustive()
    }
}

/// How a call ended.
pub(super) enum Ended {
    Answer(String),
    Error(String),
    /// It did not within the time, and waits there.
    Never(String),
}

/// Runs a call for at most so long, `beside` with it.
pub(super) async fn limited(
    mut call: Answer,
    time: Duration,
    beside: impl Future<Output = ()>,
) -> Ended {
    let mut beside = std::pin::pin!(beside);
    let mut over = false;
    let both = std::future::poll_fn(|cx| {
        over = over || beside.as_mut().poll(cx).is_ready();
        call.as_mut().poll(cx)
    });
    if let Ok(answer) = tokio::time::timeout(time, both).await {
        return ended(answer);
    }
    // Nobody waits for it any more.
    let mut nobody = Context::from_waker(Waker::noop());
    match poll_and_look(call.as_mut(), &mut nobody) {
        (Poll::Ready(answer), _) => ended(answer),
        (Poll::Pending, site) => {
            Ended::Never(site.unwrap_or_else(|| "a place that is not known".to_owned()))
        }
    }
}

fn ended(answer: Result<String, String>) -> Ended {
    match answer {
        Ok(answer) => Ended::Answer(answer),
        Err(error) => Ended::Error(error),
    }
}
