//! The figures of `docs/performance.md`: `cargo bench -p squall-benches`.
//!
//! Each row runs one workload on stock tokio and under squall in turn, several times, and gives the medians and their
//! ratio. Rows that only a simulator can run have no peer. The goals are those that the project set itself for its own
//! two-core machine; they are printed, not asserted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use squall::kernel::{self, Config};
use squall::{Builder, Flavor, Isolation, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

fn runtime(workers: usize) -> Runtime {
    let mut builder = if workers == 0 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut b = tokio::runtime::Builder::new_multi_thread();
        b.worker_threads(workers);
        b
    };
    builder.enable_all().build().expect("a runtime")
}

fn flavor(workers: usize) -> Flavor {
    if workers == 0 {
        Flavor::CurrentThread
    } else {
        Flavor::MultiThread(Some(workers))
    }
}

/// Three tasks of five yields each, on one counter.
async fn tiny() {
    let counter = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let counter = counter.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    counter.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for t in tasks {
        t.await.expect("no panic");
    }
}

async fn yields(n: u64) {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
}

fn ping_pong(n: u64) {
    let me = std::thread::current();
    let t = std::thread::spawn(move || {
        for _ in 0..n {
            std::thread::park();
            me.unpark();
        }
    });
    for _ in 0..n {
        t.thread().unpark();
        std::thread::park();
    }
    t.join().expect("no panic");
}

