//! Orders of which some can never be done, a worker that is killed, a link to the dead letters that breaks.

use squall::history::{Effects, History};
use squall::{Behaviour, FaultKind, Nemesis, Sim};
use squall_scenarios::pitfalls::dead_letters::{self, Worker};
use squall_scenarios::pitfalls::{Variant, lines};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pitfall!("at least once", twin: 20);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    // What came of each message, by those who saw it.
    let seen = Arc::new(Mutex::new(Vec::<u32>::new()));
    let (done, dead) = (seen.clone(), seen.clone());
    sim.line_dependency("orders", 80, Behaviour::healthy(), move |line| {
        let number: u32 = line["DO order-".len()..].parse().unwrap();
        let poison = number.is_multiple_of(3);
        if !poison {
            done.lock().unwrap().push(number);
        }
        async move { if poison { "CANNOT" } else { "DONE" }.to_owned() }
    });
    sim.line_dependency("letters", 80, Behaviour::healthy(), move |line| {
        let number = line["PUT order-".len()..].parse().unwrap();
        dead.lock().unwrap().push(number);
        async { "OK".to_owned() }
    });
    sim.host("broker", || dead_letters::broker("0.0.0.0:80"));
    let worker = Worker {
        broker: "broker:80".to_owned(),
        letters: "letters:80".to_owned(),
        orders: "orders:80".to_owned(),
        variant,
    };
    sim.host("worker", move || worker.clone().run());
    tokio::time::sleep(Duration::from_millis(10)).await;

    sim.nemesis(
        Nemesis::all()
            .only([FaultKind::Kill, FaultKind::Partition, FaultKind::Reset])
            .crashing("worker")
            .between("worker", "letters"),
    );
    let sent = History::new();
    let sender = sent.client("sender");
    for number in 0..9_u32 {
        let message = format!("PUT order-{number}");
        sender
            .call(number, lines::ask("broker:80", &message))
            .await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    sim.heal().await;
    let empty = || async {
        lines::ask("broker:80", "COUNT")
            .await
            .is_ok_and(|n| n == "0")
    };
    sim.eventually(
        "the broker has delivered everything",
        Duration::from_secs(60),
        empty,
    )
    .await;
    // The last of them was acknowledged, and may be on its way to the letters.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let seen = seen.lock().unwrap().clone();
    Effects::of(&sent, |number| Some(*number)).at_least_once(seen)?;
    Ok(())
}
