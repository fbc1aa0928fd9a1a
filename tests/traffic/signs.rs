//! Vital signs: what waits in the world while traffic runs, and how long it takes to be well again.

use super::{body, found, seeds};
use squall::Sim;
use squall::traffic::{Load, Reading, millis, rps, secs};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A server that accepts nothing before a time, and then reads nothing before another.
async fn lazy() {
    let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
    sleep(secs(5)).await;
    let mut sockets = Vec::new();
    while sockets.len() < 10 {
        sockets.push(listener.accept().await.unwrap().0);
    }
    sleep(secs(5)).await;
    for socket in &mut sockets {
        socket.read_exact(&mut [0; 100]).await.unwrap();
        socket.write_all(b"!").await.unwrap();
    }
    std::future::pending::<()>().await;
}

async fn ask() -> std::io::Result<()> {
    let mut socket = TcpStream::connect("lazy:80").await?;
    socket.write_all(&[7; 100]).await?;
    socket.read_exact(&mut [0]).await.map(|_| ())
}

#[squall::test(seeds = 4, audit = 100)]
async fn the_kernel_says_what_waits_in_sockets(sim: Sim) {
    sim.host("lazy", lazy);
    sleep(millis(1)).await;
    let report = sim
        .traffic(
            "ask",
            Load::constant(rps(10), secs(1))
                .evenly()
                .then(Load::constant(rps(0), secs(14))),
        )
        .run(|_| ask())
        .await;
    let at = |second: usize| &report.samples()[second];
    assert_eq!((at(3).backlog, at(3).unread), (10, 1_000), "{report}");
    assert_eq!((at(7).backlog, at(7).unread), (0, 1_000));
    assert_eq!((at(12).backlog, at(12).unread), (0, 0));
    assert_eq!((at(3).in_flight, at(12).in_flight), (10, 0));
    report
        .expect(
            "queue(backlog) == 10, queue(backlog:lazy) == 10, queue(unread:test) == 0, errors == 0",
        )
        .unwrap();
    let wrong = report
        .expect("queue(backlog:lasy) < 1")
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("the nearest is `backlog:lazy`"), "{wrong}");
}

/// A queue between requests and a consumer that takes so long for each.
fn queue(sim: &Sim, each: Duration) -> Arc<Mutex<Vec<Duration>>> {
    let queue = Arc::new(Mutex::new(Vec::<Duration>::new()));
    let (depth, oldest, world) = (queue.clone(), queue.clone(), sim.clone());
    sim.sample("orders", move || depth.lock().unwrap().len());
    sim.sample("consumer", move || match oldest.lock().unwrap().first() {
        Some(at) => world.elapsed() - *at,
        None => Duration::ZERO,
    });
    let take = queue.clone();
    // As the program itself would say it.
    squall::gauge!("consumers", 1);
    tokio::spawn(async move {
        loop {
            sleep(each).await;
            let mut queue = take.lock().unwrap();
            if !queue.is_empty() {
                queue.remove(0);
            }
        }
    });
    queue
}

/// A spike into a queue whose consumer takes so long for each order.
async fn spike_into_a_queue(sim: Sim, each: Duration) -> squall::Result {
    let orders = queue(&sim, each);
    let world = sim.clone();
    let report = sim
        .traffic(
            "order",
            Load::spike(rps(50), rps(500))
                .at(secs(5))
                .lasting(secs(2))
                .evenly(),
        )
        .expecting("lag(consumer) < 8s, queue(orders) < 1200")
        .run(move |_| {
            orders.lock().unwrap().push(world.elapsed());
            async {}
        })
        .await;
    let at = |second: u64| {
        let sample = &report.samples()[second as usize];
        let orders = sample.gauges.iter().find(|(name, _)| &**name == "orders");
        orders.unwrap().1
    };
    // It grows, and goes back.
    assert!(
        matches!((at(4), at(7)), (Reading::Number(before), Reading::Number(peak)) if before < 10.0 && peak > 500.0)
    );
    report.expect("lag < 8s, queue(consumers) == 1")?;
    Ok(())
}

#[test]
fn a_consumer_that_does_not_catch_up_is_found() {
    found(
        seeds(4).run(body(|sim| spike_into_a_queue(sim, millis(19)))),
        &[
            "traffic order does not hold lag(consumer) < 8s",
            "of the traffic, by `consumer`",
            "orders: at most",
            "tests/traffic/signs.rs",
        ],
    );
}

#[test]
fn one_that_does_is_left_alone() {
    seeds(4)
        .run(body(|sim| spike_into_a_queue(sim, millis(5))))
        .unwrap();
}

