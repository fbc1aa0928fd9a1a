//! Two sides, of which one at most goes through: each raises its flag and then looks at the other's. What becomes of it if the store waits
//! in a buffer while the load is done is known as store buffering: on x86 as on ARM both may find the other's flag down.

use squall_points::sync::atomic::{AtomicBool, Ordering};
use std::marker::PhantomData;

/// What is between raising one's own flag and looking at the other's.
pub trait Between: Default {
    /// Orders the store before the load, or not.
    fn order();
}

/// Nothing.
#[derive(Debug, Default)]
pub struct No;

impl Between for No {
    fn order() {}
}

/// A fence that both sides agree on.
#[derive(Debug, Default)]
pub struct Fence;

impl Between for Fence {
    fn order() {
        squall_points::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// A door for one of two.
#[derive(Debug, Default)]
pub struct Door<B> {
    flags: [AtomicBool; 2],
    between: PhantomData<fn() -> B>,
}

impl<B: Between> Door<B> {
    /// Whether this side, 0 or 1, may go through. If both come at once it may be that neither may.
    pub fn enter(&self, side: usize) -> bool {
        self.flags[side].store(true, Ordering::Release);
        B::order();
        !self.flags[1 - side].load(Ordering::Acquire)
    }
}
