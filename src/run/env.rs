//! The `SQUALL_*` environment variables, read once for each test before anything runs. Every value that cannot be used
//! is an error that names the variable, the value and the accepted form.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::forms::Form;
use super::settings::Isolation;
use crate::explore::Selection;
use crate::nearest::distance;
use crate::sim::parameter::{FORM, PARAMETERS, Parameters};
use crate::units;

/// What the environment asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) seeds: Option<u64>,
    pub(crate) first: Option<u64>,
    pub(crate) seed: Option<u64>,
    pub(crate) budget: Option<Duration>,
    pub(crate) replay: Option<PathBuf>,
    pub(crate) batch: Option<(u64, u64)>,
    pub(crate) strategy: Option<Selection>,
    pub(crate) jobs: Option<u32>,
    pub(crate) os_threads: bool,
    pub(crate) digests: bool,
    pub(crate) audit: Option<u32>,
    pub(crate) watchdog: Option<Duration>,
    pub(crate) isolation: Option<Isolation>,
    pub(crate) memory: Option<Option<u64>>,
    pub(crate) failures: Option<Option<PathBuf>>,
    pub(crate) reports: Option<Option<PathBuf>>,
    pub(crate) forms: Option<Vec<Form>>,
    pub(crate) shrink: Option<Option<Duration>>,
    pub(crate) explain: Option<Duration>,
    pub(crate) parameters: Parameters,
}

/// A variable that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EnvError {
    /// The value does not have the accepted form.
    #[error("{name}={value:?} cannot be used: expected {form}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// The accepted form.
        form: String,
    },
    /// Two variables contradict each other.
    #[error("{one} and {other} are both set, and each says which seeds to run; keep one of them")]
    Contradiction {
        /// A variable.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// The variable looks like one of ours, misspelt.
    #[error("{name} is not a variable of squall; did you mean {meant}?")]
    Misspelt {
        /// The variable.
        name: String,
        /// The nearest variable of ours.
        meant: &'static str,
    },
}

/// Every variable that users may set.
const NAMES: [&str; 20] = [
    "SQUALL_SEEDS",
    "SQUALL_FIRST",
    "SQUALL_SEED",
    "SQUALL_BUDGET",
    "SQUALL_REPLAY",
    "SQUALL_BATCH",
    "SQUALL_STRATEGY",
    "SQUALL_JOBS",
    "SQUALL_THREADS",
    "SQUALL_DIGEST",
    "SQUALL_AUDIT",
    "SQUALL_WATCHDOG",
    "SQUALL_ISOLATION",
    "SQUALL_MEMORY",
    "SQUALL_FAILURES",
    "SQUALL_REPORT",
    "SQUALL_REPORT_AS",
    "SQUALL_SHRINK",
    "SQUALL_EXPLAIN",
    PARAMETERS,
];

impl Environment {
    /// Reads the process's environment.
    pub(crate) fn read() -> Result<Self, EnvError> {
        Self::from_vars(std::env::vars_os())
    }

