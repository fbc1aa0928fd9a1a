//! Tests for the tests of properties. Each is ignored, and run by name with `drive`.

#![allow(clippy::unwrap_used)]

#[path = "../common/planted.rs"]
mod planted;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use planted::lost_update;
use squall::kernel::{Violation, tally, violate};
use squall::{Check, Property, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[squall::test]
#[ignore]
fn violates() {
    let count = lost_update();
    tally("fixture", "runs", "here", 1);
    if count != 2 {
        violate(Violation {
            property: "no update is lost".to_owned(),
            detail: "an update was lost".to_owned(),
            values: vec![("count".to_owned(), count.to_string())],
            site: "tests/properties/fixtures.rs:1:1".to_owned(),
            ..Violation::default()
        });
    }
}

#[squall::test]
#[ignore]
async fn violates_on_a_host(sim: squall::Sim) {
    sim.host("shop", || async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        violate(Violation {
            property: "the shop is open".to_owned(),
            detail: "it is closed".to_owned(),
            ..Violation::default()
        });
        #[allow(unreachable_code)]
        ()
    });
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Five customers, three items; with a wait between the look and the sale.
async fn sell(stock: Arc<AtomicI64>, reserves: bool) {
    let customers: Vec<_> = (0..5)
        .map(|_| {
            let stock = stock.clone();
            tokio::spawn(async move {
                if reserves {
                    let take = |left: i64| (left > 0).then_some(left - 1);
                    let _ = stock.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
                } else if stock.load(Ordering::SeqCst) > 0 {
                    tokio::time::sleep(ms(1)).await;
                    stock.fetch_sub(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for customer in customers {
        customer.await.unwrap();
    }
    tokio::time::sleep(ms(1)).await;
}

fn never_negative(sim: &Sim, stock: &Arc<AtomicI64>) -> Property {
    let stock = stock.clone();
    let look = move || stock.load(Ordering::SeqCst);
    sim.always("the stock is never negative", look, |stock| *stock >= 0)
}

#[squall::test]
#[ignore]
async fn oversells(sim: Sim) {
    let stock = Arc::new(AtomicI64::new(3));
    never_negative(&sim, &stock);
    sell(stock.clone(), false).await;
    stock.store(0, Ordering::SeqCst);
    tokio::time::sleep(ms(1)).await;
}

#[squall::test]
#[ignore]
async fn reserves(sim: Sim) {
    let stock = Arc::new(AtomicI64::new(3));
    never_negative(&sim, &stock);
    sell(stock, true).await;
}

/// Negative for one step only, which no quiet moment shows.
fn dips(stock: &AtomicI64) {
    stock.store(-1, Ordering::SeqCst);
    std::thread::yield_now();
    stock.store(0, Ordering::SeqCst);
}

fn dipping(sim: &Sim, check: Check) {
    let stock = Arc::new(AtomicI64::new(0));
    never_negative(sim, &stock).check(check);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let stock = stock.clone();
            std::thread::spawn(move || dips(&stock))
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[squall::test]
#[ignore]
fn dips_for_a_step(sim: Sim) {
    dipping(&sim, Check::EachStep);
}

#[squall::test]
#[ignore]
fn dips_out_of_sight(sim: Sim) {
    dipping(&sim, Check::Quiet);
}

#[squall::test]
#[ignore]
fn panics_when_looked_at(sim: Sim) {
    sim.always(
        "a look that panics",
        || Vec::<u32>::new().pop().unwrap(),
        |_| true,
    );
    std::thread::sleep(ms(1));
}

/// A counter behind a socket, which loses its count at the fifth increment if it forgets.
async fn counter(forgets: bool) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
    let mut count = 0_u64;
    let mut last = tokio::time::Instant::now();
    loop {
        let (mut socket, _) = listener.accept().await?;
        if last.elapsed() > Duration::from_secs(3) {
            last = tokio::time::Instant::now();
            count += 1;
        }
        if forgets && count == 5 {
            count = 0;
        }
        socket.write_u64(count).await?;
    }
}

async fn peek() -> std::io::Result<u64> {
    TcpStream::connect("counter:80").await?.read_u64().await
}

async fn counts(sim: Sim, forgets: bool) {
    sim.host("counter", move || counter(forgets));
    let mut most = 0;
    sim.always("the count grows", peek, move |seen| match seen {
        Ok(count) => {
            let grows = *count >= most;
            most = *count;
            grows
        }
        Err(_) => true,
    });
    tokio::time::sleep(Duration::from_secs(40)).await;
}

#[squall::test(seeds = 20)]
#[ignore]
async fn forgets(sim: Sim) {
    counts(sim, true).await;
}

#[squall::test(seeds = 20)]
#[ignore]
async fn remembers(sim: Sim) {
    counts(sim, false).await;
}

/// Nothing is left that could happen: looking must not hide it.
#[squall::test(seeds = 5)]
#[ignore]
async fn deadlocks(sim: Sim) {
    sim.host("counter", || counter(false));
    sim.always("looks from afar", peek, |_| true);
    sim.never("looks from near", || 1, |n| *n == 2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    std::future::pending::<()>().await;
}

async fn finishes(sim: Sim, after: u64) {
    let work = tokio::spawn(tokio::time::sleep(Duration::from_secs(after)));
    let done = move || match work.is_finished() {
        true => Ok(()),
        false => Err("still at it"),
    };
    sim.eventually("the work is done", Duration::from_secs(10), done)
        .await;
}

#[squall::test(seeds = 20)]
#[ignore]
async fn finishes_late(sim: Sim) {
    finishes(sim, 11).await;
}

#[squall::test(seeds = 20)]
#[ignore]
async fn finishes_in_time(sim: Sim) {
    finishes(sim, 9).await;
}

async fn writes(sim: Sim, early: bool) {
    let (leader, written) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let (elected, seen) = (leader.clone(), written.clone());
    sim.until(
        "nothing is written before there is a leader",
        move || seen.load(Ordering::SeqCst),
        |written| *written == 0,
        move || elected.load(Ordering::SeqCst),
    );
    let writer = tokio::spawn(async move {
        tokio::time::sleep(ms(if early { 5 } else { 20 })).await;
        written.fetch_add(1, Ordering::SeqCst);
    });
    tokio::time::sleep(ms(10)).await;
    leader.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

#[squall::test(seeds = 20)]
#[ignore]
async fn writes_early(sim: Sim) {
    writes(sim, true).await;
}

#[squall::test(seeds = 20)]
#[ignore]
async fn writes_later(sim: Sim) {
    writes(sim, false).await;
}

async fn answers(sim: Sim, after: u64) {
    let pending = sim.monitor("requests are answered", Duration::from_secs(5));
    for _ in 0..3 {
        pending.hot();
        tokio::time::sleep(Duration::from_secs(after)).await;
        pending.cold();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    // Still hot in the end, but not for too long.
    pending.hot();
}

#[squall::test(seeds = 20)]
#[ignore]
async fn answers_late(sim: Sim) {
    answers(sim, 6).await;
}

#[squall::test(seeds = 20)]
#[ignore]
async fn answers_in_time(sim: Sim) {
    answers(sim, 4).await;
}

#[squall::test(seeds = 20)]
#[ignore]
fn comes_to_nothing(sim: Sim) {
    sim.sometimes("a lucky number", || 7, |n| *n == 8);
    sim.sometimes("a number", || 7, |n| *n == 7);
    let retried = sim.reachable("a retry");
    if sim.seed() > 1_000 {
        retried.reached();
    }
    std::thread::sleep(ms(1));
}

#[squall::test(seeds = 20)]
#[ignore]
fn comes_to_all(sim: Sim) {
    let seed = sim.seed();
    sim.sometimes("a lucky number", move || seed, |n| *n == 8);
    let retried = sim.reachable("a retry");
    if seed == 19 {
        retried.reached();
    }
}

#[squall::test(seeds = 20)]
#[ignore]
fn reaches_what_it_must_not(sim: Sim) {
    let lost = sim.unreachable("the order is lost");
    if sim.seed() == 3 {
        lost.reached();
    }
}

/// What stands in production code.
mod production {
    pub fn take(stock: &mut i64, wanted: i64) {
        squall::gauge!("stock", *stock);
        *stock -= wanted;
        squall::always!(*stock >= 0, "stock never below zero", stock, taken = wanted);
        squall::sometimes!(*stock == 0, "the stock is sold out");
    }

    pub fn twice(leaders: u32) {
        squall::never!(leaders > 1, "two leaders", leaders);
    }

    pub fn half_open(state: &str) {
        if state == "half" {
            squall::unreachable_point!("half open without a probe", state);
        }
    }
}

#[squall::test(seeds = 5)]
#[ignore]
fn takes_too_much(sim: Sim) {
    let mut stock = 3;
    production::take(&mut stock, 2);
    assert_eq!(sim.gauge("stock"), Some(3.0));
    production::take(&mut stock, 2);
}

#[squall::test(seeds = 5)]
#[ignore]
fn takes_little() {
    let mut stock = 3;
    production::take(&mut stock, 2);
    production::take(&mut stock, 1);
    production::twice(1);
    production::half_open("open");
}

#[squall::test(seeds = 5)]
#[ignore]
fn two_leaders() {
    production::twice(2);
}

#[squall::test(seeds = 5)]
#[ignore]
fn half_opens() {
    production::half_open("half");
}

/// How often a place fires tells whether it is enabled; both happen, and nothing fires once it is forbidden.
#[squall::test(seeds = 200)]
#[ignore]
fn buggified(sim: Sim) {
    let fires = |n: u32| (0..n).filter(|_| squall::buggify!()).count();
    let often = fires(100);
    let enabled = sim.reachable("the place is enabled");
    let disabled = sim.reachable("the place is not enabled");
    match often {
        0 => disabled.reached(),
        10..=45 => enabled.reached(),
        _ => panic!("fired {often} times of 100"),
    }
    let all = (0..100).filter(|_| squall::buggify!(1.0)).count();
    assert!(all == 0 || all == 100);
    assert_eq!((0..100).filter(|_| squall::buggify!(0.0)).count(), 0);
    sim.buggify(false);
    assert_eq!(fires(100), 0);
}

/// What stands in production code, with places where it may be hurt.
mod service {
    use std::io;

    pub fn append(log: &mut Vec<u64>) -> io::Result<()> {
        squall::fault_point!("append fails", |text| Err(io::Error::other(text)));
        log.push(1);
        squall::fault_point!("after the write");
        Ok(())
    }

    pub async fn commit(log: &mut Vec<u64>) -> io::Result<()> {
        squall::fault_point!(async "commit fails", |text| Err(io::Error::other(text)));
        log.push(1);
        squall::fault_point!(async "between prepare and commit");
        log.push(2);
        Ok(())
    }
}

#[squall::test(seeds = 20)]
#[ignore]
async fn points_do_as_they_are_told(sim: Sim) {
    let mut log = Vec::new();
    // Not armed: nothing.
    service::append(&mut log).unwrap();
    service::commit(&mut log).await.unwrap();
    assert_eq!(log, [1, 1, 2]);
    // An error, skipped once, twice, never again.
    let fails = sim.fault_point("commit fails");
    fails.error("no quorum").after(1).times(2);
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(service::commit(&mut log).await.is_ok());
    }
    assert_eq!(outcomes, [true, false, false, true, true]);
    assert_eq!((fails.visits(), fails.fired()), (5, 2));
    // A delay, in virtual time, of a task and of a thread.
    sim.fault_point("between prepare and commit")
        .delay_between(ms(50), ms(60));
    let begin = sim.elapsed();
    service::commit(&mut log).await.unwrap();
    let took = sim.elapsed() - begin;
    assert!(took >= ms(50) && took < ms(70), "{took:?}");
    sim.fault_point("after the write").delay(ms(30));
    let begin = sim.elapsed();
    service::append(&mut log).unwrap();
    assert!(sim.elapsed() - begin >= ms(30));
    // A pause, of a task and of a thread.
    let between = sim.fault_point("between prepare and commit");
    between.pause();
    let task = tokio::spawn(async {
        let mut log = Vec::new();
        service::commit(&mut log).await.map(|()| log)
    });
    between.reached().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!task.is_finished() && between.paused() == 1);
    between.release();
    assert_eq!(task.await.unwrap().unwrap(), [1, 2]);
    assert_eq!(between.paused(), 0);
    let written = sim.fault_point("after the write");
    written.pause();
    let thread = std::thread::spawn(|| service::append(&mut Vec::new()).unwrap());
    while written.paused() == 0 {
        tokio::time::sleep(ms(1)).await;
    }
    assert!(!thread.is_finished());
    written.disarm();
    thread.join().unwrap();
    // A cancelled call: half of it has happened.
    between.cancel();
    let mut half = Vec::new();
    let cancelled = squall::cancellable(service::commit(&mut half)).await;
    assert!(cancelled.is_err());
    assert_eq!(half, [1]);
    between.disarm();
    squall::cancellable(service::commit(&mut half))
        .await
        .unwrap()
        .unwrap();
    // A share of the visits.
    fails.error("sometimes").times(1000).chance(0.5);
    let mut failed = 0;
    for _ in 0..100 {
        failed += u32::from(service::commit(&mut log).await.is_err());
    }
    assert!((20..=80).contains(&failed), "{failed}");
    // One host only.
    sim.host("other", || async { std::future::pending::<()>().await });
    fails.chance(1.0).on("other");
    service::commit(&mut log).await.unwrap();
}

#[squall::test(seeds = 3)]
#[ignore]
fn points_panic(sim: Sim) {
    sim.fault_point("after the write")
        .panic("the power is gone");
    let _ = service::append(&mut Vec::new());
}

#[squall::test(seeds = 3)]
#[ignore]
fn points_that_are_not_there(sim: Sim) {
    sim.fault_point("between prepare and comit");
}

#[squall::test(seeds = 3)]
#[ignore]
fn points_that_cannot_fail(sim: Sim) {
    sim.fault_point("after the write").error("no space");
    let _ = service::append(&mut Vec::new());
}

#[squall::test(seeds = 3)]
#[ignore]
async fn points_that_nothing_around_cancels(sim: Sim) {
    sim.fault_point("between prepare and commit").cancel();
    let _ = service::commit(&mut Vec::new()).await;
}
