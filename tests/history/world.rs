//! Histories inside simulations: clients on tasks, replicas on hosts, connections that are lost.

use squall::history::*;
use squall::{Builder, Sim};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// A register over TCP: `GET` answers its number, `PUT n` answers `OK`. It hands writes on to `replica`, some time later.
async fn serve(replica: Option<&'static str>) -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    let value = Arc::new(Mutex::new(0u64));
    loop {
        let (socket, _) = listener.accept().await?;
        let value = value.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(socket);
            let mut line = String::new();
            lines.read_line(&mut line).await?;
            let answer = match line.trim().strip_prefix("PUT ") {
                Some(n) => {
                    *value.lock().unwrap() = n.parse().unwrap_or(0);
                    if let Some(replica) = replica {
                        tokio::spawn(async move {
                            sleep(Duration::from_millis(20)).await;
                            ask(replica, &line).await
                        });
                    }
                    "OK\n".to_owned()
                }
                None => format!("{}\n", *value.lock().unwrap()),
            };
            lines.get_mut().write_all(answer.as_bytes()).await
        });
    }
}

async fn ask(host: &str, line: &str) -> std::io::Result<String> {
    let mut socket = BufReader::new(TcpStream::connect(host).await?);
    socket
        .get_mut()
        .write_all(format!("{}\n", line.trim()).as_bytes())
        .await?;
    let mut answer = String::new();
    match socket.read_line(&mut answer).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer.trim().to_owned()),
    }
}

type Log = History<RegisterOp<u64>, RegisterRet<u64>>;

async fn write(client: &Client<RegisterOp<u64>, RegisterRet<u64>>, n: u64) {
    let writing = async {
        ask("primary:80", &format!("PUT {n}"))
            .await
            .map(|_| RegisterRet::Written)
    };
    let _ = client
        .call_with(RegisterOp::Write(n), writing, Outcome::of_io)
        .await;
}

async fn read(client: &Client<RegisterOp<u64>, RegisterRet<u64>>, from: &str) {
    let reading = async {
        let answer = ask(from, "GET").await?;
        Ok(RegisterRet::Value(answer.parse().expect("a number")))
    };
    let _ = client
        .call_with(RegisterOp::Read, reading, Outcome::of_io)
        .await;
}

/// A writer and two readers, who ask the hosts in `from` in turn.
async fn clients(sim: Sim, from: &'static [&'static str]) -> Log {
    sim.host("primary", || serve(Some("replica:80")));
    sim.host("replica", || serve(None));
    sleep(Duration::from_secs(1)).await;
    let history = Log::new();
    let writer = history.client("writer");
    let mut tasks = vec![tokio::spawn(async move {
        for n in 1..=5 {
            write(&writer, n).await;
            sleep(Duration::from_millis(15)).await;
        }
    })];
    for name in ["reader 1", "reader 2"] {
        let reader = history.client(name);
        tasks.push(tokio::spawn(async move {
            for n in 0..8 {
                read(&reader, from[n % from.len()]).await;
                sleep(Duration::from_millis(7)).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    history
}

#[test]
fn a_stale_replica_is_found() {
    let failure = Builder::new()
        .seeds(50)
        .keep_failures(false)
        .run(|sim| async move {
            let history = clients(sim, &["primary:80", "replica:80"]).await;
            history.check(&Register::new(0))?;
            Ok::<(), squall::Error>(())
        })
        .expect_err("the replica lags");
    println!("{}", failure.text);
    assert!(
        failure.text.contains("not linearizable: "),
        "{}",
        failure.text
    );
    assert!(
        failure.text.contains("so this would return"),
        "{}",
        failure.text
    );
}

#[squall::test(seeds = 30)]
async fn reads_of_the_primary_are_linearizable(sim: Sim) -> squall::Result {
    let history = clients(sim, &["primary:80"]).await;
    assert_eq!(history.len(), 5 + 2 * 8);
    history.check(&Register::new(0))?;
    Ok(())
}

/// The replica lags, but never goes back.
#[squall::test(seeds = 30)]
async fn reads_of_the_replica_are_sequentially_consistent(sim: Sim) -> squall::Result {
    let history = clients(sim, &["replica:80"]).await;
    history.check_sequential(&Register::new(0))?;
    Ok(())
}

/// Writes whose answer is lost, given up, cut off by a crash or refused: what is recorded of each.
#[squall::test(seeds = 30)]
async fn outcomes_are_unknown_or_failed_as_they_should_be(sim: Sim) -> squall::Result {
    sim.host("primary", || serve(None));
    sleep(Duration::from_secs(1)).await;
    let history = Log::new();
    let client = history.client("a");
    write(&client, 1).await;
    // The answer is lost, and the client gives up: the write has taken effect.
    sim.partition_oneway("primary", "test");
    let gave_up = timeout(Duration::from_secs(5), write(&client, 2)).await;
    assert!(gave_up.is_err());
    sim.repair("primary", "test");
    sleep(Duration::from_secs(120)).await;
    // A client that crashes in the middle.
    let crashing = history.clone();
    sim.host("client", move || {
        let client = crashing.client("b");
        async move {
            let _pending = client.invoke(RegisterOp::Write(9));
            sleep(Duration::from_secs(1000)).await;
            std::io::Result::Ok(())
        }
    });
    sleep(Duration::from_secs(1)).await;
    sim.crash("client");
    sim.get("primary").kill();
    write(&client, 3).await;
    let outcomes: Vec<_> = history
        .records()
        .into_iter()
        .map(|r| (r.outcome, r.ended.is_some()))
        .collect();
    assert_eq!(
        outcomes,
        [
            (Outcome::Ok(RegisterRet::Written), true),
            (Outcome::Unknown, true),
            (Outcome::Unknown, false),
            (Outcome::Failed, true),
        ]
    );
    history.check(&Register::new(0))?;
    Ok(())
}
