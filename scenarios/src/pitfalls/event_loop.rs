//! A service on a current-thread runtime that makes reports with a client of an older library, which blocks.
//!
//! In the broken service the handler calls it directly. While the archive thinks, the thread of the runtime stands still, and with it every
//! other request, timers and health checks too. In the repaired one the call is made on a thread for such calls.

use super::{Variant, lines};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

/// The client of the archive: plain std.
fn fetch(archive: &str, id: &str) -> io::Result<String> {
    let mut socket = BufReader::new(TcpStream::connect(archive)?);
    writeln!(socket.get_mut(), "FETCH {id}")?;
    let mut answer = String::new();
    socket.read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

/// Serves `HEALTH`, answered `OK`, and `REPORT id`, which asks the archive.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: &str, archive: &str, variant: Variant) -> io::Result<()> {
    let archive = archive.to_owned();
    lines::serve(address, move |request| {
        let archive = archive.clone();
        async move {
            let Some(id) = request.strip_prefix("REPORT ") else {
                return "OK".to_owned();
            };
            let report = match variant {
                // The bug: looks as harmless as any call.
                Variant::Broken => fetch(&archive, id),
                // The repair.
                Variant::Repaired => {
                    let id = id.to_owned();
                    let fetched = tokio::task::spawn_blocking(move || fetch(&archive, &id));
                    fetched.await.unwrap_or_else(|e| Err(io::Error::other(e)))
                }
            };
            report.unwrap_or_else(|error| format!("ERROR {error}"))
        }
    })
    .await
}
