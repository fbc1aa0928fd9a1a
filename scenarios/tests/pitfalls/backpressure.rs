//! More events than the store can take.

use squall::traffic::{Load, millis, rps, secs};
use squall::{Behaviour, Sim};
use squall_scenarios::pitfalls::{Variant, backpressure, lines};

pitfall!("queue(events) <= 64", twin: 10);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    let behaviour = Behaviour::healthy().latency(millis(20));
    sim.line_dependency("store", 80, behaviour, |_| async { "OK".to_owned() });
    sim.host("events", move || {
        backpressure::serve("0.0.0.0:80", "store:80", variant)
    });
    tokio::time::sleep(millis(10)).await;

    // The store does not quite fifty in a second.
    let load = Load::constant(rps(30), secs(2)).then(Load::constant(rps(80), secs(4)));
    sim.traffic("event", load)
        .expecting("queue(events) <= 64, p99 < 100ms")
        .run(
            async |cx| match &*lines::ask("events:80", &format!("EVENT {}", cx.id())).await? {
                "OK" => squall::Result::Ok(()),
                _ => Err(squall::Error::msg("busy")),
            },
        )
        .await;
    Ok(())
}
