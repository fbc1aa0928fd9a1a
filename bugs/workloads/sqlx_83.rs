//! sqlx: a web service with a pool of three connections to PostgreSQL, which is on another host. Requests come in bursts, write a line
//! or two, and would rather be turned away than wait long for a connection.
//!
//! The time limit is around the wait alone. A statement that is given up between the head and the body of a message from the server
//! leaves its connection without a place in the stream, and whoever takes that from the pool next waits for ever: another fault of
//! sqlx 0.2, which 0.2.5 still has.
//!
//! Property: when everybody has gone, the pool still serves as many connections as it may have.

use crate::postgres;
use crate::support::{self, draw, up_to};
use sqlx::postgres::PgConnection;
use sqlx::{Connect, Pool};
use std::time::Duration;
use tokio::time::{delay_for, timeout};

const SIZE: u32 = 3;
const URL: &str = "postgres://visitor@postgres/visits";

async fn handle(pool: Pool<PgConnection>) -> sqlx::Result<()> {
    let patience = Duration::from_millis(1 + draw(40));
    let Ok(connection) = timeout(patience, pool.acquire()).await else {
        return Ok(());
    };
    let mut connection = connection?;
    for _ in 0..1 + draw(2) {
        sqlx::query("INSERT INTO visits DEFAULT VALUES")
            .execute(&mut connection)
            .await?;
    }
    Ok(())
}

async fn clients(sim: &squall::Sim) -> Result<(), String> {
    sim.host_main("postgres", postgres::serve);
    // The server is still coming up.
    while PgConnection::connect(URL).await.is_err() {
        delay_for(Duration::from_millis(10)).await;
    }
    let pool = Pool::builder()
        .max_size(SIZE)
        .connect_timeout(Duration::from_secs(5));
    let pool = pool.build(URL).await.map_err(|error| error.to_string())?;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let pool = pool.clone();
        clients.push(tokio::spawn(async move {
            for _ in 0..2 {
                delay_for(up_to(5)).await;
                handle(pool.clone()).await?;
            }
            Ok::<(), sqlx::Error>(())
        }));
    }
    for client in clients {
        let ended = client.await.map_err(|error| error.to_string())?;
        ended.map_err(|error| error.to_string())?;
    }
    let mut connections = Vec::new();
    for i in 1..=SIZE {
        let got = pool.acquire().await;
        connections.push(got.map_err(|error| {
            format!("connection {i} of {SIZE}, with nobody else there: {error}")
        })?);
    }
    Ok(())
}

/// The runtime is built by hand: sqlx 0.2 wants one of tokio 0.2.
#[test]
fn impatient_requests() {
    squall::Builder::new().check_blocking(|sim| {
        let mut builder = tokio::runtime::Builder::new();
        match draw(2) {
            0 => builder.basic_scheduler(),
            _ => builder
                .threaded_scheduler()
                .core_threads(1 + draw(4) as usize),
        };
        let runtime = builder.enable_all().build();
        let mut runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(support::observe(&sim, clients(&sim)))
    });
}
