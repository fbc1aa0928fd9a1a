//! tokio's `broadcast`: followers of a feed that ends. A follower that has fallen behind starts over with what is new, from a
//! receiver of its own.
//!
//! Property: every follower learns that the feed is over.

use crate::support::{self, draw, up_to};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{sleep, timeout};

async fn follow(mut feed: broadcast::Receiver<u64>) {
    loop {
        match feed.recv().await {
            Ok(_) if draw(3) == 0 => sleep(up_to(4)).await,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => feed = feed.resubscribe(),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn clients() -> Result<(), String> {
    let (feed, follower) = broadcast::channel(4);
    let mut followers: Vec<_> = (0..3)
        .map(|_| tokio::spawn(follow(feed.subscribe())))
        .collect();
    followers.push(tokio::spawn(follow(follower)));
    for item in 0..20 {
        let _ = feed.send(item);
        if draw(2) == 0 {
            sleep(up_to(2)).await;
        }
    }
    drop(feed);
    for (i, follower) in followers.into_iter().enumerate() {
        match timeout(Duration::from_secs(60), follower).await {
            Ok(ended) => ended.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("follower {i} waits a minute after the feed ended")),
        }
    }
    Ok(())
}

#[squall::test]
async fn feed_that_ends(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
