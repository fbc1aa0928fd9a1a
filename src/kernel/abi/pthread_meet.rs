//! What threads meet at and nobody owns, as C code uses it: POSIX semaphores, `pthread_once` and barriers. They wait as `pthread_sync` has it.

use super::pthread_sync::{released, until_done, word};
use super::raw::next;
use super::{simulated, sys};
use crate::kernel::futex::ANY;
use crate::kernel::sched::{On, Resume, Space, Wait};
use crate::kernel::{Cost, Errno, Step};
use libc::{pthread_barrier_t, pthread_barrierattr_t, pthread_once_t, sem_t, timespec};
use std::ffi::{c_int, c_uint};

/// A semaphore's non-blocking take: 0 or an error number.
fn try_semaphore(s: *mut sem_t) -> c_int {
    if next!(c"sem_trywait", fn(*mut sem_t) -> c_int, s) == 0 {
        0
    } else {
        super::raw::errno()
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_wait(s: *mut sem_t) -> c_int {
    if !simulated() {
        return next!(c"sem_wait", fn(*mut sem_t) -> c_int, s);
    }
    super::ret_unit(until_done(
        "sem_wait",
        word(Space::Semaphore, s),
        None,
        || try_semaphore(s),
    ))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_timedwait(s: *mut sem_t, at: *const timespec) -> c_int {
    if !simulated() {
        return next!(
            c"sem_timedwait",
            fn(*mut sem_t, *const timespec) -> c_int,
            s,
            at
        );
    }
    let deadline = Some((libc::CLOCK_REALTIME, at));
    super::ret_unit(until_done(
        "sem_timedwait",
        word(Space::Semaphore, s),
        deadline,
        || try_semaphore(s),
    ))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_post(s: *mut sem_t) -> c_int {
    let r = next!(c"sem_post", fn(*mut sem_t) -> c_int, s);
    if r == 0 && simulated() {
        released("sem_post", word(Space::Semaphore, s), 1);
    }
    r
}

/// glibc's value of a `pthread_once_t` whose routine has returned.
const ONCE_DONE: c_int = 2;

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_once(once: *mut pthread_once_t, routine: extern "C" fn()) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_once",
            fn(*mut pthread_once_t, extern "C" fn()) -> c_int,
            once,
            routine
        );
    }
    // SAFETY: the caller passes an initialised pthread_once_t, an int in glibc.
    let state = unsafe { &*once.cast::<std::sync::atomic::AtomicI32>() };
    let order = std::sync::atomic::Ordering::SeqCst;
    let on = word(Space::Once, once);
    // Bit 0 says that a routine is under way, as glibc has it.
    let run = sys("pthread_once", Cost::CLOCK, |k| match state.load(order) {
        done if done & ONCE_DONE != 0 => Step::Done(Ok(false)),
        running if running & 1 != 0 => {
            k.futexes.add(on, k.sched.current, ANY);
            Step::Wait(Wait {
                on: On::Word(on),
                until: None,
            })
        }
        _ => {
            state.store(1, order);
            Step::Done(Ok(true))
        }
    });
    if run == Ok(true) {
        routine();
        state.store(ONCE_DONE, order);
        released("pthread_once", on, u32::MAX);
    }
    0
}

/// What a simulated barrier keeps in the caller's `pthread_barrier_t`, instead of libc's own fields: how many threads it
/// takes, how many are waiting, and how often it has opened.
#[repr(C)]
struct Barrier {
    magic: u32,
    count: u32,
    waiting: u32,
    generation: u32,
}

const BARRIER: u32 = 0x5a11_ba44;

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_init(
    b: *mut pthread_barrier_t,
    attr: *const pthread_barrierattr_t,
    count: c_uint,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_barrier_init",
            fn(*mut pthread_barrier_t, *const pthread_barrierattr_t, c_uint) -> c_int,
            b,
            attr,
            count
        );
    }
    if count == 0 {
        return libc::EINVAL;
    }
    // SAFETY: the caller passes a pthread_barrier_t, which has room for the four words and their alignment.
    unsafe {
        *b.cast::<Barrier>() = Barrier {
            magic: BARRIER,
            count,
            waiting: 0,
            generation: 0,
        };
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_wait(b: *mut pthread_barrier_t) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_barrier_wait",
            fn(*mut pthread_barrier_t) -> c_int,
            b
        );
    }
    // SAFETY: the caller passes an initialised barrier.
    let barrier = unsafe { &mut *b.cast::<Barrier>() };
    if barrier.magic != BARRIER {
        // Made outside the simulation, where libc would block for real.
        return super::refuse(
            "pthread_barrier_wait on a barrier made outside the simulation",
            Errno::EINVAL,
            false,
        )
        .0;
    }
    let on = word(Space::Barrier, b);
    let r = sys("pthread_barrier_wait", Cost::CALL, |k| {
        if k.sched.me().resume != Resume::First {
            return Step::Done(Ok(0));
        }
        barrier.waiting += 1;
        if barrier.waiting == barrier.count {
            barrier.waiting = 0;
            barrier.generation = barrier.generation.wrapping_add(1);
            k.wake_word(on, u32::MAX, ANY);
            return Step::Done(Ok(libc::PTHREAD_BARRIER_SERIAL_THREAD));
        }
        k.futexes.add(on, k.sched.current, ANY);
        Step::Wait(Wait {
            on: On::Word(on),
            until: None,
        })
    });
    r.unwrap_or_else(|e| e.0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_destroy(b: *mut pthread_barrier_t) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_barrier_destroy",
            fn(*mut pthread_barrier_t) -> c_int,
            b
        );
    }
    0
}
