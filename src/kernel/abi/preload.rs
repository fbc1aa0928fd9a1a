//! The way into a program that knows nothing of this crate: what a library that is preloaded into it needs beside the symbols
//! of this directory. The package `preload/` defines `__libc_start_main` and hands it on to [`start`]; `run` comes in through
//! the function that is given there, and runs the program's `main` on the first thread of a simulation with [`run_program`].

use super::raw::{self, next};
use std::ffi::{c_char, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

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

/// What `main` finds besides its statics, and may change for the next run of the process: environment and working directory.
struct Surroundings {
    variables: *mut *mut c_char,
    /// What stood there, the null at the end included.
    list: Vec<*mut c_char>,
    /// A descriptor of the directory, or -1.
    directory: c_int,
}
// SAFETY: the pointers are compared and copied only; the array is the one that the system gave to the process.
unsafe impl Send for Surroundings {}
// SAFETY: as above.
unsafe impl Sync for Surroundings {}

static SURROUNDINGS: OnceLock<Surroundings> = OnceLock::new();

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Remembers the environment and the working directory at first, and puts them back from then on.
fn put_back_surroundings() {
    let put_back = |s: &Surroundings| {
        // SAFETY: the array is as long as the list, was writable from the start, and no simulated thread but the caller is
        // alive yet.
        unsafe {
            std::ptr::copy_nonoverlapping(s.list.as_ptr(), s.variables, s.list.len());
            environ = s.variables;
        }
        if s.directory >= 0 {
            // SAFETY: the call takes a number.
            unsafe { raw::call6(libc::SYS_fchdir, [s.directory as usize, 0, 0, 0, 0, 0]) };
        }
    };
    if let Some(known) = SURROUNDINGS.get() {
        return put_back(known);
    }
    let mut list = Vec::new();
    // SAFETY: the environment is an array of pointers that ends with null, and no other thread changes it now.
    let variables = unsafe { environ };
    if !variables.is_null() {
        loop {
            // SAFETY: as above; the loop ends with the null.
            let entry = unsafe { *variables.add(list.len()) };
            list.push(entry);
            if entry.is_null() {
                break;
            }
        }
    }
    let flags = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as usize;
    let here = c".".as_ptr() as usize;
    // SAFETY: the path is a C string.
    let directory = unsafe {
        raw::call6(
            libc::SYS_openat,
            [libc::AT_FDCWD as usize, here, flags, 0, 0, 0],
        )
    };
    let _ = SURROUNDINGS.set(Surroundings {
        variables,
        list,
        directory: directory.max(-1) as c_int,
    });
}

/// What the program wants done when it ends: a function of `atexit`, or the destructor of a static of C++'s.
struct ExitHandler {
    routine: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
}
// SAFETY: the pointer is only handed back to the program.
unsafe impl Send for ExitHandler {}

/// Those of the run.
static EXIT_HANDLERS: Mutex<Vec<ExitHandler>> = Mutex::new(Vec::new());

fn exit_handlers<R>(with: impl FnOnce(&mut Vec<ExitHandler>) -> R) -> R {
    let locked = || with(&mut EXIT_HANDLERS.lock().unwrap_or_else(PoisonError::into_inner));
    // The list outlives the run's own heap.
    super::thread::outside_kernel(locked)
}

/// What libc calls `__cxa_atexit`, and what `atexit` comes to. In a run it is kept for the end of that run.
///
/// # Safety
/// The routine must be one that may be called with the argument at any time from now on.
pub unsafe fn at_exit(
    routine: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    library: *mut c_void,
) -> c_int {
    if super::simulated() {
        exit_handlers(|handlers| handlers.push(ExitHandler { routine, argument }));
        return 0;
    }
    next!(
        c"__cxa_atexit",
        fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> c_int,
        routine,
        argument,
        library
    )
}

/// Does what the program wants done when it ends, what came last first. One that ends the program leaves the rest to that.
pub(super) fn run_exit_handlers() {
    while let Some(handler) = exit_handlers(Vec::pop) {
        // SAFETY: the program gave it for this.
        unsafe { (handler.routine)(handler.argument) };
    }
}

/// Runs the program's `main` and returns its status. Only the first of the runs of a process finds the program as it was
/// loaded, unless its statics are put back in between; the environment and the working directory are.
///
/// # Panics
/// If this crate was not preloaded.
pub fn run_program() -> i32 {
    let bug = "squall bug: no program was started through this library";
    let (program, arguments) = (PROGRAM.get().expect(bug), ARGUMENTS.get().expect(bug));
    super::thread::outside_kernel(put_back_surroundings);
    // An earlier run may have ended in another way.
    exit_handlers(Vec::clear);
    // SAFETY: the function is the program's main, and the arguments are those that libc meant for it.
    let status =
        unsafe { (program.main)(arguments.count, arguments.values, arguments.environment) };
    run_exit_handlers();
    status
}
