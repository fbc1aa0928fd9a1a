//! A shop that sells what its stock has: two services over TCP, written against tokio, and a scenario for them. The same source runs on
//! squall's kernel, where tokio is tokio, and, built with `--cfg madsim`, on madsim's simulator.
//!
//! The stock has a bug that can be switched off: it takes a request for a new one when the shop, which had no answer in time, asks
//! again.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use squall::traffic::{Cx, Load, millis, rps, secs};
use squall::{Fault, Nemesis, Plan, Sim};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Whether the stock knows an order again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stock {
    /// It takes goods for each request.
    Planted,
    /// It takes goods once for each order.
    Repaired,
}

/// How long the shop waits for the stock.
const PATIENCE: Duration = Duration::from_millis(60);
/// How often it asks.
const TRIES: usize = 4;

/// What the stock's disk holds: how often goods were taken for each order.
#[derive(Clone, Debug, Default)]
pub struct Books(Arc<Mutex<BTreeMap<u64, u32>>>);

impl Books {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The orders for which goods were taken more than once.
    pub fn twice(&self) -> Vec<u64> {
        let books = self.lock();
        let more = books.iter().filter(|(_, times)| **times > 1);
        more.map(|(order, _)| *order).collect()
    }

    /// For how many orders goods were taken.
    pub fn sold(&self) -> usize {
        self.lock().len()
    }

    fn take(&self, order: u64, stock: Stock) {
        let mut books = self.lock();
        let times = books.entry(order).or_default();
        if stock == Stock::Planted || *times == 0 {
            *times += 1;
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// One line there and one back.
async fn ask(address: &str, line: &str) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.get_mut().write_all(line.as_bytes()).await?;
    stream.get_mut().flush().await?;
    let mut answer = String::new();
    match stream.read_line(&mut answer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer),
    }
}

/// Answers each line of each connection.
async fn serve<F, Fut>(port: u16, answer: F) -> io::Result<()>
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = &'static str> + Send,
{
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await? > 0 {
                let order = line.trim().parse().map_err(|_| invalid("no number"))?;
                let said = answer(order).await;
                stream.get_mut().write_all(said.as_bytes()).await?;
                stream.get_mut().flush().await?;
                line.clear();
            }
            io::Result::Ok(())
        });
    }
}

/// The program of the stock's host.
pub async fn stock(books: Books, kind: Stock) -> io::Result<()> {
    serve(80, move |order| {
        let books = books.clone();
        async move {
            // It looks into the store.
            tokio::time::sleep(millis(5)).await;
            books.take(order, kind);
            "taken\n"
        }
    })
    .await
}

/// The program of the shop's host.
pub async fn shop() -> io::Result<()> {
    serve(80, |order| async move {
        let line = format!("{order}\n");
        for _ in 0..TRIES {
            let asked = ask("stock:80", &line);
            if let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, asked).await {
                return "sold\n";
            }
            tokio::time::sleep(millis(20)).await;
        }
        "sorry\n"
    })
    .await
}

/// The customers: each buys once.
async fn buy(cx: Cx) -> io::Result<()> {
    let answer = ask("shop:80", &format!("{}\n", cx.id())).await?;
    match answer.as_str() {
        "sold\n" => Ok(()),
        _ => Err(invalid("not sold")),
    }
}

/// The scenario: customers at a rate that the seed draws, a stock that stands still and is cut off by a plan, and faults that the seed
/// draws besides. Whatever happens, no order takes goods twice.
pub async fn orders_take_goods_once(sim: Sim, kind: Stock) -> squall::Result {
    let books = Books::default();
    let of_stock = books.clone();
    sim.host("stock", move || stock(of_stock.clone(), kind));
    sim.host("shop", shop);
    let seen = books.clone();
    sim.always(
        "no order takes goods twice",
        move || seen.twice(),
        |twice| twice.is_empty(),
    );
    let seen = books.clone();
    sim.sometimes(
        "a third of the customers get something",
        move || seen.sold(),
        |sold| *sold >= 20,
    );
    let plan = Plan::new()
        .at(millis(700), Fault::partition("shop", "stock"))
        .lasting(millis(200))
        .at(millis(1_500), Fault::pause("stock"))
        .lasting(millis(150));
    sim.nemesis(
        Nemesis::portable()
            .crashing("stock")
            .among(["shop", "stock"])
            .and(plan),
    );
    let rate = *sim.choose(&[20, 30, 40]);
    let bought = sim
        .traffic("buy", Load::constant(rps(rate), secs(2)))
        .timeout(secs(1))
        .drain(secs(5))
        .run(buy)
        .await;
    bought.expect("count > 10")?;
    sim.heal().await;
    sim.eventually("the shop sells again", secs(10), || async {
        ask("shop:80", "1000000\n")
            .await
            .is_ok_and(|said| said == "sold\n")
    })
    .await;
    Ok(())
}
