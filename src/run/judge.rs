//! What a job came to. `coordinator` asks when a zygote has answered; the evidence is in the report file, the wait status
//! and the black box.

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use super::coordinator::{Coordinator, Trouble};
use super::crash;
use super::findings;
use super::protocol::{Frame, Job, RunReport};
use super::render;
use super::settings::Which;
use super::slot::{self, Running, Slot, SlotError};
use super::verdict::Verdict;
use crate::explore::Mutation;
use crate::kernel::Refused;

/// What a job came to.
pub(crate) struct Ended {
    pub(crate) job: Job,
    /// Seeds that passed.
    pub(crate) passed: u64,
    /// Virtual nanoseconds of those, in all.
    pub(crate) simulated: u64,
    /// How the last run failed; `None` if none did.
    pub(crate) failed: Option<Failed>,
    /// The reports of the runs that were explained, failed or not.
    pub(crate) explained: Vec<RunReport>,
    /// Digests of seeds, in order.
    pub(crate) digests: Vec<(u64, u64, bool)>,
    /// The last seed that passed.
    pub(crate) last: Option<Last>,
    pub(crate) took: Duration,
    /// The candidates that failed in the way that counts, by their numbers.
    pub(crate) hits: Vec<u64>,
}

/// A run that failed.
pub(crate) struct Failed {
    pub(crate) seed: u64,
    pub(crate) how: How,
    /// Kernel entries of the run.
    pub(crate) steps: u64,
}

/// How a run failed, at first sight.
pub(crate) enum How {
    /// It has a verdict.
    Run(Box<RunReport>),
    /// It passed twice, differently.
    Mismatch([u64; 2]),
}

impl How {
    /// What failures of this kind have in common.
    pub(crate) fn signature(&self) -> String {
        match self {
            How::Run(report) => report.verdict.signature(),
            How::Mismatch(_) => "nondeterministic: the seed passed twice, differently".to_owned(),
        }
    }
}

/// A seed that passed.
#[derive(Clone, Copy)]
pub(crate) struct Last {
    pub(crate) seed: u64,
    pub(crate) digest: u64,
    /// Kernel entries of the run.
    pub(crate) steps: u64,
}

