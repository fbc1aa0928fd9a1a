//! Clients who have no patience, and a database that is slow now and then.

use squall::traffic::{Load, millis, rps, secs};
use squall::{Behaviour, Latency, Sim};
use squall_scenarios::pitfalls::{Variant, connections};

pitfall!("all connections come back", twin: 30);

async fn get(client: &reqwest::Client, path: &str) -> reqwest::Result<String> {
    let answer = client.get(format!("http://api/{path}")).send().await?;
    answer.error_for_status()?.text().await
}

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    let latency = Latency::bimodal(Latency::fixed(millis(2)), Latency::fixed(millis(150)), 0.03);
    let behaviour = Behaviour::healthy().latency(latency);
    sim.line_dependency("database", 5432, behaviour, |_| async { "1".to_owned() });
    sim.host("api", move || {
        connections::serve("0.0.0.0:80", "database:5432", variant)
    });
    tokio::time::sleep(millis(10)).await;

    let client = reqwest::Client::new();
    let asking = client.clone();
    sim.traffic("row", Load::constant(rps(20), secs(2)))
        .patience(millis(50))
        .run(move |_| {
            let client = asking.clone();
            async move { get(&client, "row").await }
        })
        .await;
    let whole = move || {
        let client = client.clone();
        async move {
            match get(&client, "free").await {
                Ok(free) if free == connections::SIZE.to_string() => Ok(()),
                free => Err(format!("{free:?} of {} are free", connections::SIZE)),
            }
        }
    };
    sim.eventually(WHAT, secs(10), whole).await;
    Ok(())
}
