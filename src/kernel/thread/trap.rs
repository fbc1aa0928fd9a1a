//! System calls that do not come through libc: a `syscall` instruction in a crate's own assembly, as in rustix. Linux's
//! syscall user dispatch turns each into a `SIGSYS`, and the handler here answers it as libc's `syscall` would.
//!
//! `run` switches this on in each child ([`trap_calls`]); `simulate` arms it while simulated threads run. Calls made by
//! libc itself and by the dynamic loader go through, as do the kernel's own.

use super::simulated;
use crate::kernel::abi::raw;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;
const PR_SYS_DISPATCH_OFF: usize = 0;
const PR_SYS_DISPATCH_ON: usize = 1;
/// `si_code` of a trapped call.
const SYS_USER_DISPATCH: c_int = 2;

/// Whether new OS threads of the simulation are to trap calls too.
#[unsafe(link_section = "squall_keep")]
static ON: AtomicBool = AtomicBool::new(false);
/// The loader's code, start and end: it is not libc's, but it runs on behalf of libc.
#[unsafe(link_section = "squall_keep")]
static LOADER: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Lets `syscall` instructions outside libc trap on the calling kernel thread, or no longer. Returns whether the system
/// allows it (Linux 5.11 and later); where it does not, such calls reach the real system. A forked child starts without.
pub fn trap_calls(on: bool) -> bool {
    let mode = if on && install() {
        PR_SYS_DISPATCH_ON
    } else {
        PR_SYS_DISPATCH_OFF
    };
    let (start, end) = if mode == PR_SYS_DISPATCH_ON {
        code_around(libc::getauxval as *const () as usize)
    } else {
        (0, 0)
    };
    let selector = if mode == PR_SYS_DISPATCH_ON {
        raw::filter().as_ptr() as usize
    } else {
        0
    };
    let args = [
        PR_SET_SYSCALL_USER_DISPATCH,
        mode,
        start,
        end - start,
        selector,
        0,
    ];
    // SAFETY: the selector byte is a static; the range is libc's code.
    let done = unsafe { raw::call6(libc::SYS_prctl, args) } == 0;
    ON.store(on && done, Ordering::Relaxed);
    done && (mode == PR_SYS_DISPATCH_ON) == on
}

/// The calling OS thread joins the simulation: it traps calls if the carrier does.
pub(super) fn join() {
    if ON.load(Ordering::Relaxed) {
        trap_calls(true);
        raw::arm(true);
    }
}

/// Installs the handler and lets its signal through to the calling thread; returns whether that was possible.
fn install() -> bool {
    // SAFETY: getauxval has no precondition.
    let loader = unsafe { libc::getauxval(libc::AT_BASE) } as usize;
    let (start, end) = code_around(loader);
    LOADER[0].store(start, Ordering::Relaxed);
    LOADER[1].store(end, Ordering::Relaxed);
    // SAFETY: all-zero is a valid record. The handler runs on the stack of the thread that made the call, which may be
    // switched away while the call blocks: hence no alternate stack, and no signal blocked meanwhile.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = answer as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        if libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut()) != 0 {
            return false;
        }
        // The simulation's own OS threads block every signal; this one would kill the process if it were blocked.
        let set = 1u64 << (libc::SIGSYS - 1);
        let args = [
            libc::SIG_UNBLOCK as usize,
            &raw const set as usize,
            0,
            8,
            0,
            0,
        ];
        raw::call6(libc::SYS_rt_sigprocmask, args) == 0
    }
}

/// The executable segment that contains `address`, or, if none does, the first one of the object loaded there; empty if
/// there is no such object.
pub(super) fn code_around(address: usize) -> (usize, usize) {
    struct Search {
        address: usize,
        found: (usize, usize),
    }
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: dl_iterate_phdr passes a valid record, and `search` is what `code_around` passed.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
        // SAFETY: the record says where its object's program headers are and how many.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let base = info.dlpi_addr as usize;
        for h in headers {
            if h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_X != 0 {
                let start = base + h.p_vaddr as usize;
                let end = start + h.p_memsz as usize;
                if base == search.address || (start..end).contains(&search.address) {
                    search.found = (start, end);
                    return 1;
                }
            }
        }
        0
    }
    let mut search = Search {
        address,
        found: (0, 0),
    };
    // SAFETY: the callback has the type that the call wants, and `search` outlives it.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

