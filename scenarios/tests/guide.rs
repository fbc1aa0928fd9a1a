//! The tests of `docs/guide.md`, step by step, and one that holds the guide to them: every snippet there stands here word for word.
//! Those that the guide shows to fail must fail.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use squall::history::{Counter, CounterOp, CounterRet, History};
use squall::traffic::{Load, Retry, millis, rps, secs};
use squall::{Behaviour, FailureMode, Fault, Latency, Nemesis, Plan, Sim};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

#[should_panic(expected = "deadlock: no thread can ever go on")]
#[squall::test]
async fn a_subscriber_hears_the_news() {
    let (news, _) = broadcast::channel(8);
    let channel = news.clone();
    let subscriber = tokio::spawn(async move { channel.subscribe().recv().await });
    tokio::task::yield_now().await; // now it has subscribed, has it not?
    news.send("the doors are open").ok();
    assert_eq!(subscriber.await.unwrap(), Ok("the doors are open"));
}

#[squall::test]
async fn a_subscriber_hears_the_news_now() {
    let (news, mut subscribed) = broadcast::channel(8);
    let subscriber = tokio::spawn(async move { subscribed.recv().await });
    news.send("the doors are open").ok();
    assert_eq!(subscriber.await.unwrap(), Ok("the doors are open"));
}

#[squall::test]
async fn a_night_passes_at_once() {
    let start = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(10 * 3600)).await;
    assert!(start.elapsed() >= Duration::from_secs(10 * 3600));
}

