//! Runs a model under loom, and tells `cargo squall` how far that came. What the attribute's code calls under `--cfg loom`; not for people, it
//! changes without notice.
//!
//! Where an execution fails, loom leaves its types in a state in which dropping them may panic again and abort the process. So what
//! there is to tell is told from the panic hook, at once; the command runs each model in a process of its own.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use loom::model::Builder;
use serde::Serialize;

use super::execution::{self, Execution};
use crate::telling::{listens, tell};
use crate::units;

/// Set by the command: one execution runs alone, and is written down step by step. Its number.
const STEPS: &str = "CARGO_SQUALL_STEPS";

/// How long an execution may take, as the kernel's runs without an entry.
const WATCHDOG: &str = "SQUALL_WATCHDOG";
/// Unless [`WATCHDOG`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// A model, as the attribute knows it.
#[derive(Debug)]
pub struct Model {
    /// `module_path!()`.
    pub module: &'static str,
    /// The function's name.
    pub function: &'static str,
    /// `CARGO_PKG_NAME`.
    pub package: &'static str,
    /// The attribute's argument.
    pub preemption_bound: Option<usize>,
    /// The attribute's argument.
    pub max_branches: Option<usize>,
    /// The attribute's argument.
    pub max_executions: Option<usize>,
}

/// A test as the command knows it, see `run/command.rs`.
#[derive(Clone, Debug, Serialize)]
struct Name {
    package: &'static str,
    /// Empty: the command knows which program it started.
    target: &'static str,
    name: String,
}

/// As in `run/command.rs`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Explored {
        test: &'a Name,
        engine: &'a str,
        executions: u64,
        exhausted: bool,
        bound: Option<u64>,
    },
    Ended {
        test: &'a Name,
        word: &'a str,
        runs: u64,
        simulated: u64,
        millis: u64,
        failure: Option<Failure<'a>>,
    },
}

/// As the library's own `Failure` elsewhere.
#[derive(Debug, Serialize)]
struct Failure<'a> {
    test: &'a str,
    seed: Option<u64>,
    signature: String,
    headline: String,
    log: Option<&'a Path>,
    reports: [&'a Path; 0],
    text: String,
}

/// The model that runs on a thread.
#[derive(Clone)]
struct Running {
    name: Name,
    executions: Arc<AtomicU64>,
    since: Instant,
    preemption_bound: Option<usize>,
    /// The number of the one execution that runs.
    alone: Option<u64>,
    execution: Option<Execution>,
}