/// The handler of `SIGSYS`.
extern "C" fn answer(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes valid records to an SA_SIGINFO handler.
    let (code, registers) = unsafe {
        (
            (*info).si_code,
            &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs,
        )
    };
    if code != SYS_USER_DISPATCH {
        return;
    }
    let register = |r: c_int| registers[r as usize] as usize;
    let number = registers[libc::REG_RAX as usize];
    let args = [
        libc::REG_RDI,
        libc::REG_RSI,
        libc::REG_RDX,
        libc::REG_R10,
        libc::REG_R8,
        libc::REG_R9,
    ]
    .map(register);
    let at = register(libc::REG_RIP);
    let loader = LOADER[0].load(Ordering::Relaxed)..=LOADER[1].load(Ordering::Relaxed);
    let result = if simulated() && !loader.contains(&at) {
        let before = raw::errno();
        let [a, b, c, d, e, f] = args;
        // SAFETY: the program made this very call, with these arguments.
        let mut result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
        if result == -1 {
            result = -i64::from(raw::errno());
        }
        raw::set_errno(before);
        result
    } else {
        // SAFETY: as above.
        unsafe { raw::call6(number, args) as i64 }
    };
    registers[libc::REG_RAX as usize] = result;
}

#[cfg(test)]
mod tests {
    use super::trap_calls;
    use crate::kernel::Config;
    use crate::kernel::testing::run;
    use std::arch::asm;
    use std::time::{Duration, Instant};

    /// A system call as a crate without libc makes it.
    fn bare(number: i64, a: usize, b: usize, c: usize) -> i64 {
        let result;
        // SAFETY: the tests pass pointers that live for the call.
        unsafe {
            asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result
    }

    fn bare_calls_are_simulated(os_threads: bool) {
        assert!(trap_calls(true), "this system is older than Linux 5.11");
        let outcome = run(
            Config {
                os_threads,
                ..Config::default()
            },
            || {
                // SAFETY: no pointers.
                let pid = unsafe { libc::getpid() };
                assert_eq!(bare(libc::SYS_getpid, 0, 0, 0), i64::from(pid));

                // A call that blocks is switched away in the handler and comes back.
                let start = Instant::now();
                let day = libc::timespec {
                    tv_sec: 86_000,
                    tv_nsec: 0,
                };
                let other = std::thread::spawn(|| {
                    for _ in 0..10 {
                        std::thread::sleep(Duration::from_secs(8_000));
                    }
                });
                assert_eq!(bare(libc::SYS_nanosleep, &raw const day as usize, 0, 0), 0);
                assert!(other.is_finished() && start.elapsed() >= Duration::from_secs(86_000));

                // Errors come back as negative numbers and leave errno alone.
                let errno = std::io::Error::last_os_error().raw_os_error();
                let counter = bare(libc::SYS_eventfd2, 0, libc::EFD_NONBLOCK as usize, 0);
                assert!(counter >= i64::from(crate::kernel::descriptor::FIRST));
                let mut word = 0u64;
                assert_eq!(
                    bare(libc::SYS_read, counter as usize, &raw mut word as usize, 8),
                    -i64::from(libc::EAGAIN)
                );
                assert_eq!(bare(libc::SYS_close, counter as usize, 0, 0), 0);
                assert_eq!(std::io::Error::last_os_error().raw_os_error(), errno);
            },
        );
        assert!(trap_calls(false));
        assert_eq!(outcome.end, crate::kernel::End::Returned);
        assert!(outcome.refused.is_empty());
    }

    /// One test, because whether to trap is a setting of the process.
    #[test]
    fn bare_calls_are_simulated_on_contexts_and_on_os_threads() {
        bare_calls_are_simulated(false);
        bare_calls_are_simulated(true);
    }
}
