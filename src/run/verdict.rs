//! What became of a run, and when two failures are the same.
//!
//! `child` makes most verdicts from the kernel's outcome, `coordinator` those of runs that took their process with them.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::scribe::PanicReport;
use crate::kernel::{Event, Refused, ThreadReport, Violation};

/// How a run ended, as the report names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// The body returned without an error.
    Passed,
    /// The body panicked.
    Panicked(PanicReport),
    /// The body returned an error.
    Error {
        /// Its `Debug` text.
        message: String,
    },
    /// A host's program panicked or returned an error.
    HostFailed {
        /// The host.
        host: String,
        /// The message.
        message: String,
        /// The panic, if it was one.
        panic: Option<PanicReport>,
    },
    /// A property does not hold.
    Violated(Violation),
    /// No thread could ever go on.
    Deadlock {
        /// Every thread and what it waits for.
        threads: Vec<ThreadReport>,
    },
    /// Threads ran without getting anywhere.
    Livelock {
        /// Every thread and where it is.
        threads: Vec<ThreadReport>,
        /// Where the tasks were spawned that ran; as far as tasks are known.
        #[serde(default)]
        tasks: Vec<String>,
    },
    /// The virtual time limit was reached.
    TimeLimit {
        /// The limit in virtual nanoseconds.
        limit: u64,
        /// Every thread and where it is.
        threads: Vec<ThreadReport>,
    },
    /// The limit on kernel entries was reached.
    StepLimit {
        /// The limit.
        limit: u64,
        /// Every thread and where it is.
        threads: Vec<ThreadReport>,
    },
    /// The program ran on and on without a kernel entry.
    Stuck {
        /// Wall milliseconds without one.
        milliseconds: u64,
        /// Where it was.
        backtrace: String,
    },
    /// The program called `abort`.
    Aborted {
        /// Where.
        backtrace: String,
        /// The panic that led to it, if one did.
        panic: Option<PanicReport>,
    },
    /// A signal ended the process.
    Signalled {
        /// Its number.
        signal: i32,
        /// The address that could not be used, for a memory fault.
        address: Option<u64>,
        /// Where the program was.
        backtrace: String,
    },
    /// A stack was too small.
    StackOverflow {
        /// Where the program was.
        backtrace: String,
    },
    /// The program called `exit`.
    Exited {
        /// With this status.
        code: i32,
    },
    /// The program ended, and said with this status that it had failed.
    Status {
        /// The status.
        code: i32,
    },
    /// An allocation failed.
    OutOfMemory {
        /// What the program said last.
        message: String,
        /// How many bytes it could grow, if there was a limit.
        limit: Option<u64>,
    },
    /// The run failed after a call that the simulation refused.
    Refused {
        /// The calls.
        calls: Vec<Refused>,
        /// How it failed.
        then: Box<Verdict>,
    },
    /// The same seed took two courses.
    Nondeterministic(Difference),
    /// A seed takes another course behind others in its process than alone.
    Drift {
        /// The first seed of that process.
        first: u64,
        /// Where the two differ.
        difference: Difference,
    },
    /// A seed that passes alone failed after others in the same process.
    Leak {
        /// The first seed of that process.
        first: u64,
        /// How it failed there.
        there: Box<Verdict>,
    },
}

/// Where two runs of a seed differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// The two digests, or two failures.
    pub outcomes: [String; 2],
    /// The first event that differs, as each of the traced runs has it; `None` where the trace ended before.
    pub events: Option<[Option<Event>; 2]>,
    /// How many events the runs have in common.
    pub common: u64,
    /// Where the program was at the first event that differs.
    pub backtrace: Option<String>,
}

impl Verdict {
    /// The body panicked, with this message.
    pub(super) fn of_panic(message: String, panics: &[PanicReport]) -> Verdict {
        // A panic that was caught and resumed has been taken down on the thread where it arose.
        let mut known = panics.iter().rev();
        let known = known.find(|panic| panic.message == message).cloned();
        Verdict::Panicked(known.unwrap_or_else(|| PanicReport {
            thread: "main".to_owned(),
            site: String::new(),
            message,
            backtrace: None,
        }))
    }

