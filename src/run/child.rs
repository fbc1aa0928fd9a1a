//! The child process: runs the seeds of a job through the kernel and leaves what it found in the black box and the report
//! file. `zygote` forks it; it never returns.

use std::any::Any;
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Instant;

use super::protocol::{self, Explain, Frame, Job};
use super::recorder::Recorder;
use super::scribe::Scribe;
use super::settings::{Resolved, audited};
use super::start::{self, Body, Start};
use crate::choice::{Choices, Log};
use crate::explore::{BOUND, PROFILE_SEED, Profile};
use crate::kernel::abi::real::blackbox::BlackBox;
use crate::kernel::abi::real::process;
use crate::kernel::{self, Config, Outcome, Tallies, image};
use crate::sim::parameter::Parameters;

/// The exit status of a child that has reported a failure.
pub(crate) const FAILED: i32 = 1;
/// The exit status of a child that could not do its work, and has reported why.
pub(crate) const TROUBLE: i32 = 2;

/// A child that has grown by so many bytes ends its batch early: what the statics of a run own is leaked when they are
/// put back.
const GROWTH: u64 = 256 << 20;
/// How many runs pass between two looks at the size.
const LOOK_EVERY: u64 = 256;

/// What a zygote has ready for its children.
#[derive(Clone, Copy)]
pub(crate) struct Equipment {
    pub(crate) settings: &'static Resolved,
    pub(crate) body: &'static Body,
    pub(crate) black_box: &'static BlackBox,
    pub(crate) report: &'static File,
    pub(crate) scribe: &'static Scribe,
}

pub(super) struct Child {
    pub(super) with: Equipment,
    /// `None` only while a run has it.
    pub(super) choices: Option<Box<Choices>>,
    /// What strategies may know of the test, once that is known.
    profile: Option<Arc<Profile>>,
    refused: HashSet<String>,
    parameters: &'static Parameters,
    /// What the runs have counted.
    tallies: Tallies,
    /// The next run's output goes to the terminal as well.
    shown: bool,
}

/// How the second run of an audited seed is watched, the first one having had so many kernel entries: what an explained run
/// takes down must not change its course. Places cost most, and are taken down only where every seed is audited.
fn watched(steps: u64, audit: u32) -> Explain {
    let watch = super::verify::trace_of(steps);
    match audit {
        100 => watch,
        _ => Explain {
            stacks_from: u64::MAX,
            ..watch
        },
    }
}

/// Runs the job and ends the process. `again` marks the second run of an audited seed in a process of its own, and says how many
/// kernel entries the first one had.
pub(crate) fn run(with: Equipment, job: &Job, again: Option<u64>) -> ! {
    // What libtest's thread or the user's main has on its stack must not be unwound into: two processes would return.
    let work = std::panic::AssertUnwindSafe(|| {
        crate::sim::points::activate();
        let choices = Box::new(Choices::new(with.settings.strategy));
        let mut child = Child {
            with,
            choices: Some(choices),
            profile: job.profile.clone().map(Arc::new),
            refused: HashSet::new(),
            // The process ends with the job.
            parameters: match job.parameters.clone() {
                Some(parameters) => Box::leak(Box::new(parameters)),
                None => &with.settings.parameters,
            },
            tallies: Tallies::default(),
            shown: false,
        };
        let worked = child.work(job, again);
        if !child.tallies.is_empty() {
            let tallies = std::mem::take(&mut child.tallies);
            child.report(&Frame::Tallies(tallies));
        }
        match worked {
            Ok(held) => i32::from(!held) * FAILED,
            Err(trouble) => {
                child.report(&Frame::Trouble(trouble));
                TROUBLE
            }
        }
    });
    let code = std::panic::catch_unwind(work).unwrap_or_else(|payload| {
        let text = super::scribe::message_of(&*payload);
        write_frame(
            with,
            &Frame::Trouble(format!("the run's own process panicked: {text}")),
        );
        TROUBLE
    });
    with.black_box.done.store(1, Release);
    process::exit_now(code)
}

fn write_frame(with: Equipment, frame: &Frame) {
    let mut line = Vec::new();
    if protocol::send(&mut line, frame).is_err() {
        return;
    }
    let at = with.black_box.reported.load(Relaxed);
    // With no room for the report there is nobody left to tell.
    if with.report.write_all_at(&line, at).is_ok() {
        with.black_box
            .reported
            .store(at + line.len() as u64, Release);
    }
}

