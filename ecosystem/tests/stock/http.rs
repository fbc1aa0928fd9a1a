//! hyper by hand on both sides, then axum called through reqwest, over HTTP/1 and HTTP/2 without TLS.
use crate::support::{Gauge, Stopwatch, listen, ms, ring};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[squall::test]
async fn hyper_http1_keeps_a_connection_alive() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let answer = service_fn(|request: Request<Incoming>| async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    sleep(ms(10)).await;
                    let reply = format!("{path}:{}", body.len());
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(reply))))
                });
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), answer)
                    .await
                    .unwrap();
            });
        }
    });

    let watch = Stopwatch::start();
    let mut clients = JoinSet::new();
    for client in 0..5 {
        clients.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .unwrap();
            let driver = tokio::spawn(connection);
            for request in 0..4usize {
                // A body of unknown length travels in chunks.
                let chunks = (0..request)
                    .map(|n| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; n * 700]))));
                let body = StreamBody::new(futures::stream::iter(chunks));
                let length: usize = (0..request).map(|n| n * 700).sum();
                let request = Request::post(format!("/{client}/{request}"))
                    .header("host", "localhost")
                    .body(body)
                    .unwrap();
                let path = request.uri().path().to_owned();
                sender.ready().await.unwrap();
                let reply = sender.send_request(request).await.unwrap();
                assert_eq!(reply.status(), StatusCode::OK);
                let text = reply.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(text, format!("{path}:{length}"));
            }
            drop(sender);
            driver.await.unwrap().unwrap();
        });
    }
    clients.join_all().await;
    // Four requests of 10 ms, one after another, on each of five connections at once.
    watch.within(ms(40), ms(150));
}

#[squall::test]
async fn hyper_http2_multiplexes_one_connection() {
    let (listener, address) = listen().await;
    let gauge = Arc::new(Gauge::default());
    let seen = gauge.clone();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = service_fn(move |request: Request<Incoming>| {
            let seen = seen.clone();
            async move {
                let _inside = seen.enter();
                sleep(ms(100)).await;
                let size: usize = request.uri().path()[1..].parse().unwrap();
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'y'; size]))))
            }
        });
        let ended = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), answer)
            .await;
        // The client turns away without a word, so the last thing that the server says may go nowhere.
        assert!(ended.is_ok() || ended.is_err_and(|error| !error.is_parse()));
    });

    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let watch = Stopwatch::start();
    let mut requests = JoinSet::new();
    for n in 0..20usize {
        let mut sender = sender.clone();
        requests.spawn(async move {
            // The larger bodies exceed the stream's first window.
            let size = n * 5_000;
            let request = Request::get(format!("http://localhost/{size}"))
                .body(Full::<Bytes>::default())
                .unwrap();
            let reply = sender.send_request(request).await.unwrap();
            assert_eq!(
                reply.into_body().collect().await.unwrap().to_bytes().len(),
                size
            );
        });
    }
    requests.join_all().await;
    watch.within(ms(100), ms(190));
    assert_eq!(gauge.peak(), 20);
    drop(sender);
    driver.await.unwrap().unwrap();
    server.await.unwrap();
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    stock: u32,
}

/// A small inventory, the kind of service a user would bring.
#[derive(Clone, Default)]
struct Shop {
    items: Arc<Mutex<BTreeMap<u32, Item>>>,
    peers: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Shop {
    fn router(&self) -> Router {
        Router::new()
            .route("/items", post(Self::add))
            .route("/items/{id}", get(Self::show))
            .route("/items/{id}/buy", post(Self::buy))
            .route("/slow", get(|| async { sleep(ms(10_000)).await }))
            .with_state(self.clone())
    }

    async fn add(State(shop): State<Shop>, Json(item): Json<Item>) -> (StatusCode, Json<u32>) {
        let mut items = shop.items.lock().unwrap();
        let id = items.len() as u32 + 1;
        items.insert(id, item);
        (StatusCode::CREATED, Json(id))
    }

    async fn show(State(shop): State<Shop>, Path(id): Path<u32>) -> Result<Json<Item>, StatusCode> {
        shop.items
            .lock()
            .unwrap()
            .get(&id)
            .cloned()
            .map(Json)
            .ok_or(StatusCode::NOT_FOUND)
    }

    async fn buy(
        State(shop): State<Shop>,
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        Path(id): Path<u32>,
    ) -> Result<Json<u32>, StatusCode> {
        shop.peers.lock().unwrap().insert(peer);
        sleep(ms(20)).await;
        let mut items = shop.items.lock().unwrap();
        let item = items.get_mut(&id).ok_or(StatusCode::NOT_FOUND)?;
        item.stock = item.stock.checked_sub(1).ok_or(StatusCode::CONFLICT)?;
        Ok(Json(item.stock))
    }

    /// Serves on a free port until the test ends; returns the base address.
    async fn open(&self) -> SocketAddr {
        let (listener, address) = listen().await;
        let service = self
            .router()
            .into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        address
    }
}

/// reqwest wants a TLS provider even for plain HTTP when built with rustls.
fn client() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::CryptoProvider::install_default((*ring()).clone());
    reqwest::Client::builder().no_proxy()
}

