//! One test: many seeds, run by zygotes, watched and judged from here. Runs on libtest's thread, or the caller's.
//!
//! The coordinator never runs the test's body. It hands out seeds, and when one fails it has it run again alone, with
//! everything taken down, to see whether it fails the same way; `verify` has that part.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::batches::Batches;
use super::child;
use super::failure::{Failure, Summary};
use super::frames;
use super::origin::Origin;
use super::protocol::{Frame, Job, RunReport};
use super::render;
use super::settings::{Isolation, Resolved, Which};
use super::slot::{self, Running, Slot, SlotError};
use super::verdict::Verdict;
use crate::choice::{Log, LogError};
use crate::kernel::Refused;
use crate::kernel::abi::real::blackbox::Output;
use crate::kernel::abi::real::interrupt::Listener;
use crate::kernel::abi::real::{poll, process};

/// How often the signs of life of the children are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long a zygote may take to come up.
const BIRTH: Duration = Duration::from_secs(60);

/// Why a test could not be run to an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A zygote failed.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// A saved log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The saved logs cannot be listed.
    #[error("cannot read the directory of saved logs {path}: {source}", path = path.display())]
    Failures {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Waiting failed.
    #[error("cannot wait for the runs: {0}")]
    Wait(std::io::Error),
    /// There is nothing to say that the test held.
    #[error(
        "no seed was run, so nothing is known about the test; give it a larger SQUALL_BUDGET or at least one seed"
    )]
    NoSeed,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// What a job came to.
pub(crate) struct Ended {
    pub(crate) job: Job,
    /// Seeds that passed.
    pub(crate) passed: u64,
    /// How the last run failed; `None` if none did.
    pub(crate) failed: Option<Failed>,
    /// The report of the run that was explained, failed or not.
    pub(crate) explained: Option<RunReport>,
    /// Digests of seeds, in order.
    digests: Vec<(u64, u64, bool)>,
    took: Duration,
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

/// The runs of one test.
pub(crate) struct Coordinator<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) settings: &'a Resolved,
    earlier: &'a [Result<Summary, Failure>],
    slots: Vec<Slot>,
    listener: Listener,
    refused: HashSet<String>,
    runs: u64,
    failures: u32,
    total: Option<u64>,
}

/// Runs the test. `earlier` is what runs before this one within the test came to.
pub(crate) fn run(
    origin: &Origin,
    settings: &Resolved,
    earlier: &[Result<Summary, Failure>],
) -> Result<Summary, Failure> {
    let broken = |trouble: &Trouble| Failure {
        test: origin.test.clone(),
        seed: None,
        signature: String::new(),
        log: None,
        text: format!("squall: {} could not be run: {trouble}\n", origin.test),
    };
    let listener = Listener::new().map_err(|error| broken(&Trouble::Wait(error)))?;
    let mut coordinator = Coordinator {
        origin,
        settings,
        earlier,
        slots: Vec::new(),
        listener,
        refused: HashSet::new(),
        runs: 0,
        failures: 0,
        total: None,
    };
    match coordinator.run() {
        Ok(None) => Ok(Summary {
            runs: coordinator.runs,
        }),
        Ok(Some(failure)) => Err(failure),
        Err(Trouble::Interrupted) => coordinator.interrupted(),
        Err(trouble) => Err(broken(&trouble)),
    }
}