thread_local! {
    /// Until the first panic. loom runs all threads of a model on the one that called it.
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Runs a model under loom: as far as its bounds and the environment's allow, or up to the first execution that fails.
pub fn model(model: &Model, body: fn()) {
    listen();
    let name = model.name();
    let executions = Arc::new(AtomicU64::new(0));
    let counted = executions.clone();
    let since = Instant::now();
    let alone = std::env::var(STEPS)
        .ok()
        .and_then(|number| number.parse().ok());
    let execution = alone.map(|_: u64| Execution::default());
    let running = |preemption_bound| Running {
        name: name.clone(),
        executions: executions.clone(),
        since,
        preemption_bound,
        alone,
        execution: execution.clone(),
    };
    // What it reads from the environment may be wrong.
    RUNNING.set(Some(running(None)));
    let (builder, patience) = (model.builder(), patience());
    RUNNING.set(Some(running(builder.preemption_bound)));
    // libtest says by itself that a test takes long.
    let watch = listens().then(|| watch(running(builder.preemption_bound), patience));
    let max = (builder.max_permutations, builder.max_duration);
    let bound = builder.preemption_bound.map(|bound| bound as u64);
    let check = move || {
        builder.check(move || {
            counted.fetch_add(1, Relaxed);
            body();
        });
    };
    match execution {
        Some(execution) => execution.follow(check),
        None if builder_logs() => logged(check),
        None => check(),
    }
    RUNNING.set(None);
    drop(watch);
    let executions = executions.load(Relaxed);
    // It returns in the same way where it ends early. The last execution that it may run may have been the last that there is; that is not told.
    let ended_early = max.0.is_some_and(|most| executions + 1 >= most as u64)
        || max.1.is_some_and(|longest| since.elapsed() >= longest);
    let exhausted = !ended_early;
    tell(&Event::Explored {
        test: &name,
        engine: "loom",
        executions,
        exhausted,
        bound: bound.filter(|_| exhausted),
    });
    tell(&Event::Ended {
        test: &name,
        word: "held",
        runs: executions,
        simulated: 0,
        millis: millis(since.elapsed()),
        failure: None,
    });
    eprintln!(
        "squall: {}: {executions} executions under loom; {}",
        name.name,
        match (exhausted, bound) {
            (false, _) => "not exhausted".to_owned(),
            (true, None) => "exhausted".to_owned(),
            (true, Some(bound)) => format!("exhausted at bound {bound}"),
        }
    );
}

impl Model {
    fn name(&self) -> Name {
        let path = self.module.split_once("::").map(|(_, inner)| inner);
        Name {
            package: self.package,
            target: "",
            name: match path {
                Some(path) => format!("{path}::{}", self.function),
                None => self.function.to_owned(),
            },
        }
    }

    /// Loom's own settings, which it reads from the environment, and below them the attribute's.
    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        let unset = |name| std::env::var_os(name).is_none();
        if unset("LOOM_MAX_PREEMPTIONS") && self.preemption_bound.is_some() {
            builder.preemption_bound = self.preemption_bound;
        }
        if let Some(most) = self.max_branches.filter(|_| unset("LOOM_MAX_BRANCHES")) {
            builder.max_branches = most;
        }
        if let Some(most) = self
            .max_executions
            .filter(|_| unset("LOOM_MAX_PERMUTATIONS"))
        {
            // It ends before the one with this number.
            builder.max_permutations = Some(most.saturating_add(1));
        }
        let limited = builder.max_permutations.is_some() || builder.max_duration.is_some();
        if limited && unset("LOOM_CHECKPOINT_INTERVAL") && builder.checkpoint_file.is_none() {
            // It looks at its limits where it would write a checkpoint, which costs nothing where there is no file.
            builder.checkpoint_interval = 1;
        }
        builder
    }
}

/// How long an execution may take.
fn patience() -> Duration {
    let Ok(text) = std::env::var(WATCHDOG) else {
        return PATIENCE;
    };
    match units::nanoseconds(&text) {
        Some(ns) => Duration::from_nanos(ns),
        None => panic!(
            "{INVALID}`{WATCHDOG}`: {text} is not {}",
            units::DURATION_FORM
        ),
    }
}

/// Ends the process where an execution does not end, until what it returns is dropped. An execution that uses loom's types ends after `max_branches`.
fn watch(running: Running, patience: Duration) -> Sender<()> {
    let (sender, over) = channel();
    std::thread::spawn(move || {
        let (mut seen, mut since) = (0, Instant::now());
        let look = patience.min(Duration::from_millis(100));
        while over.recv_timeout(look) == Err(RecvTimeoutError::Timeout) {
            let now = running.executions.load(Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() >= patience {
                let headline = format!(
                    "stuck: no end of the execution in {patience:?}, and no step of loom's that would end it; does it wait for what loom does not know of?"
                );
                told_failed(&running, "failed", "stuck", headline, &[]);
                std::process::exit(101);
            }
        }
    });
    sender
}

/// Whether loom's own trace is asked for.
fn builder_logs() -> bool {
    std::env::var_os("LOOM_LOG").is_some()
}

/// With loom's trace on the test's output, as `loom::model` shows it.
fn logged(check: impl FnOnce()) {
    let subscriber = tracing_subscriber::fmt::Subscriber::builder()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("LOOM_LOG"))
        .with_test_writer()
        .without_time()
        .finish();
    tracing_core::dispatcher::with_default(&tracing_core::Dispatch::new(subscriber), check);
}

/// Has panics in models told.
fn listen() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let running = RUNNING.try_with(|running| running.try_borrow_mut().ok()?.take());
            if let Ok(Some(running)) = running {
                failed(&running, info);
            }
            before(info);
        }));
    });
}

