//! hyper: a server that is shut down gracefully while clients hold connections. Clients open theirs early, send requests when
//! they have some, and keep the connection for as long as the server lets them.
//!
//! Property: the shutdown comes to an end.

use crate::crates::{Full, hyper_io};
use crate::support::{self, draw, up_to};
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: web\r\n\r\n";

/// Until the server hangs up, or the day is over.
async fn client(server: SocketAddr) -> std::io::Result<()> {
    sleep(up_to(5)).await;
    let mut socket = TcpStream::connect(server).await?;
    let mut reply = [0; 4096];
    for _ in 0..draw(3) {
        sleep(up_to(20)).await;
        socket.write_all(REQUEST).await?;
        if socket.read(&mut reply).await? == 0 {
            return Ok(());
        }
    }
    while socket.read(&mut reply).await? > 0 {}
    Ok(())
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    sleep(up_to(2)).await;
    Ok(Response::new(Full::new(Bytes::from("hello"))))
}

async fn connection(socket: TcpStream, mut shut_down: watch::Receiver<bool>) {
    let served = http1::Builder::new().serve_connection(hyper_io(socket), service_fn(answer));
    let mut served = std::pin::pin!(served);
    // Errors are the clients' business.
    tokio::select! {
        _ = &mut served => return,
        _ = shut_down.wait_for(|told| *told) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}

/// Accepts until it is told to stop, then waits for the connections that there are.
async fn serve(listener: TcpListener, mut shut_down: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let told = shut_down.clone();
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((socket, _)) = accepted {
                    connections.spawn(connection(socket, told));
                }
            }
            _ = shut_down.wait_for(|told| *told) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn clients() -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let (shut_down, told) = watch::channel(false);
    let server = tokio::spawn(serve(listener, told));
    for _ in 0..draw(6) {
        tokio::spawn(client(address));
    }
    sleep(up_to(30)).await;
    shut_down.send_replace(true);
    match timeout(Duration::from_secs(60), server).await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(_) => Err("the server has not shut down within a minute".to_owned()),
    }
}

#[squall::test]
async fn graceful_shutdown(sim: squall::Sim) -> Result<(), String> {
    support::observe(&sim, clients()).await
}
