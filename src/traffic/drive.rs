//! What a test says of its traffic, and the way from there to a report.

use super::cx::Cx;
use super::gauge::{Gauges, Reading};
use super::keys::Keys;
use super::load::Load;
use super::plan::{Mix, Plan, ns};
use super::record::{Answer, Tally};
use super::report::Report;
use super::retry::Retry;
use super::send::{Shared, State};
use super::signs::known_names;
use super::threshold::{Names, Thresholds, Wanted};
use crate::kernel::{self, Detector, Violation};
use crate::sim::{Sim, scope};
use std::panic::{Location, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

impl Sim {
    /// Traffic of this name in the shape of `load`: see [`Traffic`].
    ///
    /// ```no_run
    /// use squall::traffic::{Cx, Load, rps, secs};
    ///
    /// async fn buy(_: Cx) -> std::io::Result<()> {
    ///     tokio::net::TcpStream::connect("shop:80").await.map(|_| ())
    /// }
    ///
    /// #[squall::test]
    /// async fn a_spike_is_survived(sim: squall::Sim) -> squall::Result {
    ///     // sim.host("shop", ..);
    ///     let buys = sim
    ///         .traffic("buy", Load::spike(rps(50), rps(2_000)).at(secs(5)).lasting(secs(2)))
    ///         .run(buy)
    ///         .await;
    ///     println!("{buys}");
    ///     buys.expect("p99 < 800ms, error_rate < 2%, recovery < 10s")?;
    ///     Ok(())
    /// }
    /// # fn main() {}
    /// ```
    pub fn traffic(&self, name: &str, load: impl Into<Load>) -> Traffic {
        Traffic {
            seed: self.seed(),
            name: name.into(),
            load: load.into(),
            operations: Vec::new(),
            keys: None,
            retry: Retry::never(),
            timeout: None,
            patience: None,
            limit: None,
            warm_up: Duration::ZERO,
            drain: Duration::from_secs(60),
            resolution: Duration::from_secs(1),
            objective: 0.999,
            wanted: Vec::new(),
        }
    }

    /// Samples what `read` returns while traffic runs: a number such as a queue's length, judged by `queue(NAME)`, or a
    /// [`Duration`] such as the age of the oldest message that nobody has processed, judged by `lag(NAME)`.
    ///
    /// `read` runs on a thread of its own, at exact instants of virtual time; it must not block. A gauge of the same name is replaced. The program's own [`gauge!`](crate::gauge)s are sampled without being named here.
    ///
    /// ```no_run
    /// # fn example(sim: squall::Sim, orders: std::sync::Arc<std::sync::Mutex<Vec<u64>>>) {
    /// sim.sample("orders", move || orders.lock().unwrap().len());
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside a simulation.
    pub fn sample<R: Into<Reading>>(
        &self,
        name: &str,
        read: impl Fn() -> R + Send + Sync + 'static,
    ) {
        scope::of_run::<Gauges>().set(name, Arc::new(move || read().into()));
    }
}

/// Traffic that is yet to run: what arrives, and how its clients behave. Made by [`Sim::traffic`].
///
/// Latency counts from the moment for which an arrival was planned, whatever the state of the service then, so that a service
/// that stands still shows in all requests that should have been answered meanwhile (no coordinated omission).
///
/// ```
/// use squall::traffic::{Keys, Load, Retry, millis, rps, secs};
///
/// # fn main() {
/// let held = squall::Builder::new().seeds(2).run(|sim: squall::Sim| async move {
///     let report = sim
///         .traffic("shop", Load::constant(rps(200), secs(10)).evenly())
///         .operation("browse", 9)
///         .operation("buy", 1)
///         .keys(Keys::zipf(1_000, 1.0))
///         .timeout(millis(500))
///         .retry(Retry::exponential(2, millis(50)).jitter().budget(0.1))
///         .patience(secs(2))
///         .warm_up(secs(1))
///         .expecting("p99 < 60ms, errors == 0")
///         .run(|cx| async move {
///             let time = if cx.operation() == "buy" { 40 } else { 5 };
///             tokio::time::sleep(millis(time)).await;
///         })
///         .await;
///     assert_eq!(report.count(), 1_800);
///     report.expect("p50(browse) < 10ms, p50(buy) >= 40ms")
/// });
/// assert!(held.is_ok(), "{held:?}");
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "traffic does nothing until `run` is awaited"]
pub struct Traffic {
    /// The run's.
    seed: u64,
    name: Arc<str>,
    load: Load,
    operations: Vec<(u32, Arc<str>)>,
    keys: Option<Keys>,
    retry: Retry,
    timeout: Option<Duration>,
    patience: Option<Duration>,
    limit: Option<u64>,
    warm_up: Duration,
    drain: Duration,
    resolution: Duration,
    objective: f64,
    /// What must hold, and where that is stated.
    wanted: Vec<(Thresholds, String)>,
}

