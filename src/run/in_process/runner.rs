//! Running one seed or one log on a thread of its own, and what is left of it.

use std::any::Any;
use std::cell::Cell;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use super::Trouble;
use crate::choice::{Choices, Decision, Log, Tape};
use crate::kernel::{self, Came, Config, Domain, End, Tallies};
use crate::report::Recorded;
use crate::run::ran::RunReport;
use crate::run::scribe::{BodyEnd, Scribe};
use crate::run::settings::Resolved;
use crate::run::start::{self, Body, Start};
use crate::run::verdict::Verdict;
use crate::sim::parameter::Parameters;

/// Decisions in the order in which they were taken.
pub(super) type Decisions = Vec<(Domain, Decision)>;

/// What is left of a run.
pub(super) struct Ran {
    pub(super) report: RunReport,
    pub(super) tallies: Tallies,
    /// Of a run that was taken down.
    pub(super) decisions: Decisions,
}

/// Runs the body of one test.
pub(super) struct Runner {
    pub(super) settings: &'static Resolved,
    body: Arc<Body>,
    test: String,
    scribe: &'static Scribe,
}

thread_local! {
    /// Takes down the panics of the run of this thread.
    static SCRIBE: Cell<Option<&'static Scribe>> = const { Cell::new(None) };
    /// They are not printed: they have been, or are of no interest.
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// Has the panics of runs taken down, each by its own scribe. Those of the runs of a search are printed as usual, and not again when a failure
/// is looked into.
fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let Ok(Some(scribe)) = SCRIBE.try_with(Cell::get) {
                scribe.panicked(info);
            }
            if !SILENT.try_with(Cell::get).unwrap_or(false) {
                usual(info);
            }
        }));
        crate::sim::points::activate();
    });
}

/// The clock of a run, on the thread of whoever sees to it that it goes on.
type Clock = Box<dyn Fn() -> u64 + Send>;

impl Runner {
    pub(super) fn new(settings: Resolved, body: Arc<Body>, test: &str) -> Runner {
        hook();
        Runner {
            // A test has one of them, and runs keep it to their end.
            settings: Box::leak(Box::new(settings)),
            body,
            test: test.to_owned(),
            scribe: Scribe::new(),
        }
    }

    /// Runs a seed; with everything taken down if it is to be told.
    pub(super) fn seed(&self, seed: u64, told: bool) -> Result<Ran, Trouble> {
        let prepare = move |choices: &mut Choices| choices.set_seed(seed);
        self.run(seed, told, told, &self.settings.parameters, prepare)
    }

    /// Runs a log, with everything taken down.
    pub(super) fn log(&self, log: &Log, parameters: &'static Parameters) -> Result<Ran, Trouble> {
        let (seed, log) = (log.header.seed, log.clone());
        let prepare = move |choices: &mut Choices| choices.replay(log);
        self.run(seed, true, true, parameters, prepare)
    }

