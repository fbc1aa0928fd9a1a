//! A web service with a small pool of connections to its database.
//!
//! A client that hangs up takes its request along: axum drops the handler at whatever await it is. In the broken pool the permit
//! that stands for a connection is given back by a call at the end of the handler, which then never comes: after three such clients the
//! service is up and answers nobody. In the repaired one the permit is part of the lease, and goes back with it, however the handler ends.

use super::Variant;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections there are at most.
pub const SIZE: usize = 3;

struct Pool {
    database: String,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    variant: Variant,
}

struct Connection(BufReader<TcpStream>);

/// A connection, and the right to have one.
struct Lease {
    connection: Connection,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    async fn get(&self) -> io::Result<Lease> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.expect("it is never closed");
        let idle = self.idle.lock().expect("no panic").pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection(BufReader::new(TcpStream::connect(&self.database).await?)),
        };
        let permit = match self.variant {
            // The bug: from here on only `put` and `discard` know that there is a permit to give back.
            Variant::Broken => {
                permit.forget();
                None
            }
            // The repair: dropping the lease gives it back. A connection that is dropped in the middle of a query is closed:
            // its reply would be taken for that of the next one.
            Variant::Repaired => Some(permit),
        };
        Ok(Lease { connection, permit })
    }

    /// The connection can serve the next one.
    fn put(&self, lease: Lease) {
        self.idle.lock().expect("no panic").push(lease.connection);
        if lease.permit.is_none() {
            self.permits.add_permits(1);
        }
    }

    /// The connection is of no use any more.
    fn discard(&self, lease: Lease) {
        if lease.permit.is_none() {
            self.permits.add_permits(1);
        }
    }
}

impl Connection {
    async fn query(&mut self, query: &str) -> io::Result<String> {
        self.0.get_mut().write_all(query.as_bytes()).await?;
        let mut row = String::new();
        if self.0.read_line(&mut row).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(row)
    }
}

/// The service: `GET /row` asks the database, which speaks lines; `GET /free` says how many connections can be had.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, database: &str, variant: Variant) -> io::Result<()> {
    let pool = Arc::new(Pool {
        database: database.to_owned(),
        permits: Arc::new(Semaphore::new(SIZE)),
        idle: Mutex::default(),
        variant,
    });
    let router = Router::new()
        .route("/row", get(row))
        .route("/free", get(free))
        .with_state(pool);
    axum::serve(TcpListener::bind(address).await?, router).await
}

async fn row(State(pool): State<Arc<Pool>>) -> Result<String, StatusCode> {
    let unavailable = |_| StatusCode::SERVICE_UNAVAILABLE;
    let mut lease = pool.get().await.map_err(unavailable)?;
    match lease.connection.query("SELECT 1\n").await {
        Ok(row) => {
            pool.put(lease);
            Ok(row)
        }
        Err(error) => {
            pool.discard(lease);
            Err(unavailable(error))
        }
    }
}

async fn free(State(pool): State<Arc<Pool>>) -> String {
    pool.permits.available_permits().to_string()
}
