//! The settings of a test: what the attribute or the builder says, under what the environment says, over the defaults.
//!
//! [`Settings`] is the public, partial form. [`Resolved`] is what the rest of `run` works with.

use std::path::PathBuf;
use std::time::Duration;

use super::env::Environment;
use super::forms::Form;
use crate::explore::{Name, PROFILE_SEED, Selection};
use crate::fault::Faults;
use crate::kernel::{self, Detectors};
use crate::sim::parameter::Parameters;

/// How runs are kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// Many seeds in one process, whose statics are put back between runs. Where that is not possible, or turns out not to
    /// be enough, and nobody asked for it by name: as `Process`.
    #[default]
    Batch,
    /// A process for each seed.
    Process,
}

/// Which runtime the body of an asynchronous test runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavor {
    /// tokio's `current_thread` runtime.
    CurrentThread,
    /// tokio's `multi_thread` runtime with so many workers; `None` lets each seed draw from 1 to 8.
    MultiThread(Option<usize>),
}

/// The settings of a test, each of them optional. Environment variables take precedence.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    pub(crate) seeds: Option<u64>,
    pub(crate) budget: Option<Duration>,
    pub(crate) strategy: Option<Selection>,
    pub(crate) isolation: Option<Isolation>,
    pub(crate) jobs: Option<u32>,
    pub(crate) audit: Option<u32>,
    pub(crate) watchdog: Option<Duration>,
    pub(crate) memory: Option<Option<u64>>,
    pub(crate) cpus: Option<u32>,
    pub(crate) descriptors: Option<u32>,
    pub(crate) hosts: Vec<String>,
    pub(crate) max_time: Option<Duration>,
    pub(crate) max_steps: Option<u64>,
    pub(crate) flavor: Option<Flavor>,
    pub(crate) faults: Option<Faults>,
    pub(crate) allow: Option<Detectors>,
    pub(crate) detect: Option<Detectors>,
    pub(crate) keep_failures: Option<bool>,
    pub(crate) shrink: Option<Option<Duration>>,
    /// What the scenario file sets.
    pub(crate) parameters: Parameters,
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty $(=> $wrap:expr)?;)*) => {
        $($(#[doc = $doc])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            let value = $name;
            $(let value = $wrap(value);)?
            self.$name = Some(value);
            self
        })*
    };
}

impl Settings {
    /// No setting at all.
    pub fn new() -> Self {
        Settings::default()
    }

    setters! {
        /// How many seeds to run, from 0 on. Default 256, or as many as fit if there is a budget.
        seeds: u64;
        /// The wall time after which no further seed is begun. Default: none.
        budget: Duration;
        /// Which thread goes on at a scheduling point. Default: the portfolio.
        strategy: Selection;
        /// How runs are kept apart. Default: in batches.
        isolation: Isolation;
        /// How many processes run seeds side by side. Default 1.
        jobs: u32;
        /// The percentage of passing seeds that are run a second time to compare digests, 0 to 100. Default 5.
        audit: u32;
        /// The wall time without a kernel entry after which a run counts as stuck. Default 10 s.
        watchdog: Duration;
        /// How many bytes a process may grow beyond its start; `None` for no limit. Default 8 GiB.
        memory: Option<u64>;
        /// Simulated processors of the test's host. Default 4.
        cpus: u32;
        /// Simulated descriptors that a host may have open. Default 1024.
        descriptors: u32;
        /// The virtual time after which a run fails. Default 24 hours.
        max_time: Duration;
        /// The number of kernel entries after which a run fails. Default 50 million.
        max_steps: u64;
        /// How long to look for a simpler run after a failure; `None` for not at all. Default 5 s.
        shrink: Option<Duration>;
        /// The runtime of an asynchronous body. Default: each seed draws one.
        flavor: Flavor;
        /// What an asynchronous body is put under, as [`stress_with`](crate::stress_with) does. Default: nothing.
        faults: Faults;
        /// Detectors that do not look. Default: none.
        allow: Detectors;
        /// Detectors that look although they do not by default.
        detect: Detectors;
        /// Whether the logs of failing seeds are kept, and kept ones run first. Default true; a test that expects its seeds
        /// to fail says false.
        keep_failures: bool;
    }

    /// The names of the simulated hosts besides `test`. Default: none.
    #[must_use]
    pub fn hosts<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.hosts = names.into_iter().map(Into::into).collect();
        self
    }
}

/// Which seeds to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    /// Saved logs first, then seeds one after the other.
    Explore {
        /// The first seed.
        first: u64,
        /// How many; `None` for as many as fit the budget.
        seeds: Option<u64>,
        /// For how long.
        budget: Option<Duration>,
    },
    /// One seed.
    Seed(u64),
    /// A saved log.
    Replay(PathBuf),
    /// These seeds in one process, in order.
    Batch(u64, u64),
}