    /// Runs what `prepare` arranges for; its panics are not printed if it is to be silent.
    pub(super) fn run(
        &self,
        seed: u64,
        told: bool,
        silent: bool,
        parameters: &'static Parameters,
        prepare: impl FnOnce(&mut Choices) + Send + 'static,
    ) -> Result<Ran, Trouble> {
        let (settings, scribe, body) = (self.settings, self.scribe, self.body.clone());
        let (clock, clocks) = mpsc::channel();
        let (done, dones) = mpsc::channel();
        let thread = std::thread::Builder::new().name(self.test.clone());
        let thread = thread.spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| {
                let mut choices = Choices::new(settings.strategy);
                prepare(&mut choices);
                SILENT.set(silent);
                run(settings, scribe, parameters, &body, choices, told, clock)
            });
            let ran = std::panic::catch_unwind(run).unwrap_or_else(|payload| {
                let text = crate::run::scribe::message_of(&*payload);
                Err(format!("the run's own thread panicked: {text}"))
            });
            // Whoever would hear of it has given the run up.
            let _ = done.send(ran);
        });
        let thread =
            thread.map_err(|error| format!("a run's thread could not be started: {error}"))?;
        let ran = self.wait(seed, &clocks, &dones)?;
        if !matches!(
            ran.report.verdict,
            Verdict::Stuck { .. } | Verdict::Livelock { .. }
        ) {
            // It is over but for its destructors; the next run begins with them behind it.
            let _ = thread.join();
        }
        Ok(ran)
    }

    /// Waits for a run, and gives it up where it does not go on: no virtual time passes, or less of it than real time.
    fn wait(
        &self,
        seed: u64,
        clocks: &Receiver<Clock>,
        dones: &Receiver<Result<Ran, Trouble>>,
    ) -> Result<Ran, Trouble> {
        let watchdog = self.settings.watchdog;
        let mut clock: Option<Clock> = None;
        let mut before = 0;
        let mut slow = false;
        loop {
            match dones.recv_timeout(watchdog) {
                Ok(ran) => return ran,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err("squall bug: a run's thread ended without a word".to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            clock = clock.or_else(|| clocks.try_recv().ok());
            let now = clock.as_ref().map_or(0, |clock| clock());
            let passed = Duration::from_nanos(now - before);
            before = now;
            // Once may be where it came to a stand within that time.
            let was_slow = std::mem::replace(&mut slow, passed < watchdog);
            if !slow || !(was_slow || passed.is_zero()) {
                continue;
            }
            let milliseconds = watchdog.as_millis().try_into().unwrap_or(u64::MAX);
            let verdict = match passed.is_zero() {
                true => Verdict::Stuck {
                    milliseconds,
                    backtrace: String::new(),
                },
                false => Verdict::Livelock {
                    threads: Vec::new(),
                    tasks: Vec::new(),
                },
            };
            return Ok(Ran {
                report: RunReport {
                    seed,
                    strategy: STRATEGY.to_owned(),
                    notes: vec![format!(
                        "{passed:?} of virtual time passed in the last {watchdog:?} of wall time (SQUALL_WATCHDOG)"
                    )],
                    verdict,
                    digest: 0,
                    steps: 0,
                    virtual_ns: now,
                    refused: Vec::new(),
                    panics: Vec::new(),
                    threads_left: Vec::new(),
                    trace: None,
                    backtrace: None,
                    outside: String::new(),
                    divergence: None,
                },
                tallies: Tallies::default(),
                decisions: Vec::new(),
            });
        }
    }
}

/// What a body is told that is not asynchronous.
const BLOCKING: &str = "a body that is not asynchronous cannot be had on madsim: it would block the thread that everything runs on; make it an `async fn`, or run it on the kernel";
/// Whose order of tasks it is.
const STRATEGY: &str = "madsim's own";

/// The run itself, on its thread.
fn run(
    settings: &'static Resolved,
    scribe: &'static Scribe,
    parameters: &'static Parameters,
    body: &Arc<Body>,
    mut choices: Choices,
    told: bool,
    clock: mpsc::Sender<Clock>,
) -> Result<Ran, Trouble> {
    SCRIBE.set(Some(scribe));
    scribe.begin(told);
    let tape = Kept::default();
    if told {
        choices.record(Box::new(tape.clone()));
    }
    let seed = choices.seed();
    let config = Config {
        max_virtual: settings.max_time.as_nanos().try_into().unwrap_or(u64::MAX),
        trace: told,
        detectors: settings.detectors,
        ..Config::default()
    };
    let start = Start::new(seed, settings, parameters, scribe);
    let body = body.clone();
    let Came {
        outcome,
        oracle,
        refused,
        driven,
    } = kernel::simulate(
        &config,
        seed,
        Box::new(choices),
        // Nobody may listen any more.
        move |hands| _ = clock.send(hands),
        Box::new(move || start::run_body(&*body, &start)),
    );
    SCRIBE.set(None);
    if let Some(refused) = refused {
        return Err(refused);
    }
    let oracle: Box<dyn Any> = oracle;
    let choices: Box<Choices> = oracle
        .downcast()
        .unwrap_or_else(|_| panic!("squall bug: the engine returned another oracle"));
    let (end, panics, mut notes) = scribe.close();
    notes.extend(outcome.remarks);
    let verdict = match (outcome.end, end) {
        (End::Returned, Some(BodyEnd::Returned(Ok(())))) if !driven => {
            return Err(BLOCKING.to_owned());
        }
        (End::Returned, Some(BodyEnd::Returned(Ok(())))) => Verdict::Passed,
        (End::Returned, Some(BodyEnd::Returned(Err(message)))) => Verdict::Error { message },
        (End::Returned, Some(BodyEnd::Panicked(message))) => Verdict::of_panic(message, &panics),
        (End::HostFailed { host, message }, _) => Verdict::of_host(&host, &message, &panics),
        (End::Violated(violation), _) => Verdict::Violated(*violation),
        (End::Deadlock(threads), _) => Verdict::Deadlock { threads },
        (End::TimeLimit(threads), _) => Verdict::TimeLimit {
            limit: config.max_virtual,
            threads,
        },
        (end, _) => panic!("squall bug: a run on madsim ended as {end:?}"),
    };
    let decisions = std::mem::take(&mut *tape.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Ran {
        report: RunReport {
            seed,
            strategy: STRATEGY.to_owned(),
            notes,
            verdict,
            digest: outcome.digest,
            steps: 0,
            virtual_ns: outcome.virtual_ns,
            refused: Vec::new(),
            panics,
            threads_left: Vec::new(),
            trace: outcome
                .trace
                .map(|record| Recorded::new(record, Vec::new(), |_| None)),
            backtrace: None,
            outside: String::new(),
            divergence: choices.divergence().map(|left| left.to_string()),
        },
        tallies: outcome.tallies,
        decisions,
    })
}

/// Takes decisions down.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Decisions>>);

impl Tape for Kept {
    fn push(&mut self, domain: Domain, decision: Decision) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((domain, decision));
    }
}
