//! The real system's calls, past every libc symbol: what a thread outside the simulation gets, and what the harness itself
//! uses while it runs on a simulated thread.

use std::arch::asm;
use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

/// A raw system call. Returns the kernel's value: negative numbers down to -4095 are errors.
///
/// # Safety
/// As the man page of the call says; pointers among the arguments must be valid for it.
#[inline]
pub(crate) unsafe fn call6(n: libc::c_long, a: [usize; 6]) -> isize {
    let filter = filter();
    let before = filter.load(Ordering::Relaxed);
    filter.store(ALLOW, Ordering::Relaxed);
    // SAFETY: the caller's promise.
    let r = unsafe { call6_unfiltered(n, a) };
    filter.store(before, Ordering::Relaxed);
    r
}

/// As [`call6`], for a kernel thread that never traps calls: it leaves the filter alone, which another thread may be using.
///
/// # Safety
/// As [`call6`].
#[inline]
pub(crate) unsafe fn call6_unfiltered(n: libc::c_long, a: [usize; 6]) -> isize {
    let r: isize;
    // SAFETY: the instruction clobbers rax, rcx and r11 only; the caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") n as isize => r, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    r
}

const ALLOW: u8 = 0;
const BLOCK: u8 = 1;

/// What the system is to do with `syscall` instructions outside libc on threads that trap them (`thread/trap.rs`): for the
/// carrier, and so for every context that it runs.
#[unsafe(link_section = "squall_keep")]
static FILTER: AtomicU8 = AtomicU8::new(ALLOW);

thread_local! {
    /// The same for an OS thread of the simulation.
    static OWN_FILTER: Cell<Option<&'static AtomicU8>> = const { Cell::new(None) };
}

/// The byte that says whether such calls trap now on the calling thread.
pub(crate) fn filter() -> &'static AtomicU8 {
    OWN_FILTER.get().unwrap_or(&FILTER)
}

/// Gives the calling OS thread a byte of its own.
pub(crate) fn filter_alone() {
    OWN_FILTER.set(Some(Box::leak(Box::new(AtomicU8::new(ALLOW)))));
}

/// Lets such calls trap from now on, or no longer.
pub(crate) fn arm(on: bool) {
    filter().store(if on { BLOCK } else { ALLOW }, Ordering::Relaxed);
}

/// Turns a raw result into C's convention: -1 and `errno`.
#[inline]
pub(crate) fn c_result(r: isize) -> isize {
    if (-4095..0).contains(&r) {
        set_errno(-r as i32);
        -1
    } else {
        r
    }
}

/// Stores `errno` of the calling thread.
#[inline]
pub(crate) fn set_errno(e: i32) {
    // SAFETY: __errno_location returns a valid pointer to the calling thread's errno.
    unsafe { *libc::__errno_location() = e };
}

/// `errno` of the calling thread.
pub(crate) fn errno() -> i32 {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() }
}

/// Makes a raw system call with up to six arguments, in C's convention.
macro_rules! real {
    ($n:ident $(, $a:expr)* $(,)?) => {{
        #[allow(unused_mut, unused_assignments, unused_variables)]
        let args = {
            let mut v = [0usize; 6];
            let mut i = 0;
            $( v[i] = $a as usize; i += 1; )*
            v
        };
        // SAFETY: the arguments are those that the caller of the libc function passed, under its own contract.
        $crate::kernel::abi::raw::c_result(unsafe { $crate::kernel::abi::raw::call6(libc::$n, args) })
    }};
}
pub(crate) use real;

/// A libc function that this crate's own symbol of the same name hides, found once.
pub(crate) struct Next {
    name: &'static CStr,
    at: AtomicUsize,
}

impl Next {
    pub(crate) const fn new(name: &'static CStr) -> Next {
        Next {
            name,
            at: AtomicUsize::new(0),
        }
    }

    /// The function's address; aborts the process with a clear line if libc does not have it.
    pub(crate) fn address(&self) -> usize {
        let at = self.at.load(Ordering::Relaxed);
        if at != 0 {
            return at;
        }
        self.find()
    }

    #[cold]
    fn find(&self) -> usize {
        // SAFETY: the name is a C string; dlsym has no other requirement.
        let at = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) } as usize;
        if at == 0 {
            let text = b"squall: libc has no function ";
            write_all(2, text);
            write_all(2, self.name.to_bytes());
            write_all(2, b" that the program calls\n");
            exit_now(70);
        }
        self.at.store(at, Ordering::Relaxed);
        at
    }
}

/// Calls libc's own version of a function that this crate hides.
macro_rules! next {
    ($name:literal, fn($($t:ty),* $(,)?) -> $r:ty $(, $a:expr)* $(,)?) => {{
        #[unsafe(link_section = "squall_keep")]
        static NEXT: $crate::kernel::abi::raw::Next = $crate::kernel::abi::raw::Next::new($name);
        // SAFETY: the address is that of libc's function of this name, whose signature the caller gives as in its man page.
        let f: unsafe extern "C" fn($($t),*) -> $r = unsafe { std::mem::transmute(NEXT.address()) };
        // SAFETY: the arguments are those that the caller passed, under the function's own contract.
        unsafe { f($($a),*) }
    }};
}
pub(crate) use next;

/// Writes all of `bytes` for real, past the simulation; errors are ignored. Safe in a signal handler.
pub(crate) fn write_all(fd: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of a live slice.
        let n = unsafe {
            call6(
                libc::SYS_write,
                [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0],
            )
        };
        if n <= 0 {
            return;
        }
        bytes = &bytes[n as usize..];
    }
}

/// Ends the process at once, without exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    loop {
        // SAFETY: exit_group takes a number and does not return.
        unsafe { call6(libc::SYS_exit_group, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

/// The arguments of a futex call within the process, without a timeout.
fn futex_arguments(word: &AtomicU32, operation: libc::c_int, value: u32) -> [usize; 6] {
    let operation = (operation | libc::FUTEX_PRIVATE_FLAG) as usize;
    [word.as_ptr() as usize, operation, value as usize, 0, 0, 0]
}

/// Waits for real until the word may differ from `value`.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    let arguments = futex_arguments(word, libc::FUTEX_WAIT, value);
    // SAFETY: the word is live for the whole call; a null timeout means no limit.
    unsafe { call6(libc::SYS_futex, arguments) };
}

/// As [`futex_wait`], for a kernel thread that never traps calls.
pub(crate) fn futex_wait_unfiltered(word: &AtomicU32, value: u32) {
    let arguments = futex_arguments(word, libc::FUTEX_WAIT, value);
    // SAFETY: as above.
    unsafe { call6_unfiltered(libc::SYS_futex, arguments) };
}

/// Wakes for real one thread that waits on the word.
pub(crate) fn futex_wake(word: &AtomicU32) {
    let arguments = futex_arguments(word, libc::FUTEX_WAKE, 1);
    // SAFETY: the kernel uses the address as a key only.
    unsafe { call6(libc::SYS_futex, arguments) };
}

/// As [`futex_wake`], for a kernel thread that never traps calls.
pub(crate) fn futex_wake_unfiltered(word: &AtomicU32) {
    let arguments = futex_arguments(word, libc::FUTEX_WAKE, 1);
    // SAFETY: as above.
    unsafe { call6_unfiltered(libc::SYS_futex, arguments) };
}

/// Allocates for C: memory that `free` accepts.
pub(crate) fn c_alloc(size: usize) -> *mut c_void {
    // SAFETY: malloc has no precondition.
    unsafe { libc::calloc(1, size) }
}
