//! Subscribers are billed once a month, each in a task of its own, through a payment provider that has its bad moments.
//!
//! In the broken biller a task returns its error to whoever asks, and nobody does: the handle was dropped. The month is over, the
//! log is clean, and a subscriber was not billed. The repaired one looks at what became of each task and charges again what
//! failed, later; the provider knows a charge by its key and takes it once.

use super::Variant;
use std::time::Duration;
use tokio::task::JoinSet;

/// Between months.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bills everybody at once, and again each month. A charge is `POST {provider}/charge/{subscriber}`.
pub async fn run(provider: &str, subscribers: u32, variant: Variant) {
    let biller = Biller {
        client: reqwest::Client::new(),
        provider: provider.to_owned(),
    };
    loop {
        match variant {
            Variant::Broken => biller.bill(subscribers),
            Variant::Repaired => biller.bill_all(subscribers).await,
        }
        tokio::time::sleep(MONTH).await;
    }
}

#[derive(Clone)]
struct Biller {
    client: reqwest::Client,
    provider: String,
}

impl Biller {
    async fn charge(&self, subscriber: u32) -> reqwest::Result<()> {
        let url = format!("{}/charge/{subscriber}", self.provider);
        self.client.post(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// The bug: what a task returns goes nowhere.
    fn bill(&self, subscribers: u32) {
        for subscriber in 0..subscribers {
            let biller = self.clone();
            tokio::spawn(async move { biller.charge(subscriber).await });
        }
    }

    /// The repair: whoever was not charged is charged again.
    async fn bill_all(&self, subscribers: u32) {
        let mut due: Vec<u32> = (0..subscribers).collect();
        let mut pause = Duration::from_millis(100);
        loop {
            let mut tasks = JoinSet::new();
            for subscriber in due.drain(..) {
                let biller = self.clone();
                tasks.spawn(async move { (subscriber, biller.charge(subscriber).await) });
            }
            while let Some(done) = tasks.join_next().await {
                match done {
                    Ok((_, Ok(()))) => {}
                    Ok((subscriber, Err(error))) => {
                        eprintln!("subscriber {subscriber} is not charged yet: {error}");
                        due.push(subscriber);
                    }
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                }
            }
            if due.is_empty() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(60));
        }
    }
}