/// A host that answers each connection with a byte.
fn answering(sim: &Sim) {
    sim.host("echo", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        loop {
            let (mut socket, _) = listener.accept().await?;
            tokio::spawn(async move { socket.write_all(b"!").await });
        }
        #[allow(unreachable_code)]
        std::io::Result::Ok(())
    });
}

/// An echo service behind a link that is cut for three seconds; clients that keep failing connections never recover if `broken`.
async fn outage(sim: Sim, broken: bool) -> squall::Result {
    answering(&sim);
    sleep(millis(1)).await;
    let world = sim.clone();
    tokio::spawn(async move {
        sleep(secs(5)).await;
        let outage = world.disturb("outage");
        world.partition("test", "echo");
        sleep(secs(3)).await;
        world.repair("test", "echo");
        outage.end();
    });
    let poisoned = Arc::new(Mutex::new(false));
    let report = sim
        .traffic("ask", Load::constant(rps(50), secs(20)))
        .timeout(millis(500))
        .run(move |_| {
            let poisoned = poisoned.clone();
            async move {
                // Planted: the first timeout takes the pool's only slot with it for good.
                struct Slot(Arc<Mutex<bool>>, bool);
                impl Drop for Slot {
                    fn drop(&mut self) {
                        if self.1 {
                            *self.0.lock().unwrap() = true;
                        }
                    }
                }
                if *poisoned.lock().unwrap() {
                    return Err(std::io::Error::from(std::io::ErrorKind::ResourceBusy));
                }
                let mut slot = Slot(poisoned, broken);
                let mut socket = TcpStream::connect("echo:80").await?;
                socket.read_exact(&mut [0]).await?;
                slot.1 = false;
                Ok(())
            }
        })
        .await;
    assert!(
        report.recoveries().len() == 1 && report.all().errors() > 100,
        "{report}"
    );
    report.expect("recovery < 3s")?;
    Ok(())
}

#[test]
fn a_service_that_does_not_recover_is_found() {
    found(
        seeds(4).run(body(|sim| outage(sim, true))),
        &[
            "traffic ask does not hold recovery < 3s",
            "recovery < 3s: it is never, after outage from 5 s to 8 s",
            "ResourceBusy",
        ],
    );
}

#[test]
fn one_that_recovers_is_left_alone() {
    seeds(4).run(body(|sim| outage(sim, false))).unwrap();
}

#[squall::test(seeds = 6, audit = 100)]
async fn fault_windows_of_the_nemesis_are_disturbances(sim: Sim) {
    answering(&sim);
    sleep(millis(1)).await;
    let cut = squall::Fault::partition("test", "echo");
    sim.nemesis(squall::Plan::new().at(secs(4), cut).lasting(secs(2)));
    let ask = sim
        .traffic("ask", Load::constant(rps(20), secs(12)))
        .timeout(millis(500));
    let report = ask
        .run(|_| async {
            let mut socket = TcpStream::connect("echo:80").await?;
            socket.read_exact(&mut [0]).await.map(|_| ())
        })
        .await;
    let recoveries = report.recoveries();
    assert!(
        recoveries.len() == 1 && recoveries[0].took.is_some(),
        "{report}"
    );
    assert!(report.all().errors() > 10, "{report}");
}

#[squall::test(seeds = 6, audit = 100)]
async fn what_breaks_a_dependency_is_a_disturbance(sim: Sim) {
    use squall::dependency::{BrownOut, Window};
    let behaviour = squall::Behaviour::healthy()
        .latency(millis(5))
        .outage(Window::at(secs(3)).lasting(secs(1)))
        .brown_out(BrownOut::new(Window::at(secs(9)).lasting(secs(1))).slower(100.0));
    let echo = sim.line_dependency("echo", 80, behaviour, |line| async move { line });
    sleep(millis(1)).await;
    tokio::spawn(async move {
        sleep(secs(15)).await;
        echo.break_with(squall::FailureMode::Reset);
        sleep(secs(1)).await;
        echo.heal();
    });
    let report = sim
        .traffic("ask", Load::constant(rps(20), secs(21)).evenly())
        .run(|_| async {
            let mut socket = TcpStream::connect("echo:80").await?;
            socket.write_all(b"x\n").await?;
            socket.read_exact(&mut [0; 2]).await.map(|_| ())
        })
        .await;
    let seen: Vec<_> = report
        .recoveries()
        .iter()
        .map(|r| (&*r.what, r.end.as_secs_f64().round()))
        .collect();
    let expected = [
        ("echo: outage", 4.0),
        ("echo: brown-out", 10.0),
        ("echo: reset", 16.0),
    ];
    assert_eq!(seen, expected, "{report}");
    report.expect("recovery < 4s").unwrap();
}
