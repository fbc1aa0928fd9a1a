//! Two futures, of which the first to be ready counts. What `select!` would do, without tokio's macros and in a fixed order.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Which of two was ready first.
pub(super) enum First<A, B> {
    This(A),
    That(B),
}

/// Polls `this` before `that`; the other is dropped.
pub(super) async fn race<A: Future, B: Future>(this: A, that: B) -> First<A::Output, B::Output> {
    let (mut this, mut that) = (pin!(this), pin!(that));
    poll_fn(|cx| {
        if let Poll::Ready(a) = this.as_mut().poll(cx) {
            return Poll::Ready(First::This(a));
        }
        that.as_mut().poll(cx).map(First::That)
    })
    .await
}
