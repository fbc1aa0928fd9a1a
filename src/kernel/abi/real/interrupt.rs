//! Ctrl-C in the process that runs the tests: a descriptor that becomes readable.
//!
//! The handler is installed once, and only where nothing else handles the signal. While no coordinator listens it gives
//! way to the default, so that ordinary tests are interrupted as ever.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::last_error;
use crate::kernel::abi::raw;

static LISTENERS: AtomicU32 = AtomicU32::new(0);
static PRESSED: AtomicBool = AtomicBool::new(false);
static EVENT: AtomicI32 = AtomicI32::new(-1);

extern "C" fn handle(signal: libc::c_int) {
    if LISTENERS.load(Ordering::Acquire) == 0 {
        // SAFETY: signal and raise are safe in a handler; the signal comes again, with its default effect, on return.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return;
    }
    PRESSED.store(true, Ordering::Release);
    // The descriptor is never read, so it stays readable for every coordinator.
    raw::write_all(EVENT.load(Ordering::Acquire), &1u64.to_ne_bytes());
}

fn install() -> io::Result<()> {
    // SAFETY: eventfd takes numbers only.
    let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if event < 0 {
        return Err(last_error());
    }
    EVENT.store(event, Ordering::Release);
    // SAFETY: sigaction is plain data, for which zero bytes are valid; both pointers are valid, and the handler does only
    // what a handler may.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGINT, std::ptr::null(), &raw mut old) != 0 {
            return Err(last_error());
        }
        if old.sa_sigaction != libc::SIG_DFL {
            return Ok(());
        }
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = handle as extern "C" fn(libc::c_int) as usize;
        new.sa_flags = libc::SA_RESTART;
        if libc::sigaction(libc::SIGINT, &raw const new, std::ptr::null_mut()) != 0 {
            return Err(last_error());
        }
    }
    Ok(())
}

/// Listens for Ctrl-C until dropped.
#[derive(Debug)]
pub(crate) struct Listener(());

impl Listener {
    /// Begins to listen.
    pub(crate) fn new() -> io::Result<Self> {
        static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
        LISTENERS.fetch_add(1, Ordering::AcqRel);
        let listener = Listener(());
        let installed =
            INSTALLED.get_or_init(|| install().map_err(|error| error.raw_os_error().unwrap_or(0)));
        installed
            .map(|()| listener)
            .map_err(io::Error::from_raw_os_error)
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn pressed(&self) -> bool {
        PRESSED.load(Ordering::Acquire)
    }

    /// Readable once Ctrl-C was pressed, and for good.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `new` succeeded, so `install` has stored an open descriptor, which is never closed.
        unsafe { BorrowedFd::borrow_raw(EVENT.load(Ordering::Acquire)) }
    }

    /// Stops listening; returns whether nobody listens any more.
    pub(crate) fn leave(self) -> bool {
        std::mem::forget(self);
        LISTENERS.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::AcqRel);
    }
}