    fn from_vars(vars: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, EnvError> {
        let mut env = Environment::default();
        let mut set = Vec::new();
        for (name, value) in vars {
            let Some(name) = name.to_str().filter(|name| name.starts_with("SQUALL_")) else {
                continue;
            };
            let Some(known) = NAMES.into_iter().find(|known| *known == name) else {
                match NAMES.into_iter().find(|known| distance(known, name) <= 2) {
                    Some(meant) => {
                        return Err(EnvError::Misspelt {
                            name: name.to_owned(),
                            meant,
                        });
                    }
                    None => continue,
                }
            };
            env.take(known, value)?;
            set.push(known);
        }
        let choosers = [
            "SQUALL_SEED",
            "SQUALL_REPLAY",
            "SQUALL_BATCH",
            "SQUALL_SEEDS",
            "SQUALL_FIRST",
            "SQUALL_BUDGET",
        ];
        for (i, one) in choosers[..3].iter().enumerate() {
            for other in &choosers[i + 1..] {
                if set.contains(one) && set.contains(other) {
                    return Err(EnvError::Contradiction { one, other });
                }
            }
        }
        Ok(env)
    }

    fn take(&mut self, name: &'static str, value: OsString) -> Result<(), EnvError> {
        if name == "SQUALL_REPLAY" && !value.is_empty() {
            self.replay = Some(PathBuf::from(value));
            return Ok(());
        }
        if name == "SQUALL_FAILURES" && !value.is_empty() {
            self.failures = Some((value != "off").then(|| PathBuf::from(value)));
            return Ok(());
        }
        if name == "SQUALL_REPORT" && !value.is_empty() {
            self.reports = Some((value != "off").then(|| PathBuf::from(value)));
            return Ok(());
        }
        let shown = value.to_string_lossy().into_owned();
        let malformed = |form: &str| EnvError::Malformed {
            name,
            value: shown.clone(),
            form: form.to_owned(),
        };
        let text = value.to_str().unwrap_or("");
        let positive = || text.parse().ok().filter(|&n: &u64| n > 0);
        let duration = || {
            let ns = units::nanoseconds(text).ok_or_else(|| malformed(units::DURATION_FORM))?;
            Ok(Some(Duration::from_nanos(ns)))
        };
        match name {
            "SQUALL_SEEDS" => {
                let form = "a whole number of seeds, at least 1, such as 256";
                self.seeds = Some(positive().ok_or_else(|| malformed(form))?);
            }
            "SQUALL_FIRST" => {
                // Those above say that they begin as another's run.
                let form =
                    "the first seed, below 2^63, decimal or after 0x hexadecimal, such as 0x1000";
                let first = seed(text).filter(|&first| first < 1 << 63);
                self.first = Some(first.ok_or_else(|| malformed(form))?);
            }
            "SQUALL_SEED" => {
                let form = "a seed below 2^64, decimal or after 0x hexadecimal, such as 0x2a";
                self.seed = Some(seed(text).ok_or_else(|| malformed(form))?);
            }
            "SQUALL_BATCH" => {
                let form = "two seeds with ..= between them, such as 0x0..=0x2a";
                let parts = text
                    .split_once("..=")
                    .and_then(|(a, b)| Some((seed(a)?, seed(b)?)));
                self.batch = Some(
                    parts
                        .filter(|(a, b)| a <= b)
                        .ok_or_else(|| malformed(form))?,
                );
            }
            "SQUALL_BUDGET" => self.budget = duration()?,
            "SQUALL_EXPLAIN" => self.explain = duration()?,
            "SQUALL_WATCHDOG" => self.watchdog = duration()?,
            "SQUALL_STRATEGY" => {
                self.strategy = Some(text.parse().map_err(|_| {
                    let names = crate::explore::Name::ALL
                        .map(|name| name.as_str())
                        .join(", ");
                    malformed(&format!("one of {names}, portfolio"))
                })?);
            }
            "SQUALL_JOBS" => {
                let form = "a number of processes from 1 to 1024";
                let jobs = positive()
                    .filter(|&n| n <= 1024)
                    .ok_or_else(|| malformed(form))?;
                self.jobs = Some(jobs as u32);
            }
            "SQUALL_THREADS" => match text {
                "os" => self.os_threads = true,
                _ => return Err(malformed("os, or the variable unset")),
            },
            "SQUALL_DIGEST" => match text {
                "1" => self.digests = true,
                "0" => self.digests = false,
                _ => return Err(malformed("1 or 0")),
            },
            "SQUALL_AUDIT" => {
                let percent = text.parse().ok().filter(|&percent: &u32| percent <= 100);
                self.audit = Some(
                    percent
                        .ok_or_else(|| malformed("a percentage from 0 to 100, without a sign"))?,
                );
            }
            "SQUALL_ISOLATION" => {
                self.isolation = Some(match text {
                    "batch" => Isolation::Batch,
                    "process" => Isolation::Process,
                    _ => return Err(malformed("batch or process")),
                });
            }
            "SQUALL_MEMORY" => {
                let form = format!("{}, or none", units::SIZE_FORM);
                self.memory = Some(match text {
                    "none" => None,
                    _ => Some(units::bytes(text).ok_or_else(|| malformed(&form))?),
                });
            }
            "SQUALL_SHRINK" => {
                let form = format!("{}, or off", units::DURATION_FORM);
                self.shrink = Some(match text {
                    "off" => None,
                    _ => {
                        let ns = units::nanoseconds(text).ok_or_else(|| malformed(&form))?;
                        Some(Duration::from_nanos(ns))
                    }
                });
            }
            "SQUALL_REPORT_AS" => {
                let form = format!("some of {}, with commas between them", Form::names());
                self.forms = Some(Form::list(text).ok_or_else(|| malformed(&form))?);
            }
            PARAMETERS => {
                self.parameters = Parameters::read(text).ok_or_else(|| malformed(FORM))?;
            }
            "SQUALL_REPLAY" => return Err(malformed("the path of a saved choice log")),
            _ => return Err(malformed("the path of a directory, or off")),
        }
        Ok(())
    }
}

fn seed(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(vars: &[(&str, &str)]) -> Result<Environment, EnvError> {
        Environment::from_vars(vars.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn well_formed_values_are_taken() {
        let env = read(&[
            ("SQUALL_SEEDS", "12"),
            ("SQUALL_FIRST", "0x1000"),
            ("SQUALL_BUDGET", "30s"),
            ("SQUALL_STRATEGY", "sticky"),
            ("SQUALL_JOBS", "2"),
            ("SQUALL_THREADS", "os"),
            ("SQUALL_DIGEST", "1"),
            ("SQUALL_AUDIT", "100"),
            ("SQUALL_WATCHDOG", "500ms"),
            ("SQUALL_ISOLATION", "process"),
            ("SQUALL_MEMORY", "none"),
            ("SQUALL_FAILURES", "off"),
            ("SQUALL_REPORT", "/tmp/reports"),
            ("SQUALL_REPORT_AS", "perfetto,html"),
            ("HOME", "/"),
            ("SQUALL_OF_ANOTHER_PROGRAM", "x"),
        ])
        .unwrap();
        assert_eq!((env.first, env.seeds), (Some(0x1000), Some(12)));
        assert_eq!(env.budget, Some(Duration::from_secs(30)));
        assert_eq!(env.strategy, Some("sticky".parse().unwrap()));
        assert_eq!((env.jobs, env.audit), (Some(2), Some(100)));
        assert!(env.os_threads && env.digests);
        assert_eq!(env.watchdog, Some(Duration::from_millis(500)));
        assert_eq!(env.isolation, Some(Isolation::Process));
        assert_eq!((env.memory, env.failures), (Some(None), Some(None)));
        assert_eq!(env.reports, Some(Some(PathBuf::from("/tmp/reports"))));
        assert_eq!(env.forms, Some(vec![Form::Perfetto, Form::Html]));
        assert_eq!(read(&[("SQUALL_SEED", "0x2a")]).unwrap().seed, Some(42));
        assert_eq!(
            read(&[("SQUALL_SEED", "18446744073709551615")])
                .unwrap()
                .seed,
            Some(u64::MAX)
        );
        assert_eq!(
            read(&[("SQUALL_BATCH", "0..=0x2a")]).unwrap().batch,
            Some((0, 42))
        );
    }

    #[test]
    fn malformed_values_are_named() {
        let wrong = [
            ("SQUALL_SEEDS", "0"),
            ("SQUALL_SEEDS", "many"),
            ("SQUALL_SEEDS", "-1"),
            ("SQUALL_FIRST", "one"),
            ("SQUALL_SEED", "0x"),
            ("SQUALL_SEED", "+3"),
            ("SQUALL_SEED", "0x10000000000000000"),
            ("SQUALL_BUDGET", "30"),
            ("SQUALL_REPLAY", ""),
            ("SQUALL_BATCH", "5..=3"),
            ("SQUALL_BATCH", "5"),
            ("SQUALL_STRATEGY", "best"),
            ("SQUALL_JOBS", "0"),
            ("SQUALL_JOBS", "1025"),
            ("SQUALL_THREADS", "green"),
            ("SQUALL_DIGEST", "yes"),
            ("SQUALL_AUDIT", "101"),
            ("SQUALL_AUDIT", "5%"),
            ("SQUALL_WATCHDOG", "0s"),
            ("SQUALL_ISOLATION", "none"),
            ("SQUALL_MEMORY", "8GB"),
            ("SQUALL_FAILURES", ""),
            ("SQUALL_REPORT", ""),
            ("SQUALL_REPORT_AS", ""),
            ("SQUALL_REPORT_AS", "html;lines"),
            ("SQUALL_PARAMETERS", ""),
            ("SQUALL_PARAMETERS", "pool=8"),
            ("SQUALL_PARAMETERS", "{\"pool\":[8]}"),
        ];
        for (name, value) in wrong {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{name}={value:?} cannot be used: expected ")),
                "{error}"
            );
        }
        let error = read(&[("SQUALL_STRATEGY", "best")])
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with(", starvation, tokio, exhaustive, portfolio"),
            "{error}"
        );
    }

    #[test]
    fn contradictions_and_misspellings_are_refused() {
        let error = read(&[("SQUALL_SEED", "1"), ("SQUALL_SEEDS", "2")]).unwrap_err();
        assert_eq!(
            error,
            EnvError::Contradiction {
                one: "SQUALL_SEED",
                other: "SQUALL_SEEDS"
            }
        );
        let error = read(&[("SQUALL_SEDS", "2")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "SQUALL_SEDS is not a variable of squall; did you mean SQUALL_SEEDS?"
        );
    }

    proptest! {
        #[test]
        fn no_value_panics(name in proptest::sample::select(&NAMES[..]), value in "(?s).{0,20}") {
            let _ = read(&[(name, &value)]);
        }
    }
}
