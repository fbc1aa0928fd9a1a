//! A dozen orders at once, and a payment provider that drops some connections. What tells the two apart is the deadlock
//! detector, which needs no declaration.

use squall::{Behaviour, FailureMode, Latency, Sim};
use squall_scenarios::pitfalls::{Variant, lines, lock_order};
use std::time::Duration;

pitfall!("deadlock", twin: 40);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    let usual = Latency::exponential(Duration::from_millis(1), Duration::from_millis(5));
    let behaviour = Behaviour::healthy()
        .latency(usual)
        .error(FailureMode::Reset, 0.2);
    sim.line_dependency("payments", 80, behaviour, |_| async { "PAID".to_owned() });
    sim.host("orders", move || {
        lock_order::serve("0.0.0.0:80", "payments:80", variant)
    });
    tokio::time::sleep(Duration::from_millis(10)).await;

    let customers: Vec<_> = (0..12)
        .map(|id| {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(2 * id)).await;
                lines::ask("orders:80", &format!("ORDER {id}")).await
            })
        })
        .collect();
    for customer in customers {
        let answer = customer.await??;
        assert!(["CONFIRMED", "CANCELLED"].contains(&&*answer), "{answer}");
    }
    Ok(())
}