impl Traffic {
    /// One operation of a mix, and its weight among the others. Default: one operation, of the traffic's own name.
    ///
    /// # Panics
    /// If the weight is 0, or there is an operation of this name.
    pub fn operation(mut self, name: &str, weight: u32) -> Traffic {
        assert!(weight > 0, "the weight of operation {name:?} is at least 1");
        assert!(
            self.operations.iter().all(|(_, known)| **known != *name),
            "there are two operations {name:?}"
        );
        self.operations.push((weight, name.into()));
        self
    }

    /// Which keys requests are about; [`Cx::key`] says which. Default: none.
    pub fn keys(mut self, keys: Keys) -> Traffic {
        self.keys = Some(keys);
        self
    }

    /// What clients do when an attempt fails. Default: nothing.
    pub fn retry(mut self, retry: Retry) -> Traffic {
        self.retry = retry;
        self
    }

    /// How long an attempt may take: then it is dropped where it waits, which is an error of the kind `timeout`, and may be retried.
    /// Default: for ever.
    pub fn timeout(mut self, timeout: Duration) -> Traffic {
        self.timeout = Some(timeout);
        self
    }

    /// How long clients wait from the planned arrival on, retries included: then the request is dropped where it waits, which is
    /// an error of the kind `gave_up`. Default: for ever.
    pub fn patience(mut self, patience: Duration) -> Traffic {
        self.patience = Some(patience);
        self
    }

    /// So many requests may be under way at once; arrivals beyond are not sent, and counted as dropped. Default: no limit.
    ///
    /// # Panics
    /// If it is 0.
    pub fn limit(mut self, in_flight: u64) -> Traffic {
        assert!(
            in_flight > 0,
            "at least one request must be allowed under way"
        );
        self.limit = Some(in_flight);
        self
    }

    /// Requests planned within this time from the start do not count. Default: none.
    pub fn warm_up(mut self, time: Duration) -> Traffic {
        self.warm_up = time;
        self
    }

    /// How long is waited after the end of the load for what is under way. What is not done then is dropped, which is an
    /// error of the kind `unfinished`. Default: a minute.
    pub fn drain(mut self, time: Duration) -> Traffic {
        self.drain = time;
        self
    }

    /// The resolution of series, samples and recovery times. Default: a second.
    ///
    /// # Panics
    /// If it is less than a millisecond.
    pub fn resolution(mut self, time: Duration) -> Traffic {
        assert!(
            time >= Duration::from_millis(1),
            "the resolution is at least 1 ms, not {time:?}"
        );
        self.resolution = time;
        self
    }

    /// The share of requests that is promised to end well, between 0 and 1: what is left to 1 is the error budget. Default: 0.999.
    ///
    /// # Panics
    /// If it lies outside.
    pub fn objective(mut self, share: f64) -> Traffic {
        assert!(
            share > 0.0 && share < 1.0,
            "an objective lies between 0 and 1, such as 0.999, not {share}"
        );
        self.objective = share;
        self
    }