    /// The program of a host failed, with this message.
    pub(super) fn of_host(host: &str, message: &str, panics: &[PanicReport]) -> Verdict {
        // The engine hands on a panic's message with a word before it.
        let panic = message.strip_prefix("panicked: ").and_then(|text| {
            let mut known = panics.iter().rev();
            known.find(|panic| panic.message == text).cloned()
        });
        Verdict::HostFailed {
            host: host.to_owned(),
            message: message.to_owned(),
            panic,
        }
    }

    /// Whether the run held.
    pub fn passed(&self) -> bool {
        matches!(self, Verdict::Passed)
    }

    /// What two failures have in common that count as the same failure. It is stable from run to run and holds no value
    /// that a seed could change, so that a shrunk run, or tomorrow's, compares equal.
    pub fn signature(&self) -> String {
        match self {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Panicked(panic) if panic.site.is_empty() => {
                format!("panic: {}", without_numbers(&panic.message))
            }
            Verdict::Panicked(panic) => format!("panic at {}", panic.site),
            // Further lines are details: what was measured, causes.
            Verdict::Error { message } => {
                let first = message.lines().next().unwrap_or_default();
                format!("error: {}", without_numbers(first))
            }
            Verdict::HostFailed {
                host,
                panic: Some(panic),
                ..
            } => format!("panic on {host} at {}", panic.site),
            Verdict::HostFailed { host, message, .. } => {
                format!("error of {host}: {}", without_numbers(message))
            }
            // It stands in a line of the kept log.
            Verdict::Violated(violation) => {
                let words: Vec<&str> = violation.property.split_whitespace().collect();
                words.join(" ")
            }
            Verdict::Deadlock { threads } => format!("deadlock in {}", calls(threads)),
            Verdict::Livelock { .. } => "livelock".to_owned(),
            Verdict::TimeLimit { .. } => "virtual time limit".to_owned(),
            Verdict::StepLimit { .. } => "step limit".to_owned(),
            Verdict::Stuck { .. } => "stuck".to_owned(),
            Verdict::Aborted {
                panic: Some(panic), ..
            } => format!("abort after panic at {}", panic.site),
            Verdict::Aborted { .. } => "abort".to_owned(),
            Verdict::Signalled { signal, .. } => format!("signal {}", signal_name(*signal)),
            Verdict::StackOverflow { .. } => "stack overflow".to_owned(),
            Verdict::Exited { code } | Verdict::Status { code } => format!("exit {code}"),
            Verdict::OutOfMemory { .. } => "out of memory".to_owned(),
            Verdict::Refused { calls, then } => {
                let mut names: Vec<&str> = calls.iter().map(|call| call.call.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                format!("refused {}, then {}", names.join(", "), then.signature())
            }
            Verdict::Nondeterministic(_) => "nondeterministic".to_owned(),
            Verdict::Drift { .. } => "state between runs".to_owned(),
            Verdict::Leak { there, .. } => format!("state between runs: {}", there.signature()),
        }
    }

    /// One line that says what happened.
    pub fn headline(&self) -> String {
        match self {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Panicked(panic) if panic.site.is_empty() => "panicked".to_owned(),
            Verdict::Panicked(panic) => format!("panicked at {}", panic.site),
            Verdict::Error { .. } => "returned an error".to_owned(),
            Verdict::HostFailed {
                host,
                panic: Some(panic),
                ..
            } => {
                format!("the program of host {host} panicked at {}", panic.site)
            }
            Verdict::HostFailed { host, .. } => {
                format!("the program of host {host} returned an error")
            }
            Verdict::Violated(Violation { property, site, .. }) if site.is_empty() => {
                format!("violated: {property}")
            }
            Verdict::Violated(Violation { property, site, .. }) => {
                format!("violated: {property}, stated at {site}")
            }
            Verdict::Deadlock { .. } => "deadlock: no thread can ever go on".to_owned(),
            Verdict::Livelock { .. } => "livelock: threads run, and nothing comes of it".to_owned(),
            Verdict::TimeLimit { limit, .. } => {
                format!(
                    "virtual time limit: not over after {} of simulated time",
                    crate::units::show_nanoseconds(*limit)
                )
            }
            Verdict::StepLimit { limit, .. } => {
                format!("step limit: not over after {limit} kernel entries")
            }
            Verdict::Stuck { milliseconds, .. } => format!(
                "stuck: ran for {} of wall time without a call to the system",
                crate::units::show_nanoseconds(milliseconds.saturating_mul(1_000_000))
            ),
            Verdict::Aborted {
                panic: Some(panic), ..
            } => {
                format!("aborted: a panic at {} could not unwind", panic.site)
            }
            Verdict::Aborted { .. } => "aborted".to_owned(),
            Verdict::Signalled {
                signal, address, ..
            } => {
                let name = signal_name(*signal);
                match address {
                    Some(address) => {
                        format!("signal {name}: a memory fault at address {address:#x}")
                    }
                    None if *signal == libc::SIGKILL => {
                        format!(
                            "signal {name}: something killed the process, perhaps for lack of memory"
                        )
                    }
                    None => format!("signal {name}"),
                }
            }
            Verdict::StackOverflow { .. } => "stack overflow".to_owned(),
            Verdict::Status { code } => format!("exit status {code}"),
            Verdict::Exited { code } => {
                format!("the program called exit({code}) before the test had ended")
            }
            Verdict::OutOfMemory {
                limit: Some(limit), ..
            } => {
                format!(
                    "out of memory: the process may grow by {} MiB (SQUALL_MEMORY)",
                    limit >> 20
                )
            }
            Verdict::OutOfMemory { limit: None, .. } => "out of memory".to_owned(),
            Verdict::Refused { calls, then } => {
                let first = calls.first().map_or("", |call| call.call.as_str());
                format!(
                    "refused call: {first} is not simulated, and then the test failed: {}",
                    then.headline()
                )
            }
            Verdict::Nondeterministic(_) => {
                "nondeterministic: the same seed took two courses".to_owned()
            }
            Verdict::Drift { .. } => "state leaks between runs: the seed passes, but takes another course behind others in \
                 the same process than alone"
                .to_owned(),
            Verdict::Leak { first, there } => format!(
                "state leaks between runs: the seed passes alone and fails after the seeds from {first:#x} on in the same \
                 process: {}",
                there.headline()
            ),
        }
    }
}

/// A message with each number replaced, since numbers are what differs between failures of one kind.
fn without_numbers(message: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for c in message.chars().take(400) {
        if c.is_ascii_digit() {
            if !in_number {
                out.push('#');
            }
            in_number = true;
        } else {
            out.push(c);
            in_number = false;
        }
    }
    out
}

fn calls(threads: &[ThreadReport]) -> String {
    let mut names: Vec<&str> = threads.iter().map(|thread| thread.call.as_str()).collect();
    names.sort_unstable();
    let mut out = String::new();
    for run in names.chunk_by(|a, b| a == b) {
        if !out.is_empty() {
            out.push_str(", ");
        }
        write!(out, "{} x {}", run[0], run.len()).expect("squall bug: a String refused text");
    }
    out
}

/// The name of a signal.
pub(crate) fn signal_name(signal: i32) -> String {
    let known = [
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGSYS, "SIGSYS"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGXCPU, "SIGXCPU"),
    ];
    let name = known.into_iter().find(|(number, _)| *number == signal);
    name.map_or_else(|| signal.to_string(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_hold_no_values() {
        let error = |message: &str| {
            Verdict::Error {
                message: message.to_owned(),
            }
            .signature()
        };
        assert_eq!(error("sold 13 of 10"), error("sold 7 of 10"));
        assert_ne!(error("sold 13 of 10"), error("lost 13 of 10"));
        assert_eq!(
            error("too slow\n  p99 is 2 s"),
            error("too slow\n  p99 is 20 ms")
        );
        let panic = |message: &str| {
            Verdict::Panicked(PanicReport {
                thread: "main".to_owned(),
                site: "src/lib.rs:1:2".to_owned(),
                message: message.to_owned(),
                backtrace: None,
            })
        };
        assert_eq!(panic("a").signature(), panic("b").signature());
    }

    #[test]
    fn a_deadlock_is_known_by_what_its_threads_wait_in() {
        let thread = |id, call: &str| ThreadReport {
            id,
            name: String::new(),
            host: String::new(),
            call: call.to_owned(),
            waits_for: format!("{id}"),
            backtrace: None,
        };
        let threads = vec![
            thread(0, "futex"),
            thread(1, "epoll_wait"),
            thread(2, "futex"),
        ];
        assert_eq!(
            Verdict::Deadlock { threads }.signature(),
            "deadlock in epoll_wait x 1, futex x 2"
        );
    }
}
