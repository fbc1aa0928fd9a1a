//! A service that makes reports, with a pool of connections to a database that does eight things at a time well and more of them badly.
//!
//! Too small a pool keeps the database idle while requests wait; too large a one lets a spike of them onto the database all at once, where they
//! hold each other up, and there are the more of them. `scenarios/reports.toml` goes through the sizes.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the database does at a time without anybody noticing.
const CORES: u32 = 8;
/// How long a query takes then.
const QUERY: Duration = Duration::from_millis(100);

/// The queries that the database is at.
#[derive(Clone, Default)]
struct Busy(Arc<AtomicU32>);

impl Busy {
    /// One more, until what this returns is dropped.
    fn enter(&self) -> (Query, u32) {
        let now = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        (Query(self.clone()), now)
    }
}

struct Query(Busy);

impl Drop for Query {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The database: among more queries than it has cores, each takes longer than its share, as they contend for locks and caches.
///
/// # Errors
/// The address cannot be bound.
pub async fn database(address: &str) -> std::io::Result<()> {
    let query = async |State(busy): State<Busy>| {
        let (_query, now) = busy.enter();
        let crowd = f64::from(now.max(CORES)) / f64::from(CORES);
        tokio::time::sleep(QUERY.mul_f64(crowd.powf(1.5))).await;
    };
    let router = Router::new()
        .route("/query", get(query))
        .with_state(Busy::default());
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router).await
}

#[derive(Clone)]
struct Service {
    client: reqwest::Client,
    database: String,
    pool: Arc<Semaphore>,
}

impl Service {
    /// Asks the database as soon as a connection is free.
    async fn report(&self) -> StatusCode {
        // Nobody closes the pool.
        let Ok(_connection) = self.pool.acquire().await else {
            return StatusCode::SERVICE_UNAVAILABLE;
        };
        let asked = self.client.get(&self.database).send().await;
        asked.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status())
    }
}

/// The service, with so many connections to the database at this URL.
///
/// # Errors
/// The address cannot be bound.
pub async fn service(address: &str, database: &str, pool: usize) -> std::io::Result<()> {
    let service = Service {
        client: reqwest::Client::new(),
        database: format!("{database}/query"),
        pool: Arc::new(Semaphore::new(pool)),
    };
    let report = async |State(service): State<Service>| service.report().await;
    let router = Router::new()
        .route("/report", get(report))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router).await
}
