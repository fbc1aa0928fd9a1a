//! The nemesis: what it breaks, when, within which limits; how it is healed; and that each family of faults finds the bug that was
//! planted for it, and leaves the repaired twin alone.
#![cfg(squall_kernel)]
#![allow(clippy::unwrap_used)]

mod bugs;
mod cost;
mod drawn;
mod healing;
mod plans;
#[path = "../common/verdict.rs"]
mod verdict;

use squall::{Builder, Sim};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use verdict::{body, found};

const MS: Duration = Duration::from_millis(1);

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A test that expects its seeds to fail keeps no logs.
fn seeds(seeds: u64) -> Builder {
    Builder::new().seeds(seeds).keep_failures(false)
}

async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Port 80 answers a byte with a byte.
async fn echo() -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        // Without a free descriptor there is nothing to do but to go on.
        let Ok((mut s, _)) = listener.accept().await else {
            sleep(10 * MS).await;
            continue;
        };
        tokio::spawn(async move {
            let mut byte = [0];
            while s.read_exact(&mut byte).await.is_ok() {
                if s.write_all(&byte).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Whether a host answers within so long.
async fn answers(host: &str, within: Duration) -> bool {
    let ask = async {
        let mut s = TcpStream::connect((host, 80)).await?;
        s.write_all(b"?").await?;
        s.read_exact(&mut [0]).await
    };
    matches!(tokio::time::timeout(within, ask).await, Ok(Ok(_)))
}

/// Three hosts that echo.
fn three(sim: &Sim) {
    for name in ["a", "b", "c"] {
        sim.host(name, echo);
    }
}
