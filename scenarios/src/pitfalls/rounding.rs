//! A payment processor. A payment is charged at once, and so is the processor's fee of 1.9 %, in whole cents; merchants are
//! paid what has come together, ten times a second.
//!
//! The broken settlement computes the fee of the batch from the batch's sum. With one payment in a batch that is right. Two that
//! were made at the same time have had their fees rounded one by one: the fees of 27 and 27 cents are 1 and 1, that of 54 is 1, and a cent
//! comes out of nowhere. The repaired one rounds once, when the payment is made, and adds up what each payment left.

use super::{Variant, lines};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What all have together at first, and so for ever, in cents.
pub const TOTAL: i64 = 1_000_000;
/// Between two settlements.
const SETTLES: Duration = Duration::from_millis(100);

/// The fee in cents, rounded half up.
fn fee(cents: i64) -> i64 {
    (cents * 19 + 500) / 1000
}

struct Ledger {
    payers: i64,
    fees: i64,
    merchants: BTreeMap<String, i64>,
    /// Payments that are charged and not settled: to whom, how much, and the fee of it.
    pending: Vec<(String, i64, i64)>,
}

impl Ledger {
    fn pay(&mut self, merchant: &str, cents: i64) {
        self.payers -= cents;
        self.fees += fee(cents);
        self.pending.push((merchant.to_owned(), cents, fee(cents)));
    }

    fn settle(&mut self, variant: Variant) {
        let mut batches = BTreeMap::<String, (i64, i64)>::new();
        for (merchant, cents, fee) in self.pending.drain(..) {
            let batch = batches.entry(merchant).or_default();
            batch.0 += cents;
            batch.1 += fee;
        }
        for (merchant, (cents, fees)) in batches {
            let share = match variant {
                // The bug: the sum of what is rounded is not what is rounded of the sum.
                Variant::Broken => cents - fee(cents),
                Variant::Repaired => cents - fees,
            };
            *self.merchants.entry(merchant).or_default() += share;
        }
    }

    fn total(&self) -> i64 {
        let pending = self.pending.iter().map(|(_, cents, fee)| cents - fee);
        self.payers + self.fees + self.merchants.values().sum::<i64>() + pending.sum::<i64>()
    }
}

/// Serves `PAY merchant cents`, answered `OK`, and `AUDIT`, answered with the sum of all money.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, variant: Variant) -> io::Result<()> {
    let ledger = Arc::new(Mutex::new(Ledger {
        payers: TOTAL,
        fees: 0,
        merchants: BTreeMap::new(),
        pending: Vec::new(),
    }));
    let settled = ledger.clone();
    let settlement = async move {
        loop {
            tokio::time::sleep(SETTLES).await;
            settled.lock().expect("no panic").settle(variant);
        }
    };
    let service = lines::serve(address, move |request| {
        let ledger = ledger.clone();
        async move {
            let mut ledger = ledger.lock().expect("no panic");
            let words: Vec<&str> = request.split(' ').collect();
            match words[..] {
                ["PAY", merchant, cents] if cents.parse::<i64>().is_ok_and(|c| c > 0) => {
                    ledger.pay(merchant, cents.parse().unwrap_or(0));
                    "OK".to_owned()
                }
                ["AUDIT"] => ledger.total().to_string(),
                _ => "WHAT".to_owned(),
            }
        }
    });
    tokio::select! {
        served = service => served,
        () = settlement => Ok(()),
    }
}
