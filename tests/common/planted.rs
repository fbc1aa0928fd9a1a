//! A bug to be found, for several test programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Two threads, each reading and then writing: some orders lose an update.
pub fn lost_update() -> u32 {
    let count = Arc::new(AtomicU32::new(0));
    let add = || {
        let count = count.clone();
        std::thread::spawn(move || {
            let seen = count.load(Ordering::SeqCst);
            std::thread::yield_now();
            count.store(seen + 1, Ordering::SeqCst);
        })
    };
    let threads = [add(), add()];
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
    count.load(Ordering::SeqCst)
}