async fn echo(clients: usize, rounds: usize) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bind");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.expect("accept");
            tokio::spawn(async move {
                let mut buffer = [0u8; 64];
                while socket.read_exact(&mut buffer).await.is_ok() {
                    if socket.write_all(&buffer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            tokio::spawn(async move {
                let mut socket = tokio::net::TcpStream::connect(address)
                    .await
                    .expect("connect");
                let mut buffer = [7u8; 64];
                for _ in 0..rounds {
                    socket.write_all(&buffer).await.expect("write");
                    socket.read_exact(&mut buffer).await.expect("read");
                }
            })
        })
        .collect();
    for c in clients {
        c.await.expect("no panic");
    }
}

/// A hundred requests, one after the other, each of which the server answers after `delay`.
async fn http(delay: Duration) {
    let app = axum::Router::new().route(
        "/",
        axum::routing::get(move || async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            "hello"
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bind");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = reqwest::Client::new();
    for _ in 0..100 {
        let text = client
            .get(&url)
            .send()
            .await
            .expect("a response")
            .text()
            .await
            .expect("a body");
        assert_eq!(text, "hello");
    }
}

/// Five hosts that do nothing but tick every ten seconds, for a day.
async fn heartbeats(sim: Sim) {
    for i in 0..5 {
        sim.host(&format!("host{i}"), || async {
            let mut beat = tokio::time::interval(Duration::from_secs(10));
            loop {
                beat.tick().await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(86_400)).await;
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Seconds that `f` takes.
fn time(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

/// Seconds that the body takes as one simulation in this process, its runtime included.
fn simulated(workers: usize, body: impl FnOnce(Runtime) + Send + 'static) -> f64 {
    let config = Config {
        max_steps: u64::MAX,
        ..Config::default()
    };
    let oracle = Box::new(squall::choice::Choices::new(squall::Strategy::default()));
    time(|| {
        let (outcome, _) =
            kernel::simulate(config, oracle, Box::new(move || body(runtime(workers))));
        assert_eq!(outcome.end, kernel::End::Returned);
    })
}

struct Row {
    name: &'static str,
    unit: &'static str,
    squall: Vec<f64>,
    stock: Vec<f64>,
    goal: &'static str,
}

const ROUNDS: usize = 5;

/// Names what is to be measured by a process that does nothing else.
const ALONE: &str = "SPEED_ALONE";

/// Where squall's side of a row is measured.
#[derive(Clone, Copy, PartialEq)]
enum Squall {
    /// Here: the harness has processes of its own.
    Here,
    /// In a process for each figure: nobody puts the program's statics back between simulations, and the signal pipe that tokio keeps in one
    /// would be that of an earlier run.
    Alone,
}

/// Measures squall and the peer in turn; each closure gives one figure. The peer is always alone.
fn row(
    name: &'static str,
    unit: &'static str,
    goal: &'static str,
    place: Squall,
    mut squall: impl FnMut() -> f64,
    mut stock: impl FnMut() -> Option<f64>,
) -> Row {
    let mut row = Row {
        name,
        unit,
        squall: Vec::new(),
        stock: Vec::new(),
        goal,
    };
    let sides = [format!("squall: {name}"), format!("stock: {name}")];
    if let Ok(asked) = std::env::var(ALONE) {
        let figure = match sides.iter().position(|side| *side == asked) {
            Some(0) => Some(squall()),
            Some(_) => stock(),
            None => return row,
        };
        figure.into_iter().for_each(|figure| println!("{figure}"));
        std::process::exit(0);
    }
    // Squall starts this program anew to run seeds; there, nothing is measured on the way to them.
    let anew = std::env::var_os("SQUALL_ZYGOTE").is_some();
    for _ in 0..ROUNDS {
        match place {
            Squall::Here => row.squall.push(squall()),
            Squall::Alone if anew => {}
            Squall::Alone => row.squall.extend(alone(&sides[0])),
        }
        if !anew {
            row.stock.extend(alone(&sides[1]));
        }
    }
    row
}

/// A figure that a process of its own has found, if there is one.
fn alone(side: &str) -> Option<f64> {
    let this = std::env::current_exe().expect("this program has a path");
    let output = std::process::Command::new(this)
        .env(ALONE, side)
        .output()
        .expect("this program can be started");
    assert!(output.status.success(), "{side}: {output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().ok()
}

fn figure(v: f64) -> String {
    match v {
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Seeds per second of the tiny test through the whole harness.
fn seeds_per_second(workers: usize, isolation: Isolation, seeds: u64) -> f64 {
    let builder = Builder::new()
        .seeds(seeds)
        .flavor(flavor(workers))
        .isolation(isolation)
        .audit(0);
    let start = Instant::now();
    let held = builder.run(|_| tiny());
    assert!(held.is_ok(), "the tiny test holds: {held:?}");
    seeds as f64 / start.elapsed().as_secs_f64()
}

/// Milliseconds for one seed of a body through the whole harness, its start-up spread over the seeds.
fn ms_per_seed<F, Fut>(seeds: u64, body: F) -> f64
where
    F: Fn(Sim) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()>,
{
    let builder = Builder::new()
        .seeds(seeds)
        .flavor(Flavor::CurrentThread)
        .max_time(Duration::from_secs(100_000))
        .audit(0);
    let start = Instant::now();
    let held = builder.run(body);
    assert!(held.is_ok(), "{held:?}");
    start.elapsed().as_secs_f64() * 1e3 / seeds as f64
}

/// Runs per second of the tiny test on stock tokio, a runtime for each.
fn stock_tiny(workers: usize, n: u32) -> Option<f64> {
    let seconds = time(|| {
        for _ in 0..n {
            runtime(workers).block_on(tiny());
        }
    });
    Some(f64::from(n) / seconds)
}

fn main() {
    // The rows that go through the harness come first: it starts this program anew and comes here in it.
    let mut rows = vec![
        row(
            "tiny test, batched, current_thread",
            "seeds/s",
            ">= 150,000",
            Squall::Here,
            || seeds_per_second(0, Isolation::Batch, 100_000),
            || stock_tiny(0, 20_000),
        ),
        row(
            "tiny test, batched, 4 workers",
            "seeds/s",
            ">= 40,000",
            Squall::Here,
            || seeds_per_second(4, Isolation::Batch, 40_000),
            || stock_tiny(4, 2000),
        ),
        row(
            "tiny test, a process each",
            "seeds/s",
            ">= 1,500",
            Squall::Here,
            || seeds_per_second(0, Isolation::Process, 2000),
            || None,
        ),
        row(
            "100 HTTP requests, axum and reqwest",
            "ms",
            "<= 2.5",
            Squall::Here,
            || ms_per_seed(100, |_| http(Duration::ZERO)),
            || Some(time(|| runtime(0).block_on(http(Duration::ZERO))) * 1e3),
        ),
        row(
            "100 HTTP requests of 250 ms each (26 s)",
            "ms",
            "",
            Squall::Here,
            || ms_per_seed(100, |_| http(Duration::from_millis(250))),
            || None,
        ),
        row(
            "5 hosts, a beat every 10 s, 24 h",
            "ms",
            "<= 60",
            Squall::Here,
            || ms_per_seed(10, heartbeats),
            || None,
        ),
    ];
    const YIELDS: u64 = 1_000_000;
    for (name, workers) in [
        ("task poll, current_thread", 0),
        ("task poll, 4 workers", 4),
    ] {
        rows.push(row(
            name,
            "ns",
            "",
            Squall::Alone,
            move || simulated(workers, |rt| rt.block_on(yields(YIELDS))) * 1e9 / YIELDS as f64,
            move || Some(time(|| runtime(workers).block_on(yields(YIELDS))) * 1e9 / YIELDS as f64),
        ));
    }
    const SWITCHES: u64 = 200_000;
    rows.push(row(
        "thread switch (park, unpark)",
        "ns",
        "<= 80",
        Squall::Alone,
        || simulated(0, |_| ping_pong(SWITCHES)) * 1e9 / (2 * SWITCHES) as f64,
        || Some(time(|| ping_pong(SWITCHES / 10)) * 1e9 / (2 * SWITCHES / 10) as f64),
    ));
    for (name, workers) in [
        ("TCP echo round trip, current_thread", 0),
        ("TCP echo round trip, 4 workers", 4),
    ] {
        rows.push(row(
            name,
            "us",
            if workers == 0 { "<= 2" } else { "" },
            Squall::Alone,
            move || simulated(workers, |rt| rt.block_on(echo(10, 1000))) * 1e6 / 10_000.0,
            move || Some(time(|| runtime(workers).block_on(echo(10, 1000))) * 1e6 / 10_000.0),
        ));
    }
    let mut widths = BTreeMap::new();
    let table: Vec<[String; 5]> = std::iter::once(
        [
            "workload",
            "squall",
            "stock tokio",
            "squall / stock",
            "goal",
        ]
        .map(str::to_owned),
    )
    .chain(rows.into_iter().map(|r| {
        let squall = median(r.squall);
        let (stock, ratio) = if r.stock.is_empty() {
            ("-".to_owned(), "-".to_owned())
        } else {
            let stock = median(r.stock);
            (
                format!("{} {}", figure(stock), r.unit),
                format!("{:.2}", squall / stock),
            )
        };
        [
            r.name.to_owned(),
            format!("{} {}", figure(squall), r.unit),
            stock,
            ratio,
            if r.goal.is_empty() {
                String::new()
            } else {
                format!("{} {}", r.goal, r.unit)
            },
        ]
    }))
    .collect();
    for line in &table {
        for (i, cell) in line.iter().enumerate() {
            let w = widths.entry(i).or_insert(0);
            *w = cell.len().max(*w);
        }
    }
    for line in &table {
        let cells: Vec<String> = line
            .iter()
            .enumerate()
            .map(|(i, c)| format!("{c:<w$}", w = widths[&i]))
            .collect();
        println!("| {} |", cells.join(" | "));
    }
}
