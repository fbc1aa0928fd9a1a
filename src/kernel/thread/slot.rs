//! Slots: the real pthreads that carry simulated threads, and their pool.
//!
//! A slot is born as a real pthread, so that its thread control block, thread-local storage and stack are what glibc, std
//! and tokio expect. In context mode its kernel thread then leaves that stack for ever and parks, and the carrier runs the
//! context from then on. At the end of a simulated thread its thread-local storage is put back to the image taken at birth,
//! and the slot serves the next one. Slots survive `fork`, which copies memory but no kernel threads; their stacks are our
//! own, because glibc would hand the stacks of threads that a fork left behind to somebody else.

use super::baton::Baton;
use super::context::{self, Context};
use crate::kernel::abi::raw;
use std::ffi::c_void;
use std::sync::atomic::AtomicU32;

/// The stack of a slot, in bytes: what std gives its threads by default.
pub(super) const STACK: usize = 2 << 20;
const GUARD: usize = 64 << 10;
/// Where stacks begin: far from everything that the system places by itself, and from the program's heap.
pub(super) const STACKS: usize = 0x1800_0000_0000;
/// Where those begin that are larger than usual, and how far apart they are.
const LARGE_STACKS: usize = 0x1c00_0000_0000;
const LARGE_APART: usize = 1 << 30;
/// The stack on which a slot's kernel thread waits for ever.
const PARKING: usize = 16 << 10;
/// The stack for signal handlers of an OS thread.
const HANDLERS: usize = 64 << 10;

/// The signature of a thread's start routine.
pub(crate) type Start = extern "C" fn(*mut c_void) -> *mut c_void;
/// A destructor registered with `__cxa_thread_atexit_impl`.
pub(crate) type Destructor = unsafe extern "C" fn(*mut c_void);

/// One real pthread and what is needed to run simulated threads on it.
pub(crate) struct Slot {
    pub(super) context: Context,
    pub(super) baton: Baton,
    /// The address of its thread control block: its `pthread_t`.
    pub(crate) handle: usize,
    /// The usable stack: lowest address and size in bytes.
    pub(crate) stack: (usize, usize),
    /// Where the context's stack begins, growing downwards.
    top: usize,
    /// The executable's thread-local block: its address and its image at birth.
    pub(super) tls: usize,
    pub(super) image: Box<[u8]>,
    /// What of the stack other threads have touched: offsets, from the first to one past the last.
    pub(super) foreign: (usize, usize),
    pub(super) start: Option<(Start, *mut c_void)>,
    /// The simulated thread that it carries.
    pub(super) thread: u32,
    /// Thread-local destructors to run at the end, last registered first.
    pub(crate) destructors: Vec<(Destructor, *mut c_void)>,
    /// Its last thread was abandoned, so values of pthread keys may be left.
    pub(super) abandoned: bool,
    pub(super) free: bool,
    born: Baton,
    os: bool,
}

/// Where the executable's thread-local block lies for the calling thread, and its size.
fn tls_block() -> (usize, usize) {
    unsafe extern "C" fn first(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        out: *mut c_void,
    ) -> libc::c_int {
        // SAFETY: dl_iterate_phdr passes a valid record, and `out` is the pair given to it below.
        let (info, out) = unsafe { (&*info, &mut *out.cast::<(usize, usize)>()) };
        for i in 0..usize::from(info.dlpi_phnum) {
            // SAFETY: the array has dlpi_phnum entries.
            let header = unsafe { &*info.dlpi_phdr.add(i) };
            if header.p_type == libc::PT_TLS {
                *out = (info.dlpi_tls_data as usize, header.p_memsz as usize);
            }
        }
        1 // the executable comes first; stop after it
    }
    let mut out = (0usize, 0usize);
    // SAFETY: the callback matches the signature, and the pair outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut out).cast()) };
    out
}

fn map(size: usize) -> usize {
    map_near(0, size)
}

/// Maps memory at `wish` if nothing is there, and somewhere else otherwise.
fn map_near(wish: usize, size: usize) -> usize {
    // SAFETY: an anonymous mapping at an address of the system's choice touches nothing that exists.
    let at = unsafe {
        libc::mmap(
            wish as *mut c_void,
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
            -1,
            0,
        )
    };
    assert!(
        at != libc::MAP_FAILED,
        "squall bug: no memory for a thread stack of {size} bytes"
    );
    at as usize
}

type PthreadCreate = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    extern "C" fn(*mut c_void) -> *mut c_void,
    *mut c_void,
) -> libc::c_int;

fn create(
    slot: *mut Slot,
    stack: (usize, usize),
    start: extern "C" fn(*mut c_void) -> *mut c_void,
) {
    #[unsafe(link_section = "squall_keep")]
    static CREATE: raw::Next = raw::Next::new(c"pthread_create");
    // SAFETY: the address is that of libc's pthread_create, whose signature the type repeats.
    let create: PthreadCreate = unsafe { std::mem::transmute(CREATE.address()) };
    let mut handle: libc::pthread_t = 0;
    // SAFETY: the attribute object is initialised before use; the stack is a fresh mapping that nothing else uses and that
    // is never unmapped; `slot` lives for ever.
    let r = unsafe {
        let mut attr: libc::pthread_attr_t = std::mem::zeroed();
        libc::pthread_attr_init(&mut attr);
        libc::pthread_attr_setstack(&mut attr, stack.0 as *mut c_void, stack.1);
        let r = create(&mut handle, &attr, start, slot.cast());
        libc::pthread_attr_destroy(&mut attr);
        r
    };
    assert!(r == 0, "squall bug: pthread_create failed with error {r}");
}

