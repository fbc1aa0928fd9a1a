//! What a run in the child came to: its verdict, made of how the kernel ended it and of what the scribe heard, and all else that the coordinator
//! is told of it. `child` and `trial` ask.

use super::child::Child;
use super::protocol::RunReport;
use super::scribe::{BodyEnd, PanicReport};
use super::verdict::Verdict;
use crate::kernel::{End, Outcome};
use crate::report::Recorded;

impl Child {
    pub(super) fn held(&self, outcome: &Outcome) -> bool {
        if self.with.settings.program {
            return outcome.end == End::Exited(0);
        }
        matches!(outcome.end, End::Returned) && self.with.scribe.passed()
    }

    pub(super) fn explained(&self, seed: u64, outcome: Outcome, explained: bool) -> RunReport {
        let choices = self
            .choices
            .as_ref()
            .expect("squall bug: a report within a run");
        let (end, mut panics, mut notes) = self.with.scribe.close();
        if self.with.settings.program {
            panics = super::program::panics(&self.with.black_box.output().text());
        }
        let verdict = self.verdict(&outcome, end, &panics);
        notes.extend(outcome.remarks);
        // Events are many, and their text is of use only where it was asked for.
        let trace = outcome.trace.filter(|_| explained);
        let trace = trace.map(|record| Recorded::new(record, outcome.tasks, super::sites::site));
        RunReport {
            seed,
            strategy: choices.strategy().to_string(),
            notes,
            verdict,
            digest: outcome.digest,
            steps: outcome.steps,
            virtual_ns: outcome.virtual_ns,
            refused: outcome.refused,
            panics,
            threads_left: outcome.threads_left,
            trace,
            backtrace: outcome.backtrace,
            outside: String::new(),
            divergence: choices
                .divergence()
                .map(|divergence| divergence.to_string()),
        }
    }

    fn verdict(&self, outcome: &Outcome, end: Option<BodyEnd>, panics: &[PanicReport]) -> Verdict {
        let settings = self.with.settings;
        let verdict = match (&outcome.end, end) {
            (End::Returned, Some(BodyEnd::Returned(Ok(())))) => return Verdict::Passed,
            (End::Returned, Some(BodyEnd::Returned(Err(message)))) => Verdict::Error { message },
            (End::Returned, Some(BodyEnd::Panicked(message))) => Verdict::of_panic(message, panics),
            (End::Returned, None) => Verdict::Error {
                message: "the first thread of the run ended without returning from the test's body"
                    .to_owned(),
            },
            (End::Exited(0), _) if settings.program => return Verdict::Passed,
            (End::Exited(code), _) if settings.program => super::program::ended(*code, panics),
            (End::Exited(code), _) => Verdict::Exited { code: *code },
            (End::Aborted { backtrace }, _) => match self.failed_allocation() {
                Some(message) => Verdict::OutOfMemory {
                    message,
                    limit: settings.memory,
                },
                None => {
                    // The last panics are those of core, which only says that there must not be another one.
                    let own = panics.iter().rev();
                    let own = own.filter(|panic| !panic.site.starts_with("/rustc/"));
                    let panic = own.take(usize::from(self.output_tells_of_panic()));
                    let panic = panic.last().cloned();
                    Verdict::Aborted {
                        backtrace: backtrace.clone(),
                        panic,
                    }
                }
            },
            (End::HostFailed { host, message }, _) => Verdict::of_host(host, message, panics),
            (End::Violated(violation), _) => Verdict::Violated((**violation).clone()),
            (End::Deadlock(threads), _) => Verdict::Deadlock {
                threads: threads.clone(),
            },
            (End::Livelock(threads), _) => Verdict::Livelock {
                threads: threads.clone(),
                tasks: outcome.spinning.clone(),
            },
            (End::TimeLimit(threads), _) => {
                let limit = settings.max_time.as_nanos().try_into().unwrap_or(u64::MAX);
                Verdict::TimeLimit {
                    limit,
                    threads: threads.clone(),
                }
            }
            (End::StepLimit(threads), _) => Verdict::StepLimit {
                limit: settings.max_steps,
                threads: threads.clone(),
            },
        };
        let calls: Vec<_> = outcome
            .refused
            .iter()
            .filter(|call| !call.tolerated)
            .cloned()
            .collect();
        if calls.is_empty() {
            verdict
        } else {
            Verdict::Refused {
                calls,
                then: Box::new(verdict),
            }
        }
    }

    /// The last line of output, if it is std's about a failed allocation.
    fn failed_allocation(&self) -> Option<String> {
        allocation_failure(&self.with.black_box.output().text())
    }

    /// Whether std said why it aborts, which it does for a panic that cannot unwind.
    fn output_tells_of_panic(&self) -> bool {
        let text = self.with.black_box.output().text();
        ["panicked while", "cannot unwind", "aborting", "panic in a"]
            .iter()
            .any(|sign| text.contains(sign))
            || cfg!(panic = "abort")
    }
}

/// What std says of an allocation that failed, if the output ends with that. libtest may have begun the line.
pub(crate) fn allocation_failure(output: &str) -> Option<String> {
    let said = |line: &str| {
        line.find("memory allocation of ")
            .map(|at| line[at..].to_owned())
    };
    let text = output.lines().rev().find_map(said)?;
    text.contains(" failed").then_some(text)
}
