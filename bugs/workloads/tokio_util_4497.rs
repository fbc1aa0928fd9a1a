//! tokio-util's `CancellationToken`: a server whose acceptor shakes hands with a client before it hands the session over to a task
//! of its own. A session carries the future that tells it to stop.
//!
//! Property: when the token is cancelled, every session ends.

use crate::crates::tokio_util_token as tokio_util;
use crate::support::{self, draw, up_to};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

struct Session {
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    requests: u64,
}

async fn serve(mut session: Session) {
    for _ in 0..session.requests {
        tokio::select! {
            _ = &mut session.stop => return,
            _ = sleep(up_to(10)) => {}
        }
    }
    session.stop.await;
}

async fn clients() -> Result<(), String> {
    let token = CancellationToken::new();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let token = token.clone();
        let mut session = Session {
            stop: Box::pin(async move { token.cancelled().await }),
            requests: draw(4),
        };
        // Clients that take long to say hello are turned away, those that say it at once need not be waited for.
        if draw(2) == 0 {
            tokio::select! {
                _ = &mut session.stop => continue,
                _ = sleep(up_to(3)) => {}
            }
        }
        sessions.push(tokio::spawn(serve(session)));
    }
    sleep(up_to(20)).await;
    token.cancel();
    for (i, session) in sessions.into_iter().enumerate() {
        match timeout(Duration::from_secs(60), session).await {
            Ok(ended) => ended.map_err(|error| error.to_string())?,
            Err(_) => {
                return Err(format!(
                    "session {i} goes on a minute after it was cancelled"
                ));
            }
        }
    }
    Ok(())
}

#[squall::test]
async fn handed_over_sessions(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
