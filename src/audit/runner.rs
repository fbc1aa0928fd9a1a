//! Runs an audit: lists its cells, gives each runs of its own, makes the table.

use super::FOUND;
use super::service::Service;
use super::table::{Row, Table};
use crate::kernel::{self, Violation};
use crate::run::{self, Builder, Failure, Settings};
use crate::sim::Sim;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(super) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What audits differ in.
pub(super) trait Kind {
    /// The columns: those of a cell's name, and those of what is found.
    fn head(&self) -> (&'static [&'static str], &'static [&'static str]);
    /// The names of the cells.
    fn cells<'a>(&'a self, world: &'a World) -> Later<'a, Vec<Vec<String>>>;
    /// Looks at one.
    fn look<'a>(&'a self, world: &'a World, cell: &'a [String]) -> Later<'a, Finding>;
}

/// The service of a run, and the limits of the audit.
pub(super) struct World {
    pub(super) sim: Sim,
    pub(super) service: Service,
    pub(super) limits: Limits,
    /// How far into an operation this round is to strike, from 0 to 1 without 1: the rounds of a cell are spread evenly.
    pub(super) moment: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) patience: Option<Duration>,
    pub(super) threshold: String,
    pub(super) rates: (u32, u32),
}

/// What one run found in its cell.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Finding {
    /// How bad it is; from 1 on it is a weakness.
    pub(super) rank: u8,
    /// One text for each column of findings.
    pub(super) columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
enum Found {
    Cell(usize, Vec<String>),
    In(usize, u64, Finding),
}

/// An audit that is yet to be run; see the [module](super).
#[must_use = "an audit does nothing before `check` or `run`"]
pub struct Audit {
    name: &'static str,
    service: Arc<dyn Fn(Sim) -> Later<'static, Service> + Send + Sync>,
    kind: fn() -> Box<dyn Kind>,
    settings: Settings,
    rounds: u64,
    limits: Limits,
}

