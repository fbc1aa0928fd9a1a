//! A spike of events, and the usual load after it.

use squall::Sim;
use squall::traffic::{Load, millis, rps, secs};
use squall_scenarios::pitfalls::consumer_lag::{self, Log};
use squall_scenarios::pitfalls::{Variant, lines};

pitfall!("the consumer has caught up", twin: 12);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    let log = Log::default();
    let (lag, behind) = (log.clone(), log.clone());
    sim.sample("events", move || lag.lag());
    sim.host("events", move || {
        consumer_lag::serve("0.0.0.0:80", log.clone(), variant)
    });
    tokio::time::sleep(millis(10)).await;

    let load = Load::spike(rps(15), rps(100))
        .at(secs(2))
        .lasting(secs(2))
        .tail(secs(10));
    let events = sim.traffic("event", load);
    let traffic = tokio::spawn(events.run(async |_| lines::ask("events:80", "EVENT").await));
    tokio::time::sleep(secs(4)).await;
    let caught_up = move || behind.lag() < secs(1);
    sim.eventually(WHAT, secs(8), caught_up).await;
    traffic.await?.expect("errors == 0")?;
    Ok(())
}