/// A box office: `POST /seat` sells the next seat and answers with its number, `GET /sold` says how many are sold.
async fn box_office(seats: u32) -> std::io::Result<()> {
    let sold = Arc::new(Mutex::new(0));
    let sell = async move |State(sold): State<Arc<Mutex<u32>>>| {
        let next = *sold.lock().unwrap() + 1;
        if next > seats {
            return Err(StatusCode::GONE);
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // the payment
        *sold.lock().unwrap() = next;
        Ok(next.to_string())
    };
    let count = async |State(sold): State<Arc<Mutex<u32>>>| sold.lock().unwrap().to_string();
    let router = Router::new()
        .route("/seat", post(sell))
        .route("/sold", get(count))
        .with_state(sold);
    axum::serve(TcpListener::bind("0.0.0.0:80").await?, router).await
}

#[squall::test]
async fn a_seat_is_sold(sim: Sim) -> squall::Result {
    sim.host("office", || box_office(100));
    tokio::time::sleep(Duration::from_secs(1)).await;

    let client = reqwest::Client::new();
    let seat = client.post("http://office/seat").send().await?;
    assert_eq!(seat.text().await?, "1");
    Ok(())
}

/// Buys a seat of the box office.
async fn buy(client: reqwest::Client) -> reqwest::Result<u32> {
    let answer = client.post("http://office/seat").send().await?;
    let seat = answer.error_for_status()?.text().await?;
    Ok(seat.parse().unwrap_or(0))
}

#[squall::test(seeds = 20)]
async fn a_rush_is_served(sim: Sim) -> squall::Result {
    sim.host("office", || box_office(10_000));
    tokio::time::sleep(secs(1)).await;

    let client = reqwest::Client::new();
    let rush = Load::spike(rps(10), rps(100))
        .at(secs(2))
        .lasting(secs(1))
        .tail(secs(4));
    let sales = sim
        .traffic("buy", rush)
        .run(move |_| buy(client.clone()))
        .await;
    sales.expect("p99 < 100ms, error_rate < 1%, recovery < 2s")?;
    Ok(())
}

#[should_panic(expected = "violated: no seat is sold twice")]
#[squall::test(seeds = 20)]
async fn no_seat_is_sold_twice(sim: Sim) -> squall::Result {
    sim.host("office", || box_office(10_000));
    tokio::time::sleep(secs(1)).await;

    let seats = Arc::new(Mutex::new(Vec::new()));
    let twice = |seats: &Vec<u32>| {
        let mut sorted = seats.clone();
        sorted.sort();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    };
    let seen = seats.clone();
    sim.never(
        "no seat is sold twice",
        move || seen.lock().unwrap().clone(),
        twice,
    );

    let client = reqwest::Client::new();
    sim.traffic("buy", Load::constant(rps(20), secs(2)))
        .run(move |_| {
            let (client, seats) = (client.clone(), seats.clone());
            async move {
                let seat = buy(client).await?;
                seats.lock().unwrap().push(seat);
                reqwest::Result::Ok(())
            }
        })
        .await;
    Ok(())
}

#[squall::test(seeds = 20)]
async fn a_cut_is_survived(sim: Sim) -> squall::Result {
    sim.host("office", || box_office(10_000));
    tokio::time::sleep(secs(1)).await;
    sim.network().latency(Latency::log_normal(millis(10), 0.5));
    sim.nemesis(
        Plan::new()
            .at(secs(4), Fault::partition("test", "office"))
            .lasting(secs(2)),
    );

    let client = reqwest::Client::new();
    let sales = sim
        .traffic("buy", Load::constant(rps(10), secs(15)))
        .timeout(secs(1))
        .retry(Retry::exponential(5, millis(200)).jitter())
        .run(move |_| buy(client.clone()))
        .await;
    sales.expect("error_rate < 1%, recovery < 5s")?;
    Ok(())
}

#[squall::test(seeds = 20)]
async fn whatever_happens_the_office_comes_back(sim: Sim) -> squall::Result {
    sim.host("office", || box_office(10_000));
    tokio::time::sleep(secs(1)).await;
    sim.nemesis(Nemesis::all().crashing("office").between("test", "office"));

    let client = reqwest::Client::builder().timeout(secs(2)).build()?;
    for _ in 0..20 {
        // It may fail now.
        buy(client.clone()).await.ok();
        tokio::time::sleep(millis(500)).await;
    }
    sim.heal().await;
    let sold = move || buy(client.clone());
    sim.eventually("the office sells again", secs(30), sold)
        .await;
    Ok(())
}

/// Takes the payment for a seat from `http://bank`, once more if that fails.
async fn pay(client: &reqwest::Client) -> reqwest::Result<()> {
    for _ in 0..2 {
        let paid = client.post("http://bank/pay").send().await;
        if paid.is_ok_and(|paid| paid.status().is_success()) {
            return Ok(());
        }
    }
    let last = client.post("http://bank/pay").send().await?;
    last.error_for_status().map(|_| ())
}

#[squall::test(seeds = 50)]
async fn a_bank_with_bad_moments_will_do(sim: Sim) -> squall::Result {
    let behaviour = Behaviour::healthy()
        .latency(Latency::log_normal(millis(40), 0.4))
        .error(FailureMode::Status(503), 0.02)
        .error(FailureMode::Reset, 0.01);
    let paid = Arc::new(AtomicU32::new(0));
    let count = paid.clone();
    let pays = Router::new().route(
        "/pay",
        post(async move || {
            count.fetch_add(1, SeqCst);
        }),
    );
    let bank = sim.http_dependency("bank", 80, behaviour, pays);
    tokio::time::sleep(millis(10)).await;

    let client = reqwest::Client::new();
    for _ in 0..10 {
        pay(&client).await?;
    }
    assert_eq!(paid.load(SeqCst), 10);
    assert!(bank.calls().len() >= 10);
    Ok(())
}

#[should_panic(expected = "not linearizable")]
#[squall::test(seeds = 20)]
async fn the_count_is_right_at_any_time(sim: Sim) -> squall::Result {
    sim.host("office", || box_office(10_000));
    tokio::time::sleep(secs(1)).await;

    let history = History::new();
    let visitors = ["ada", "ben", "cem"].map(|name| {
        let (visitor, client) = (history.client(name), reqwest::Client::new());
        tokio::spawn(async move {
            let buying = async { buy(client.clone()).await.map(|_| CounterRet::Done) };
            visitor.call(CounterOp::Add(1), buying).await?;
            let reading = async {
                let sold = client.get("http://office/sold").send().await?;
                let sold = sold.text().await?.parse();
                reqwest::Result::Ok(CounterRet::Value(sold.unwrap_or(-1)))
            };
            visitor.call(CounterOp::Get, reading).await
        })
    });
    for visitor in visitors {
        visitor.await??;
    }
    history.check(&Counter::default())?;
    Ok(())
}

/// The repaired box office: a seat is taken before the payment begins.
async fn good_office(seats: u32) -> std::io::Result<()> {
    let sold = Arc::new(Mutex::new(0));
    let sell = async move |State(sold): State<Arc<Mutex<u32>>>| {
        let seat = {
            let mut sold = sold.lock().unwrap();
            if *sold == seats {
                return Err(StatusCode::GONE);
            }
            *sold += 1;
            *sold
        };
        tokio::time::sleep(Duration::from_millis(5)).await; // the payment
        Ok(seat.to_string())
    };
    let router = Router::new().route("/seat", post(sell)).with_state(sold);
    axum::serve(TcpListener::bind("0.0.0.0:80").await?, router).await
}

#[squall::test(seeds = 20)]
async fn no_seat_of_the_good_office_is_sold_twice(sim: Sim) {
    sim.host("office", || good_office(10_000));
    tokio::time::sleep(secs(1)).await;
    let client = reqwest::Client::new();
    let buyers: Vec<_> = (0..10).map(|_| tokio::spawn(buy(client.clone()))).collect();
    let mut seats = Vec::new();
    for buyer in buyers {
        seats.push(buyer.await.unwrap().unwrap());
    }
    seats.sort();
    assert_eq!(seats, (1..=10).collect::<Vec<_>>());
}

#[test]
fn the_guide_shows_what_stands_here() {
    let (guide, here) = (
        include_str!("../../docs/guide.md"),
        include_str!("guide.rs"),
    );
    let mut snippets = 0;
    let mut parts = guide.split("```rust\n");
    parts.next();
    for part in parts {
        let snippet = part.split("```").next().unwrap_or_default();
        assert!(
            here.contains(snippet),
            "this is not in guide.rs:\n{snippet}"
        );
        snippets += 1;
    }
    assert!(snippets >= 10, "{snippets} snippets");
}
