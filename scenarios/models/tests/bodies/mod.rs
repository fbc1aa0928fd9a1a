//! What the models do, whatever code they do it to.

use squall::sync::Arc;
use squall::thread;
use squall_models::{Between, Door, SpinLock, Unlock};

/// Both sides come to the door.
pub fn both_at_the_door<B: Between + 'static>() {
    let door = Arc::new(Door::<B>::default());
    let other = door.clone();
    let thread = thread::spawn(move || other.enter(1));
    let through = [door.enter(0), thread.join().unwrap()];
    assert_ne!(through, [true, true], "both went through");
}

/// Two threads count under the lock.
pub fn both_count<U: Unlock + 'static>() {
    let count = Arc::new(SpinLock::<u32, U>::new(0));
    let other = count.clone();
    let thread = thread::spawn(move || other.with(|count| *count += 1));
    count.with(|count| *count += 1);
    thread.join().unwrap();
    assert_eq!(count.with(|count| *count), 2, "an update was lost");
}

/// Twenty tasks are in at once, each of which lets the next one in, and whoever comes in tries whether a writer could.
#[cfg(not(loom))]
pub fn twenty_read<C: squall_models::Count + 'static>() {
    use squall_models::Readers;
    use std::pin::Pin;

    /// Whether a writer came in.
    fn read<C: squall_models::Count + 'static>(
        readers: Arc<Readers<C>>,
        left: u32,
    ) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        Box::pin(async move {
            let mut written = !readers.try_read() || readers.try_write();
            if left > 0 && !written {
                let next = tokio::spawn(read(readers.clone(), left - 1));
                written = next.await.unwrap();
            }
            readers.end_read();
            written
        })
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let readers = Arc::new(Readers::<C>::default());
    let first = runtime.spawn(read(readers.clone(), 19));
    let written = runtime.block_on(first).unwrap();
    assert!(!written, "a writer came in among readers");
    assert!(readers.try_write(), "nobody reads any longer");
}
