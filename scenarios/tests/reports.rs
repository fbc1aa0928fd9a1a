//! The service that makes reports, under a spike of requests. The file says how large its pool is, and which other sizes a sweep tries.

use squall::{Scenario, Sim};
use squall_scenarios::reports;
use std::sync::Arc;

#[squall::scenario("scenarios/reports.toml")]
async fn a_spike_is_survived(sim: Sim, scenario: Scenario) -> squall::Result {
    let pool: usize = sim.parameter("pool", 8);
    sim.host("database", || reports::database("0.0.0.0:80"));
    sim.host("service", move || {
        reports::service("0.0.0.0:80", "http://database", pool)
    });
    let client = Arc::new(reqwest::Client::new());
    scenario
        .traffic("report")
        .run(move |_| {
            let client = client.clone();
            async move {
                let answer = client.get("http://service/report").send().await;
                match answer.map_err(|_| "unreachable")?.status().as_u16() {
                    200 => Ok(()),
                    _ => Err("refused"),
                }
            }
        })
        .await;
    Ok(())
}
