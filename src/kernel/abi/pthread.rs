//! pthread_create(3), pthread_join(3), pthread_detach(3), pthread_exit(3), names, attributes, keys, and
//! `__cxa_thread_atexit_impl`, through which C++ and Rust register thread-local destructors.

use super::raw::{next, real, set_errno};
use super::{pthread_result, quick, refuse, simulated, sys};
use crate::kernel::clock::Until;
use crate::kernel::sched::{On, Resume, ThreadName, Wait};
use crate::kernel::thread::{self, Destructor, Start};
use crate::kernel::{Cost, Errno, Result, Step};
use std::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    fn pthread_attr_getdetachstate(attr: *const libc::pthread_attr_t, out: *mut c_int) -> c_int;
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    out: *mut libc::pthread_t,
    attr: *const libc::pthread_attr_t,
    start: Start,
    arg: *mut c_void,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_create",
            fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Start, *mut c_void) -> c_int,
            out,
            attr,
            start,
            arg
        );
    }
    let (mut stack, mut detached) = (0usize, 0);
    if !attr.is_null() {
        // SAFETY: the caller passes an initialised attribute object or null.
        unsafe {
            libc::pthread_attr_getstacksize(attr, &mut stack);
            pthread_attr_getdetachstate(attr, &mut detached);
        }
    }
    let name = thread::with_kernel(|k| k.sched.me().name);
    let (id, handle) = thread::spawn(None, name, stack, start, arg);
    let r = quick("pthread_create", Cost::CALL, |k| {
        k.sched.threads[id as usize].detached = detached == libc::PTHREAD_CREATE_DETACHED;
        // SAFETY: the caller passes a writable pthread_t. It is stored before the new thread can run.
        unsafe { *out = handle as libc::pthread_t };
        k.sched.point = true;
        Ok(())
    });
    pthread_result(r)
}

/// Joins a thread: its result, or why not.
fn join(
    handle: libc::pthread_t,
    until: impl Fn(&crate::kernel::Kernel) -> Result<Option<Until>>,
    wait: bool,
) -> Result<usize> {
    let id = thread::thread_of(handle as usize).ok_or(Errno::ESRCH)?;
    let result = sys("pthread_join", Cost::CALL, |k| {
        let me = k.sched.current;
        let resume = k.sched.me().resume;
        let target = &mut k.sched.threads[id as usize];
        if id == me {
            return Step::Done(Err(Errno::EDEADLK));
        }
        if target.detached {
            return Step::Done(Err(Errno::EINVAL));
        }
        if matches!(target.state, crate::kernel::sched::State::Done) {
            return Step::Done(Ok(()));
        }
        if !wait {
            return Step::Done(Err(Errno::EBUSY));
        }
        if resume == Resume::TimedOut {
            target.joiner = None;
            return Step::Done(Err(Errno::ETIMEDOUT));
        }
        if target.joiner.is_some_and(|j| j != me) {
            return Step::Done(Err(Errno::EINVAL));
        }
        target.joiner = Some(me);
        match until(k) {
            Ok(until) => Step::Wait(Wait {
                on: On::Join(id),
                until,
            }),
            Err(e) => Step::Done(Err(e)),
        }
    });
    result?;
    // The value is a pointer as often as not, so it stays out of the digest.
    let value = thread::with_kernel(|k| {
        k.detect.joined(id);
        k.sched.threads[id as usize].result
    });
    thread::reap(id);
    Ok(value)
}

