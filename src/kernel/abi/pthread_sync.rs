//! pthread mutexes, condition variables and read-write locks, as C code uses them, and how a thread waits for such an object; what has no owner is in
//! `pthread_meet`.
//!
//! glibc blocks inside itself, where no symbol can be replaced; so on a simulated thread these functions never let it: they
//! try libc's own non-blocking form, and wait in the kernel when that fails. The state stays in libc's objects, which
//! therefore may be shared with code that runs outside the simulation. Condition variables and barriers live in the kernel
//! alone.

use super::raw::next;
use super::{nanoseconds, pthread_result, quick, simulated, sys};
use crate::kernel::clock::Until;
use crate::kernel::futex::ANY;
use crate::kernel::sched::{On, Resume, Space, Wait, Word};
use crate::kernel::{Cost, Errno, Kernel, Result, Step};
use libc::{pthread_cond_t, pthread_mutex_t, pthread_rwlock_t, timespec};
use std::ffi::c_int;

pub(super) fn word<T>(space: Space, object: *const T) -> Word {
    Word {
        space,
        address: object as usize,
    }
}

/// Tries until it succeeds, waiting on `word` in between; `EBUSY` or `EAGAIN` from the attempt means "not yet".
pub(super) fn until_done(
    name: &'static str,
    word: Word,
    deadline: Option<(libc::clockid_t, *const timespec)>,
    mut attempt: impl FnMut() -> c_int,
) -> Result<()> {
    sys(name, Cost::CLOCK, |k| {
        match attempt() {
            0 => return Step::Done(Ok(())),
            libc::EBUSY | libc::EAGAIN => {}
            e => return Step::Done(Err(Errno(e))),
        }
        if k.sched.me().resume == Resume::TimedOut {
            return Step::Done(Err(Errno::ETIMEDOUT));
        }
        match limit(k, deadline) {
            Ok(until) if until.is_some_and(|at| k.reached(at)) => Step::Done(Err(Errno::ETIMEDOUT)),
            Ok(until) => {
                k.futexes.add(word, k.sched.current, ANY);
                Step::Wait(Wait {
                    on: On::Word(word),
                    until,
                })
            }
            Err(e) => Step::Done(Err(e)),
        }
    })
}

fn limit(
    k: &Kernel,
    deadline: Option<(libc::clockid_t, *const timespec)>,
) -> Result<Option<Until>> {
    let Some((clock, at)) = deadline else {
        return Ok(None);
    };
    // SAFETY: the functions below pass their caller's timespec, which POSIX demands to be readable.
    let ns = unsafe { nanoseconds(at) }?;
    k.until_clock_shows(clock, ns).map(Some)
}

/// After a release: waiters try again, and another thread may go on first.
pub(super) fn released(name: &'static str, word: Word, wake: u32) {
    let _ = quick(name, Cost::CLOCK, |k| {
        k.sched.point = true;
        k.wake_word(word, wake, ANY);
        Ok(())
    });
}

fn try_mutex(m: *mut pthread_mutex_t) -> c_int {
    next!(
        c"pthread_mutex_trylock",
        fn(*mut pthread_mutex_t) -> c_int,
        m
    )
}

fn lock(
    m: *mut pthread_mutex_t,
    deadline: Option<(libc::clockid_t, *const timespec)>,
) -> Result<()> {
    const NORMAL: i32 = libc::PTHREAD_MUTEX_NORMAL;
    // SAFETY: the caller passes an initialised mutex; glibc's ABI keeps the kind at byte 16 of it and the owner's id at
    // byte 8. Both are plain ints.
    let (kind, owner) = unsafe { (*m.cast::<i32>().add(4) & 3, *m.cast::<i32>().add(2)) };
    if kind != NORMAL
        && kind != libc::PTHREAD_MUTEX_RECURSIVE
        && owner != 0
        && kind == libc::PTHREAD_MUTEX_ERRORCHECK
    {
        // Only libc knows whether the owner is this thread, and trylock does not say: unlocking tells, without effect on
        // anybody else's mutex.
        let mine = next!(
            c"pthread_mutex_unlock",
            fn(*mut pthread_mutex_t) -> c_int,
            m
        ) == 0;
        if mine {
            try_mutex(m);
            return Err(Errno::EDEADLK);
        }
    }
    until_done(
        "pthread_mutex_lock",
        word(Space::Mutex, m),
        deadline,
        || try_mutex(m),
    )
}

fn unlock(m: *mut pthread_mutex_t) -> c_int {
    let r = next!(
        c"pthread_mutex_unlock",
        fn(*mut pthread_mutex_t) -> c_int,
        m
    );
    if r == 0 {
        released("pthread_mutex_unlock", word(Space::Mutex, m), 1);
    }
    r
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_lock(m: *mut pthread_mutex_t) -> c_int {
    if !simulated() {
        return next!(c"pthread_mutex_lock", fn(*mut pthread_mutex_t) -> c_int, m);
    }
    pthread_result(lock(m, None))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_timedlock(
    m: *mut pthread_mutex_t,
    at: *const timespec,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_mutex_timedlock",
            fn(*mut pthread_mutex_t, *const timespec) -> c_int,
            m,
            at
        );
    }
    pthread_result(lock(m, Some((libc::CLOCK_REALTIME, at))))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_clocklock(
    m: *mut pthread_mutex_t,
    clock: c_int,
    at: *const timespec,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_mutex_clocklock",
            fn(*mut pthread_mutex_t, c_int, *const timespec) -> c_int,
            m,
            clock,
            at
        );
    }
    pthread_result(lock(m, Some((clock, at))))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_unlock(m: *mut pthread_mutex_t) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_mutex_unlock",
            fn(*mut pthread_mutex_t) -> c_int,
            m
        );
    }
    unlock(m)
}

