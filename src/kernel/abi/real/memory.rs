//! Memory that the coordinator, its zygote and their children share, and files that live in memory alone.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use super::last_error;

/// Types made of atomics alone: any bytes are a valid value, and a shared reference is all that anyone needs.
///
/// # Safety
/// The type must consist of atomic integers without padding that matters, so that zero bytes, and whatever another process
/// stores, are valid.
pub(super) unsafe trait Shared: Sync + Sized + 'static {}

/// A file in memory; it vanishes with its last descriptor.
pub(crate) fn file(name: &CStr) -> io::Result<File> {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(last_error());
    }
    // SAFETY: the call has just made this descriptor, and nobody else has it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Maps the file as one `T`, for good: the mapping lasts until the process ends.
pub(super) fn map<T: Shared>(file: &impl AsFd) -> io::Result<&'static T> {
    let file = File::from(file.as_fd().try_clone_to_owned()?);
    let size = size_of::<T>() as u64;
    if file.metadata()?.len() < size {
        file.set_len(size)?;
    }
    // SAFETY: a fresh mapping at an address that the system chooses, of a file that is long enough.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size_of::<T>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(last_error());
    }
    // SAFETY: the mapping is page aligned, as long as `T`, and never unmapped or truncated; `Shared` says that any bytes
    // in it are a valid `T`.
    Ok(unsafe { &*at.cast::<T>() })
}
