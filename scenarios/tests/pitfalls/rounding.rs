//! Payments to two merchants, and an auditor.

use squall::Sim;
use squall::history::{Conservation, Flow, History};
use squall::traffic::{Keys, Load, millis, rps, secs};
use squall_scenarios::pitfalls::rounding::{self, TOTAL};
use squall_scenarios::pitfalls::{Variant, lines};

pitfall!("not conserved", twin: 40);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    sim.host("bank", move || rounding::serve("0.0.0.0:80", variant));
    tokio::time::sleep(millis(10)).await;

    let history = History::<String, i64>::new();
    let clients = history.clone();
    sim.traffic("bank", Load::constant(rps(10), secs(2)))
        .operation("pay", 3)
        .operation("audit", 1)
        .keys(Keys::uniform(2))
        .expecting("errors == 0")
        .run(move |cx| {
            let client = clients.client(cx.id());
            async move {
                let request = match cx.operation() {
                    "audit" => "AUDIT".to_owned(),
                    _ => format!("PAY m{} {}", cx.key(), cx.number(100..=2_000)),
                };
                let answer = lines::ask("bank:80", &request);
                let sum = async { answer.await.map(|answer| answer.parse().unwrap_or(0)) };
                client.call(request.clone(), sum).await.map(|_| ())
            }
        })
        .await;
    // Whatever was paid, the sum is what it was; also when everything is settled.
    tokio::time::sleep(secs(1)).await;
    let audit = async { Ok::<i64, squall::Error>(lines::ask("bank:80", "AUDIT").await?.parse()?) };
    history
        .client("auditor")
        .call("AUDIT".to_owned(), audit)
        .await?;
    Conservation::of(TOTAL.into()).check(&history, |request, sum| match &**request {
        "AUDIT" => sum.map_or(Flow::Nothing, |sum| Flow::Saw((*sum).into())),
        _ => Flow::Change(0),
    })?;
    Ok(())
}
