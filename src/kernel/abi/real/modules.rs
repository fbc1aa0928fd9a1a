//! Which files the program's code was loaded from, and where: what an address of one process is in another.

use std::ffi::{CStr, c_int, c_void};

use serde::{Deserialize, Serialize};

/// A loaded executable or library.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Module {
    /// Its path; empty for the executable itself.
    pub(crate) path: String,
    /// What was added to the addresses in the file.
    pub(crate) base: u64,
    /// The first address of it in memory.
    pub(crate) start: u64,
    /// The first address after it.
    pub(crate) end: u64,
}

/// The modules of this process.
pub(crate) fn loaded() -> Vec<Module> {
    unsafe extern "C" fn take(info: *mut libc::dl_phdr_info, _: usize, out: *mut c_void) -> c_int {
        // SAFETY: dl_iterate_phdr passes a valid record, and `out` is the vector given to it below.
        let (info, out) = unsafe { (&*info, &mut *out.cast::<Vec<Module>>()) };
        let path = if info.dlpi_name.is_null() {
            String::new()
        } else {
            // SAFETY: the name of a loaded object is a C string that lives as long as the object.
            unsafe { CStr::from_ptr(info.dlpi_name) }
                .to_string_lossy()
                .into_owned()
        };
        let headers = if info.dlpi_phdr.is_null() {
            &[][..]
        } else {
            // SAFETY: the array has dlpi_phnum entries for as long as the object is loaded.
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) }
        };
        let loads = || {
            headers
                .iter()
                .filter(|header| header.p_type == libc::PT_LOAD)
        };
        let base = info.dlpi_addr;
        let start = loads()
            .map(|header| base + header.p_vaddr)
            .min()
            .unwrap_or(base);
        let end = loads()
            .map(|header| base + header.p_vaddr + header.p_memsz)
            .max()
            .unwrap_or(base);
        out.push(Module {
            path,
            base,
            start,
            end,
        });
        0
    }
    let mut out: Vec<Module> = Vec::new();
    // SAFETY: the callback matches the signature, and the vector outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(take), (&raw mut out).cast()) };
    out
}