impl Coordinator<'_> {
    fn run(&mut self) -> Result<Option<Failure>, Trouble> {
        // Read before anything runs: a damaged log must not be found out after an hour.
        let replay = match &self.settings.which {
            Which::Replay(path) => vec![self.load(path)?],
            Which::Explore { .. } => self.saved()?,
            Which::Seed(_) | Which::Batch(..) => Vec::new(),
        };
        let slots = match self.settings.which {
            Which::Explore { .. } => self.settings.jobs,
            _ => 1,
        };
        for _ in 0..slots {
            self.slots.push(Slot::start(self.origin, self.earlier)?);
        }
        for (path, log) in replay {
            if let Some(failure) = self.replay(&path, &log)? {
                return Ok(Some(failure));
            }
        }
        let failed = match self.settings.which {
            Which::Replay(_) => None,
            Which::Seed(seed) => self.one_job(seed, 1)?,
            Which::Batch(first, last) => {
                let count = (last - first).saturating_add(1);
                self.one_job(first, count)?
            }
            Which::Explore { seeds, budget } => {
                self.total = seeds;
                self.explore(Batches::new(seeds, budget, slots))?
            }
        };
        match failed {
            Some(ended) => self.verify(ended).map(Some),
            None if self.runs == 0 => Err(Trouble::NoSeed),
            None => Ok(None),
        }
    }

    /// Hands out seeds until none is left or one fails; of those that fail at a time, the lowest counts.
    fn explore(&mut self, mut batches: Batches) -> Result<Option<Ended>, Trouble> {
        let mut failed: Option<Ended> = None;
        loop {
            for i in 0..self.slots.len() {
                if failed.is_some() || !self.slots[i].idle() {
                    continue;
                }
                let Some((first, count)) = batches.next() else {
                    continue;
                };
                let job = self.job(i, first, count);
                self.slots[i].give(job)?;
            }
            if self.slots.iter().all(Slot::idle) {
                return Ok(failed);
            }
            for ended in self.wait()? {
                self.count(&ended);
                let lowest = failed
                    .as_ref()
                    .and_then(|failed| failed.failed.as_ref())
                    .map(|failed| failed.seed);
                match &ended.failed {
                    Some(one) if lowest.is_none_or(|seed| one.seed < seed) => failed = Some(ended),
                    Some(_) => {}
                    None => {
                        batches.done(ended.job.first, ended.job.count, ended.passed, ended.took)
                    }
                }
            }
        }
    }

    fn job(&self, slot: usize, first: u64, count: u64) -> Job {
        let asked = self.settings.isolation == Isolation::Batch
            || matches!(self.settings.which, Which::Batch(..));
        let batch = asked && self.slots[slot].unbatched.is_none();
        Job {
            first,
            count,
            batch,
            audit: self.settings.audit,
            explain: None,
            log: None,
        }
    }

    /// Runs seeds in one job; returns it if a run failed.
    fn one_job(&mut self, first: u64, count: u64) -> Result<Option<Ended>, Trouble> {
        self.come_up()?;
        let job = self.job(0, first, count);
        let ended = self.alone(job)?;
        self.count(&ended);
        Ok(ended.failed.is_some().then_some(ended))
    }

    /// Books the seeds of a job, unless they only serve to look closer at a failure.
    pub(crate) fn count(&mut self, ended: &Ended) {
        self.runs += ended.passed + u64::from(ended.failed.is_some());
        self.failures += u32::from(ended.failed.is_some());
        self.tell_digests(ended);
    }

    /// Waits for the first zygote.
    fn come_up(&mut self) -> Result<(), Trouble> {
        while !self.slots[0].idle() {
            self.wait()?;
        }
        Ok(())
    }

    /// Runs one job on the first zygote while all others rest.
    pub(crate) fn alone(&mut self, job: Job) -> Result<Ended, Trouble> {
        self.come_up()?;
        self.slots[0].give(job)?;
        loop {
            if let Some(ended) = self.wait()?.pop() {
                return Ok(ended);
            }
        }
    }

    /// Waits until something has happened or it is time to look at the children; returns the jobs that are over.
    fn wait(&mut self) -> Result<Vec<Ended>, Trouble> {
        if self.listener.pressed() {
            return Err(Trouble::Interrupted);
        }
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.listener.fd()];
        fds.extend(self.slots.iter().map(Slot::fd));
        let ready = poll::readable(&fds, LOOK).map_err(Trouble::Wait)?;
        if ready[0] {
            return Err(Trouble::Interrupted);
        }
        let mut over = Vec::new();
        for (i, ready) in ready[1..].iter().enumerate() {
            let slot = &mut self.slots[i];
            if *ready {
                if let Some((running, status)) = slot.take()? {
                    let ended = self.judge(i, running, status)?;
                    over.push(ended);
                }
            } else {
                slot.watch(self.settings.watchdog, BIRTH)?;
            }
        }
        Ok(over)
    }

    /// What a job came to, from its frames, its wait status and the black box.
    fn judge(&mut self, slot: usize, running: Running, status: i32) -> Result<Ended, Trouble> {
        let Running {
            job, since, stuck, ..
        } = running;
        let mut ended = Ended {
            job,
            passed: self.slots[slot]
                .black_box
                .passed
                .load(std::sync::atomic::Ordering::Acquire),
            failed: None,
            explained: None,
            digests: Vec::new(),
            took: since.elapsed(),
        };
        let mut first_digests: Vec<(u64, u64)> = Vec::new();
        let steps = self.slots[slot]
            .black_box
            .progress
            .load(std::sync::atomic::Ordering::Relaxed);
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
                Frame::Refused(call) => self.tell_refusal(&call),
                Frame::Run(report) => {
                    if report.verdict.passed() {
                        ended.passed += u64::from(ended.job.explain.is_some());
                        ended.digests.push((report.seed, report.digest, false));
                        ended.explained = Some(*report);
                    } else {
                        let (seed, steps) = (report.seed, report.steps);
                        if ended.job.explain.is_some() {
                            ended.explained = Some((*report).clone());
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
                Frame::Trouble(text) => return Err(SlotError::Trouble(text).into()),
            }
        }
        if ended.failed.is_none() && status != 0 {
            let report = self.crashed(slot, status, stuck);
            if ended.job.explain.is_some() {
                ended.explained = Some(report.clone());
            }
            let seed = report.seed;
            ended.failed = Some(Failed {
                seed,
                how: How::Run(Box::new(report)),
                steps,
            });
        }
        Ok(ended)
    }

    /// The report of a run that took its process with it.
    fn crashed(&self, slot: usize, status: i32, stuck: Option<Duration>) -> RunReport {
        let Slot {
            black_box, modules, ..
        } = &self.slots[slot];
        let crash = black_box.crash();
        let backtrace = crash
            .as_ref()
            .map(|crash| frames::resolve(crash, modules))
            .unwrap_or_default();
        let out_of_memory = child::allocation_failure(&black_box.output().text());
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
        let seed = black_box.seed.load(std::sync::atomic::Ordering::Relaxed);
        RunReport {
            seed,
            strategy: self.settings.strategy.of(seed).to_string(),
            notes: Vec::new(),
            verdict,
            digest: 0,
            steps: black_box
                .progress
                .load(std::sync::atomic::Ordering::Relaxed),
            virtual_ns: 0,
            refused: Vec::new(),
            panics: Vec::new(),
            threads_left: Vec::new(),
            trace: None,
            backtrace: None,
            divergence: None,
        }
    }

    /// What the last run on the first zygote printed.
    pub(crate) fn output(&self) -> Output {
        self.slots[0].black_box.output()
    }

    /// The decisions of the last explained run on the first zygote.
    pub(crate) fn take_decisions(&self, log: &mut Log) {
        child::recorded(self.slots[0].black_box, log);
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

    fn tell_digests(&self, ended: &Ended) {
        if !self.settings.digests {
            return;
        }
        for (seed, digest, again) in &ended.digests {
            if !again {
                println!(
                    "squall: {} seed {seed:#x} digest {digest:016x}",
                    self.origin.test
                );
            }
        }
    }

    fn load(&self, path: &Path) -> Result<(PathBuf, Log), Trouble> {
        let log = Log::load(path)?;
        log.check_origin(path, &self.origin.package, &self.origin.test)?;
        Ok((path.to_owned(), log))
    }

    /// This test's saved logs, in the order of their names.
    fn saved(&self) -> Result<Vec<(PathBuf, Log)>, Trouble> {
        let Some(directory) = &self.settings.failures else {
            return Ok(Vec::new());
        };
        let unreadable = |source| Trouble::Failures {
            path: directory.clone(),
            source,
        };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let prefix = self.origin.log_prefix();
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("");
            // Sixteen digits of the signature's hash stand between the test's name and the ending.
            let ours = name
                .strip_suffix(".log")
                .and_then(|name| name.rsplit_once('-'));
            if ours.is_some_and(|(test, _)| test == prefix) {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| self.load(path)).collect()
    }

    /// Ends everything after Ctrl-C, says how far the test came, and ends the process with the last of its coordinators.
    fn interrupted(self) -> ! {
        let Coordinator {
            origin,
            slots,
            listener,
            runs,
            failures,
            total,
            ..
        } = self;
        drop(slots);
        let of = total.map_or(String::new(), |total| format!(" of {total}"));
        let text = format!(
            "squall: {} interrupted: {runs}{of} seeds done, {failures} failures\n",
            origin.test
        );
        // Past libtest's capture, which would be lost.
        process::write_now(2, text.as_bytes());
        if listener.leave() {
            process::exit_now(130);
        }
        loop {
            std::thread::park();
        }
    }
}