fn cond_wait(
    c: *mut pthread_cond_t,
    m: *mut pthread_mutex_t,
    deadline: Option<(libc::clockid_t, *const timespec)>,
) -> c_int {
    let on = word(Space::Condvar, c);
    let r = sys("pthread_cond_wait", Cost::CALL, |k| {
        match k.sched.me().resume {
            Resume::Woken => Step::Done(Ok(())),
            Resume::TimedOut => Step::Done(Err(Errno::ETIMEDOUT)),
            Resume::First | Resume::Interrupted => {
                let until = match limit(k, deadline) {
                    Ok(until) => until,
                    Err(e) => return Step::Done(Err(e)),
                };
                let r = next!(
                    c"pthread_mutex_unlock",
                    fn(*mut pthread_mutex_t) -> c_int,
                    m
                );
                if r != 0 {
                    return Step::Done(Err(Errno(r)));
                }
                k.wake_word(word(Space::Mutex, m), 1, ANY);
                k.futexes.add(on, k.sched.current, ANY);
                Step::Wait(Wait {
                    on: On::Word(on),
                    until,
                })
            }
        }
    });
    match r {
        Ok(()) | Err(Errno::ETIMEDOUT) => {
            if let Err(e) = lock(m, None) {
                return e.0;
            }
            pthread_result(r)
        }
        Err(e) => e.0,
    }
}

/// The clock that a condition variable was initialised with: glibc keeps it in bit 1 of the word at byte 36.
fn cond_clock(c: *mut pthread_cond_t) -> libc::clockid_t {
    // SAFETY: a pthread_cond_t is 48 bytes of initialised integers.
    let flags = unsafe { *c.cast::<u32>().add(9) };
    if flags & 2 != 0 {
        libc::CLOCK_MONOTONIC
    } else {
        libc::CLOCK_REALTIME
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_wait(c: *mut pthread_cond_t, m: *mut pthread_mutex_t) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_cond_wait",
            fn(*mut pthread_cond_t, *mut pthread_mutex_t) -> c_int,
            c,
            m
        );
    }
    cond_wait(c, m, None)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_timedwait(
    c: *mut pthread_cond_t,
    m: *mut pthread_mutex_t,
    at: *const timespec,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_cond_timedwait",
            fn(*mut pthread_cond_t, *mut pthread_mutex_t, *const timespec) -> c_int,
            c,
            m,
            at
        );
    }
    cond_wait(c, m, Some((cond_clock(c), at)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_clockwait(
    c: *mut pthread_cond_t,
    m: *mut pthread_mutex_t,
    clock: c_int,
    at: *const timespec,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_cond_clockwait",
            fn(*mut pthread_cond_t, *mut pthread_mutex_t, c_int, *const timespec) -> c_int,
            c,
            m,
            clock,
            at
        );
    }
    cond_wait(c, m, Some((clock, at)))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_signal(c: *mut pthread_cond_t) -> c_int {
    if !simulated() {
        return next!(c"pthread_cond_signal", fn(*mut pthread_cond_t) -> c_int, c);
    }
    released("pthread_cond_signal", word(Space::Condvar, c), 1);
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_broadcast(c: *mut pthread_cond_t) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_cond_broadcast",
            fn(*mut pthread_cond_t) -> c_int,
            c
        );
    }
    released("pthread_cond_broadcast", word(Space::Condvar, c), u32::MAX);
    0
}

/// Defines the functions of a read-write lock that take it in one of the two ways.
macro_rules! take_rwlock {
    ($lock:ident $lock_c:literal, $timed:ident $timed_c:literal, $try_c:literal) => {
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $lock(l: *mut pthread_rwlock_t) -> c_int {
            if !simulated() {
                return next!($lock_c, fn(*mut pthread_rwlock_t) -> c_int, l);
            }
            pthread_result(until_done(
                stringify!($lock),
                word(Space::RwLock, l),
                None,
                || next!($try_c, fn(*mut pthread_rwlock_t) -> c_int, l),
            ))
        }

        #[unsafe(no_mangle)]
        unsafe extern "C" fn $timed(l: *mut pthread_rwlock_t, at: *const timespec) -> c_int {
            if !simulated() {
                return next!(
                    $timed_c,
                    fn(*mut pthread_rwlock_t, *const timespec) -> c_int,
                    l,
                    at
                );
            }
            let deadline = Some((libc::CLOCK_REALTIME, at));
            pthread_result(until_done(
                stringify!($timed),
                word(Space::RwLock, l),
                deadline,
                || next!($try_c, fn(*mut pthread_rwlock_t) -> c_int, l),
            ))
        }
    };
}
take_rwlock!(pthread_rwlock_rdlock c"pthread_rwlock_rdlock", pthread_rwlock_timedrdlock c"pthread_rwlock_timedrdlock",
    c"pthread_rwlock_tryrdlock");
take_rwlock!(pthread_rwlock_wrlock c"pthread_rwlock_wrlock", pthread_rwlock_timedwrlock c"pthread_rwlock_timedwrlock",
    c"pthread_rwlock_trywrlock");

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_unlock(l: *mut pthread_rwlock_t) -> c_int {
    let r = next!(
        c"pthread_rwlock_unlock",
        fn(*mut pthread_rwlock_t) -> c_int,
        l
    );
    if r == 0 && simulated() {
        released("pthread_rwlock_unlock", word(Space::RwLock, l), u32::MAX);
    }
    r
}