/// What a value of the environment and the settings come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Resolved {
    pub(crate) which: Which,
    pub(crate) strategy: Selection,
    pub(crate) isolation: Isolation,
    /// Whether somebody asked for it, rather than leaving it to what works.
    pub(crate) isolation_asked: bool,
    pub(crate) jobs: u32,
    pub(crate) audit: u32,
    pub(crate) watchdog: Duration,
    pub(crate) memory: Option<u64>,
    pub(crate) cpus: u32,
    pub(crate) descriptors: u32,
    pub(crate) hosts: Vec<String>,
    pub(crate) max_time: Duration,
    pub(crate) max_steps: u64,
    pub(crate) flavor: Option<Flavor>,
    pub(crate) faults: Faults,
    /// What is looked for.
    pub(crate) detectors: Detectors,
    pub(crate) os_threads: bool,
    /// Runs switch between tasks only where polls end by themselves.
    pub(crate) whole_polls: bool,
    pub(crate) digests: bool,
    /// The test is a whole program: its exit status is the verdict.
    pub(crate) program: bool,
    /// Where failing logs are kept; `None` for nowhere.
    pub(crate) failures: Option<PathBuf>,
    /// Where reports go; `None` for nowhere.
    pub(crate) reports: Option<PathBuf>,
    /// What reports there are of a failure.
    pub(crate) forms: Vec<Form>,
    /// How long to look for a simpler run after a failure; `None` for not at all.
    pub(crate) shrink: Option<Duration>,
    /// Whether the environment asks for it, so that a saved log is shrunk too.
    pub(crate) shrink_asked: bool,
    /// The parameters that are set.
    pub(crate) parameters: Parameters,
    /// Of those, what the scenario file says.
    pub(crate) filed: Parameters,
    /// How long to look into a failing run that is replayed from a log; `None` for not at all.
    pub(crate) explain: Option<Duration>,
    /// Whether the strategy comes from the environment, so that a replay needs it there again.
    pub(crate) strategy_from_env: bool,
}

/// Settings that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the setting {name} is {value}, but must be {form}")]
pub struct SettingError {
    name: &'static str,
    value: String,
    form: &'static str,
}

impl Resolved {
    /// Puts `env` over `settings` over the defaults. `default_failures` is where logs go unless the environment says
    /// otherwise.
    pub(crate) fn new(
        settings: &Settings,
        env: &Environment,
        default_failures: PathBuf,
    ) -> Result<Self, SettingError> {
        check(settings)?;
        let strategy = env.strategy.or(settings.strategy).unwrap_or_default();
        let exhaustive = strategy == Selection::Only(Name::Exhaustive);
        let failures = match &env.failures {
            Some(place) => place.clone(),
            None => settings
                .keep_failures
                .unwrap_or(true)
                .then_some(default_failures),
        };
        let explore = {
            let budget = env.budget.or(settings.budget);
            let seeds = env
                .seeds
                .or(settings.seeds)
                .or(if budget.is_some() || exhaustive {
                    None
                } else {
                    Some(256)
                });
            let first = env.first.unwrap_or(0);
            if exhaustive && first > 0 {
                return Err(SettingError {
                    name: "SQUALL_FIRST",
                    value: first.to_string(),
                    form: "left out where the strategy is exhaustive: that draws nothing",
                });
            }
            Which::Explore {
                first,
                seeds,
                budget,
            }
        };
        let which = None
            .or(env.replay.clone().map(Which::Replay))
            .or(env.batch.map(|(first, last)| Which::Batch(first, last)))
            .or(env.seed.map(Which::Seed))
            .unwrap_or(explore);
        Ok(Resolved {
            which,
            strategy,
            isolation: env.isolation.or(settings.isolation).unwrap_or_default(),
            isolation_asked: env.isolation.or(settings.isolation).is_some(),
            jobs: env.jobs.or(settings.jobs).unwrap_or(1),
            audit: env.audit.or(settings.audit).unwrap_or(5),
            watchdog: env
                .watchdog
                .or(settings.watchdog)
                .unwrap_or(Duration::from_secs(10)),
            memory: env.memory.or(settings.memory).unwrap_or(Some(8 << 30)),
            cpus: settings.cpus.unwrap_or(4),
            descriptors: settings.descriptors.unwrap_or(1024),
            hosts: settings.hosts.clone(),
            max_time: settings.max_time.unwrap_or(Duration::from_secs(24 * 3600)),
            max_steps: settings.max_steps.unwrap_or(50_000_000),
            flavor: settings.flavor,
            faults: settings.faults.unwrap_or_default(),
            detectors: (Detectors::by_default() | settings.detect.unwrap_or_default())
                .without(settings.allow.unwrap_or_default()),
            os_threads: env.os_threads,
            whole_polls: super::command::points().is_some_and(|points| points.ends_with("=awaits")),
            digests: env.digests,
            program: false,
            // What is not worth keeping is not worth a report, unless somebody asks for one.
            reports: match &env.reports {
                Some(place) => place.clone(),
                None => failures
                    .as_ref()
                    .map(|failures| super::origin::reports().unwrap_or_else(|| failures.clone())),
            },
            forms: env.forms.clone().unwrap_or_else(|| vec![Form::Html]),
            failures,
            shrink: env
                .shrink
                .or(settings.shrink)
                .unwrap_or(Some(Duration::from_secs(5))),
            shrink_asked: env.shrink.flatten().is_some(),
            explain: env.explain,
            parameters: env.parameters.over(&settings.parameters),
            filed: settings.parameters.clone(),
            strategy_from_env: env.strategy.is_some(),
        })
    }

