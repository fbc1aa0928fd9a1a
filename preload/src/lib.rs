//! The kernel as a library that `cargo squall exec` preloaded into an existing program. Its libc symbols are those of the crate `squall`;
//! here are those that only a preloaded library has, or that it must define in another way.
//!
//! Besides `src/kernel/abi` this is the only place with symbols of libc, and with unsafe code.

#![cfg(all(
    target_os = "linux",
    target_arch = "x86_64",
    target_env = "gnu",
    not(squall_portable)
))]

use squall::kernel::preload::{Main, Routine, at_exit, heap, start};
use std::arch::naked_asm;
use std::ffi::{c_char, c_int, c_void};

/// libc's own starts the program: constructors, `main`, exit handlers. This one has `main` run in simulations.
///
/// # Safety
/// For the program's entry point to call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __libc_start_main(
    main: Main,
    count: c_int,
    values: *mut *mut c_char,
    init: Routine,
    fini: Routine,
    loader_fini: Routine,
    stack_end: *mut c_void,
) -> c_int {
    let enter = squall::__private::enter_program;
    // SAFETY: these are the entry point's own arguments.
    unsafe {
        start(
            main,
            count,
            values,
            init,
            fini,
            loader_fini,
            stack_end,
            enter,
        )
    }
}

/// As libc's: what `atexit` calls, and compilers of C++ for each static that has a destructor.
///
/// # Safety
/// As for libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __cxa_atexit(
    routine: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    library: *mut c_void,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { at_exit(routine, argument, library) }
}

/// Defines functions of malloc(3) that hand the caller's address on as a last argument. The crate's own symbols are defined in
/// assembly, which the compiler does not know of and so does not export.
macro_rules! allocates {
    ($($name:ident to $to:ident with $register:literal;)*) => { $(
        /// As the man page says; the program's own calls on simulated threads get memory at addresses that follow from the
        /// seed.
        ///
        /// # Safety
        /// As for libc's.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                concat!("mov ", $register, ", [rsp]"),
                "jmp {to}",
                to = sym heap::$to,
            )
        }
    )* };
}
allocates! {
    malloc to malloc with "rsi";
    calloc to calloc with "rdx";
    realloc to realloc with "rdx";
    memalign to memalign with "rdx";
    aligned_alloc to memalign with "rdx";
    posix_memalign to posix_memalign with "rcx";
    free to free with "rsi";
    malloc_usable_size to usable with "rsi";
}
