//! moka: loads are coalesced, entries expire on the program's clock, capacity holds, listeners hear of evictions.
use crate::support::{Stopwatch, ms};
use moka::future::Cache;
use moka::notification::RemovalCause;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;
use tokio::time::sleep;

#[squall::test]
async fn concurrent_misses_load_once() {
    let cache: Cache<u32, String> = Cache::new(100);
    let loads = Arc::new(AtomicU32::new(0));
    let watch = Stopwatch::start();
    let mut readers = JoinSet::new();
    for n in 0..12u32 {
        let (cache, loads) = (cache.clone(), loads.clone());
        readers.spawn(async move {
            let load = async {
                loads.fetch_add(1, Ordering::SeqCst);
                sleep(ms(50)).await;
                format!("value {}", n % 3)
            };
            assert_eq!(
                cache.get_with(n % 3, load).await,
                format!("value {}", n % 3)
            );
        });
    }
    readers.join_all().await;
    assert_eq!(loads.load(Ordering::SeqCst), 3);
    watch.within(ms(50), ms(90));

    // A load that fails is not remembered, and everyone waiting for it hears of the failure.
    let failed = cache
        .try_get_with(9, async { Err::<String, _>("no such row") })
        .await;
    assert_eq!(*failed.unwrap_err(), "no such row");
    assert_eq!(cache.get(&9).await, None);
}

#[squall::test]
async fn entries_live_and_idle_for_as_long_as_told() {
    let cache: Cache<&str, u32> = Cache::builder()
        .time_to_live(ms(300))
        .time_to_idle(ms(120))
        .build();
    cache.insert("idle", 1).await;
    cache.insert("used", 2).await;
    for _ in 0..3 {
        sleep(ms(80)).await;
        assert_eq!(cache.get("used").await, Some(2));
    }
    assert_eq!(cache.get("idle").await, None, "not touched for 240 ms");
    sleep(ms(80)).await;
    assert_eq!(cache.get("used").await, None, "used, but older than 300 ms");
}

#[squall::test]
async fn capacity_is_kept_and_evictions_are_heard() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = heard.clone();
    let cache: Cache<u32, u32> = Cache::builder()
        .max_capacity(10)
        .eviction_listener(move |key, _, cause| listener.lock().unwrap().push((*key, cause)))
        .build();
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let cache = cache.clone();
        writers.spawn(async move {
            for n in 0..25 {
                cache.insert(writer * 100 + n, n).await;
                tokio::task::yield_now().await;
            }
        });
    }
    writers.join_all().await;
    cache.run_pending_tasks().await;
    assert_eq!(cache.entry_count(), 10);
    cache.invalidate_all();
    cache.run_pending_tasks().await;
    assert_eq!(cache.entry_count(), 0);
    let heard = heard.lock().unwrap();
    assert_eq!(
        heard
            .iter()
            .filter(|(_, cause)| *cause == RemovalCause::Size)
            .count(),
        90
    );
    assert_eq!(
        heard
            .iter()
            .filter(|(_, cause)| *cause == RemovalCause::Explicit)
            .count(),
        10
    );
}

#[squall::test]
fn the_sync_cache_serves_plain_threads() {
    let cache: moka::sync::Cache<u32, u32> =
        moka::sync::Cache::builder().time_to_live(ms(100)).build();
    let loads = AtomicU32::new(0);
    let load = |key: u32| {
        cache.get_with(key, || {
            loads.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(ms(5));
            key * key
        })
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let load = &load;
            scope.spawn(move || {
                (0..8).for_each(|n| assert_eq!(load((n + thread) % 8), ((n + thread) % 8).pow(2)))
            });
        }
    });
    assert_eq!(loads.load(Ordering::SeqCst), 8);
    std::thread::sleep(ms(150));
    assert_eq!(load(3), 9);
    assert_eq!(loads.load(Ordering::SeqCst), 9);
}
