//! Where two runs of one seed part: traced until two traces differ. `verify` and the coordinator's cross-check come here
//! once they have seen a seed take two courses.

use super::case::Setting;
use super::coordinator::{Coordinator, Trouble};
use super::frames;
use super::protocol::{Explain, Job};
use super::verdict::{Difference, Verdict};
use super::verify::{Found, behind, explain, leak_remarks, trace_of};

/// How often a seed is traced alone in search of the event that differs.
const ATTEMPTS: usize = 4;

impl Coordinator<'_> {
    /// A seed of a job that came to two outcomes, of which one was a failure if `failed`.
    pub(super) fn nondeterministic(
        &mut self,
        job: &Job,
        seed: u64,
        steps: u64,
        outcomes: [String; 2],
        failed: bool,
    ) -> Result<Found, Trouble> {
        let mut difference = Difference {
            outcomes,
            events: None,
            common: 0,
            backtrace: None,
        };
        let mut variables = format!("{} SQUALL_AUDIT=100", self.case().seed_variables(seed));
        let mut last = None;
        let mut company = job.batch;
        for attempt in 0..ATTEMPTS {
            let report = self.explained(explain(seed, 1, trace_of(steps)))?;
            let before = last.replace(report);
            let Some((before, now)) = before.as_ref().zip(last.as_ref()) else {
                continue;
            };
            company &= before.digest == now.digest && before.verdict == now.verdict;
            if let Some((common, events)) = before.parts_from(now) {
                difference.events = Some(events);
                difference.common = common;
                let job = |how| explain(seed, 1, how);
                difference.backtrace = self.backtrace_at(job, common)?;
                break;
            }
            if attempt > 0 && now.trace.is_none() {
                break;
            }
        }
        if company {
            // Alone it is always the same; in the company that it was in, twice in a row, it may not be.
            let twice = Explain {
                twice: true,
                ..trace_of(steps)
            };
            let reports = self.alone(behind(job, seed, twice))?.explained;
            if let [one, other] = reports.as_slice()
                && let Some((common, events)) = one.parts_from(other)
            {
                difference.events = Some(events);
                difference.common = common;
                let again = |how| behind(job, seed, Explain { twice: true, ..how });
                difference.backtrace = self.backtrace_at(again, common)?;
                let first = job.first;
                variables = format!(
                    "SQUALL_BATCH={first:#x}..={seed:#x} SQUALL_AUDIT={}",
                    job.audit
                );
            }
        }
        let mut report = last.expect("squall bug: no traced run");
        report.trace = None;
        let company = company.then(|| in_a_word(&difference));
        report.verdict = Verdict::Nondeterministic(difference);
        let remark = "something that the seed does not decide reached the program; docs/determinism.md lists what can";
        let setting = Setting {
            remarks: vec![
                remark.to_owned(),
                "not shrunk: no run of it can be relied on".to_owned(),
            ],
            variables,
            output: self.output(),
            ..Setting::default()
        };
        let failure = self.case().failure(report, setting);
        Ok(Found {
            failure,
            company,
            failed,
        })
    }

    /// A seed that passes, but takes another course behind others in its process than alone. `job` is the one in which it
    /// was behind others.
    pub(super) fn drifted(
        &mut self,
        job: &Job,
        seed: u64,
        steps: u64,
        digests: [u64; 2],
    ) -> Result<Found, Trouble> {
        let [there, alone] = digests;
        let first = job.first;
        let outcomes = [
            format!("passed behind the seeds from {first:#x} on with digest {there:016x}"),
            format!("passed alone with digest {alone:016x}"),
        ];
        let mut difference = Difference {
            outcomes,
            events: None,
            common: 0,
            backtrace: None,
        };
        let there = self.explained(behind(job, seed, trace_of(steps)))?;
        let mut report = self.explained(explain(seed, 1, trace_of(steps)))?;
        if there.seed == seed
            && let Some((common, events)) = there.parts_from(&report)
        {
            let there_too = events[0].is_some();
            difference.events = Some(events);
            difference.common = common;
            difference.backtrace = match there_too {
                true => self.backtrace_at(|how| behind(job, seed, how), common)?,
                false => self.backtrace_at(|how| explain(seed, 1, how), common)?,
            };
        }
        report.trace = None;
        let company = Some(in_a_word(&difference));
        report.verdict = Verdict::Drift { first, difference };
        let setting = Setting {
            remarks: leak_remarks(),
            variables: format!("SQUALL_BATCH={first:#x}..={seed:#x}"),
            output: self.output(),
            ..Setting::default()
        };
        let failure = self.case().failure(report, setting);
        Ok(Found {
            failure,
            company,
            failed: false,
        })
    }

    /// Where the program is at an event of a run; or, if no run gets so far any more, at the one before.
    fn backtrace_at(
        &mut self,
        job: impl Fn(Explain) -> Job,
        event: u64,
    ) -> Result<Option<String>, Trouble> {
        for at in [event, event, event, event.saturating_sub(1)] {
            let how = Explain {
                trace: true,
                stacks_from: u64::MAX,
                backtrace_at: Some(at),
                ..Explain::default()
            };
            let reports = self.alone(job(how))?.explained;
            let backtrace = reports.into_iter().find_map(|report| report.backtrace);
            if backtrace.is_some() {
                return Ok(backtrace);
            }
        }
        Ok(None)
    }
}

/// The first event that differs, and where it is.
fn in_a_word(difference: &Difference) -> String {
    let events = difference.events.iter().flatten().flatten();
    let what: Vec<String> = events.map(|event| event.what.to_string()).collect();
    let what = match what.as_slice() {
        [] => "the event that differs is unknown".to_owned(),
        what => format!("first {}", what.join(" against ")),
    };
    match difference.backtrace.as_deref().and_then(frames::place) {
        Some(place) => format!("{what}, at {place}"),
        None => what,
    }
}
