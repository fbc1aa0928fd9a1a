//! Models that fail, to show what the two engines see: `cargo squall model --test planted`.

mod bodies;

use squall::sync::Arc;
use squall::sync::atomic::{AtomicU32, Ordering};
use squall::thread;

/// Store buffering. Under the kernel every load sees the latest store, so one of the two sees the other.
#[squall::model]
fn nothing_orders_the_door() {
    bodies::both_at_the_door::<squall_models::No>();
}

/// The lock excludes: every order of accesses is right. What was done under it may come later than the lock is seen to be free.
#[squall::model]
fn the_lock_is_given_back_relaxed() {
    bodies::both_count::<squall_models::Relaxed>();
}

/// A lost update is wrong in an order of accesses already, so both see it.
#[squall::model]
fn a_count_is_read_and_then_written() {
    let count = Arc::new(AtomicU32::new(0));
    let other = count.clone();
    let add = |count: &AtomicU32| {
        let read = count.load(Ordering::Acquire);
        count.store(read + 1, Ordering::Release);
    };
    let thread = thread::spawn(move || add(&other));
    add(&count);
    thread.join().unwrap();
    assert_eq!(count.load(Ordering::Acquire), 2, "an update was lost");
}

/// Twenty tasks on tokio's runtime: loom knows no tokio, and five threads at most.
#[squall::model(loom = false)]
fn readers_are_counted_in_four_bits() {
    bodies::twenty_read::<squall_models::FourBits>();
}
