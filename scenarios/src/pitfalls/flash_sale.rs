//! A flash sale: replicas of a shop sell what an inventory service has, over HTTP.
//!
//! The broken shop reads the stock, takes the payment, and writes back what it has read less one. Two customers who are in the
//! payment at once buy the same item, and the inventory does not even show it. The repaired shop reserves: the inventory
//! takes an item out in one step, if there is one, and gets it back if the payment fails.

use super::Variant;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// The inventory service, with so much in stock: `GET /stock`, `PUT /stock/{n}`, `POST /take`, `POST /give`.
///
/// # Errors
/// If the address cannot be bound.
pub async fn inventory(address: &str, stock: i64) -> io::Result<()> {
    type Stock = State<Arc<Mutex<i64>>>;
    let read = async |State(stock): Stock| stock.lock().expect("no panic").to_string();
    let write = async |State(stock): Stock, Path(left): Path<i64>| {
        *stock.lock().expect("no panic") = left;
    };
    let take = async |State(stock): Stock| {
        let mut stock = stock.lock().expect("no panic");
        if *stock == 0 {
            return StatusCode::CONFLICT;
        }
        *stock -= 1;
        StatusCode::OK
    };
    let give = async |State(stock): Stock| *stock.lock().expect("no panic") += 1;
    let router = Router::new()
        .route("/stock", get(read))
        .route("/stock/{left}", put(write))
        .route("/take", post(take))
        .route("/give", post(give))
        .with_state(Arc::new(Mutex::new(stock)));
    axum::serve(TcpListener::bind(address).await?, router).await
}

/// A replica of the shop: `POST /buy` is answered with 200, or with 410 when everything is sold.
///
/// # Errors
/// If the address cannot be bound.
pub async fn shop(address: &str, inventory: &str, variant: Variant) -> io::Result<()> {
    let shop = Shop {
        client: reqwest::Client::new(),
        inventory: inventory.to_owned(),
    };
    let buy = async move |State(shop): State<Shop>| {
        let sold = match variant {
            Variant::Broken => shop.buy_racing().await,
            Variant::Repaired => shop.buy().await,
        };
        match sold {
            Ok(true) => StatusCode::OK,
            Ok(false) => StatusCode::GONE,
            Err(_) => StatusCode::BAD_GATEWAY,
        }
    };
    let router = Router::new().route("/buy", post(buy)).with_state(shop);
    axum::serve(TcpListener::bind(address).await?, router).await
}

#[derive(Clone)]
struct Shop {
    client: reqwest::Client,
    inventory: String,
}

impl Shop {
    /// The card is charged; the bank takes its time.
    async fn payment(&self) -> bool {
        tokio::time::sleep(Duration::from_millis(20)).await;
        true
    }

    /// The bug: between reading and writing the stock another replica does the same.
    async fn buy_racing(&self) -> reqwest::Result<bool> {
        let url = format!("{}/stock", self.inventory);
        let stock = self.client.get(&url).send().await?.text().await?;
        let stock: i64 = stock.parse().unwrap_or(0);
        if stock == 0 || !self.payment().await {
            return Ok(false);
        }
        let left = format!("{url}/{}", stock - 1);
        self.client.put(left).send().await?.error_for_status()?;
        Ok(true)
    }

    /// The repair: an item is the customer's before the payment begins.
    async fn buy(&self) -> reqwest::Result<bool> {
        let take = format!("{}/take", self.inventory);
        let taken = self.client.post(take).send().await?;
        if taken.status() == StatusCode::CONFLICT {
            return Ok(false);
        }
        taken.error_for_status()?;
        if !self.payment().await {
            let give = format!("{}/give", self.inventory);
            self.client.post(give).send().await?.error_for_status()?;
            return Ok(false);
        }
        Ok(true)
    }
}

/// Tries to buy an item of the shop at `url`; true if it was sold.
///
/// # Errors
/// If the shop cannot be reached or fails.
pub async fn buy(client: &reqwest::Client, url: &str) -> reqwest::Result<bool> {
    let answer = client.post(format!("{url}/buy")).send().await?;
    if answer.status() == StatusCode::GONE {
        return Ok(false);
    }
    answer.error_for_status().map(|_| true)
}
