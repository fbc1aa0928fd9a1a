//! syscall(2), and through it futex(2), getrandom(2) and whatever else programs call by number.

use super::raw::{self, real};
use super::{fail, nanoseconds, refuse, simulated, sys};
use crate::kernel::futex::ANY;
use crate::kernel::sched::{On, Resume, Wait};
use crate::kernel::{Cost, Errno, Kernel, Result, Step};
use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicU32, Ordering};

/// The value of a futex word.
///
/// # Safety
/// `address` must be a readable, aligned futex word, as futex(2) demands of its caller.
unsafe fn load(address: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { (*(address as *const AtomicU32)).load(Ordering::SeqCst) }
}

#[inline(always)]
fn futex(a: [usize; 6]) -> Result<i64> {
    let [address, op, value, timeout, address2, value3] = a;
    let op = op as c_int;
    let value = value as u32;
    let realtime = op & libc::FUTEX_CLOCK_REALTIME != 0;
    match op & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
        wait @ (libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET) => {
            let mask = if wait == libc::FUTEX_WAIT {
                ANY
            } else {
                value3 as u32
            };
            if mask == 0 {
                return Err(Errno::EINVAL);
            }
            let timeout = match timeout as *const libc::timespec {
                p if p.is_null() => None,
                // SAFETY: futex(2): the caller passes a readable timespec or null.
                p => Some(unsafe { nanoseconds(p) }?),
            };
            let word = Kernel::futex_word(address)?;
            let clock = if realtime {
                libc::CLOCK_REALTIME
            } else {
                libc::CLOCK_MONOTONIC
            };
            sys("futex_wait", Cost::CALL, |k| {
                match k.sched.me().resume {
                    Resume::Woken => return Step::Done(Ok(0)),
                    Resume::TimedOut => return Step::Done(Err(Errno::ETIMEDOUT)),
                    Resume::First | Resume::Interrupted => {}
                }
                // SAFETY: futex(2): the word is readable.
                if unsafe { load(address) } != value {
                    k.sched.point = true;
                    return Step::Done(Err(Errno::EAGAIN));
                }
                let until = match timeout {
                    None => None,
                    Some(ns) if wait == libc::FUTEX_WAIT => Some(k.after(ns)),
                    Some(ns) => match k.until_clock_shows(clock, ns) {
                        Ok(at) => Some(at),
                        Err(e) => return Step::Done(Err(e)),
                    },
                };
                if until.is_some_and(|at| k.reached(at)) {
                    k.sched.point = true;
                    return Step::Done(Err(Errno::ETIMEDOUT));
                }
                k.futexes.add(word, k.sched.current, mask);
                Step::Wait(Wait {
                    on: On::Word(word),
                    until,
                })
            })
        }
        wake @ (libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET) => {
            let mask = if wake == libc::FUTEX_WAKE {
                ANY
            } else {
                value3 as u32
            };
            if mask == 0 {
                return Err(Errno::EINVAL);
            }
            let word = Kernel::futex_word(address)?;
            sys("futex_wake", Cost::CALL, |k| {
                // Even a wake of nobody is a point at which another thread may go on: it follows an unlock.
                k.sched.point = true;
                Step::Done(Ok(i64::from(k.wake_word(word, value, mask))))
            })
        }
        requeue @ (libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE) => {
            let (from, to) = (Kernel::futex_word(address)?, Kernel::futex_word(address2)?);
            sys("futex_requeue", Cost::CALL, |k| {
                // SAFETY: futex(2): the word is readable.
                if requeue == libc::FUTEX_CMP_REQUEUE && unsafe { load(address) } != value3 as u32 {
                    return Step::Done(Err(Errno::EAGAIN));
                }
                // The timeout's place holds the number to move.
                let (woken, moved) = k.requeue_word(from, to, value, timeout as u32);
                let count = if requeue == libc::FUTEX_CMP_REQUEUE {
                    woken + moved
                } else {
                    woken
                };
                Step::Done(Ok(i64::from(count)))
            })
        }
        libc::FUTEX_WAKE_OP => {
            let (first, second) = (Kernel::futex_word(address)?, Kernel::futex_word(address2)?);
            sys("futex_wake_op", Cost::CALL, |k| {
                // SAFETY: futex(2): the second word is writable.
                let word = unsafe { &*(address2 as *const AtomicU32) };
                let Some((new, test)) = wake_op(value3 as u32) else {
                    return Step::Done(Err(Errno::ENOSYS));
                };
                let old = word.load(Ordering::SeqCst);
                word.store(new(old), Ordering::SeqCst);
                let mut woken = k.wake_word(first, value, ANY);
                if test(old) {
                    woken += k.wake_word(second, timeout as u32, ANY);
                }
                Step::Done(Ok(i64::from(woken)))
            })
        }
        other => Err(refuse(
            format!("futex operation {other}"),
            Errno::ENOSYS,
            false,
        )),
    }
}

type Change = Box<dyn Fn(u32) -> u32>;
type Test = Box<dyn Fn(u32) -> bool>;

/// Decodes the argument of `FUTEX_WAKE_OP`: how the word changes, and when its waiters are woken.
fn wake_op(code: u32) -> Option<(Change, Test)> {
    let sign_extend = |v: u32| ((v << 20) as i32 >> 20) as u32;
    let (op, cmp) = (code >> 28, code >> 24 & 15);
    let (oparg, cmparg) = (sign_extend(code >> 12 & 0xfff), sign_extend(code & 0xfff));
    let oparg = if op & 8 != 0 {
        1 << (oparg & 31)
    } else {
        oparg
    };
    let change: Change = match op & 7 {
        0 => Box::new(move |_| oparg),
        1 => Box::new(move |v| v.wrapping_add(oparg)),
        2 => Box::new(move |v| v | oparg),
        3 => Box::new(move |v| v & !oparg),
        4 => Box::new(move |v| v ^ oparg),
        _ => return None,
    };
    let test: Test = match cmp {
        0 => Box::new(move |v| v == cmparg),
        1 => Box::new(move |v| v != cmparg),
        2 => Box::new(move |v| (v as i32) < cmparg as i32),
        3 => Box::new(move |v| v as i32 <= cmparg as i32),
        4 => Box::new(move |v| v as i32 > cmparg as i32),
        5 => Box::new(move |v| v as i32 >= cmparg as i32),
        _ => return None,
    };
    Some((change, test))
}

/// Calls by number are dispatched to the functions that simulate them; those that neither touch time, threads,
/// descriptors nor randomness pass through; the rest are refused.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    n: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    let args = [a, b, c, d, e, f];
    if let Some(answer) = super::tokio::answer(n, a) {
        return answer;
    }
    if !simulated() {
        // SAFETY: the arguments are the caller's.
        return raw::c_result(unsafe { raw::call6(n, args) }) as c_long;
    }
    match n {
        libc::SYS_futex => match futex(args) {
            Ok(v) => v,
            Err(e) => c_long::from(fail(e)),
        },
        // SAFETY: the arguments are those that the caller passed, under the contract of the same call.
        _ => match unsafe { super::number::by_number(n, args) } {
            Some(v) => v,
            None => c_long::from(fail(refuse(
                format!("system call {n}"),
                Errno::ENOSYS,
                true,
            ))),
        },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sched_yield() -> c_int {
    if !simulated() {
        return real!(SYS_sched_yield) as c_int;
    }
    super::ret_unit(sys("sched_yield", Cost::CALL, |k| {
        k.sched.point = true;
        k.sched.yielded = true;
        Step::Done(Ok(()))
    }))
}