/// Stores a join's value where the caller wants it.
///
/// # Safety
/// `out` must be writable or null.
unsafe fn joined(r: Result<usize>, out: *mut *mut c_void) -> c_int {
    match r {
        Ok(v) => {
            if !out.is_null() {
                // SAFETY: the caller's promise.
                unsafe { *out = v as *mut c_void };
            }
            0
        }
        Err(e) => e.0,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(t: libc::pthread_t, out: *mut *mut c_void) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_join",
            fn(libc::pthread_t, *mut *mut c_void) -> c_int,
            t,
            out
        );
    }
    // SAFETY: the caller passes a writable pointer or null.
    unsafe { joined(join(t, |_| Ok(None), true), out) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_tryjoin_np(t: libc::pthread_t, out: *mut *mut c_void) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_tryjoin_np",
            fn(libc::pthread_t, *mut *mut c_void) -> c_int,
            t,
            out
        );
    }
    // SAFETY: the caller passes a writable pointer or null.
    unsafe { joined(join(t, |_| Ok(None), false), out) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_timedjoin_np(
    t: libc::pthread_t,
    out: *mut *mut c_void,
    at: *const libc::timespec,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_timedjoin_np",
            fn(libc::pthread_t, *mut *mut c_void, *const libc::timespec) -> c_int,
            t,
            out,
            at
        );
    }
    let until = |k: &crate::kernel::Kernel| {
        if at.is_null() {
            return Ok(None);
        }
        // SAFETY: the caller passes a readable timespec or null.
        let ns = unsafe { super::nanoseconds(at) }?;
        k.until_clock_shows(libc::CLOCK_REALTIME, ns).map(Some)
    };
    // SAFETY: the caller passes a writable pointer or null.
    unsafe { joined(join(t, until, true), out) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_detach(t: libc::pthread_t) -> c_int {
    if !simulated() {
        return next!(c"pthread_detach", fn(libc::pthread_t) -> c_int, t);
    }
    let Some(id) = thread::thread_of(t as usize) else {
        return Errno::ESRCH.0;
    };
    let over = quick("pthread_detach", Cost::CLOCK, |k| {
        let target = &mut k.sched.threads[id as usize];
        if target.detached {
            return Err(Errno::EINVAL);
        }
        target.detached = true;
        Ok(matches!(target.state, crate::kernel::sched::State::Done))
    });
    match over {
        Ok(true) => {
            thread::reap(id);
            0
        }
        Ok(false) => 0,
        Err(e) => e.0,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_exit(result: *mut c_void) -> ! {
    if !simulated() {
        next!(c"pthread_exit", fn(*mut c_void) -> (), result);
    }
    thread::finish_thread(result as usize)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setname_np(t: libc::pthread_t, name: *const c_char) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_setname_np",
            fn(libc::pthread_t, *const c_char) -> c_int,
            t,
            name
        );
    }
    // SAFETY: the caller passes a C string.
    let bytes = unsafe { std::ffi::CStr::from_ptr(name) }.to_bytes();
    if bytes.len() > 15 {
        return Errno::ERANGE.0;
    }
    let mut stored: ThreadName = [0; 16];
    stored[..bytes.len()].copy_from_slice(bytes);
    let Some(id) = thread::thread_of(t as usize) else {
        return Errno::ESRCH.0;
    };
    thread::with_kernel(|k| k.sched.threads[id as usize].name = stored);
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_getname_np(
    t: libc::pthread_t,
    out: *mut c_char,
    size: usize,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_getname_np",
            fn(libc::pthread_t, *mut c_char, usize) -> c_int,
            t,
            out,
            size
        );
    }
    let Some(id) = thread::thread_of(t as usize) else {
        return Errno::ESRCH.0;
    };
    let name = thread::with_kernel(|k| k.sched.threads[id as usize].name);
    let length = name.iter().position(|b| *b == 0).unwrap_or(15) + 1;
    if size < length {
        return Errno::ERANGE.0;
    }
    // SAFETY: the caller passes room for `size` bytes, at least `length`.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), out.cast(), length) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_getattr_np(
    t: libc::pthread_t,
    attr: *mut libc::pthread_attr_t,
) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_getattr_np",
            fn(libc::pthread_t, *mut libc::pthread_attr_t) -> c_int,
            t,
            attr
        );
    }
    let Some(id) = thread::thread_of(t as usize) else {
        return Errno::ESRCH.0;
    };
    let slot = thread::slot_of(id);
    // SAFETY: the caller passes an attribute object to initialise; the stack is the slot's own.
    unsafe {
        libc::pthread_attr_init(attr);
        libc::pthread_attr_setstack(attr, slot.stack.0 as *mut c_void, slot.stack.1);
        libc::pthread_attr_setguardsize(attr, slot.guard().1);
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_kill(t: libc::pthread_t, signal: c_int) -> c_int {
    if !simulated() {
        return next!(
            c"pthread_kill",
            fn(libc::pthread_t, c_int) -> c_int,
            t,
            signal
        );
    }
    if signal == 0 {
        return if thread::thread_of(t as usize).is_some() {
            0
        } else {
            Errno::ESRCH.0
        };
    }
    refuse(
        format!("pthread_kill with signal {signal}"),
        Errno::ENOSYS,
        false,
    )
    .0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cancel(t: libc::pthread_t) -> c_int {
    if !simulated() {
        return next!(c"pthread_cancel", fn(libc::pthread_t) -> c_int, t);
    }
    refuse("pthread_cancel", Errno::ENOSYS, false).0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gettid() -> libc::pid_t {
    if !simulated() {
        return real!(SYS_gettid) as libc::pid_t;
    }
    thread_id()
}

/// The simulated thread's id as Linux would number it: the first thread of a process bears the process's id.
pub(super) fn thread_id() -> libc::pid_t {
    thread::with_kernel(|k| k.host().pid + k.sched.current as libc::pid_t)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn prctl(op: c_int, a: usize, b: usize, c: usize, d: usize) -> c_int {
    if !simulated() {
        return real!(SYS_prctl, op, a, b, c, d) as c_int;
    }
    // SAFETY: pthread_self has no precondition.
    let me = unsafe { libc::pthread_self() };
    let r = match op {
        // SAFETY: prctl(2): the argument is a C string for this operation.
        libc::PR_SET_NAME => {
            let text = unsafe { std::ffi::CStr::from_ptr(a as *const c_char) }.to_bytes();
            let text = String::from_utf8_lossy(&text[..text.len().min(15)]).into_owned();
            thread::with_kernel(|k| {
                k.sched.me_mut().name = crate::kernel::sched::thread_name(&text)
            });
            0
        }
        // SAFETY: prctl(2): the argument is a buffer of sixteen bytes for this operation.
        libc::PR_GET_NAME => unsafe { pthread_getname_np(me, a as *mut c_char, 16) },
        libc::PR_SET_PDEATHSIG
        | libc::PR_SET_DUMPABLE
        | libc::PR_SET_TIMERSLACK
        | libc::PR_SET_NO_NEW_PRIVS => 0,
        libc::PR_GET_DUMPABLE => 1,
        _ => refuse(format!("prctl {op}"), Errno::EINVAL, true).0,
    };
    if r == 0 || op == libc::PR_GET_DUMPABLE {
        r
    } else {
        set_errno(r);
        -1
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: Destructor,
    object: *mut c_void,
    dso: *mut c_void,
) -> c_int {
    if !crate::kernel::thread::in_simulation() {
        return next!(
            c"__cxa_thread_atexit_impl",
            fn(Destructor, *mut c_void, *mut c_void) -> c_int,
            destructor,
            object,
            dso
        );
    }
    // The list outlives the run, so it must not come from the program's heap.
    thread::outside_kernel(|| thread::my_slot().destructors.push((destructor, object)));
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(
    out: *mut libc::pthread_key_t,
    destructor: Option<unsafe extern "C" fn(*mut c_void)>,
) -> c_int {
    let r = next!(
        c"pthread_key_create",
        fn(*mut libc::pthread_key_t, Option<unsafe extern "C" fn(*mut c_void)>) -> c_int,
        out,
        destructor
    );
    if r == 0 {
        // SAFETY: libc stored the key there.
        thread::key_created(unsafe { *out }, destructor);
    }
    r
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_delete(key: libc::pthread_key_t) -> c_int {
    thread::key_deleted(key);
    next!(c"pthread_key_delete", fn(libc::pthread_key_t) -> c_int, key)
}
