//! `cargo squall merge`: joins what shards, or nights, have written to stores of their own.

use super::joined::Joined;
use super::record::Record;
use super::store::Store;
use crate::status;
use anyhow::{Context, Result, bail};
use clap::Args;

/// What `cargo squall merge` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Folders or URLs.
    #[arg(value_name = "STORE", required = true)]
    stores: Vec<String>,
    /// Copies all records, logs and reports into this store as well.
    #[arg(long, value_name = "STORE")]
    into: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// `cargo squall merge`.
pub fn run(asked: &Arguments) -> Result<u8> {
    let into = asked.into.as_deref().map(Store::open).transpose()?;
    let mut joined = Joined::default();
    for place in &asked.stores {
        let exists = place.contains("://") || std::path::Path::new(place).is_dir();
        if !exists {
            bail!("there is no store {place}");
        }
        let store = Store::open(place)?;
        if let Some(into) = &into {
            // Whatever records name comes before them.
            for under in ["logs", "reports", "records"] {
                for key in store.keys(under)? {
                    into.add(&key, store.read(&key)?)?;
                }
            }
        }
        for (key, bytes) in store.read_all(store.keys("records")?)? {
            joined.add(&Record::read(&key, &bytes)?);
        }
    }
    if let Some(into) = &into {
        joined.read(into)?;
    }
    let Some(commit) = joined.newest() else {
        bail!("there are no records in {}", asked.stores.join(", "));
    };
    let summary = joined.summary();
    match asked.json {
        true => println!(
            "{}",
            serde_json::to_string_pretty(&summary).context("cannot put the summary into JSON")?
        ),
        false => print!("{}", summary.table(commit)),
    }
    Ok(joined.status(commit, true).unwrap_or(status::HELD))
}
