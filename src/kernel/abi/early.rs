//! Code that runs before `main`: a pointer in `.init_array`, which glibc's start-up code goes through once the libraries are
//! relocated. `run/listing.rs` answers there who only wants to know which tests there are.

/// Has the function run before the program's `main`, on its first thread, with nothing else running.
///
/// Say it where something that every program with tests calls is, or the linker leaves both out.
macro_rules! before_main {
    ($function:path) => {
        #[used]
        // SAFETY: the section holds pointers to `extern "C"` functions without arguments that matter, and this is one. It
        // may use std: glibc itself is initialised before, and std needs no initialisation of its own for what works off
        // the main thread too.
        #[unsafe(link_section = ".init_array")]
        static BEFORE_MAIN: extern "C" fn() = {
            extern "C" fn run() {
                $function();
            }
            run
        };
    };
}

pub(crate) use before_main;