#[squall::test]
async fn axum_sells_exactly_its_stock_over_http1() {
    let shop = Shop::default();
    let address = shop.open().await;
    let client = client().http1_only().build().unwrap();
    let base = format!("http://localhost:{}", address.port());

    let item = Item {
        name: "lamp".into(),
        stock: 5,
    };
    let made = client
        .post(format!("{base}/items"))
        .json(&item)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (made.status(), made.version()),
        (StatusCode::CREATED, Version::HTTP_11)
    );
    let id: u32 = made.json().await.unwrap();
    let absent = client.get(format!("{base}/items/99")).send().await.unwrap();
    assert_eq!(absent.status(), StatusCode::NOT_FOUND);

    let watch = Stopwatch::start();
    let mut buyers = JoinSet::new();
    for _ in 0..10 {
        let request = client.post(format!("{base}/items/{id}/buy"));
        buyers.spawn(async move { request.send().await.unwrap().status() });
    }
    let outcomes = buyers.join_all().await;
    watch.within(ms(20), ms(200));
    assert_eq!(outcomes.iter().filter(|s| **s == StatusCode::OK).count(), 5);
    assert_eq!(
        outcomes
            .iter()
            .filter(|s| **s == StatusCode::CONFLICT)
            .count(),
        5
    );
    let left: Item = client
        .get(format!("{base}/items/{id}"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        left,
        Item {
            name: "lamp".into(),
            stock: 0
        }
    );
}

#[squall::test]
async fn axum_over_http2_uses_one_connection() {
    let shop = Shop::default();
    let address = shop.open().await;
    let client = client().http2_prior_knowledge().build().unwrap();
    let base = format!("http://{address}");
    let item = Item {
        name: "chair".into(),
        stock: 100,
    };
    let made = client
        .post(format!("{base}/items"))
        .json(&item)
        .send()
        .await
        .unwrap();
    assert_eq!(made.version(), Version::HTTP_2);

    let watch = Stopwatch::start();
    let mut buyers = JoinSet::new();
    for _ in 0..32 {
        let request = client.post(format!("{base}/items/1/buy"));
        buyers.spawn(async move { request.send().await.unwrap().json::<u32>().await.unwrap() });
    }
    let mut left = buyers.join_all().await;
    watch.within(ms(20), ms(100));
    left.sort();
    assert_eq!(left, (68..100).collect::<Vec<_>>());
    assert_eq!(shop.peers.lock().unwrap().len(), 1);
}

#[squall::test]
async fn reqwest_gives_up_on_a_slow_server() {
    let address = Shop::default().open().await;
    let client = client().timeout(ms(250)).build().unwrap();
    let watch = Stopwatch::start();
    let error = client
        .get(format!("http://{address}/slow"))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    watch.within(ms(250), ms(300));

    let (listener, unused) = listen().await;
    drop(listener);
    let error = client
        .get(format!("http://{unused}/"))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[squall::test]
async fn bodies_stream_both_ways_with_back_pressure() {
    let (listener, address) = listen().await;
    let router = Router::new().route(
        "/mirror",
        post(|body: axum::body::Body| async {
            axum::body::Body::from_stream(body.into_data_stream().map(|chunk| {
                chunk.map(|bytes| bytes.iter().map(|b| b ^ 0x20).collect::<Vec<u8>>())
            }))
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let client = client().build().unwrap();
    let parts = futures::stream::iter(0..64u8).then(|n| async move {
        sleep(ms(1)).await;
        Ok::<_, Infallible>(vec![n; 4_096])
    });
    let watch = Stopwatch::start();
    let reply = client
        .post(format!("http://{address}/mirror"))
        .body(reqwest::Body::wrap_stream(parts))
        .send()
        .await
        .unwrap();
    let mut length = 0;
    let mut body = reply.bytes_stream();
    while let Some(chunk) = body.next().await {
        for byte in chunk.unwrap() {
            assert_eq!(byte, (length / 4_096) as u8 ^ 0x20);
            length += 1;
        }
    }
    assert_eq!(length, 64 * 4_096);
    watch.within(ms(64), ms(300));
}

#[squall::test]
async fn axum_shuts_down_gracefully() {
    let (listener, address) = listen().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = Router::new().route(
        "/",
        get(|| async {
            sleep(ms(150)).await;
            "finished"
        }),
    );
    let server = tokio::spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
            .unwrap();
    });
    let client = client().build().unwrap();
    let watch = Stopwatch::start();
    let (one, two) = (
        client.get(format!("http://{address}/")),
        client.get(format!("http://{address}/")),
    );
    let under_way = tokio::spawn(async move { one.send().await.unwrap().text().await.unwrap() });
    sleep(ms(50)).await;
    stop.send(()).unwrap();
    sleep(ms(20)).await;
    assert!(
        two.send().await.unwrap_err().is_connect(),
        "no new connections after the stop"
    );
    assert_eq!(under_way.await.unwrap(), "finished");
    drop(client);
    server.await.unwrap();
    watch.within(ms(150), ms(250));
}