impl Child {
    /// Runs the seeds; false after a failure.
    fn work(&mut self, job: &Job, again: Option<u64>) -> Result<bool, String> {
        if let Some(bytes) = self.with.settings.memory {
            process::limit_growth(bytes)
                .map_err(|error| format!("cannot limit the memory: {error}"))?;
        }
        if let Some(trials) = &job.trials {
            return self.try_all(job, trials).map(|()| true);
        }
        let log = match &job.log {
            Some(text) => Some(Log::from_text(text).map_err(|error| error.to_string())?),
            None => None,
        };
        let twice = job.explain.as_ref().is_some_and(|explain| explain.twice);
        let many = job.batch && (job.count > 1 || audited(job.first, job.audit) || twice);
        let image = match many {
            true => Some(image::snapshot().map_err(|error| error.to_string())?),
            false => None,
        };
        // What the body captured may hold on to what a run allocated.
        let heap = size_of_val(self.with.body) == 0;
        let put_back = || {
            if let Some(image) = &image {
                image.restore(heap);
            }
        };
        let size = process::size();
        let since = Instant::now();
        let last = job.first + (job.count - 1);
        for seed in job.first..=last {
            self.shown = again.is_none()
                && job.explain.is_none()
                && super::program::shows(self.with.settings, seed);
            let explain = job.explain.as_ref().filter(|_| seed == last);
            let watch = again.map(|steps| watched(steps, job.audit));
            let mut outcome = self.simulate(seed, explain.or(watch.as_ref()), log.clone());
            if explain.is_none() && again.is_none() && !outcome.tallies.is_empty() {
                self.tallies.add(std::mem::take(&mut outcome.tallies));
            }
            if explain.is_some() || !self.held(&outcome) {
                let mut held = self.report_run(seed, outcome, explain.is_some());
                if explain.is_some() && twice {
                    put_back();
                    let outcome = self.simulate(seed, explain, log);
                    held &= self.report_run(seed, outcome, true);
                }
                return Ok(held);
            }
            self.note_refusals(&outcome);
            self.with.black_box.digest.store(outcome.digest, Relaxed);
            let audit = audited(seed, job.audit);
            if self.with.settings.digests || (audit && !job.batch) {
                self.report(&Frame::Digest {
                    seed,
                    digest: outcome.digest,
                    again: again.is_some(),
                });
            }
            if audit && job.batch {
                put_back();
                let watch = watched(outcome.steps, job.audit);
                let again = self.simulate(seed, Some(&watch), None);
                let digests = [outcome.digest, again.digest];
                if digests[0] != digests[1] {
                    self.report(&Frame::Mismatch { seed, digests });
                    return Ok(false);
                }
            }
            if again.is_none() {
                let black_box = self.with.black_box;
                black_box.simulated.fetch_add(outcome.virtual_ns, Relaxed);
                black_box.passed.fetch_add(1, Relaxed);
            }
            if seed == last {
                break;
            }
            put_back();
            let late = job.budget.is_some_and(|budget| since.elapsed() >= budget);
            if late || self.finished() {
                break;
            }
            let ran = seed - job.first + 1;
            if ran.is_multiple_of(LOOK_EVERY) && process::size().saturating_sub(size) > GROWTH {
                break;
            }
        }
        if let Some(progress) = self.choices.as_mut().and_then(|choices| choices.progress()) {
            self.report(&Frame::Progress(progress));
        }
        Ok(true)
    }

    /// Whether a search that ends by itself has ended.
    fn finished(&mut self) -> bool {
        let choices = self.choices.as_mut();
        let progress = choices.and_then(|choices| choices.progress());
        progress.is_some_and(|progress| progress.bound > BOUND)
    }

    /// One run.
    fn simulate(&mut self, seed: u64, explain: Option<&Explain>, log: Option<Log>) -> Outcome {
        let Equipment {
            settings,
            black_box,
            ..
        } = self.with;
        let profile = self.profile.clone();
        self.course(seed, explain, settings.max_steps, |choices| {
            match log {
                Some(log) => choices.replay(log),
                None => {
                    choices.set_seed(seed);
                    let unknown = profile.is_none();
                    let known = profile.filter(|_| seed != PROFILE_SEED);
                    choices.set_profile(known.unwrap_or_default());
                    if seed == PROFILE_SEED && unknown && settings.profiled() {
                        choices.take_profile();
                    }
                }
            }
            if explain.is_some() {
                choices.record(Box::new(Recorder(black_box)));
            }
        })
    }

