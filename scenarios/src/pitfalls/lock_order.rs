//! Orders under one lock, their journal under another.
//!
//! Placing and confirming an order take the orders first, then the journal, and hold both while the journal is written. Cancelling
//! one, which only happens after its payment has failed twice, takes them the other way round in the broken service. If another order is
//! placed at that moment, each holds what the other wants, and the service never answers again. In the repaired one everybody
//! takes the orders first.

use super::{Variant, lines};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How often a payment is tried.
const ATTEMPTS: u32 = 2;

struct Service {
    /// The orders that are open.
    orders: Mutex<BTreeSet<String>>,
    journal: Mutex<Journal>,
    payments: String,
    variant: Variant,
}

#[derive(Default)]
struct Journal(Vec<String>);

impl Journal {
    /// Writes an entry; the disk takes half a millisecond.
    async fn append(&mut self, entry: String) {
        tokio::time::sleep(Duration::from_micros(500)).await;
        self.0.push(entry);
    }
}

/// Serves `ORDER id` at `address`: `CONFIRMED` or `CANCELLED`. A payment is a line `CHARGE id` to `payments`, which answers `PAID`.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, payments: &str, variant: Variant) -> io::Result<()> {
    let service = Arc::new(Service {
        orders: Mutex::default(),
        journal: Mutex::default(),
        payments: payments.to_owned(),
        variant,
    });
    lines::serve(address, move |request| {
        let service = service.clone();
        async move {
            match request.strip_prefix("ORDER ") {
                Some(id) => service.order(id).await,
                None => "WHAT".to_owned(),
            }
        }
    })
    .await
}

impl Service {
    async fn order(&self, id: &str) -> String {
        self.note(id, true, "placed").await;
        for _ in 0..ATTEMPTS {
            match lines::ask(&self.payments, &format!("CHARGE {id}")).await {
                Ok(answer) if answer == "PAID" => {
                    self.note(id, false, "confirmed").await;
                    return "CONFIRMED".to_owned();
                }
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        self.cancel(id).await;
        "CANCELLED".to_owned()
    }

    /// Orders first, then the journal.
    async fn note(&self, id: &str, open: bool, what: &str) {
        let mut orders = self.orders.lock().await;
        match open {
            true => orders.insert(id.to_owned()),
            false => orders.remove(id),
        };
        let mut journal = self.journal.lock().await;
        journal.append(format!("{id} {what}")).await;
    }

    async fn cancel(&self, id: &str) {
        match self.variant {
            Variant::Broken => {
                // The bug: written at another time, by somebody who wanted the cancellation in the journal before anybody sees it.
                let mut journal = self.journal.lock().await;
                journal.append(format!("{id} cancelled")).await;
                self.orders.lock().await.remove(id);
            }
            Variant::Repaired => self.note(id, false, "cancelled").await,
        }
    }
}