/// How loom's texts begin, and ours, where a variable has a value that cannot be used.
const INVALID: &str = "invalid value for ";
/// What loom says where a model has more threads than it can follow.
const TOO_MANY: &str = "self.threads.len() < self.max()";
/// What it says where an execution has more steps than it is to follow.
const TOO_LONG: &str = "Model exceeded maximum number of branches";

fn failed(running: &Running, info: &PanicHookInfo<'_>) {
    let said = info
        .payload()
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| info.payload().downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
        .trim();
    let mend = if said.contains(TOO_MANY) {
        Some(format!(
            "loom runs {} threads at most, the model's own among them: have fewer, or let the kernel alone run it, with loom = false",
            loom::MAX_THREADS
        ))
    } else if said.starts_with(TOO_LONG) {
        let text = "an execution has more steps than loom is to follow: have waiting loops call squall::hint::spin_loop or \
                    squall::thread::yield_now, or set max_branches";
        Some(text.to_owned())
    } else if said.starts_with(INVALID) && running.executions.load(Relaxed) == 0 {
        Some(said.to_owned())
    } else {
        None
    };
    let place = place(info);
    let signature = format!("panicked at {place}");
    match mend {
        Some(mend) => told_failed(running, "unusable", &signature, mend, &[]),
        None => {
            let mut lines = said.lines();
            let first = lines.next().unwrap_or_default();
            let rest: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
            let headline = format!("{signature}: {first}");
            told_failed(running, "failed", &signature, headline, &rest);
        }
    }
}

/// Tells the command of a failure, or of a model that cannot be run.
fn told_failed(running: &Running, word: &str, signature: &str, headline: String, rest: &[&str]) {
    let Running {
        name,
        executions,
        since,
        preemption_bound,
        alone,
        execution,
    } = running;
    let number = alone.unwrap_or_else(|| executions.load(Relaxed));
    tell(&Event::Explored {
        test: name,
        engine: "loom",
        executions: number,
        exhausted: false,
        bound: None,
    });
    let mut text = match word {
        "unusable" => format!(
            "squall: {} cannot be run under loom: {headline}\n  {signature}\n",
            name.name
        ),
        _ => format!(
            "squall: {} failed under loom in execution {number}: {headline}\n",
            name.name
        ),
    };
    for line in rest {
        text.push_str(&format!("  {line}\n"));
    }
    if let Some(bound) = preemption_bound {
        text.push_str(&format!("  with at most {bound} preemptions\n"));
    }
    if let Some(execution) = execution {
        text.push_str(&execution.told());
    }
    tell(&Event::Ended {
        test: name,
        word,
        runs: 0,
        simulated: 0,
        millis: millis(since.elapsed()),
        failure: Some(Failure {
            test: &name.name,
            seed: None,
            signature: signature.to_owned(),
            headline,
            log: None,
            reports: [],
            text,
        }),
    });
}

/// Where the program stood: loom looks at accesses in its own code.
fn place(info: &PanicHookInfo<'_>) -> String {
    let own = info.location().filter(|place| of_program(place.file()));
    match own {
        Some(place) => place.to_string(),
        None => here().unwrap_or_else(|| {
            info.location()
                .map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
        }),
    }
}

/// The innermost place in the program's own code on this thread's stack, `FILE:LINE:COLUMN`.
pub(super) fn here() -> Option<String> {
    let trace = Backtrace::force_capture().to_string();
    let mut places = trace
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("at "));
    let place = places.find(|place| of_program(place))?;
    let place = place.strip_prefix("./").unwrap_or(place);
    Some(place.to_owned())
}

/// Whether a file is neither std's, nor a dependency's, nor ours.
fn of_program(file: &str) -> bool {
    const OTHERS: [&str; 4] = [
        "/rustc/",
        "/registry/src/",
        "/git/checkouts/",
        "/rustlib/src/",
    ];
    // A frame's file has line and column behind it.
    let ours = [file!(), execution::FILE];
    !OTHERS.iter().chain(&ours).any(|other| file.contains(other))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
