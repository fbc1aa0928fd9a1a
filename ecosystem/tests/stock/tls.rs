//! rustls with ring: axum behind tokio-rustls, called through reqwest with HTTP/1 and HTTP/2 chosen by ALPN.
use crate::support::{Certificates, listen, ring};
use axum::Router;
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use reqwest::{Certificate, Version};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Serves `router` over TLS, with the protocol that ALPN settled on.
async fn serve(certificates: &Certificates, router: Router) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(certificates.server(&["h2", "http/1.1"])));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                // A client that does not trust us hangs up during the handshake.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
                    .await;
            });
        }
    });
    address
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "secret" }))
        .route(
            "/length",
            post(|body: axum::body::Bytes| async move { body.len().to_string() }),
        )
        .layer(axum::extract::DefaultBodyLimit::max(1 << 20))
}

fn client(certificates: &Certificates) -> reqwest::ClientBuilder {
    let _ = rustls::crypto::CryptoProvider::install_default((*ring()).clone());
    let trusted = Certificate::from_pem(certificates.authority_pem.as_bytes()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
}

#[squall::test]
async fn https_speaks_http2_through_alpn() {
    let certificates = Certificates::for_localhost();
    let address = serve(&certificates, router()).await;
    let client = client(&certificates).build().unwrap();
    let base = format!("https://localhost:{}", address.port());
    let first = client.get(&base).send().await.unwrap();
    assert_eq!(first.version(), Version::HTTP_2);
    assert_eq!(first.text().await.unwrap(), "secret");

    let mut uploads = JoinSet::new();
    for n in 1..=8usize {
        let upload = client
            .post(format!("{base}/length"))
            .body(vec![1; n * 20_000]);
        uploads.spawn(async move {
            assert_eq!(
                upload.send().await.unwrap().text().await.unwrap(),
                (n * 20_000).to_string()
            );
        });
    }
    uploads.join_all().await;
}

#[squall::test]
async fn https_speaks_http1_when_asked() {
    let certificates = Certificates::for_localhost();
    let address = serve(&certificates, router()).await;
    let client = client(&certificates).http1_only().build().unwrap();
    let mut requests = JoinSet::new();
    for _ in 0..4 {
        let request = client.get(format!("https://localhost:{}/", address.port()));
        requests.spawn(async move {
            let reply = request.send().await.unwrap();
            assert_eq!(reply.version(), Version::HTTP_11);
            assert_eq!(reply.text().await.unwrap(), "secret");
        });
    }
    requests.join_all().await;
}

#[squall::test]
async fn an_unknown_authority_is_rejected() {
    let certificates = Certificates::for_localhost();
    let address = serve(&certificates, router()).await;
    let stranger = client(&Certificates::for_localhost()).build().unwrap();
    let error = stranger
        .get(format!("https://localhost:{}/", address.port()))
        .send()
        .await
        .unwrap_err();
    let mut story = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        story += &format!("{error}; ");
        cause = error.source();
    }
    assert!(
        error.is_connect() && story.contains("certificate"),
        "{story}"
    );
}

#[squall::test]
async fn a_raw_tls_stream_carries_data_and_closes_cleanly() {
    let certificates = Certificates::for_localhost();
    let acceptor = TlsAcceptor::from(Arc::new(certificates.server(&["echo"])));
    let connector = TlsConnector::from(Arc::new(certificates.client(&["echo"])));
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut resumed = 0;
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut everything = Vec::new();
            stream.read_to_end(&mut everything).await.unwrap();
            stream.write_all(&everything).await.unwrap();
            stream.shutdown().await.unwrap();
            resumed += u8::from(
                stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            );
        }
        resumed
    });
    for round in 0..2u8 {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"echo"[..]));
        let sent = vec![round; 50_000];
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert!(back == sent);
    }
    // The second connection resumes with the ticket from the first.
    assert_eq!(server.await.unwrap(), 1);
}
