//! The questions and reports of a tokio that `cargo squall` instrumented. It finds the way in by a system call with a number
//! that Linux does not have, so that the copy of tokio needs no dependency on this crate and works in programs without it:
//! there the call fails, and tokio does what it always does. Here the answer is a [`Link`], which the thread shares with the
//! kernel from then on, and in it the [`Doors`], functions to be called for everything else.
//!
//! `cargo-squall/src/instrument/bridge.rs.txt` holds the other side; layouts, numbers and answers are agreed between the two.

use super::{raw, refuse, simulated};
use crate::kernel::Errno;
use crate::kernel::identity::{Link, Mark, Place, Poll};
use crate::kernel::thread;
use std::ffi::{c_long, c_void};

/// Asks for the calling thread's [`Link`]; the argument is the [`VERSION`] that the caller speaks.
const HELLO: c_long = 0x5a11_0000;
/// What is agreed between the two sides.
const VERSION: usize = 8;

/// Reads the numbers of tasks out of a queue, from this place in it on: so many, to this address.
type Tags = unsafe extern "C" fn(*const c_void, u32, *mut u32, u32);

/// What tokio may call, on a thread that has a link.
#[repr(C)]
struct Doors {
    pick: unsafe extern "C" fn(u32, *const c_void, Tags) -> u32,
    root: unsafe extern "C" fn(u32, *const c_void, Tags, u32) -> u32,
    among: unsafe extern "C" fn(u32, *const c_void, Tags) -> u32,
    point: extern "C" fn(u32),
    budget: extern "C" fn() -> u64,
    round: extern "C" fn(u32) -> u32,
    born: unsafe extern "C" fn(*const Birth) -> u32,
    polled: extern "C" fn(u32, u32),
    died: extern "C" fn(u32),
    mark: extern "C" fn(u32, usize),
    locking: extern "C" fn(),
    says: extern "C" fn(u32, usize, usize),
}

static DOORS: Doors = Doors {
    pick,
    root,
    among,
    point,
    budget,
    round,
    born,
    polled,
    died,
    mark,
    locking,
    says,
};

/// What tokio says about a task that is spawned.
#[repr(C)]
struct Birth {
    file: *const u8,
    file_len: usize,
    /// Null where it has no name.
    name: *const u8,
    name_len: usize,
    line: u32,
    column: u32,
}

/// The answer to an instrumented tokio's first question; `None` for every other system call.
#[inline]
pub(super) fn answer(n: c_long, a: usize) -> Option<c_long> {
    if n != HELLO {
        return None;
    }
    Some(hello(a))
}

#[cold]
fn hello(version: usize) -> c_long {
    if !simulated() {
        // The real system does not know the number either, and need not be asked.
        raw::set_errno(libc::ENOSYS);
        return -1;
    }
    if version != VERSION {
        let errno = refuse(
            "the order of tasks, asked for by another version of cargo-squall; install the one of the squall that the tests use",
            Errno::ENOSYS,
            false,
        );
        raw::set_errno(errno.0);
        return -1;
    }
    let link: &'static Link = thread::with_kernel(|k| k.link(&raw const DOORS as usize));
    std::ptr::from_ref(link) as c_long
}

/// Reads the numbers of the tasks in a queue from `first` on.
///
/// # Safety
/// The queue is one of tokio's and is not changed meanwhile, `tags` is for queues of its kind, and it has so many tasks.
unsafe fn read(queue: *const c_void, tags: Tags, first: u32, numbers: &mut [u32]) {
    // SAFETY: as above; it writes as many numbers as there is room for.
    unsafe { tags(queue, first, numbers.as_mut_ptr(), numbers.len() as u32) }
}

/// A task is about to be polled: which of `tasks` in `queue`?
unsafe extern "C" fn pick(tasks: u32, queue: *const c_void, tags: Tags) -> u32 {
    if !simulated() {
        return 0;
    }
    // SAFETY: the queue is the caller's and has so many tasks, and `tags` only looks.
    poll_one_of(tasks, |first, numbers| unsafe {
        read(queue, tags, first, numbers);
    })
}

/// The future of `block_on` can go on, and so can `tasks` in `queue`: which? 0 stands for the future, the tasks count from 1.
/// The future has waited longest, unless `last` says that no task has gone since it did.
unsafe extern "C" fn root(tasks: u32, queue: *const c_void, tags: Tags, last: u32) -> u32 {
    if !simulated() {
        return 0;
    }
    let root = if last == 0 { 0 } else { tasks };
    let picked = poll_one_of(tasks + 1, |first, numbers| {
        let at = root.saturating_sub(first) as usize;
        let (before, from) = numbers.split_at_mut(at.min(numbers.len()));
        // SAFETY: as above; the tasks before the future have its place or one before it, those behind it one more.
        unsafe { read(queue, tags, first, before) };
        if first > root {
            // SAFETY: as above.
            unsafe { read(queue, tags, first - 1, from) };
        } else if let [future, behind @ ..] = from {
            // A thread's number, which tokio need not be asked for.
            *future = 0;
            // SAFETY: as above.
            unsafe { read(queue, tags, root, behind) };
        }
    });
    match picked {
        at if at == root => 0,
        at => at + u32::from(at < root),
    }
}

