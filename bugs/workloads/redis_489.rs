//! redis: handlers that share one connection, each with a time limit on its request. The server is on another host, and now
//! and then a reply takes longer than the handler cares to wait.
//!
//! Property: a reply belongs to its request.

use crate::crates::redis_connection;
use crate::support::{self, draw, up_to};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// A server as far as needed: it says what it is told to echo, and `OK` to whatever else a client has to say.
async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:6379").await?;
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(answer(socket));
    }
}

async fn answer(socket: TcpStream) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    while socket.read_line(&mut line).await? > 0 {
        let words = number(&line);
        let mut command = Vec::new();
        for _ in 0..words {
            line.clear();
            socket.read_line(&mut line).await?;
            let mut word = vec![0; number(&line) + 2];
            socket.read_exact(&mut word).await?;
            word.truncate(word.len() - 2);
            command.push(word);
        }
        line.clear();
        tokio::time::sleep(up_to(2)).await;
        match &command[..] {
            [echo, said] if echo == b"ECHO" => {
                let reply = [format!("${}\r\n", said.len()).as_bytes(), said, b"\r\n"].concat();
                socket.write_all(&reply).await?;
            }
            _ => socket.write_all(b"+OK\r\n").await?,
        }
    }
    Ok(())
}

/// The number behind the mark of a line.
fn number(line: &str) -> usize {
    line.get(1..)
        .and_then(|rest| rest.trim_end().parse().ok())
        .unwrap_or(0)
}

async fn clients(sim: &squall::Sim) -> Result<(), String> {
    sim.host("redis", serve);
    let connection = loop {
        match redis_connection("redis://redis/").await {
            Ok(connection) => break connection,
            // The server is still coming up.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let connection = Arc::new(Mutex::new(connection));
    let mut handlers = Vec::new();
    for handler in 0..4 {
        let connection = connection.clone();
        handlers.push(tokio::spawn(async move {
            for turn in 0..3 {
                let request = format!("{handler}.{turn}");
                let mut command = redis::cmd("ECHO");
                command.arg(&request);
                let patience = Duration::from_millis(3 + draw(20));
                let mut connection = connection.lock().await;
                let reply: Result<redis::RedisResult<String>, _> =
                    timeout(patience, command.query_async(&mut *connection)).await;
                // Too late is no fault, and neither is a connection that was given up.
                if let Ok(Ok(reply)) = reply
                    && reply != request
                {
                    return Err(format!("the reply to {request} is {reply}"));
                }
            }
            Ok(())
        }));
    }
    for handler in handlers {
        handler.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// redis-rs 0.21 looks the name of the server up by a call that blocks, within a poll. The detectors that find this would find nothing else.
#[squall::test(allow = "blocking_call, lock_across_await")]
async fn impatient_handlers(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients(&sim)).await
}
