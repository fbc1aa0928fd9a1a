//! A trip is a flight, a room and a car, each booked at a service of its own: all three, or none.
//!
//! There is no transaction across them, so what was booked is cancelled when something later fails: a saga. The broken
//! coordinator cancels with `?`: one cancellation that fails ends them all, and the customer pays for a room without a flight. The repaired one goes on
//! until each has succeeded; cancelling twice, or what was never booked, does nothing.

use super::Variant;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use std::io;
use std::time::Duration;
use tokio::net::TcpListener;

/// The services, in the order of the bookings.
pub const SERVICES: [&str; 3] = ["flights", "rooms", "cars"];

#[derive(Clone)]
struct Coordinator {
    client: reqwest::Client,
    variant: Variant,
}

/// The coordinator: `POST /trip/{id}` books it, with 200, or 409 if it could not be. The services take
/// `POST http://{service}/book/{id}` and `POST http://{service}/cancel/{id}`.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, variant: Variant) -> io::Result<()> {
    let coordinator = Coordinator {
        client: reqwest::Client::new(),
        variant,
    };
    let trip = async |State(coordinator): State<Coordinator>, Path(id): Path<u64>| {
        // The saga outlives a client that hangs up.
        let saga = tokio::spawn(async move { coordinator.book(id).await });
        match saga.await {
            Ok(Ok(true)) => StatusCode::OK,
            Ok(Ok(false)) => StatusCode::CONFLICT,
            Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    };
    let router = Router::new()
        .route("/trip/{id}", post(trip))
        .with_state(coordinator);
    axum::serve(TcpListener::bind(address).await?, router).await
}

impl Coordinator {
    async fn call(&self, service: &str, what: &str, id: u64) -> reqwest::Result<()> {
        let url = format!("http://{service}/{what}/{id}");
        self.client.post(url).send().await?.error_for_status()?;
        Ok(())
    }

    async fn book(&self, id: u64) -> reqwest::Result<bool> {
        for (i, service) in SERVICES.iter().enumerate() {
            if self.call(service, "book", id).await.is_err() {
                // What failed may have been booked all the same: it is cancelled, too.
                let booked = &SERVICES[..=i];
                match self.variant {
                    Variant::Broken => self.compensate_once(booked, id).await?,
                    Variant::Repaired => self.compensate(booked, id).await,
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The bug: the first cancellation that fails is the last.
    async fn compensate_once(&self, booked: &[&str], id: u64) -> reqwest::Result<()> {
        for service in booked.iter().rev() {
            self.call(service, "cancel", id).await?;
        }
        Ok(())
    }

    /// The repair: a compensation may be late, but it may not fail.
    async fn compensate(&self, booked: &[&str], id: u64) {
        for service in booked.iter().rev() {
            let mut pause = Duration::from_millis(50);
            while self.call(service, "cancel", id).await.is_err() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}
