//! bb8: a web service whose clients go away. Each request takes a connection from a small pool and uses it for a while; some
//! clients hang up early, and the server then aborts the handler, wherever it is.
//!
//! Property: when everybody has gone, the pool still serves as many connections as it may have.

use crate::crates::{bb8_queued as bb8, tokio_03 as tokio};
use crate::support::{self, draw, up_to};
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

    async fn is_valid(&self, _: &mut bb8::PooledConnection<'_, Backend>) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

const SIZE: u32 = 3;

async fn handle(pool: Arc<Pool<Backend>>) {
    if let Ok(connection) = pool.get().await {
        tokio::time::sleep(up_to(8)).await;
        drop(connection);
    }
}

async fn clients() -> Result<(), String> {
    let pool = Pool::builder()
        .max_size(SIZE)
        .connection_timeout(Duration::from_secs(5))
        .build(Backend);
    let pool = Arc::new(pool.await.map_err(|error| error.to_string())?);
    let mut clients = Vec::new();
    for _ in 0..12 {
        let pool = pool.clone();
        clients.push(tokio::spawn(async move {
            for _ in 0..2 {
                tokio::time::sleep(up_to(5)).await;
                let handler = tokio::spawn(handle(pool.clone()));
                if draw(2) == 0 {
                    tokio::time::sleep(up_to(20)).await;
                    handler.abort();
                }
                // An aborted handler says so, and nobody is there to hear it.
                let _ = handler.await;
            }
        }));
    }
    for client in clients {
        client.await.map_err(|error| error.to_string())?;
    }
    let mut connections = Vec::new();
    for i in 1..=SIZE {
        let got = pool.get().await;
        connections.push(got.map_err(|error| {
            format!("connection {i} of {SIZE}, with nobody else there: {error}")
        })?);
    }
    Ok(())
}

/// The runtime is built by hand: bb8 0.6 wants one of tokio 0.3.
#[test]
fn aborted_requests() {
    squall::Builder::new().check_blocking(|sim| {
        let mut builder = match draw(2) {
            0 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder
            .worker_threads(1 + draw(8) as usize)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(support::observe(&sim, clients()))
    });
}