    /// One run with the answers that `prepare` arranges for.
    pub(super) fn course(
        &mut self,
        seed: u64,
        explain: Option<&Explain>,
        max_steps: u64,
        prepare: impl FnOnce(&mut Choices),
    ) -> Outcome {
        let Equipment {
            settings,
            body,
            black_box,
            scribe,
            ..
        } = self.with;
        black_box.begin_run(seed);
        scribe.begin(explain.is_some());
        let mut choices = self.choices.take().expect("squall bug: a run within a run");
        black_box.rewind();
        prepare(&mut choices);
        let config = Config {
            cpus: settings.cpus,
            max_virtual: settings.max_time.as_nanos().try_into().unwrap_or(u64::MAX),
            max_steps,
            descriptors: settings.descriptors,
            os_threads: settings.os_threads,
            stack: super::program::stack(settings),
            slow_code: settings.program,
            trace: explain.is_some_and(|explain| explain.trace),
            stacks_from: explain.map_or(0, |explain| explain.stacks_from),
            backtrace_at: explain.and_then(|explain| explain.backtrace_at),
            backtraces: explain.is_some(),
            progress: Some(&black_box.progress),
            sink: Some(match std::mem::take(&mut self.shown) {
                true => Box::new(|fd, bytes| {
                    black_box.write(bytes);
                    super::program::show(fd, bytes);
                }),
                false => Box::new(|_, bytes| black_box.write(bytes)),
            }),
            whole_polls: settings.whole_polls,
            // A program under `exec` is judged by its exit status alone.
            detectors: match settings.program {
                true => kernel::Detectors::NONE,
                false => settings.detectors,
            },
            contended_sites: contended_sites(choices.profile()),
            take_sites: choices.takes_profile(),
            livelock_after: livelock_after(settings.max_steps),
        };
        let start = Start::new(choices.seed(), settings, self.parameters, scribe);
        let run = Box::new(move || start::run_body(body, &start));
        let (mut outcome, oracle) = kernel::simulate(config, choices, run);
        let oracle: Box<dyn Any> = oracle;
        let mut choices: Box<Choices> = oracle
            .downcast()
            .expect("squall bug: the kernel returned another oracle");
        if let Some(mut profile) = choices.profiled() {
            profile.sites = outcome.contended_sites.take().unwrap_or_default();
            self.report(&Frame::Profile(profile.clone()));
            self.profile = Some(Arc::new(profile));
        }
        if !outcome.reached.is_empty() {
            let reached = std::mem::take(&mut outcome.reached);
            let points = choices.points();
            self.report(&Frame::Reached {
                seed,
                points,
                reached,
            });
        }
        self.choices = Some(choices);
        black_box.contexts.fetch_max(outcome.contexts, Relaxed);
        outcome
    }

    fn note_refusals(&mut self, outcome: &Outcome) {
        for call in &outcome.refused {
            let site = format!("{}\n{}", call.call, call.backtrace);
            if !call.tolerated && self.refused.insert(site) {
                self.report(&Frame::Refused(call.clone()));
            }
        }
    }

    /// Reports a run; returns whether it held.
    fn report_run(&self, seed: u64, outcome: Outcome, explained: bool) -> bool {
        let telling = &self.with.black_box.telling;
        telling.store(1, Relaxed);
        let report = self.explained(seed, outcome, explained);
        let held = report.verdict.passed();
        self.report(&Frame::Run(Box::new(report)));
        telling.store(0, Relaxed);
        held
    }

    pub(super) fn report(&self, frame: &Frame) {
        write_frame(self.with, frame);
    }
}

/// A test that is to take many steps may also take many between which nothing happens that the kernel knows for progress, as
/// tasks that hand each other messages by the million do.
fn livelock_after(max_steps: u64) -> u64 {
    Config::default().livelock_after.max(max_steps / 10)
}

/// What of a profile the kernel is told.
fn contended_sites(profile: &Profile) -> Arc<[u64]> {
    match &profile.sites[..] {
        [] => Arc::default(),
        sites => sites.into(),
    }
}
