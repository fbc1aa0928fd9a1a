//! A real server as a dependency that fails: stock `mini-redis` on a host of its own, broken through its links and its process, as the
//! stock `redis` client sees it.
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use squall::dependency::FailureTarget;
use squall::{FailureMode, Host, Sim};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(1);

fn server(sim: &Sim) -> Host {
    sim.host("redis", || async {
        let listener = TcpListener::bind("0.0.0.0:6379").await.unwrap();
        mini_redis::server::run(listener, std::future::pending::<()>()).await
    })
}

async fn connect() -> redis::RedisResult<MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = redis::Client::open("redis://redis/").unwrap();
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// In a word, as far as the client tells failures apart.
fn word<T>(result: &redis::RedisResult<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(e) if e.is_timeout() => "timeout",
        Err(e) if e.is_connection_refusal() => "refused",
        Err(e) if e.is_connection_dropped() || e.is_io_error() => "dropped",
        Err(_) => "other",
    }
}

/// What a command on a connection from before sees, and the least and the most time that it takes; then what a new connection and
/// a command on it see.
const TABLE: [(FailureMode, &str, [Duration; 2], &str); 7] = [
    (
        FailureMode::Timeout,
        "timeout",
        [PATIENCE, Duration::from_millis(1010)],
        "timeout",
    ),
    (
        FailureMode::Reset,
        "dropped",
        [Duration::ZERO, Duration::from_millis(5)],
        "ok",
    ),
    (
        FailureMode::Slow(Duration::from_secs(3)),
        "timeout",
        [PATIENCE, Duration::from_millis(1010)],
        "timeout",
    ),
    (
        FailureMode::Slow(Duration::from_millis(200)),
        "ok",
        [Duration::from_millis(200), Duration::from_millis(210)],
        "ok",
    ),
    // The answer has 26 bytes.
    (
        FailureMode::Drip {
            bytes: 1,
            every: Duration::from_millis(100),
        },
        "timeout",
        [PATIENCE, Duration::from_millis(1010)],
        "timeout",
    ),
    (
        FailureMode::Drip {
            bytes: 8,
            every: Duration::from_millis(20),
        },
        "ok",
        [Duration::from_millis(80), Duration::from_millis(200)],
        "ok",
    ),
    (
        FailureMode::Refused,
        "dropped",
        [Duration::ZERO, Duration::from_millis(5)],
        "refused",
    ),
];

#[squall::test(seeds = 20, audit = 100)]
async fn each_failure_is_what_the_client_sees(sim: Sim) {
    let redis = server(&sim);
    sleep(10 * MS).await;
    for (mode, on_old, [least, most], on_new) in TABLE {
        let mut old = connect().await.unwrap();
        let () = old.set("key", "twenty bytes of value").await.unwrap();
        let value: String = old.get("key").await.unwrap();
        assert_eq!(
            value, "twenty bytes of value",
            "the twin: nothing is broken"
        );

        redis.break_with(mode);
        // The client hears of a reset or of the server's end on its own.
        sleep(2 * MS).await;
        let before = Instant::now();
        let seen: redis::RedisResult<String> = old.get("key").await;
        let took = before.elapsed();
        assert_eq!(word(&seen), on_old, "{mode}: {seen:?}");
        assert!(took >= least && took <= most, "{mode}: {took:?}");

        let seen = match connect().await {
            Ok(mut new) => new.get::<_, Option<String>>("key").await,
            Err(e) => Err(e),
        };
        assert_eq!(word(&seen), on_new, "{mode}, a new connection: {seen:?}");

        redis.heal();
        sleep(10 * MS).await;
    }
}
