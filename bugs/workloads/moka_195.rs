//! moka: handlers that all want the same few entries of a cold cache. A cache without expiry or bound has each entry loaded by
//! the first who asks.
//!
//! Property: each entry is loaded once.

use crate::support::{self, draw, up_to};
use moka::future::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const KEYS: usize = 2;

async fn clients() -> Result<(), String> {
    let cache: Cache<usize, u32> = Cache::new(1_000);
    let loads = Arc::new([const { AtomicU32::new(0) }; KEYS]);
    let mut handlers = Vec::new();
    for _ in 0..8 {
        let (cache, loads) = (cache.clone(), loads.clone());
        handlers.push(tokio::spawn(async move {
            for _ in 0..3 {
                if draw(2) == 0 {
                    tokio::time::sleep(up_to(2)).await;
                }
                let key = draw(KEYS as u64) as usize;
                let load = async {
                    if draw(2) == 0 {
                        tokio::time::sleep(up_to(2)).await;
                    }
                    loads[key].fetch_add(1, SeqCst)
                };
                cache.get_with(key, load).await;
            }
        }));
    }
    for handler in handlers {
        handler.await.map_err(|error| error.to_string())?;
    }
    for (key, loads) in loads.iter().enumerate() {
        let loads = loads.load(SeqCst);
        if loads > 1 {
            return Err(format!("entry {key} was loaded {loads} times"));
        }
    }
    Ok(())
}

#[squall::test]
async fn cold_cache(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
