//! Thread-specific data of pthread keys: which keys exist, and their destructors at a thread's end.
//!
//! libc keeps the values; since a slot's pthread never really ends, its values are destroyed or forgotten from here.

use crate::kernel::abi::raw::next;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

type KeyDestructor = unsafe extern "C" fn(*mut c_void);

/// glibc's `PTHREAD_KEYS_MAX`.
const KEYS: usize = 1024;
/// How often destructors are run again for values that destructors set: `PTHREAD_DESTRUCTOR_ITERATIONS`.
const ROUNDS: usize = 4;
const UNUSED: usize = 0;
const NO_DESTRUCTOR: usize = 1;

#[unsafe(link_section = "squall_keep")]
static TABLE: [AtomicUsize; KEYS] = [const { AtomicUsize::new(UNUSED) }; KEYS];
/// One more than the largest key in use.
#[unsafe(link_section = "squall_keep")]
static TOP: AtomicUsize = AtomicUsize::new(0);

/// The keys that may be in use.
fn in_use() -> impl Iterator<Item = (usize, &'static AtomicUsize)> {
    TABLE.iter().take(TOP.load(Ordering::Acquire)).enumerate()
}

/// libc created a key.
pub(crate) fn key_created(key: libc::pthread_key_t, destructor: Option<KeyDestructor>) {
    let key = key as usize;
    if key < KEYS {
        let value = destructor.map_or(NO_DESTRUCTOR, |d| d as usize);
        TABLE[key].store(value, Ordering::Release);
        TOP.fetch_max(key + 1, Ordering::AcqRel);
    }
}

/// libc deleted a key.
pub(crate) fn key_deleted(key: libc::pthread_key_t) {
    if let Some(place) = TABLE.get(key as usize) {
        place.store(UNUSED, Ordering::Release);
    }
}

fn get(key: usize) -> *mut c_void {
    next!(
        c"pthread_getspecific",
        fn(libc::pthread_key_t) -> *mut c_void,
        key as libc::pthread_key_t
    )
}

fn clear(key: usize) {
    next!(
        c"pthread_setspecific",
        fn(libc::pthread_key_t, *const c_void) -> libc::c_int,
        key as libc::pthread_key_t,
        std::ptr::null()
    );
}

/// The keys that existed at some moment.
pub(super) struct Mark {
    known: Vec<bool>,
}

/// Remembers which keys exist.
pub(super) fn mark() -> Mark {
    Mark {
        known: TABLE
            .iter()
            .map(|k| k.load(Ordering::Acquire) != UNUSED)
            .collect(),
    }
}

impl Mark {
    /// Deletes the keys that were created since: the statics that held them are about to forget them.
    pub(super) fn delete_newer(&self) {
        for (key, place) in in_use() {
            if !self.known[key] && place.swap(UNUSED, Ordering::AcqRel) != UNUSED {
                next!(
                    c"pthread_key_delete",
                    fn(libc::pthread_key_t) -> libc::c_int,
                    key as libc::pthread_key_t
                );
            }
        }
    }
}

/// Destroys the calling thread's values. Returns whether any destructor ran.
pub(super) fn run_destructors() -> bool {
    let mut ran = false;
    for _ in 0..ROUNDS {
        let mut again = false;
        for (key, place) in in_use() {
            let destructor = place.load(Ordering::Acquire);
            if destructor == UNUSED {
                continue;
            }
            let value = get(key);
            if value.is_null() {
                continue;
            }
            clear(key);
            if destructor != NO_DESTRUCTOR {
                again = true;
                // SAFETY: the address was given to pthread_key_create as a destructor.
                let destructor: KeyDestructor = unsafe { std::mem::transmute(destructor) };
                // SAFETY: the value is what the thread stored under this key, as the destructor expects.
                unsafe { destructor(value) };
            }
        }
        if !again {
            break;
        }
        ran = true;
    }
    ran
}

/// Forgets the values that an abandoned thread left behind, without destroying them.
pub(super) fn forget_values() {
    for (key, place) in in_use() {
        if place.load(Ordering::Acquire) != UNUSED && !get(key).is_null() {
            clear(key);
        }
    }
}
