//! The way into a program that knows nothing of this crate: what a library that is preloaded into it needs beside the symbols
//! of this directory. The package `preload/` defines `__libc_start_main` and hands it on to [`start`]; `run` comes in through
//! the function that is given there, and runs the program's `main` on the first thread of a simulation with [`run_program`].

use super::raw::next;
use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

pub use super::heap::preload as heap;

/// A program's `main`: argument count, arguments, environment.
pub type Main = unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) -> c_int;
/// A routine that the loader wants called at the start or at the end.
pub type Routine = Option<unsafe extern "C" fn()>;

/// The program into which this library was loaded.
struct Program {
    main: Main,
    /// What is asked before `main` runs: an exit status if it is not to run here.
    enter: fn() -> Option<i32>,
}

/// What the system hands to `main`.
struct Arguments {
    count: c_int,
    values: *mut *mut c_char,
    environment: *mut *mut c_char,
}
// SAFETY: the arrays live as long as the process; they are only handed on to `main`.
unsafe impl Send for Arguments {}
// SAFETY: as above.
unsafe impl Sync for Arguments {}

static PROGRAM: OnceLock<Program> = OnceLock::new();
static ARGUMENTS: OnceLock<Arguments> = OnceLock::new();

/// Starts the program as libc's function of this name does, but asks `enter` when its constructors have run and its `main`
/// is due: where that returns a status, the process ends with it.
///
/// # Safety
/// The arguments must be those with which the program's entry point called `__libc_start_main`.
#[allow(clippy::too_many_arguments)]
pub unsafe fn start(
    main: Main,
    count: c_int,
    values: *mut *mut c_char,
    init: Routine,
    fini: Routine,
    loader_fini: Routine,
    stack_end: *mut c_void,
    enter: fn() -> Option<i32>,
) -> c_int {
    let program = Program { main, enter };
    assert!(
        PROGRAM.set(program).is_ok(),
        "squall bug: the program starts a second time"
    );
    next!(
        c"__libc_start_main",
        fn(Main, c_int, *mut *mut c_char, Routine, Routine, Routine, *mut c_void) -> c_int,
        instead,
        count,
        values,
        init,
        fini,
        loader_fini,
        stack_end
    )
}

/// What libc calls in place of `main`.
unsafe extern "C" fn instead(
    count: c_int,
    values: *mut *mut c_char,
    environment: *mut *mut c_char,
) -> c_int {
    let arguments = Arguments {
        count,
        values,
        environment,
    };
    assert!(
        ARGUMENTS.set(arguments).is_ok(),
        "squall bug: main is due a second time"
    );
    let program = PROGRAM
        .get()
        .expect("squall bug: main is due before the program was started");
    (program.enter)().unwrap_or_else(run_program)
}

/// Runs the program's `main` and returns its status. Only the first of the runs of a process finds the program as it was
/// loaded, unless its statics are put back in between.
///
/// # Panics
/// If this crate was not preloaded.
pub fn run_program() -> i32 {
    let bug = "squall bug: no program was started through this library";
    let (program, arguments) = (PROGRAM.get().expect(bug), ARGUMENTS.get().expect(bug));
    // SAFETY: the function is the program's main, and the arguments are those that libc meant for it.
    unsafe { (program.main)(arguments.count, arguments.values, arguments.environment) }
}
