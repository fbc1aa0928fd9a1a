//! quinn with ring over simulated UDP: streams, datagrams, idle timeout, application close, a server that is not there.
use crate::support::{Certificates, Stopwatch, ms};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, ServerConfig, TransportConfig, VarInt,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A server endpoint and the configuration of clients that trust it. Connections end after `idle` without traffic.
fn endpoints(idle: Duration) -> (Endpoint, SocketAddr, ClientConfig) {
    let certificates = Certificates::for_localhost();
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(idle.try_into().unwrap()));
    let transport = Arc::new(transport);

    let crypto = QuicServerConfig::try_from(certificates.server(&["test"])).unwrap();
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(transport.clone());
    let server = Endpoint::server(config, LOOPBACK).unwrap();

    let crypto = QuicClientConfig::try_from(certificates.client(&["test"])).unwrap();
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport);
    let address = server.local_addr().unwrap();
    (server, address, config)
}

fn client(config: ClientConfig) -> Endpoint {
    let mut endpoint = Endpoint::client(LOOPBACK).unwrap();
    endpoint.set_default_client_config(config);
    endpoint
}

/// Every bidirectional stream comes back reversed, every datagram comes back as it was.
async fn reverse(connection: Connection) {
    loop {
        tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok((mut send, mut receive)) => {
                    tokio::spawn(async move {
                        let mut all = receive.read_to_end(1 << 20).await.unwrap();
                        all.reverse();
                        send.write_all(&all).await.unwrap();
                        send.finish().unwrap();
                    });
                }
                Err(_) => return,
            },
            datagram = connection.read_datagram() => match datagram {
                Ok(datagram) => connection.send_datagram(datagram).unwrap(),
                Err(_) => return,
            },
        }
    }
}

#[squall::test]
async fn streams_and_datagrams_from_three_clients() {
    let (server, address, config) = endpoints(ms(5_000));
    let serving = server.clone();
    tokio::spawn(async move {
        while let Some(incoming) = serving.accept().await {
            tokio::spawn(async move { reverse(incoming.await.unwrap()).await });
        }
    });
    let mut clients = JoinSet::new();
    for n in 0..3usize {
        let endpoint = client(config.clone());
        clients.spawn(async move {
            let connection = endpoint
                .connect(address, "localhost")
                .unwrap()
                .await
                .unwrap();
            let mut streams = JoinSet::new();
            for size in [10, 3_000, 40_000 * (n + 1)] {
                let connection = connection.clone();
                streams.spawn(async move {
                    let (mut send, mut receive) = connection.open_bi().await.unwrap();
                    let sent: Vec<u8> = (0..size).map(|i| (i * 13 + n) as u8).collect();
                    send.write_all(&sent).await.unwrap();
                    send.finish().unwrap();
                    let mut back = receive.read_to_end(1 << 20).await.unwrap();
                    back.reverse();
                    assert!(back == sent);
                });
            }
            streams.join_all().await;
            // Nothing is lost on an unharmed loopback, but QUIC does not promise it.
            for round in 0..5u8 {
                connection.send_datagram(vec![round; 200].into()).unwrap();
                assert_eq!(connection.read_datagram().await.unwrap(), vec![round; 200]);
            }
            connection.close(VarInt::from_u32(7), b"done");
            endpoint.wait_idle().await;
        });
    }
    clients.join_all().await;
    server.close(VarInt::from_u32(0), b"");
    server.wait_idle().await;
}

#[squall::test]
async fn an_idle_connection_times_out_on_both_sides() {
    let (server, address, config) = endpoints(ms(1_000));
    let accepting =
        tokio::spawn(async move { server.accept().await.unwrap().await.unwrap().closed().await });
    let endpoint = client(config);
    let connection = endpoint
        .connect(address, "localhost")
        .unwrap()
        .await
        .unwrap();
    let watch = Stopwatch::start();
    assert_eq!(connection.closed().await, ConnectionError::TimedOut);
    assert_eq!(accepting.await.unwrap(), ConnectionError::TimedOut);
    watch.within(ms(900), ms(1_300));
}

#[squall::test]
async fn closing_tells_the_peer_why() {
    let (server, address, config) = endpoints(ms(5_000));
    let accepting = tokio::spawn(async move {
        let connection = server.accept().await.unwrap().await.unwrap();
        let mut news = connection.open_uni().await.unwrap();
        news.write_all(b"leaving soon").await.unwrap();
        news.finish().unwrap();
        news.stopped().await.unwrap();
        connection.close(VarInt::from_u32(42), b"maintenance");
        server.wait_idle().await;
    });
    let endpoint = client(config);
    let connection = endpoint
        .connect(address, "localhost")
        .unwrap()
        .await
        .unwrap();
    let mut news = connection.accept_uni().await.unwrap();
    assert_eq!(news.read_to_end(100).await.unwrap(), b"leaving soon");
    let ConnectionError::ApplicationClosed(close) = connection.closed().await else {
        panic!("not closed by the peer")
    };
    assert_eq!(
        (close.error_code, &close.reason[..]),
        (VarInt::from_u32(42), &b"maintenance"[..])
    );
    accepting.await.unwrap();
}

#[squall::test]
async fn a_handshake_with_nobody_times_out() {
    let (server, address, config) = endpoints(ms(800));
    drop(server);
    sleep(ms(10)).await;
    let watch = Stopwatch::start();
    let error = client(config)
        .connect(address, "localhost")
        .unwrap()
        .await
        .unwrap_err();
    assert_eq!(error, ConnectionError::TimedOut);
    // Never sooner than three probe timeouts, and the first of them is a second.
    watch.within(ms(2_900), ms(3_300));
}
