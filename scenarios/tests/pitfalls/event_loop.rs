//! Health checks, and a report now and then.

use squall::traffic::{Load, millis, rps, secs};
use squall::{Behaviour, Detector, Latency, Sim};
use squall_scenarios::pitfalls::{Variant, event_loop, lines};

pitfall!("p95(health) < 50ms", twin: 30);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    // Where the command says what tasks do, its detector would be first.
    let _allowed = sim.allow(Detector::BlockingCall);
    let behaviour = Behaviour::healthy().latency(Latency::log_normal(millis(200), 0.3));
    sim.line_dependency("archive", 80, behaviour, |_| async { "PAGES".to_owned() });
    sim.host("reports", move || {
        event_loop::serve("0.0.0.0:80", "archive:80", variant)
    });
    tokio::time::sleep(millis(10)).await;
    sim.traffic("reports", Load::constant(rps(20), secs(3)))
        .operation("health", 9)
        .operation("report", 1)
        .expecting("p95(health) < 50ms, errors == 0")
        .run(async |cx| match cx.operation() {
            "report" => lines::ask("reports:80", &format!("REPORT {}", cx.id())).await,
            _ => lines::ask("reports:80", "HEALTH").await,
        })
        .await;
    Ok(())
}