impl Audit {
    pub(super) fn new<F, Fut>(name: &'static str, service: F, kind: fn() -> Box<dyn Kind>) -> Self
    where
        F: Fn(Sim) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Service> + 'static,
    {
        Audit {
            name,
            service: Arc::new(move |sim| Box::pin(service(sim))),
            kind,
            settings: Settings::new(),
            rounds: match name {
                // Each strikes at another moment.
                "timeouts" => 16,
                _ => 4,
            },
            limits: Limits {
                patience: None,
                threshold: "p99 < 1s, error_rate < 1%".to_owned(),
                rates: (10, 10_240),
            },
        }
    }

    /// In how many runs each cell is looked at, each with another seed; the table has the worst. Default 4, and 16 for [`timeouts`](super::timeouts), whose rounds strike at
    /// moments spread evenly over the operation.
    pub fn rounds(mut self, rounds: u64) -> Self {
        self.rounds = rounds.max(1);
        self
    }

    /// How long, in virtual time, an operation may take before it counts as never returning. Default: 10 minutes, and for [`timeouts`](super::timeouts) an hour, since Linux
    /// itself gives up on a connection after a quarter of an hour.
    pub fn patience(mut self, time: Duration) -> Self {
        self.limits.patience = Some(time);
        self
    }

    /// The thresholds that the service must keep, for [`overload`](super::overload), in the grammar of [traffic](crate::traffic::Thresholds). Default: `p99 < 1s, error_rate < 1%`.
    pub fn threshold(mut self, threshold: impl Into<String>) -> Self {
        self.limits.threshold = threshold.into();
        self
    }

    /// The rates between which [`overload`](super::overload) doubles, in requests a second. Default 10 to 10,240.
    pub fn rates(mut self, from: u32, to: u32) -> Self {
        self.limits.rates = (from.max(1), to.max(from).max(1));
        self
    }

    /// Settings of the runs; how many seeds there are follows from the cells.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Runs it, prints the table, and fails the test if there is a weakness.
    ///
    /// # Panics
    /// If there is, or if it cannot be run.
    pub fn check(self) {
        match self.run() {
            Ok(table) => {
                println!("{table}");
                let weak = table.weak().count();
                assert!(weak == 0, "the audit found {weak} weaknesses:\n{table}");
            }
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Runs it.
    ///
    /// With `SQUALL_SEED` (what a row's replay line sets) only that row's cell is run, and a weakness in it ends the run, which then is told as any failure.
    ///
    /// # Errors
    /// The service could not be set up, or has nothing that this audit could look at.
    pub fn run(self) -> Result<Table, Failure> {
        let again = run::again("SQUALL_SEED=<seed>");
        let replayed = ["SQUALL_SEED", "SQUALL_REPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        // What an audit finds is its table, not a log that would be run first from now on.
        let settings = self.settings.clone().keep_failures(false).shrink(None);
        let (kind, limits) = (self.kind, self.limits.clone());
        let (cells_head, found_head) = kind().head();

        let service = self.service.clone();
        let listing = Builder::new().settings(settings.clone().seeds(1)).run({
            let limits = limits.clone();
            move |sim: Sim| {
                let (service, limits) = (service.clone(), limits.clone());
                async move {
                    let service = service(sim.clone()).await;
                    let world = World {
                        sim,
                        service,
                        limits,
                        moment: 0.0,
                    };
                    let cells = kind().cells(&world).await;
                    for (number, name) in cells.into_iter().enumerate() {
                        found(&Found::Cell(number, name));
                    }
                }
            }
        })?;
        let mut cells = Vec::new();
        for found in parsed(&listing.found) {
            if let Found::Cell(number, name) = found {
                cells.push((number, name));
            }
        }
        cells.sort();
        let cells: Arc<[Vec<String>]> = cells.into_iter().map(|(_, name)| name).collect();
        if cells.is_empty() {
            let why = "the service has nothing to look at: it needs an operation, and something around it that can fail";
            return Err(run::unusable(&format!("the audit of {}", self.name), why));
        }

        let mut broken: Vec<(usize, u64, String)> = Vec::new();
        let (count, rounds) = (cells.len(), self.rounds);
        let findings = loop {
            let skip: BTreeSet<usize> = broken.iter().map(|(cell, ..)| *cell).collect();
            let (service, limits, cells) = (self.service.clone(), limits.clone(), cells.clone());
            let seeds = cells.len() as u64 * self.rounds;
            let ran =
                Builder::new()
                    .settings(settings.clone().seeds(seeds))
                    .run(move |sim: Sim| {
                        let (service, limits, cells) =
                            (service.clone(), limits.clone(), cells.clone());
                        let number = cell_of(sim.seed(), cells.len());
                        let skipped = skip.contains(&number);
                        async move {
                            if skipped {
                                return;
                            }
                            let seed = sim.seed();
                            let service = service(sim.clone()).await;
                            let world = World {
                                sim,
                                service,
                                limits,
                                moment: (seed / count as u64 % rounds) as f64 / rounds as f64,
                            };
                            let finding = kind().look(&world, &cells[number]).await;
                            if replayed && finding.rank > 0 {
                                kernel::violate(Violation {
                                    property: format!("audit: {}", cells[number].join(", ")),
                                    detail: finding.columns.join(", "),
                                    ..Violation::default()
                                });
                            }
                            found(&Found::In(number, seed, finding));
                        }
                    });
            match ran {
                Ok(summary) => break parsed(&summary.found),
                // A panic, an abort, a deadlock: it is what was found in its cell, and the others are looked at without it.
                Err(failure) => match failure.seed {
                    Some(seed) => {
                        eprint!("{}", failure.text);
                        broken.push((cell_of(seed, count), seed, failure.headline));
                    }
                    None => return Err(failure),
                },
            }
        };

        let mut rows: Vec<Row> = Vec::new();
        for (number, name) in cells.iter().enumerate() {
            let mut worst: Option<(u8, u64, Vec<String>)> = None;
            let failed = broken.iter().find(|(cell, ..)| *cell == number);
            if let Some((_, seed, headline)) = failed {
                worst = Some((u8::MAX, *seed, vec![format!("the run failed: {headline}")]));
            }
            for one in &findings {
                if let Found::In(cell, seed, Finding { rank, columns }) = one
                    && *cell == number
                    && worst.as_ref().is_none_or(|(most, first, _)| {
                        (*rank, std::cmp::Reverse(*seed)) > (*most, std::cmp::Reverse(*first))
                    })
                {
                    worst = Some((*rank, *seed, columns.clone()));
                }
            }
            let mut cells = name.clone();
            let (weak, seed) = match worst {
                Some((rank, seed, columns)) => {
                    cells.extend(columns);
                    (rank > 0, Some(seed))
                }
                None if replayed => continue,
                None => {
                    cells.push("not run".to_owned());
                    (false, None)
                }
            };
            rows.push(Row { cells, weak, seed });
        }
        let head = cells_head.iter().chain(found_head);
        Ok(Table {
            title: self.name.to_owned(),
            head: head.map(|text| (*text).to_owned()).collect(),
            rows,
            again,
        })
    }
}

/// The cell that the run of a seed is for.
fn cell_of(seed: u64, cells: usize) -> usize {
    (seed % cells as u64) as usize
}

fn found(what: &Found) {
    let text = serde_json::to_string(what);
    let text = text.expect("squall bug: a finding is no JSON");
    kernel::tally(FOUND, &text, "", 1);
}

fn parsed(found: &[String]) -> Vec<Found> {
    let parse =
        |text: &String| serde_json::from_str(text).expect("squall bug: a finding is no JSON");
    found.iter().map(parse).collect()
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
