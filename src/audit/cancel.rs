//! Every operation is dropped at each of its awaits.

use super::runner::{Finding, Kind, Later, World};
use super::service::{Ended, Operation, limited};
use crate::fault::Cut;
use crate::fault::site::poll_and_look;
use crate::kernel;
use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

pub(super) struct Cancellation;

const PATIENCE: Duration = Duration::from_secs(600);
/// What is dropped so often and grows each time is a leak; once may be a pool that fills.
const TIMES: usize = 3;
/// Until what a dropped operation has set off has come to rest.
const REST: Duration = Duration::from_secs(60);
/// An operation with more awaits is looked at up to here.
const MOST: usize = 64;

impl World {
    /// What must not grow: descriptors of each host, gauges.
    fn levels(&self) -> Vec<(String, u64)> {
        let mut levels = Vec::new();
        for host in self.sim.hosts() {
            let (open, _) = kernel::descriptors(host.id());
            levels.push((format!("descriptors of {}", host.name()), u64::from(open)));
        }
        let gauges = self.service.gauges.iter();
        levels.extend(gauges.map(|(name, gauge)| (name.clone(), gauge())));
        levels
    }
}

/// The places at which an operation waits, in order.
async fn awaits(operation: &Operation) -> Vec<String> {
    let mut call = (operation.call)();
    let mut sites = Vec::new();
    poll_fn(|cx| match poll_and_look(call.as_mut(), cx) {
        (Poll::Pending, site) => {
            sites.push(site.unwrap_or_else(|| "?".to_owned()));
            match sites.len() < MOST {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        }
        (Poll::Ready(_), _) => Poll::Ready(()),
    })
    .await;
    sites
}

impl Kind for Cancellation {
    fn head(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (
            &["operation", "await", "where"],
            &["what is left", "afterwards"],
        )
    }

    fn cells<'a>(&'a self, world: &'a World) -> Later<'a, Vec<Vec<String>>> {
        Box::pin(async move {
            let mut cells = Vec::new();
            for operation in &world.service.operations {
                if world
                    .calls(operation, world.patience(PATIENCE))
                    .await
                    .is_err()
                {
                    let name = [operation.name.as_str(), "1", "?"];
                    cells.push(name.map(str::to_owned).to_vec());
                    continue;
                }
                for (number, site) in awaits(operation).await.into_iter().enumerate() {
                    cells.push(vec![operation.name.clone(), (number + 1).to_string(), site]);
                }
            }
            cells
        })
    }

    fn look<'a>(&'a self, world: &'a World, cell: &'a [String]) -> Later<'a, Finding> {
        Box::pin(async move {
            let operation = world.service.get(&cell[0]);
            let patience = world.patience(PATIENCE);
            let calls = match world.calls(operation, patience).await {
                Ok(calls) => calls,
                Err(finding) => return finding,
            };
            let at: u64 = cell[1]
                .parse()
                .expect("squall bug: an await without a number");
            tokio::time::sleep(REST).await;
            let mut levels = vec![world.levels()];
            let mut left = Vec::new();
            let mut dropped = 0;
            for _ in 0..TIMES {
                let cut = tokio::time::timeout(patience, Cut::new((operation.call)(), at)).await;
                dropped += usize::from(!matches!(cut, Ok(Ok(_))));
                tokio::time::sleep(REST).await;
                levels.push(world.levels());
                for (name, check) in &world.service.checks {
                    let what = match limited(check(), patience, pending()).await {
                        Ended::Answer(_) => continue,
                        Ended::Error(error) => format!("{name}: {error}"),
                        Ended::Never(site) => format!("{name}: waits at {site}"),
                    };
                    if !left.contains(&what) && left.len() < 2 {
                        left.push(what);
                    }
                }
            }
            for number in 0..levels[0].len() {
                let (name, first) = &levels[0][number];
                let grows = levels
                    .windows(2)
                    .all(|two| two[0][number].1 < two[1][number].1);
                if grows {
                    let last = levels[TIMES][number].1;
                    left.push(format!("{name} grow: {first} to {last} in {TIMES} times"));
                }
            }
            let from = world.sim.elapsed();
            let (rank, afterwards) = match calls.once(pending()).await {
                Ended::Answer(answer) if calls.accepts(&answer) => (0, "works".to_owned()),
                Ended::Answer(answer) => (2, format!("answers {answer}")),
                Ended::Error(error) => (3, format!("error {error} after {}", world.since(from))),
                Ended::Never(site) => (4, format!("hangs at {site}")),
            };
            let (worse, what) = match (left.is_empty(), dropped) {
                (false, _) => (3, left.join("; ")),
                (true, 0) => (0, "nothing: it was done before".to_owned()),
                (true, _) => (0, "nothing".to_owned()),
            };
            Finding {
                rank: worse.max(rank),
                columns: vec![what, afterwards],
            }
        })
    }
}
