//! What a tokio that nobody instrumented says of its tasks, through the hooks that it calls when it is built with
//! `--cfg tokio_unstable`. `run` sets them on the runtimes that it builds. Under an instrumented tokio, which says more, they do
//! nothing.
//!
//! A task is known here by tokio's own number for it.

use super::simulated;
use crate::kernel::identity::{Place, Poll};
use crate::kernel::thread;
use std::panic::Location;

/// A task was spawned; `at` says by whom, as far as tokio knows.
pub fn hook_spawned(number: u64, at: &'static Location<'static>) {
    if simulated() {
        let place = Place {
            file: at.file(),
            line: at.line(),
            column: at.column(),
        };
        thread::with_kernel(|k| k.hooked_birth(number, place));
    }
}

/// A task is about to be polled: another thread may go on first.
pub fn hook_polls(number: u64) {
    if !simulated() {
        return;
    }
    let me = thread::me();
    let Some((task, next)) = thread::with_kernel(|k| k.hooked_poll(number)) else {
        return;
    };
    if next != me {
        thread::switch(me, next);
    }
    thread::with_kernel(|k| {
        k.polls_now();
        k.hooked(task, Poll::Begins);
    });
}

/// The poll is over.
pub fn hook_polled(number: u64) {
    end(number, Poll::Pending);
}

/// The task is over.
pub fn hook_ended(number: u64) {
    end(number, Poll::Ready);
}

fn end(number: u64, poll: Poll) {
    if simulated() {
        thread::with_kernel(|k| {
            if let Some(task) = k.hooked_task(number) {
                k.hooked(task, poll);
            }
        });
    }
}
