//! Something that the harness does beside the program while a test awaits it, on whatever runtime.

use crate::kernel;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

struct Shared<T> {
    result: Option<T>,
    waker: Option<Waker>,
}

/// Begins at its first poll, and goes on to its end even if this is dropped.
pub(super) struct Errand<T> {
    name: &'static str,
    job: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    shared: Arc<Mutex<Shared<T>>>,
}

impl<T: Send + 'static> Errand<T> {
    pub(super) fn new(
        name: &'static str,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Errand<T> {
        Errand {
            name,
            job: Some(Box::pin(job)),
            shared: Arc::new(Mutex::new(Shared {
                result: None,
                waker: None,
            })),
        }
    }
}

fn lock<T>(shared: &Mutex<Shared<T>>) -> MutexGuard<'_, Shared<T>> {
    // Nothing in here panics halfway.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + 'static> Future for Errand<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(job) = self.job.take() {
            let (name, shared) = (self.name, self.shared.clone());
            let work = async move {
                let result = kernel::caught(job).await.unwrap_or_else(|_| {
                    kernel::fail_host(format!("{name} did not come to its end: see the panic"))
                });
                let waker = {
                    let mut shared = lock(&shared);
                    shared.result = Some(result);
                    shared.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            };
            kernel::background(self.name, work);
        }
        let mut shared = lock(&self.shared);
        match shared.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                shared.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
