//! A waker that tells its owner when somebody keeps it. Whoever returns `Pending` has cloned the waker before, so the stack at
//! that moment leads to the await that a future waits at. `fault` asks for one; std's safe wakers do not tell.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Wake, Waker};

/// What a watched waker wakes, and whom it tells.
pub trait Watched: Wake + Send + Sync + 'static {
    /// Somebody is about to keep a clone, or has woken the future from within its own poll.
    fn kept(&self);
}

/// The waker of `owner`.
pub fn watched_waker<W: Watched>(owner: Arc<W>) -> Waker {
    // SAFETY: the functions of the table keep the contract of `RawWaker`: the pointer is that of an `Arc<W>` whose count has one
    // share for each waker; `clone` adds one, `wake` and `drop` give one up, `wake_by_ref` leaves the count alone. `W` is `Send`
    // and `Sync`, so they may be called from any thread.
    unsafe { Waker::from_raw(raw(Arc::into_raw(owner))) }
}

fn raw<W: Watched>(owner: *const W) -> RawWaker {
    RawWaker::new(owner.cast(), &Table::<W>::TABLE)
}

struct Table<W>(std::marker::PhantomData<W>);

impl<W: Watched> Table<W> {
    const TABLE: RawWakerVTable =
        RawWakerVTable::new(clone::<W>, wake::<W>, wake_by_ref::<W>, drop_waker::<W>);
}

/// The owner, with the waker's share in it left where it is.
///
/// # Safety
/// `owner` comes from the waker of an `Arc<W>`.
unsafe fn borrowed<W: Watched>(owner: *const ()) -> ManuallyDrop<Arc<W>> {
    // SAFETY: the caller's promise; the share is not given up, since the result is never dropped.
    ManuallyDrop::new(unsafe { Arc::from_raw(owner.cast::<W>()) })
}

unsafe fn clone<W: Watched>(owner: *const ()) -> RawWaker {
    // SAFETY: this stands in a waker's table, which only ever comes with that waker's pointer.
    let owner = unsafe { borrowed::<W>(owner) };
    owner.kept();
    raw(Arc::into_raw(Arc::clone(&owner)))
}

unsafe fn wake<W: Watched>(owner: *const ()) {
    // SAFETY: as in `clone`; a waker that wakes by value is gone afterwards, so its share is ours to give up.
    unsafe { Arc::from_raw(owner.cast::<W>()) }.wake();
}

unsafe fn wake_by_ref<W: Watched>(owner: *const ()) {
    // SAFETY: as in `clone`.
    let owner = unsafe { borrowed::<W>(owner) };
    owner.kept();
    W::wake_by_ref(&owner);
}

unsafe fn drop_waker<W: Watched>(owner: *const ()) {
    // SAFETY: as in `wake`.
    drop(unsafe { Arc::from_raw(owner.cast::<W>()) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Counts {
        kept: AtomicU32,
        woken: AtomicU32,
    }

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Watched for Counts {
        fn kept(&self) {
            self.kept.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn every_share_is_counted_once() {
        let counts = Arc::new(Counts::default());
        let waker = watched_waker(counts.clone());
        assert_eq!(Arc::strong_count(&counts), 2);
        let kept = waker.clone();
        assert!(kept.will_wake(&waker));
        assert_eq!(Arc::strong_count(&counts), 3);
        waker.wake_by_ref();
        waker.wake();
        assert_eq!(Arc::strong_count(&counts), 2);
        drop(kept);
        assert_eq!(Arc::strong_count(&counts), 1);
        assert_eq!(counts.kept.load(Ordering::SeqCst), 2);
        assert_eq!(counts.woken.load(Ordering::SeqCst), 2);
    }
}
