//! A steady load, neither low nor high.

use squall::Sim;
use squall::traffic::{Load, millis, rps, secs};
use squall_scenarios::pitfalls::{Variant, batcher, lines};

pitfall!("p99 < 100ms", twin: 15);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    sim.host("writes", move || batcher::serve("0.0.0.0:80", variant));
    tokio::time::sleep(millis(10)).await;
    sim.traffic("write", Load::ramp(rps(20), rps(200), secs(3)))
        .expecting("p99 < 100ms, errors == 0")
        .run(async |cx| lines::ask("writes:80", &format!("WRITE {}", cx.id())).await)
        .await;
    Ok(())
}
