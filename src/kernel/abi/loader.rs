//! dl_iterate_phdr(3), which calls the program back while libc holds the loader's lock: another thread that came here in the
//! meantime would wait for that lock outside of the kernel, for ever. So nothing is preempted during the call.

use super::heap;
use super::raw::next;
use std::ffi::{c_int, c_void};

type Visit = unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> c_int;

#[unsafe(no_mangle)]
unsafe extern "C" fn dl_iterate_phdr(visit: Option<Visit>, data: *mut c_void) -> c_int {
    let before = heap::hold(true);
    let answer = next!(
        c"dl_iterate_phdr",
        fn(Option<Visit>, *mut c_void) -> c_int,
        visit,
        data
    );
    heap::hold(before);
    answer
}
