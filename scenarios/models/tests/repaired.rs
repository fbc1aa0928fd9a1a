//! The twins of the models in `planted.rs`, which hold: `cargo squall model --test repaired`.

mod bodies;

use squall::sync::Arc;
use squall::sync::atomic::{AtomicU32, Ordering};
use squall::thread;

#[squall::model]
fn a_fence_orders_the_door() {
    bodies::both_at_the_door::<squall_models::Fence>();
}

#[squall::model]
fn the_lock_is_given_back_in_order() {
    bodies::both_count::<squall_models::Ordered>();
}

#[squall::model]
fn a_count_is_changed_at_once() {
    let count = Arc::new(AtomicU32::new(0));
    let other = count.clone();
    let thread = thread::spawn(move || other.fetch_add(1, Ordering::AcqRel));
    count.fetch_add(1, Ordering::AcqRel);
    thread.join().unwrap();
    assert_eq!(count.load(Ordering::Acquire), 2, "an update was lost");
}

#[squall::model(loom = false)]
fn readers_are_counted_in_a_word() {
    bodies::twenty_read::<squall_models::Word>();
}

/// What relaxed loads may see of two stores: nothing that an order of accesses could show.
#[squall::model(kernel = false)]
fn a_word_does_not_go_back() {
    let word = Arc::new(AtomicU32::new(0));
    let writer = word.clone();
    let thread = thread::spawn(move || {
        writer.store(1, Ordering::Relaxed);
        writer.store(2, Ordering::Relaxed);
    });
    let seen = [word.load(Ordering::Relaxed), word.load(Ordering::Relaxed)];
    thread.join().unwrap();
    assert!(seen[0] <= seen[1], "{seen:?}");
}
