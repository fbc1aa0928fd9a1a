//! A flash sale: an order service that sells what an inventory service has, each an axum service on a host of its own, with reqwest
//! between them.
//!
//! [`Booking::CheckThenTake`] holds the planted bug: the order service asks how many pieces there are and takes one if there are
//! any, and somebody else may have taken the last one in between. [`Booking::Reserve`] leaves the decision to the inventory.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the order service comes by a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Booking {
    /// It asks whether there is one, and then takes it.
    CheckThenTake,
    /// It asks for one, and may be refused.
    Reserve,
}

/// What a shop has, as its database keeps it: it outlives the process of the inventory service.
#[derive(Debug, Default)]
pub struct Store(Mutex<Pieces>);

#[derive(Debug, Default)]
struct Pieces {
    left: i64,
    /// Orders that have got one.
    sold: BTreeSet<u64>,
}

impl Store {
    /// So many pieces.
    pub fn with(pieces: i64) -> Store {
        Store(Mutex::new(Pieces {
            left: pieces,
            sold: BTreeSet::new(),
        }))
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are left; fewer than none if too many were sold.
    pub fn left(&self) -> i64 {
        self.pieces().left
    }

    /// Takes one for an order, once however often it is asked.
    fn take(&self, order: u64) {
        let mut pieces = self.pieces();
        if pieces.sold.insert(order) {
            pieces.left -= 1;
        }
    }

    /// Takes one for an order if there is one, or if it has one already.
    fn reserve(&self, order: u64) -> bool {
        let mut pieces = self.pieces();
        if pieces.left <= 0 && !pieces.sold.contains(&order) {
            return false;
        }
        if pieces.sold.insert(order) {
            pieces.left -= 1;
        }
        true
    }
}

/// The inventory service.
///
/// # Errors
/// The address cannot be bound.
pub async fn inventory(address: &str, store: Arc<Store>) -> std::io::Result<()> {
    let left = async |State(store): State<Arc<Store>>| store.left().to_string();
    let take = async |State(store): State<Arc<Store>>, Path(order): Path<u64>| store.take(order);
    let reserve = async |State(store): State<Arc<Store>>, Path(order): Path<u64>| match store
        .reserve(order)
    {
        true => StatusCode::OK,
        false => StatusCode::CONFLICT,
    };
    let router = Router::new()
        .route("/left", get(left))
        .route("/take/{order}", post(take))
        .route("/reserve/{order}", post(reserve))
        .with_state(store);
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router).await
}

#[derive(Clone)]
struct Orders {
    client: reqwest::Client,
    inventory: String,
    booking: Booking,
}

impl Orders {
    /// 200 if the order has got a piece, 409 if there is none.
    async fn buy(&self, order: u64) -> reqwest::Result<StatusCode> {
        let Orders {
            client,
            inventory,
            booking,
        } = self;
        match booking {
            Booking::CheckThenTake => {
                let left = client.get(format!("{inventory}/left")).send().await?;
                let left: i64 = left.error_for_status()?.text().await?.parse().unwrap_or(0);
                if left <= 0 {
                    return Ok(StatusCode::CONFLICT);
                }
                let taken = client
                    .post(format!("{inventory}/take/{order}"))
                    .send()
                    .await?;
                Ok(taken.status())
            }
            Booking::Reserve => {
                let reserved = client
                    .post(format!("{inventory}/reserve/{order}"))
                    .send()
                    .await?;
                Ok(reserved.status())
            }
        }
    }
}

/// The order service, which asks the inventory at this URL.
///
/// # Errors
/// The address cannot be bound.
pub async fn orders(address: &str, inventory: &str, booking: Booking) -> std::io::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .build()
        .map_err(std::io::Error::other)?;
    let orders = Orders {
        client,
        inventory: inventory.to_owned(),
        booking,
    };
    let buy = async |State(orders): State<Orders>, Path(order): Path<u64>| {
        orders.buy(order).await.unwrap_or(StatusCode::BAD_GATEWAY)
    };
    let router = Router::new()
        .route("/buy/{order}", post(buy))
        .with_state(orders);
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, router).await
}

/// One customer: buys a piece, or learns that there is none. Returns whether it has got one.
///
/// # Errors
/// The shop cannot be reached, or does not know.
pub async fn buy(shop: &str, order: u64) -> Result<bool, Refused> {
    let client = reqwest::Client::new();
    let answer = client.post(format!("{shop}/buy/{order}")).send().await;
    match answer.map_err(|_| Refused::Unreachable)?.status() {
        StatusCode::OK => Ok(true),
        StatusCode::CONFLICT => Ok(false),
        _ => Err(Refused::Unknown),
    }
}

/// Why a customer does not know whether there is a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// No answer.
    Unreachable,
    /// The shop has none from its inventory.
    Unknown,
}
