//! pthread mutexes, condition variables, read-write locks, semaphores, barriers and `pthread_once`, as C code uses them.
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
use libc::{
    pthread_barrier_t, pthread_barrierattr_t, pthread_cond_t, pthread_mutex_t, pthread_once_t,
    pthread_rwlock_t, sem_t, timespec,
};
use std::ffi::{c_int, c_uint};

fn word<T>(space: Space, object: *const T) -> Word {
    Word {
        space,
        address: object as usize,
    }
}

/// Tries until it succeeds, waiting on `word` in between; `EBUSY` or `EAGAIN` from the attempt means "not yet".
fn until_done(
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
fn released(name: &'static str, word: Word, wake: u32) {
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
