//! What stock tokio clients see of slow, cut and repaired links.

use squall::Sim;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Answers every byte with itself.
fn echo(sim: &Sim) {
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:7").await?;
        loop {
            let (mut socket, _) = listener.accept().await?;
            tokio::spawn(async move {
                let (mut r, mut w) = socket.split();
                tokio::io::copy(&mut r, &mut w).await
            });
        }
        #[allow(unreachable_code)]
        std::io::Result::Ok(())
    });
}

async fn round_trip(socket: &mut TcpStream) -> std::io::Result<Duration> {
    let start = Instant::now();
    socket.write_all(b"x").await?;
    socket.read_exact(&mut [0]).await?;
    Ok(start.elapsed())
}

#[squall::test(seeds = 50, hosts = ["bystander", "server"])]
async fn latency_is_what_was_set(sim: Sim) -> std::io::Result<()> {
    echo(&sim);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut socket = TcpStream::connect("server:7").await?;
    let usual = round_trip(&mut socket).await?;
    assert!(
        usual >= Duration::from_micros(400) && usual < Duration::from_millis(5),
        "{usual:?}"
    );
    let slow = Duration::from_millis(300)..=Duration::from_millis(400);
    sim.latency("test", "server", slow.clone());
    sim.latency("server", "test", slow);
    let slowed = round_trip(&mut socket).await?;
    assert!(
        slowed >= Duration::from_millis(600) && slowed < Duration::from_millis(900),
        "{slowed:?}"
    );
    Ok(())
}

#[squall::test(seeds = 50)]
async fn a_repaired_partition_delays_and_loses_nothing(sim: Sim) -> std::io::Result<()> {
    echo(&sim);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut socket = TcpStream::connect("server:7").await?;
    sim.partition("test", "server");
    let client = tokio::spawn(async move { round_trip(&mut socket).await });
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!client.is_finished());
    sim.repair("server", "test");
    let took = client.await.expect("no panic")?;
    assert!(
        took >= Duration::from_secs(20) && took < Duration::from_secs(90),
        "{took:?}"
    );
    Ok(())
}

#[squall::test(seeds = 20)]
async fn a_lasting_partition_times_out(sim: Sim) -> std::io::Result<()> {
    echo(&sim);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut socket = TcpStream::connect("server:7").await?;
    sim.partition_oneway("test", "server");
    let start = Instant::now();
    let connecting = TcpStream::connect((sim.hosts()[1].ip(), 7))
        .await
        .expect_err("no answer");
    assert_eq!(connecting.kind(), ErrorKind::TimedOut);
    let took = start.elapsed();
    assert!(
        took > Duration::from_secs(60) && took < Duration::from_secs(200),
        "{took:?}"
    );
    let established = round_trip(&mut socket).await.expect_err("no answer");
    assert_eq!(established.kind(), ErrorKind::TimedOut);
    Ok(())
}