    /// What must hold at the end of the traffic: the test fails there if it does not. The grammar is that of
    /// [`Thresholds`]. To judge a report later, see [`Report::expect`].
    ///
    /// # Panics
    /// If the expression is wrong, before anything is sent; its text has a caret under the error.
    #[track_caller]
    pub fn expecting(self, wanted: impl Wanted) -> Traffic {
        match wanted.thresholds() {
            Ok(thresholds) => self.expecting_at(thresholds, Location::caller().to_string()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Likewise, for what a file states at this place.
    pub(crate) fn expecting_at(mut self, thresholds: Thresholds, place: String) -> Traffic {
        self.wanted.push((thresholds, place));
        self
    }

    /// Runs the traffic: calls `request` for each arrival (and for each retry), on tasks of the runtime that this is awaited on. Resolves when
    /// the load is over and nothing is under way any more.
    ///
    /// If this is dropped, so is what is under way.
    ///
    /// # Panics
    /// Outside a simulation or a tokio runtime; if a threshold names an operation or a gauge that does not exist; if a gauge panics.
    pub async fn run<F, Fut>(mut self, request: F) -> Report
    where
        F: Fn(Cx) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Answer,
    {
        let body = move |cx| {
            let future = request(cx);
            let ended = async move {
                match future.await.failure() {
                    None => Ok(()),
                    Some(kind) => Err(Arc::from(kind)),
                }
            };
            Box::pin(ended) as _
        };
        let wanted = std::mem::take(&mut self.wanted);
        self.check_names(&wanted);
        let seed = self.seed;
        let report = self.carry_out(Box::new(body)).await;
        report.tell(seed);
        for (thresholds, site) in wanted {
            if let Err(broken) = report.expect(thresholds) {
                kernel::violate(Violation {
                    property: broken.headline().to_owned(),
                    detail: broken.details().to_owned(),
                    values: Vec::new(),
                    site,
                    at: 0,
                    backtrace: None,
                });
            }
        }
        report
    }

    fn check_names(&self, wanted: &[(Thresholds, String)]) {
        let mut names = Names {
            gauges: known_names(),
            ..Names::default()
        };
        for (_, operation) in &self.operations {
            names.operations.push(operation.to_string());
        }
        for operation in self.load.operations() {
            names.operations.push(operation.to_string());
        }
        if self.operations.is_empty() {
            names.operations.push(self.name.to_string());
        }
        for (gauge, _) in scope::of_run::<Gauges>().all() {
            names.gauges.push(gauge.to_string());
        }
        for (thresholds, _) in wanted {
            if let Err(error) = thresholds.check(&names) {
                panic!("{error}");
            }
        }
    }

    async fn carry_out(self, body: Box<super::send::Body>) -> Report {
        let Some(start) = kernel::now() else {
            panic!("traffic runs only inside a simulation: in a #[squall::test]");
        };
        let runtime = tokio::runtime::Handle::current();
        let resolution = ns(self.resolution);
        let mut operations = self.operations;
        if operations.is_empty() {
            operations.push((1, self.name.clone()));
        }
        let tally = |name: &Arc<str>| Tally::new(name.clone(), resolution);
        let tallies = operations.iter().map(|(_, name)| tally(name)).collect();
        let spikes: Vec<(Duration, Duration)> = self.load.spikes().collect();
        let length = self.load.length();
        let shared = Arc::new(Shared::new(
            body,
            self.retry,
            self.timeout,
            self.patience,
            self.limit,
            start,
            ns(self.warm_up),
            State::new(tally(&self.name), tallies),
        ));
        let plan = Plan {
            name: self.name.clone(),
            load: self.load,
            mix: Arc::new(Mix {
                operations,
                keys: self.keys,
                ids: AtomicU64::new(0),
                resolution,
            }),
            every: resolution,
            drain: ns(self.drain),
        };
        let stop = Stop(shared.clone());
        let planner = shared.clone();
        kernel::beside(format!("traffic {}", self.name), async move {
            if let Err(payload) = kernel::caught(plan.carry_out(&planner, &runtime)).await {
                planner.panicked(payload);
            }
        });
        std::future::poll_fn(|cx| shared.poll_done(cx)).await;
        drop(stop);
        let mut state = shared.lock();
        if let Some(payload) = state.panic.take() {
            drop(state);
            resume_unwind(payload);
        }
        let report = Report::new(
            &mut state,
            start,
            length,
            self.warm_up,
            self.objective,
            &spikes,
        );
        drop(state);
        if let Some(growth) = report.growth() {
            kernel::found(Detector::QueueGrowth, growth);
        }
        report
    }
}

/// Ends everything when the traffic is done with, or no longer awaited.
struct Stop(Arc<Shared>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cut_off();
    }
}