    /// Whether any seed runs with something known of the test from its seed 0: what its strategy asks for, and which memory
    /// threads contend for.
    pub(crate) fn profiled(&self) -> bool {
        self.strategy.profiled() || self.memory_points()
    }

    /// Whether a run of this seed depends on what is known from seed 0.
    pub(crate) fn needs_profile(&self, seed: u64) -> bool {
        self.strategy.needs_profile(seed) || (seed != PROFILE_SEED && self.memory_points())
    }

    /// Accesses to memory are scheduling points, those of seed 0's contended places from the beginning. An exhaustive search
    /// goes without the latter: it needs the same points in every run.
    fn memory_points(&self) -> bool {
        kernel::instrumented() && !self.exhaustive()
    }

    /// Whether runs are numbered schedules.
    pub(crate) fn exhaustive(&self) -> bool {
        self.strategy == Selection::Only(Name::Exhaustive)
    }

    /// The settings that a run depends on, for the header of a log.
    pub(crate) fn describe(&self, parameters: &Parameters) -> String {
        let mut words = vec![
            format!("cpus={}", self.cpus),
            format!("descriptors={}", self.descriptors),
            format!("max_time={}ns", self.max_time.as_nanos()),
            format!("max_steps={}", self.max_steps),
        ];
        match self.flavor {
            None => {}
            Some(Flavor::CurrentThread) => words.push("flavor=current_thread".to_owned()),
            Some(Flavor::MultiThread(None)) => words.push("flavor=multi_thread".to_owned()),
            Some(Flavor::MultiThread(Some(n))) => {
                words.push(format!("flavor=multi_thread worker_threads={n}"));
            }
        }
        if !self.hosts.is_empty() {
            words.push(format!("hosts={}", self.hosts.join(",")));
        }
        if self.faults != Faults::NONE {
            words.push(format!("faults={}", self.faults));
        }
        if super::command::subcommand().is_some() {
            words.push(super::command::TASKS.to_owned());
        }
        if let Some(points) = super::command::points() {
            words.push(points);
        }
        words.extend(super::command::ENGINE.map(str::to_owned));
        words.extend(super::command::told_parameters(parameters));
        words.join(" ")
    }
}

/// Whether a passing seed is one of the `percent` that run twice.
pub(crate) fn audited(seed: u64, percent: u32) -> bool {
    let mixed = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(0x2545_f491_4f6c_dd1d);
    ((u128::from(mixed) * 100) >> 64) < u128::from(percent)
}

fn check(settings: &Settings) -> Result<(), SettingError> {
    let wrong = |name, value: String, form| Err(SettingError { name, value, form });
    if let Some(percent) = settings.audit.filter(|&percent| percent > 100) {
        return wrong("audit", percent.to_string(), "a percentage from 0 to 100");
    }
    let at_least_one = [
        ("seeds", settings.seeds),
        ("jobs", settings.jobs.map(u64::from)),
        ("cpus", settings.cpus.map(u64::from)),
        ("max_steps", settings.max_steps),
    ];
    for (name, value) in at_least_one {
        if value == Some(0) {
            return wrong(name, "0".to_owned(), "at least 1");
        }
    }
    let longer_than_nothing = [
        ("max_time", settings.max_time),
        ("watchdog", settings.watchdog),
        ("budget", settings.budget),
    ];
    for (name, value) in longer_than_nothing {
        if value == Some(Duration::ZERO) {
            return wrong(name, "0 s".to_owned(), "longer than nothing");
        }
    }
    if let Some(Flavor::MultiThread(Some(0))) = settings.flavor {
        return wrong(
            "flavor",
            "multi_thread with 0 workers".to_owned(),
            "at least one worker",
        );
    }
    for (i, host) in settings.hosts.iter().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        if host.is_empty()
            || !host.chars().all(plain)
            || host == "test"
            || settings.hosts[..i].contains(host)
        {
            let form = "host names of letters, digits, `-`, `_` and `.`, each once and none of them `test`";
            return wrong("hosts", format!("{host:?}"), form);
        }
    }
    Ok(())
}
