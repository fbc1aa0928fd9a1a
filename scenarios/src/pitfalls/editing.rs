//! A document that several people edit at once, over HTTP.
//!
//! An editor fetches the document with its version, adds a line, and stores the whole. The broken service stores whatever
//! comes: of two editors who began with the same version the later one wins, and the other's line is gone, though it was stored with a 200. The
//! repaired one compares versions in the step in which it stores, as `If-Match` does, and has the editor begin anew.

use super::Variant;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

#[derive(Default)]
struct Document {
    version: u64,
    text: String,
}

/// The service: `GET /document` is the version, a line break and the text; `PUT /document/{version}` stores a text that was made
/// of that version.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, variant: Variant) -> io::Result<()> {
    type Shared = State<Arc<Mutex<Document>>>;
    let read = async |State(document): Shared| {
        let document = document.lock().expect("no panic");
        format!("{}\n{}", document.version, document.text)
    };
    let store = async move |State(document): Shared, Path(of): Path<u64>, text: String| {
        let mut document = document.lock().expect("no panic");
        // The repair. Without it the version says how often the document was stored, and nobody asks.
        if variant == Variant::Repaired && of != document.version {
            return StatusCode::PRECONDITION_FAILED;
        }
        document.version += 1;
        document.text = text;
        StatusCode::OK
    };
    let router = Router::new()
        .route("/document", get(read))
        .route("/document/{version}", put(store))
        .with_state(Arc::default());
    axum::serve(TcpListener::bind(address).await?, router).await
}

/// What an editor's program does.
#[derive(Clone, Debug)]
pub struct Editor {
    client: reqwest::Client,
    url: String,
}

impl Editor {
    /// For the service at `url`.
    pub fn new(url: &str) -> Editor {
        Editor {
            client: reqwest::Client::new(),
            url: format!("{url}/document"),
        }
    }

    /// The version and the text.
    ///
    /// # Errors
    /// If the service cannot be reached or fails.
    pub async fn read(&self) -> reqwest::Result<(u64, String)> {
        let answer = self.client.get(&self.url).send().await?;
        let answer = answer.error_for_status()?.text().await?;
        let (version, text) = answer.split_once('\n').unwrap_or(("0", ""));
        Ok((version.parse().unwrap_or(0), text.to_owned()))
    }

    /// Adds a line to the document.
    ///
    /// # Errors
    /// As [`Editor::read`].
    pub async fn add(&self, line: &str) -> reqwest::Result<()> {
        loop {
            let (version, mut text) = self.read().await?;
            // The editor thinks.
            tokio::time::sleep(Duration::from_millis(2)).await;
            text.push_str(line);
            text.push('\n');
            let url = format!("{}/{version}", self.url);
            let stored = self.client.put(url).body(text).send().await?;
            if stored.status() != StatusCode::PRECONDITION_FAILED {
                return stored.error_for_status().map(|_| ());
            }
        }
    }
}
