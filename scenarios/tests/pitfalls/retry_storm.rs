//! A backend that is five times slower for three seconds.

use squall::dependency::{BrownOut, Window};
use squall::traffic::{Load, millis, rps, secs};
use squall::{Behaviour, FailureMode, Sim};
use squall_scenarios::pitfalls::{Variant, lines, retry_storm};

pitfall!("recovery < 8s", twin: 6);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    // Fifty requests in a second, of which half are used; room for one second's worth.
    let behaviour = Behaviour::healthy()
        .latency(millis(40))
        .capacity_or(2, 50, FailureMode::Status(503))
        .brown_out(BrownOut::new(Window::at(secs(3)).lasting(secs(3))).slower(5.0));
    sim.line_dependency("backend", 80, behaviour, |_| async { "HERE".to_owned() });
    sim.host("gateway", move || {
        retry_storm::serve("0.0.0.0:80", "backend:80", variant)
    });
    tokio::time::sleep(millis(10)).await;

    sim.traffic("get", Load::constant(rps(25), secs(16)).evenly())
        .patience(secs(2))
        .expecting("recovery < 8s")
        .run(async |_| match &*lines::ask("gateway:80", "GET").await? {
            "ERROR" => Err(squall::Error::msg("failed")),
            _ => Ok(()),
        })
        .await;
    Ok(())
}
