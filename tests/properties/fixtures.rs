//! Tests for the tests of properties. Each is ignored, and run by name with `drive`.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use squall::kernel::{Violation, tally, violate};

/// Two threads, each reading and then writing: some orders lose an update.
fn lost_update() -> u32 {
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
        thread.join().unwrap();
    }
    count.load(Ordering::SeqCst)
}

#[squall::test]
#[ignore]
fn violates() {
    let count = lost_update();
    tally("fixture", "runs", "here", 1);
    if count != 2 {
        violate(Violation {
            property: "no update is lost".to_owned(),
            detail: "an update was lost".to_owned(),
            values: vec![("count".to_owned(), count.to_string())],
            site: "tests/properties/fixtures.rs:1:1".to_owned(),
            ..Violation::default()
        });
    }
}

#[squall::test]
#[ignore]
async fn violates_on_a_host(sim: squall::Sim) {
    sim.host("shop", || async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        violate(Violation {
            property: "the shop is open".to_owned(),
            detail: "it is closed".to_owned(),
            ..Violation::default()
        });
        #[allow(unreachable_code)]
        ()
    });
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
}
