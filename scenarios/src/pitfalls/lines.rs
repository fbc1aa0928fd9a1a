//! A protocol of one line for the request and one for the answer over TCP, as the smaller services here speak it.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Answers requests at `address` for ever, each connection in a task of its own.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve<F, Fut>(address: &str, answer: F) -> io::Result<()>
where
    F: Fn(String) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = String> + Send,
{
    let listener = TcpListener::bind(address).await?;
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // No descriptor is free, say: whoever waits keeps waiting.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let answer = answer.clone();
        tokio::spawn(async move {
            // A client that has gone is no error of the server's.
            let _ = converse(socket, answer).await;
        });
    }
}

async fn converse<F, Fut>(socket: TcpStream, answer: F) -> io::Result<()>
where
    F: Fn(String) -> Fut,
    Fut: Future<Output = String>,
{
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    while socket.read_line(&mut line).await? > 0 {
        let mut reply = answer(line.trim_end().to_owned()).await;
        reply.push('\n');
        socket.get_mut().write_all(reply.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// Asks the service at `address`, on a connection of its own; waits as long as it takes.
///
/// # Errors
/// If the service cannot be reached or hangs up.
pub async fn ask(address: &str, request: &str) -> io::Result<String> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    let request = format!("{request}\n");
    socket.get_mut().write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    if socket.read_line(&mut answer).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim_end().to_owned())
}

/// As [`ask`], for so long.
///
/// # Errors
/// As [`ask`], and `TimedOut`.
pub async fn ask_within(time: Duration, address: &str, request: &str) -> io::Result<String> {
    let asked = tokio::time::timeout(time, ask(address, request)).await;
    asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