/// The first code on a new slot's pthread.
extern "C" fn birth(slot: *mut c_void) -> *mut c_void {
    let slot = slot.cast::<Slot>();
    let here = 0u8;
    // SAFETY: the creator waits for `born` and does not touch the slot meanwhile; the slot lives for ever.
    unsafe {
        let s = &mut *slot;
        block_signals(s.os);
        s.handle = libc::pthread_self() as usize;
        let (tls, size) = tls_block();
        s.tls = tls;
        s.image = std::slice::from_raw_parts(tls as *const u8, size).into();
        if s.os {
            raw::filter_alone();
            s.born.pass();
            s.baton.wait();
            super::life::run_os_thread(slot);
            return std::ptr::null_mut();
        }
        s.top = (&raw const here as usize - 4096) & !63;
        s.handle = context::fs_base();
        let parking = map(PARKING);
        context::abandon(parking + PARKING, park, slot.cast())
    }
}

/// The rest of a slot's kernel thread's life: say that the stack is free, then wait for ever.
unsafe extern "C" fn park(slot: *mut c_void) -> ! {
    // SAFETY: the slot lives for ever; `born` is the only field touched from here, and atomically.
    unsafe { &(*slot.cast::<Slot>()).born }.pass_unfiltered();
    // The carrier may be running by now.
    let never = AtomicU32::new(0);
    loop {
        raw::futex_wait_unfiltered(&never, 0);
    }
}

/// Blocks the signals that come from outside. An OS thread that will run simulated code keeps those that its own
/// instructions raise, and gets a stack for their handlers.
fn block_signals(os: bool) {
    // SAFETY: the set is initialised by sigfillset before it is used; the stack is a fresh mapping that is never unmapped.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        if os {
            for signal in [
                libc::SIGSEGV,
                libc::SIGBUS,
                libc::SIGILL,
                libc::SIGFPE,
                libc::SIGSYS,
                libc::SIGTRAP,
                libc::SIGABRT,
            ] {
                libc::sigdelset(&mut set, signal);
            }
            let stack = libc::stack_t {
                ss_sp: map(HANDLERS) as *mut c_void,
                ss_flags: 0,
                ss_size: HANDLERS,
            };
            raw::call6_unfiltered(
                libc::SYS_sigaltstack,
                [&raw const stack as usize, 0, 0, 0, 0, 0],
            );
        }
        raw::call6_unfiltered(
            libc::SYS_rt_sigprocmask,
            [
                libc::SIG_SETMASK as usize,
                &raw const set as usize,
                0,
                8,
                0,
                0,
            ],
        );
    }
}

impl Slot {
    /// A new slot with at least `stack` bytes of stack. Must not be called while kernel state is borrowed by a simulated
    /// call that could re-enter: libc's own thread creation allocates and maps memory.
    ///
    /// `number` counts the slots that there are of the usual size, or of others. Stacks lie in the order of the numbers, so
    /// that what a program keeps on a stack has the same address in each run of a seed.
    pub(super) fn new(number: usize, stack: usize, os: bool) -> *mut Slot {
        let size = stack.max(STACK).next_multiple_of(4096);
        let base = match size {
            STACK => map_near(STACKS + number * (GUARD + STACK), size + GUARD),
            _ => map_near(LARGE_STACKS + number * LARGE_APART, size + GUARD),
        };
        // SAFETY: the range is the low part of the mapping just made.
        unsafe { libc::mprotect(base as *mut c_void, GUARD, libc::PROT_NONE) };
        let slot = Box::into_raw(Box::new(Slot {
            context: Context::empty(),
            baton: Baton::default(),
            handle: 0,
            stack: (base + GUARD, size),
            top: 0,
            tls: 0,
            image: Box::default(),
            foreign: (0, 0),
            start: None,
            thread: u32::MAX,
            destructors: Vec::new(),
            abandoned: false,
            free: true,
            born: Baton::default(),
            os,
        }));
        create(slot, (base + GUARD, size), birth);
        // SAFETY: the slot lives for ever, and `born` is atomic.
        unsafe { &(*slot).born }.wait();
        slot
    }

    /// Prepares the slot to run `start(arg)` as simulated thread `thread` when it is switched to.
    pub(super) fn load(&mut self, thread: u32, start: Start, arg: *mut c_void) {
        self.thread = thread;
        self.start = Some((start, arg));
        self.foreign = (0, 0);
        if !self.os {
            let me = (&raw mut *self).cast();
            // SAFETY: the stack below `top` belongs to nobody: the kernel thread has left it, and the slot's last
            // simulated thread is over or abandoned. The control block is the slot's own. `run_context` never returns.
            self.context =
                unsafe { Context::new(self.top, self.handle, super::life::run_context, me) };
        }
    }

    /// Puts thread-local storage back to its image at birth. In context mode only: an OS thread ends for real instead.
    ///
    /// # Safety
    /// No simulated thread may be using the slot's thread-local storage, except the caller itself right before it switches
    /// away for good.
    pub(super) unsafe fn restore_tls(&mut self) {
        self.destructors.clear();
        if !self.os {
            // SAFETY: `tls` is the block of this slot's thread, as long as the image; the caller vouches for its users.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    self.image.as_ptr(),
                    self.tls as *mut u8,
                    self.image.len(),
                );
            }
        }
    }

    /// Whether it is a context, not an OS thread.
    pub(super) fn is_context(&self) -> bool {
        !self.os
    }

    /// The guard below the stack: lowest address and size.
    pub(crate) fn guard(&self) -> (usize, usize) {
        (self.stack.0 - GUARD, GUARD)
    }
}
