//! bb8: many workers on a small pool, each using a connection for next to no time, as a pool's benchmark does.
//!
//! Property: nobody waits for seconds. All that is ever done with the connections takes milliseconds.

use crate::crates::bb8_raced as bb8;
use crate::support::{self, draw};
use bb8::Pool;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Opens the connections.
struct Backend;

/// What the pool hands out.
#[derive(Debug)]
struct Connection;

#[async_trait::async_trait]
impl bb8::ManageConnection for Backend {
    type Connection = Connection;
    type Error = Infallible;

    async fn connect(&self) -> Result<Connection, Infallible> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(Connection)
    }

    async fn is_valid(&self, _: &mut Connection) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

const SIZE: u32 = 2;

async fn clients() -> Result<(), String> {
    let pool = Pool::builder()
        .max_size(SIZE)
        .connection_timeout(Duration::from_secs(5))
        .build(Backend);
    let pool = Arc::new(pool.await.map_err(|error| error.to_string())?);
    let mut workers = Vec::new();
    for worker in 0..6 {
        let pool = pool.clone();
        workers.push(tokio::spawn(async move {
            for turn in 0..5 {
                let got = pool.get().await;
                let connection =
                    got.map_err(|error| format!("worker {worker}, turn {turn}: {error}"))?;
                if draw(2) == 0 {
                    tokio::task::yield_now().await;
                }
                drop(connection);
            }
            Ok::<(), String>(())
        }));
    }
    for worker in workers {
        worker.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

#[squall::test]
async fn busy_workers(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
