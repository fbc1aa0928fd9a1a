//! Squall's own lock-free code under loom: every order of its threads, and every value that a load may see under the memory model of C++11 as
//! loom knows it.
//!
//! `cargo test` in this directory runs it. The package is a workspace of its own, so that nobody who builds squall compiles loom. `build.rs`
//! takes `src/kernel/thread/baton.rs` as it is, with the atomics and futexes of this file in the place of the real ones, and
//! makes copies with a planted bug each, which must be found.

#![cfg(test)]

use loom::cell::UnsafeCell;
use loom::thread;
// The threads end the model together, so it is of no interest when this is dropped; and where a model fails, loom cannot drop its own.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Futexes that promise as little as Linux does: a wait may end at any time, and neither call orders memory. Whatever
/// order there is comes from the baton's own word. Waits that never end are not seen with these.
mod unordered {
    use loom::sync::atomic::AtomicU32;

    pub(crate) fn futex_wait(_word: &AtomicU32, _value: u32) {
        loom::thread::yield_now();
    }

    pub(crate) fn futex_wake(_word: &AtomicU32) {}
    pub(crate) fn futex_wake_unfiltered(_word: &AtomicU32) {}
}

/// Futexes that block until they are woken, if the word still has the value: a wake that is lost is a deadlock. Their lock orders memory,
/// so too weak an ordering may be hidden with these.
mod blocking {
    use loom::sync::atomic::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};

    loom::lazy_static! {
        static ref QUEUE: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
        let waiting = QUEUE.0.lock().expect("no panic under the lock");
        if word.load(Ordering::SeqCst) == value {
            drop(QUEUE.1.wait(waiting).expect("no panic under the lock"));
        }
    }

    /// Wakes those of other words, too: a wait may end at any time.
    pub(crate) fn futex_wake(_word: &AtomicU32) {
        let _waiting = QUEUE.0.lock().expect("no panic under the lock");
        QUEUE.1.notify_all();
    }

    pub(crate) fn futex_wake_unfiltered(word: &AtomicU32) {
        futex_wake(word);
    }
}

/// What whoever has the baton may write, and nobody else: loom reports any other access.
struct Guarded(UnsafeCell<u32>);

// SAFETY: loom looks at each access, which is what these models are about.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn add_one(&self) {
        // SAFETY: loom ends the model where another thread may be there, or where its writes may not be visible yet.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    fn get(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|value| unsafe { *value })
    }
}

/// Runs a model to its end, without a bound on preemptions, and says how many executions that took.
fn exhaust(model: impl Fn() + Send + Sync + 'static) -> u64 {
    let executions = Arc::new(AtomicU64::new(0));
    let counted = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        model();
    });
    executions.load(Relaxed)
}

/// A copy of the baton with one kind of futex, and the models of it.
macro_rules! baton {
    ($name:ident, $copy:literal, $futex:ident) => {
        mod $name {
            use super::*;

            mod word {
                pub(super) use crate::$futex::{futex_wait, futex_wake, futex_wake_unfiltered};
                pub(super) use loom::sync::atomic::{AtomicU32, Ordering};
            }

            #[allow(
                dead_code,
                unused_imports,
                reason = "with a planted bug, not every model is run"
            )]
            mod baton {
                include!(concat!(env!("OUT_DIR"), "/", $copy, ".rs"));
            }

            use baton::Baton;

            /// So many threads pass the baton in a ring, so many times; whoever has it writes.
            pub(super) fn ring(threads: usize, rounds: usize) -> u64 {
                exhaust(move || {
                    let batons: Vec<Baton> = (0..threads).map(|_| Baton::default()).collect();
                    let shared = Arc::new((batons, Guarded(UnsafeCell::new(0))));
                    let others: Vec<_> = (1..threads)
                        .map(|me| {
                            let shared = shared.clone();
                            thread::spawn(move || {
                                let (batons, value) = &*shared;
                                for _ in 0..rounds {
                                    batons[me].wait();
                                    value.add_one();
                                    batons[(me + 1) % threads].pass();
                                }
                            })
                        })
                        .collect();
                    let (batons, value) = &*shared;
                    for _ in 0..rounds {
                        value.add_one();
                        batons[1].pass();
                        batons[0].wait();
                    }
                    assert_eq!(value.get() as usize, threads * rounds);
                    for other in others {
                        other.join().expect("the thread's end");
                    }
                })
            }

            /// A thread is born: it fills in what its creator waits for.
            #[allow(dead_code, reason = "with a planted bug, not every model is run")]
            pub(super) fn birth() -> u64 {
                exhaust(|| {
                    let shared = Arc::new((Baton::default(), Guarded(UnsafeCell::new(0))));
                    let theirs = shared.clone();
                    let child = thread::spawn(move || {
                        theirs.1.add_one();
                        theirs.0.pass_unfiltered();
                    });
                    shared.0.wait();
                    assert_eq!(shared.1.get(), 1);
                    child.join().expect("the thread's end");
                })
            }
        }
    };
}

baton!(real_unordered, "real", unordered);
baton!(real_blocking, "real", blocking);
baton!(acquire_missing, "acquire_missing", unordered);
baton!(release_missing, "release_missing", unordered);
baton!(wake_missing, "wake_missing", blocking);
baton!(wake_too_early, "wake_too_early", blocking);

/// Says how many executions there were, of which there must be several.
fn told(what: &str, executions: u64) {
    println!("{what}: {executions} executions, exhausted");
    assert!(executions > 1, "{what}: nothing was explored");
}

#[test]
fn the_baton_publishes_what_was_written() {
    told("there and back", real_unordered::ring(2, 1));
    told("there and back, twice", real_unordered::ring(2, 2));
    told("a birth", real_unordered::birth());
}

#[test]
fn three_threads_pass_the_baton() {
    told("round a ring of three", real_unordered::ring(3, 1));
}

#[test]
fn no_wake_of_the_baton_is_lost() {
    told("there and back", real_blocking::ring(2, 1));
    told("a birth", real_blocking::birth());
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_baton_that_does_not_acquire_is_found() {
    acquire_missing::ring(2, 1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_baton_that_does_not_release_is_found() {
    release_missing::ring(2, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_baton_that_wakes_nobody_is_found() {
    wake_missing::ring(2, 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_baton_that_wakes_before_it_is_handed_over_is_found() {
    wake_too_early::ring(2, 1);
}