#[inline]
fn poll_one_of(choices: u32, numbers: impl Fn(u32, &mut [u32])) -> u32 {
    let me = thread::me();
    let (index, next) = thread::with_kernel(|k| k.poll_one_of(choices, numbers));
    if next != me {
        switch_before_poll(me, next);
        thread::with_kernel(|k| k.budget_of_pick());
    }
    index
}

/// Lets `next` go on before the calling thread polls its task.
fn switch_before_poll(me: u32, next: u32) {
    thread::switch(me, next);
    thread::with_kernel(|k| k.polls_now());
}

/// A worker of a multi_thread runtime has `tasks` to poll, the one that tokio would take first and then those of its queue: which?
/// Nobody else goes on before the answer, for others could take tasks out of the queue; that comes at the poll itself, at [`point`].
unsafe extern "C" fn among(tasks: u32, queue: *const c_void, tags: Tags) -> u32 {
    if !simulated() {
        return 0;
    }
    thread::with_kernel(|k| {
        // SAFETY: as in `pick`.
        k.pick_on_worker(tasks, |first, numbers| unsafe {
            read(queue, tags, first, numbers);
        })
    })
}

/// A worker of a multi_thread runtime is about to poll `task`: another thread may go on first.
extern "C" fn point(task: u32) {
    if !simulated() {
        return;
    }
    let me = thread::me();
    let next = thread::with_kernel(|k| k.poll_on_worker(task));
    if next != me {
        switch_before_poll(me, next);
    }
}

/// tokio is about to take a lock of its own: another thread may go on first, as before an allocation.
extern "C" fn locking() {
    if simulated() {
        super::heap::step();
    }
}

/// The budget of the poll that begins, and from bit 8 on how many further polls on this thread need not ask.
extern "C" fn budget() -> u64 {
    if !simulated() {
        return 128;
    }
    let (budget, polls) = thread::with_kernel(|k| k.budget());
    budget | polls << 8
}

/// How many tasks are polled before the driver's turn, where tokio polls up to `interval`.
extern "C" fn round(interval: u32) -> u32 {
    if !simulated() {
        return interval;
    }
    thread::with_kernel(|k| k.polls_until_driver(u64::from(interval))) as u32
}

/// A task is spawned. The answer is its number.
unsafe extern "C" fn born(birth: *const Birth) -> u32 {
    if !simulated() {
        return 0;
    }
    // SAFETY: tokio passes a record of its own, which outlives the call.
    let birth = unsafe { &*birth };
    // SAFETY: the record says what a `&'static Location` says: the file's name is a constant of the program, in UTF-8.
    let file = unsafe {
        std::str::from_utf8_unchecked(std::slice::from_raw_parts(birth.file, birth.file_len))
    };
    let place = Place {
        file,
        line: birth.line,
        column: birth.column,
    };
    thread::with_kernel(|k| {
        let name = (!birth.name.is_null()).then(|| {
            // SAFETY: where there is a name, it is a `&str` that outlives the call.
            let bytes = unsafe { std::slice::from_raw_parts(birth.name, birth.name_len) };
            String::from_utf8_lossy(bytes).into()
        });
        k.task_born(place, name)
    })
}

/// A poll of a task begins (0), or ends and the task has to wait (1) or is ready (2).
extern "C" fn polled(task: u32, what: u32) {
    let poll = match what {
        0 => Poll::Begins,
        1 => Poll::Pending,
        _ => Poll::Ready,
    };
    if simulated() {
        thread::with_kernel(|k| k.task_polled(task, poll));
    }
}

/// Something happens within a poll, of a run that is recorded: `which` is a task, or the address of a semaphore.
extern "C" fn mark(what: u32, which: usize) {
    let mark = match what {
        0 => Mark::Leaf,
        1 => Mark::CutShort,
        2 => Mark::Kept,
        3 => Mark::Wakes(which as u32),
        4 => Mark::Acquires(which),
        _ => Mark::Releases(which),
    };
    if simulated() {
        thread::with_kernel(|k| k.task_mark(mark));
    }
}

/// Something that the detectors want to know: a task may block (0), its output is dropped and is a panic (1) or an error (2), nothing
/// can wake it (3); a future that waits for permits is polled (4), has got them (5) or is dropped (6).
extern "C" fn says(what: u32, which: usize, semaphore: usize) {
    if simulated() {
        thread::with_kernel(|k| k.task_says(what, which, semaphore));
    }
}

/// A task is over.
extern "C" fn died(task: u32) {
    if simulated() {
        thread::with_kernel(|k| k.task_died(task));
    }
}
