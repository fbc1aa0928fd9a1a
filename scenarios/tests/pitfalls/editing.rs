//! Three editors, each with three lines to add, who read the document meanwhile.

use squall::Sim;
use squall::history::{History, Set, SetOp, SetRet};
use squall_scenarios::pitfalls::Variant;
use squall_scenarios::pitfalls::editing::{self, Editor};
use std::time::Duration;

pitfall!("not linearizable", twin: 40);

async fn scenario(sim: Sim, variant: Variant) -> squall::Result {
    sim.host("wiki", move || editing::serve("0.0.0.0:80", variant));
    tokio::time::sleep(Duration::from_millis(10)).await;

    let history = History::new();
    let editors: Vec<_> = ["ada", "ben", "cem"]
        .into_iter()
        .enumerate()
        .map(|(i, name)| {
            let (client, editor) = (history.client(name), Editor::new("http://wiki"));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(7 * i as u64)).await;
                for n in 0..3 {
                    let line = format!("{name} {n}");
                    let adding = async { editor.add(&line).await.map(|()| SetRet::Done) };
                    client.call(SetOp::Add(line.clone()), adding).await?;
                    tokio::time::sleep(Duration::from_millis(15)).await;
                    let reading = async {
                        let (_, text) = editor.read().await?;
                        Ok(SetRet::Items(text.lines().map(str::to_owned).collect()))
                    };
                    client.call(SetOp::Read, reading).await?;
                }
                reqwest::Result::Ok(())
            })
        })
        .collect();
    for editor in editors {
        editor.await??;
    }
    history.check(&Set::new())?;
    Ok(())
}
