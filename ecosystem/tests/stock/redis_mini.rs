//! The `redis` client, async and blocking, against the stock `mini-redis` server on a simulated socket.
use crate::support::{Stopwatch, listen, ms};
use futures::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Commands};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Serves until the sender is dropped or used.
async fn server(listener: TcpListener) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(mini_redis::server::run(listener, stopped));
    stop
}

fn client(address: SocketAddr) -> redis::Client {
    redis::Client::open(format!("redis://{address}/")).unwrap()
}

#[squall::test]
async fn multiplexed_commands_from_many_tasks() {
    let (listener, address) = listen().await;
    let _server = server(listener).await;
    let connection = client(address)
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..8u32 {
        let mut connection = connection.clone();
        tasks.spawn(async move {
            for round in 0..10u32 {
                let (key, value) = (
                    format!("{task}:{round}"),
                    vec![task as u8; 100 * round as usize],
                );
                let () = connection.set(&key, &value).await.unwrap();
                let back: Vec<u8> = connection.get(&key).await.unwrap();
                assert!(back == value, "{key}");
            }
        });
    }
    tasks.join_all().await;

    let mut connection = connection;
    let absent: Option<String> = connection.get("absent").await.unwrap();
    assert_eq!(absent, None);
    // mini-redis knows four commands; a pipeline carries the refusal of a fifth back in its place.
    let unknown = redis::cmd("INCR")
        .arg("n")
        .query_async::<i64>(&mut connection)
        .await
        .unwrap_err();
    assert!(unknown.to_string().contains("unknown command"), "{unknown}");
    let (one, two): (u32, u32) = redis::pipe()
        .set("one", 1)
        .ignore()
        .set("two", 2)
        .ignore()
        .get("one")
        .get("two")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!((one, two), (1, 2));
}

#[squall::test]
async fn keys_expire_when_their_time_has_passed() {
    let (listener, address) = listen().await;
    let _server = server(listener).await;
    let mut connection = client(address)
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    for (key, life) in [("short", 100), ("long", 400)] {
        let () = redis::cmd("SET")
            .arg(key)
            .arg("here")
            .arg("PX")
            .arg(life)
            .query_async(&mut connection)
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        let short: Option<String> = connection.get("short").await.unwrap();
        let long: Option<String> = connection.get("long").await.unwrap();
        seen.push((short.is_some(), long.is_some()));
        sleep(ms(150)).await;
    }
    assert_eq!(
        seen,
        [(true, true), (false, true), (false, true), (false, false)]
    );
}

#[squall::test]
async fn subscribers_hear_each_message_once_and_in_order() {
    let (listener, address) = listen().await;
    let _server = server(listener).await;
    let mut subscribers = JoinSet::new();
    let ready = std::sync::Arc::new(tokio::sync::Barrier::new(4));
    for _ in 0..3 {
        let (client, ready) = (client(address), ready.clone());
        subscribers.spawn(async move {
            let mut subscription = client.get_async_pubsub().await.unwrap();
            subscription.subscribe("news").await.unwrap();
            ready.wait().await;
            let heard: Vec<u32> = subscription
                .on_message()
                .take(10)
                .map(|message| message.get_payload::<u32>().unwrap())
                .collect()
                .await;
            assert_eq!(heard, (0..10).collect::<Vec<_>>());
        });
    }
    ready.wait().await;
    let mut publisher = client(address)
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    for n in 0..10 {
        let listeners: u32 = publisher.publish("news", n).await.unwrap();
        assert!(listeners <= 3);
        if n % 3 == 0 {
            sleep(ms(1)).await;
        }
    }
    subscribers.join_all().await;
}

#[squall::test]
async fn a_manager_reconnects_after_the_server_restarts() {
    let (listener, address) = listen().await;
    let first = server(listener).await;
    let config = ConnectionManagerConfig::new()
        .set_min_delay(ms(20))
        .set_response_timeout(Some(ms(200)));
    let mut manager = ConnectionManager::new_with_config(client(address), config)
        .await
        .unwrap();
    let () = manager.set("k", "before").await.unwrap();

    drop(first);
    sleep(ms(50)).await;
    let gone: redis::RedisResult<String> = manager.get("k").await;
    assert!(gone.is_err(), "the server is down");

    let listener = TcpListener::bind(address).await.unwrap();
    let _second = server(listener).await;
    let watch = Stopwatch::start();
    let empty = loop {
        match manager.get::<_, Option<String>>("k").await {
            Ok(value) => break value,
            Err(_) => sleep(ms(30)).await,
        }
    };
    assert_eq!(empty, None, "the new server starts empty");
    watch.within(ms(0), ms(2_000));
}

#[squall::test]
async fn a_silent_server_runs_into_the_response_timeout() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
        }
    });
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ms(300)))
        .set_response_timeout(Some(ms(250)));
    let watch = Stopwatch::start();
    let error = match client(address)
        .get_multiplexed_async_connection_with_config(&config)
        .await
    {
        Err(error) => error,
        Ok(mut connection) => connection.get::<_, String>("k").await.unwrap_err(),
    };
    assert!(error.is_timeout(), "{error}");
    watch.within(ms(250), ms(650));
}

#[squall::test]
async fn the_blocking_client_works_from_the_blocking_pool() {
    let (listener, address) = listen().await;
    let _server = server(listener).await;
    let mut threads = JoinSet::new();
    for n in 0..3u32 {
        let client = client(address);
        threads.spawn_blocking(move || {
            let mut connection = client.get_connection().unwrap();
            connection.set_read_timeout(Some(ms(1_000))).unwrap();
            let () = connection.set(n, n * n).unwrap();
            connection.get::<_, u32>(n).unwrap()
        });
    }
    let mut squares = threads.join_all().await;
    squares.sort();
    assert_eq!(squares, [0, 1, 4]);
}
