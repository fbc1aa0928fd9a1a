//! tokio's timers on several workers: connections that send a heartbeat now and then, and make requests with a time limit that is
//! seldom reached.
//!
//! Property: every timer fires, and not long after it is due.

use crate::support::{self, draw, up_to};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const LATE: Duration = Duration::from_millis(100);

async fn heartbeats(beats: u64) -> Result<(), String> {
    for beat in 0..beats {
        if draw(2) == 0 {
            let _ = timeout(up_to(2_000), sleep(up_to(20))).await;
        }
        let due = Instant::now() + up_to(2_000);
        sleep(due - Instant::now()).await;
        let late = due.elapsed();
        if late > LATE {
            return Err(format!("beat {beat} came {late:?} late"));
        }
    }
    Ok(())
}

async fn clients() -> Result<(), String> {
    // Whoever looks at the clock once a minute wakes a driver that has forgotten a timer, if nobody else does.
    tokio::spawn(async {
        loop {
            sleep(Duration::from_secs(60)).await;
        }
    });
    let connections: Vec<_> = (0..5)
        .map(|_| tokio::spawn(heartbeats(5 + draw(15))))
        .collect();
    for connection in connections {
        connection.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

#[squall::test(flavor = "multi_thread")]
async fn many_heartbeats(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