impl Coordinator<'_> {
    /// What a job came to, from its frames, its wait status and the black box.
    pub(crate) fn judge(
        &mut self,
        slot: usize,
        running: Running,
        status: i32,
    ) -> Result<Ended, Trouble> {
        let Running {
            job, since, stuck, ..
        } = running;
        let mut ended = Ended {
            job,
            passed: self.slots[slot].black_box.passed.load(Acquire),
            simulated: self.slots[slot].black_box.simulated.load(Relaxed),
            failed: None,
            explained: Vec::new(),
            digests: Vec::new(),
            last: None,
            took: since.elapsed(),
            hits: Vec::new(),
        };
        let mut first_digests: Vec<(u64, u64)> = Vec::new();
        let steps = self.slots[slot].black_box.progress.load(Relaxed);
        for frame in self.slots[slot].frames()? {
            match frame {
                Frame::Digest {
                    seed,
                    digest,
                    again,
                } => {
                    ended.digests.push((seed, digest, again));
                    if !again {
                        first_digests.push((seed, digest));
                    } else if let Some((_, before)) =
                        first_digests.iter().rev().find(|(other, _)| *other == seed)
                        && *before != digest
                    {
                        let how = How::Mismatch([*before, digest]);
                        ended.failed = Some(Failed { seed, how, steps });
                    }
                }
                Frame::Reached {
                    seed,
                    points,
                    reached,
                } => self.coverage.add(seed, points, &reached),
                Frame::Tallies(tallies) => self.tallies.add(tallies),
                Frame::Profile(profile) => self.profile = Some(profile),
                Frame::Progress(progress) => self.progress = Some(progress),
                Frame::Refused(call) => self.tell_refusal(&call),
                Frame::Run(report) => {
                    if report.verdict.passed() {
                        ended.passed += u64::from(ended.job.explain.is_some());
                        ended.digests.push((report.seed, report.digest, false));
                        ended.explained.push(*report);
                    } else {
                        let (seed, steps) = (report.seed, report.steps);
                        if ended.job.explain.is_some() {
                            ended.explained.push((*report).clone());
                        }
                        ended.failed = Some(Failed {
                            seed,
                            how: How::Run(report),
                            steps,
                        });
                    }
                }
                Frame::Mismatch { seed, digests } => {
                    ended.failed = Some(Failed {
                        seed,
                        how: How::Mismatch(digests),
                        steps,
                    });
                }
                Frame::Hit(trial) => ended.hits.push(trial),
                Frame::Trouble(text) => return Err(SlotError::Trouble(text).into()),
            }
        }
        if ended.failed.is_none() && status != 0 {
            // Of a candidate nobody asks where it was.
            let places = ended.job.trials.is_none();
            let report = self.crashed(slot, status, stuck, places);
            if ended.job.explain.is_some() {
                ended.explained.push(report.clone());
            }
            let seed = report.seed;
            ended.failed = Some(Failed {
                seed,
                how: How::Run(Box::new(report)),
                steps,
            });
        }
        if status == 0 && ended.passed > 0 {
            let black_box = self.slots[slot].black_box;
            ended.last = Some(Last {
                seed: black_box.seed.load(Relaxed),
                digest: black_box.digest.load(Relaxed),
                steps,
            });
        }
        Ok(ended)
    }

    /// The report of a run that took its process with it.
    fn crashed(
        &self,
        slot: usize,
        status: i32,
        stuck: Option<Duration>,
        places: bool,
    ) -> RunReport {
        let Slot {
            black_box, modules, ..
        } = &self.slots[slot];
        let crash = black_box.crash();
        let backtrace = crash
            .as_ref()
            .filter(|_| places)
            .map(|crash| crash::resolve(crash, modules))
            .unwrap_or_default();
        let out_of_memory = findings::allocation_failure(&black_box.output().text());
        let verdict = match (stuck, slot::ended_by(status)) {
            (Some(silent), _) => Verdict::Stuck {
                milliseconds: silent.as_millis() as u64,
                backtrace,
            },
            (None, Ok(code)) => Verdict::Exited { code },
            (None, Err(_)) if crash.as_ref().is_some_and(|crash| crash.overflow) => {
                Verdict::StackOverflow { backtrace }
            }
            (None, Err(libc::SIGABRT)) if out_of_memory.is_some() => Verdict::OutOfMemory {
                message: out_of_memory.unwrap_or_default(),
                limit: self.settings.memory,
            },
            (None, Err(signal)) => {
                let fault = matches!(signal, libc::SIGSEGV | libc::SIGBUS);
                let address = crash.as_ref().filter(|_| fault).map(|crash| crash.address);
                Verdict::Signalled {
                    signal,
                    address,
                    backtrace,
                }
            }
        };
        let seed = black_box.seed.load(Relaxed);
        RunReport {
            seed,
            strategy: self.settings.strategy.of(seed).to_string(),
            notes: Vec::new(),
            verdict,
            digest: 0,
            steps: black_box.progress.load(Relaxed),
            virtual_ns: 0,
            refused: Vec::new(),
            panics: Vec::new(),
            threads_left: Vec::new(),
            trace: None,
            backtrace: None,
            outside: self.slots[slot].printed_by_job(),
            divergence: None,
        }
    }

    fn tell_refusal(&mut self, call: &Refused) {
        let site = render::refusal_site(call);
        if self.refused.insert(format!("{} {site}", call.call)) {
            eprintln!(
                "squall: {}: {} at {site}",
                self.origin.test,
                render::refusal(call)
            );
        }
    }

    pub(crate) fn keep_digests(&mut self, ended: &Ended) {
        if !self.settings.digests {
            return;
        }
        for (seed, digest, again) in &ended.digests {
            // Which seeds begin as others depends on how long runs take, so a search leaves them out.
            let searched = matches!(self.settings.which, Which::Explore { .. });
            let left_out = *again || (searched && Mutation::of(*seed).is_some());
            if !left_out {
                self.digests.push(format!(
                    "squall: {} seed {seed:#x} digest {digest:016x}",
                    self.origin.test
                ));
            }
        }
    }
}
